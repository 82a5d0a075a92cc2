"""Each source's parts, as tensors or files. Raises Refusal with a user's words."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from netspec import images
from netspec.catalogue.component import Refusal
from netspec.catalogue.layers import LAYERS
from netspec.catalogue.losses import ANY, LOSSES, Loss
from netspec.catalogue.sources import SOURCES, Classes, Target, Values
from netspec.compiler import attribute
from netspec.data.dataset import Dataset, ImageFiles, Part, PartName
from netspec.planning import Plan
from netspec.planning.plans import Pipeline

MAX_BYTES = 64 * 2**30


@dataclass(frozen=True)
class Request:
    """What a source is asked for: its arguments, and the samples that the network takes.
    `download`: whether it may fetch what is not there."""

    plan: Plan
    pipeline: Pipeline
    download: bool = True

    @property
    def args(self) -> Any:
        return self.pipeline.source.args

    @property
    def channels(self) -> int:
        assert self.pipeline.raw is not None
        return self.pipeline.raw.channels


def read(plan: Plan, pipeline: Pipeline, *, download: bool) -> Dataset:
    """All parts that the source itself brings."""
    entry = SOURCES[pipeline.source.type]
    request = Request(plan, pipeline, download)
    if entry.fetched:
        return downloaded(request, attribute(entry))
    made: Dataset = attribute(entry)(request)
    return made


def digits(request: Request) -> Dataset:
    """Every fifth digit is the test part."""
    with np.load(str(files("netspec.data") / "digits.npz")) as file:
        pixels, labels = file["images"], file["labels"]
    inputs = _channels(torch.from_numpy(pixels).unsqueeze(1), request.channels)
    whole = Part(inputs, torch.from_numpy(labels).to(torch.int64))
    order = torch.arange(len(whole))
    parts: dict[PartName, Part] = {
        "train": whole.subset(order[order % 5 != 4]),
        "test": whole.subset(order[order % 5 == 4]),
    }
    return Dataset(parts, request.pipeline.target, _names(request))


def downloaded(request: Request, kind: Any) -> Dataset:
    """A torchvision data set with `train=True` and `train=False` parts of equal-sized images."""
    args = {**request.args, "download": request.args["download"] and request.download}
    parts: dict[PartName, Part] = {}
    for train in (True, False):
        try:
            found = kind(train=train, **args)
        except Exception as error:  # torchvision raises whatever damaged files bring about
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise Refusal(
                f"{kind.__name__} cannot be read from '{args['root']}': {reason}",
                "set `download: true`, or put the files there by hand"
                if request.download
                else "put the files there by hand",
                "root",
            ) from None
        pixels = torch.as_tensor(found.data)
        pixels = pixels.unsqueeze(1) if pixels.dim() == 3 else pixels.permute(0, 3, 1, 2)
        inputs = _channels(pixels, request.channels).contiguous()
        targets = torch.as_tensor(found.targets, dtype=torch.int64)
        parts["train" if train else "test"] = Part(inputs, targets)
    return Dataset(parts, request.pipeline.target, _names(request))


def image_folder(request: Request) -> Dataset:
    """`root/train/CLASS/…`, `root/val/…`, `root/test/…`; or `root/CLASS/…`, one part."""
    root = Path(request.args["root"])
    if not root.is_dir():
        raise Refusal(f"there is no folder '{root}'", param="root")
    folders: dict[PartName, Path] = {"train": root / "train", "test": root / "test"}
    folders["validation"] = next(
        (root / name for name in ("val", "valid", "validation") if (root / name).is_dir()),
        root / "val",
    )
    folders = {name: folder for name, folder in folders.items() if folder.is_dir()}
    if not folders:
        folders = {"train": root}
    if "train" not in folders:
        there = " and ".join(sorted(folder.name for folder in folders.values()))
        raise Refusal(f"'{root}' has {there}, but no folder 'train'", param="root")
    classes = _class_folders(folders["train"])
    if not classes:
        raise Refusal(
            f"'{folders['train']}' has no class folders",
            "put each class's images into a folder of its name: train/CLASS/image.jpg",
            "root",
        )
    parts: dict[PartName, Part] = {}
    for name, folder in folders.items():
        if extra := sorted(set(_class_folders(folder)) - set(classes)):
            raise Refusal(
                f"'{folder}' has classes that '{folders['train']}' lacks: {', '.join(extra)}",
                param="root",
            )
        found = [
            (path, label)
            for label, each in enumerate(classes)
            if (folder / each).is_dir()
            for path in images.find(folder / each)
        ]
        if not found:
            raise Refusal(
                f"no images lie below '{folder}'",
                f"known are {', '.join(sorted(images.EXTENSIONS))}",
                "root",
            )
        paths, labels = zip(*found, strict=True)
        if name == "train" and (empty := set(range(len(classes))) - set(labels)):
            raise Refusal(
                f"'{folder / classes[min(empty)]}' holds no image to learn from",
                "remove the folder, or put images there",
                "root",
            )
        parts[name] = Part(ImageFiles(paths, request.channels, root), torch.tensor(labels))
    return Dataset(parts, Classes(len(classes), tuple(classes)), tuple(classes))


def _class_folders(folder: Path) -> list[str]:
    return sorted(
        each.name for each in folder.iterdir() if each.is_dir() and not each.name.startswith(".")
    )


def tensors(request: Request) -> Dataset:
    """Two arrays of a .npz file: samples in the input's shape, and their targets."""
    path = Path(request.args["path"])
    if not path.is_file():
        raise Refusal(f"there is no file '{path}'", param="path")
    try:
        with zipfile.ZipFile(path) as archive:
            if sum(entry.file_size for entry in archive.infolist()) > MAX_BYTES:
                raise Refusal(f"'{path}' unpacks to more than {MAX_BYTES >> 30} GiB", None, "path")
        with np.load(path, allow_pickle=False) as file:
            arrays = [
                _array(file, request.args[name], name, path) for name in ("inputs", "targets")
            ]
    except (Refusal, MemoryError):
        raise
    except Exception as error:  # zip archives and numpy's headers fail in many ways
        raise Refusal(f"'{path}' cannot be read as .npz: {error}", None, "path") from None
    inputs, targets = map(torch.from_numpy, arrays)
    if request.plan.input.dtype == "int64" and inputs.is_floating_point():
        raise Refusal(
            f"'{request.args['inputs']}' holds {arrays[0].dtype}, but the input is token ids",
            "store whole numbers, or make `input` floats",
            "inputs",
        )
    inputs = inputs.to(getattr(torch, request.plan.input.dtype))
    if not inputs.isfinite().all():
        raise Refusal(
            f"'{request.args['inputs']}' holds values that are not finite numbers", param="inputs"
        )
    shape = request.plan.input.shape
    if len(inputs.shape) - 1 != len(shape) or any(
        isinstance(dim, int) and dim != found
        for dim, found in zip(shape, inputs.shape[1:], strict=True)
    ):
        raise Refusal(
            f"its samples have the shape {list(inputs.shape[1:])}, "
            f"but the input is {request.plan.input}",
            "change `input`, or the file",
            "inputs",
        )
    target: Target
    loss, args = loss_of(request.plan)
    wants = loss.wants if loss else None
    if targets.is_floating_point() or wants == "same":
        targets = targets.to(torch.float32)
        targets = targets.unsqueeze(1) if targets.dim() == 1 else targets
        target = Values(tuple(targets.shape[1:]))
    else:
        if targets.dim() != 1:
            raise Refusal(
                f"'{request.args['targets']}' has the shape {list(targets.shape)}, but class "
                "indices are one number a sample",
                "store them with one dimension, or floats for a loss that compares values",
                "targets",
            )
        targets = targets.to(torch.int64)
        labels = counted(targets, args)
        target = Classes(int(labels.max()) + 1 if len(labels) else 0)
    return Dataset({"train": Part(inputs, targets)}, target)


def _array(file: Any, name: str, param: str, path: Path) -> np.ndarray[Any, Any]:
    if name not in file:
        raise Refusal(f"'{path}' has no array '{name}'", f"it has {', '.join(file)}", param)
    found = np.asarray(file[name])
    if not found.ndim:
        raise Refusal(f"'{name}' is a single number, without samples", param=param)
    if found.dtype.kind not in "fiub" or not found.dtype.isnative:
        raise Refusal(f"'{name}' holds {found.dtype}, not numbers", param=param)
    return found


def synthetic(request: Request) -> Dataset:
    """Standard normal samples (uniform token ids); targets by a fixed random linear map of them."""
    args, plan = request.args, request.plan
    shape = [dim if isinstance(dim, int) else plan.least[str(dim)] for dim in plan.input.shape]
    generator = torch.Generator().manual_seed(args["seed"])
    size = (args["samples"], *shape)
    flat: Tensor
    if plan.input.dtype == "int64":
        inputs = torch.randint(0, min(2, vocabulary(plan)), size, generator=generator)
    else:
        inputs = torch.randn(size, generator=generator)
    flat = inputs.flatten(1).to(torch.float32)
    target = request.pipeline.target
    width = target.count if isinstance(target, Classes) else None
    out = [width] if width else list(target.shape or ()) if isinstance(target, Values) else []
    weight = (
        torch.randn((flat.shape[1], int(torch.tensor(out).prod())), generator=generator)
        / flat.shape[1] ** 0.5
    )
    scores = (flat @ weight).reshape(args["samples"], *out)
    if isinstance(target, Classes):
        return Dataset({"train": Part(inputs, scores.argmax(1))}, target, _names(request))
    assert isinstance(target, Values)
    loss, loss_args = loss_of(plan)
    bounds = loss.bounds(loss_args) if loss else ANY
    if bounds.ends:
        targets = torch.where(scores > 0, bounds.high, bounds.low)
    else:
        targets = (scores > 0).to(torch.float32) if target.binary else scores
    return Dataset({"train": Part(inputs, targets.clamp(bounds.low, bounds.high))}, target)


def loss_of(plan: Plan) -> tuple[Loss | None, dict[str, Any]]:
    """What the targets are for, with its arguments."""
    train = plan.spec.train
    if train is None:
        return None, {}
    entry = LOSSES[train.loss.type]
    return entry, entry.complete(train.loss.args)


def counted(labels: Tensor, loss: Mapping[str, Any]) -> Tensor:
    """The labels that a loss with these arguments does not ignore."""
    ignored = loss.get("ignore_index")
    return labels if ignored is None else labels[labels != ignored]


def vocabulary(plan: Plan) -> int:
    """How many token ids every `Embedding` knows, from 0."""
    known = (node.args[name] for node in plan.root.walk() if (name := LAYERS[node.type].vocabulary))
    return min(known, default=1)


def _channels(pixels: Tensor, wanted: int) -> Tensor:
    """Images [N, C, H, W] uint8 with the wanted number of channels; grey as ITU-R 601 weighs."""
    if pixels.shape[1] == wanted:
        return pixels
    if wanted == 3:
        return pixels.expand(-1, 3, -1, -1)
    weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    return (pixels * weights).sum(1, keepdim=True).round().to(torch.uint8)


def _names(request: Request) -> tuple[str, ...] | None:
    target = request.pipeline.target
    return target.names if isinstance(target, Classes) else None
