"""`ImageFolder`: a folder per class, every file looked at before training begins."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from pathlib import Path

import torch

from netspec import images
from netspec.catalogue.component import Refusal
from netspec.catalogue.sources import Classes
from netspec.catalogue.transforms import Image, applied, most
from netspec.data.dataset import Dataset, ImageFiles, Part, PartName
from netspec.data.sources import Request, check_memory
from netspec.diagnostics import Diagnostic, InputError
from netspec.planning.plans import BYTES


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
        _check_files(paths, request)
        parts[name] = Part(ImageFiles(paths, request.channels, root), torch.tensor(labels))
    return Dataset(parts, Classes(len(classes), tuple(classes)), tuple(classes))


def _class_folders(folder: Path) -> list[str]:
    return sorted(
        each.name for each in folder.iterdir() if each.is_dir() and not each.name.startswith(".")
    )


def _check_files(paths: Iterable[Path], request: Request) -> None:
    """Refuse images that are damaged, and those that a transform makes too large.

    Raises InputError with a diagnostic for each damaged file.
    """
    damaged: list[Diagnostic] = []
    needed = cache(lambda width, height: largest(width, height, request))
    for path in paths:
        try:
            width, height = images.check(path)
        except InputError as error:
            damaged += error.diagnostics
            continue
        try:
            name, made, size = needed(width, height)
        except Refusal as refusal:
            raise Refusal(
                f"'{path}' is {width:,}x{height:,}, and {refusal.about.type} cannot take it: "
                f"{refusal.message}",
                refusal.remedy,
                "root",
            ) from None
        check_memory(
            size,
            f"'{path}' is {width:,}x{height:,}, and {name} makes {made} of it, which takes",
            "root",
            "crop the image, or leave it out",
        )
    if damaged:
        raise InputError(damaged)


def largest(width: int, height: int, request: Request) -> tuple[str, Image, int]:
    """The transform that takes the most memory with an image of this size, the image that it
    makes, and the bytes of what goes in and comes out."""
    pipeline = request.pipeline
    raw = Image(request.channels, height, width)
    steps = [("reading", raw, 2 * _bytes(raw))]
    for way in (pipeline.evaluate, pipeline.augment or pipeline.evaluate):
        image = raw
        for step in (*way, *pipeline.preprocess):
            made = applied(step, image)
            steps.append((step.type, made, _bytes(image) + _bytes(made)))
            image = made
    return max(steps, key=lambda step: step[2])


def _bytes(image: Image) -> int:
    """Of one as large as chance makes it."""
    height, width = most(image.height), most(image.width)
    assert height is not None and width is not None
    return image.channels * height * width * BYTES["float32"]
