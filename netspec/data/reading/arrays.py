"""`Tensors`: arrays of files, as samples in the network's shape and their targets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from netspec.catalogue.sources import Classes, Target, Values
from netspec.catalogue.sources.arrays import Wanted, wanted
from netspec.catalogue.transforms import Size, masks
from netspec.data.dataset import Dataset, Part, PartName
from netspec.data.reading import array_files
from netspec.data.reading.array_files import Found
from netspec.data.reading.sources import Request, check_memory, counted, loss_of, with_channels
from netspec.data.stored import Array, Stored, chunks
from netspec.planning import Plan
from netspec.shapes import Expr, at
from netspec.sizes import describe, values_of


def tensors(request: Request) -> Dataset:
    """Arrays of samples and of their targets, for each part. Raises Refusal."""
    args = request.args
    place = Wanted(str(args["path"]), ("path",))
    path = Path(place.name)
    file = None if args["path"] is None else array_files.opened(path, place)

    def read(each: Wanted) -> Found:
        found = array_files.alone(each) if file is None else array_files.array(path, file, each)
        if not found.array.ndim:
            raise each.refusal(f"'{each.name}' is a single number, without samples")
        return found

    parts: dict[PartName, Part] = {}
    labels: list[Tensor | Stored] = []
    target: Target | None = None
    for name, (inputs, targets) in wanted(args).items():
        samples = (_images if args["images"] else _inputs)(read(inputs), inputs, request)
        learned, kind = _targets(read(targets), targets, request)
        if target not in (None, kind):
            raise targets.refusal(
                f"the {name} part's targets are {_said(kind)}, but the train part's are "
                f"{_said(target)}",
                "store both alike",
            )
        if args["images"] and isinstance(kind, Classes) and kind.shape == samples.shape[2:]:
            _check_still(targets, request)
        target, parts[name] = kind, Part(samples, learned)
        labels.append(learned)
    assert target is not None
    if isinstance(target, Classes) and target.count is None:
        count = _count(labels, loss_of(request.plan)[1])
        target = Classes(count, None, target.shape)
    return Dataset(parts, target, target.names if isinstance(target, Classes) else None)


def _said(target: Target | None) -> str:
    what = "class indices" if isinstance(target, Classes) else "floats"
    shape = target.shape if isinstance(target, Classes | Values) else ()
    return f"{what} of the shape {list(shape or ())}"


def _inputs(found: Found, each: Wanted, request: Request) -> Stored:
    """Samples [N, …] as the network takes them."""
    plan, name = request.plan, each.name
    needed = plan.input
    if needed.dtype == "int64" and _floating(found):
        raise each.refusal(
            f"'{name}' holds {found.holds}, but the input is token ids",
            "store whole numbers, or make `input` floats",
        )
    sizes = found.array.shape[1:]
    if not _fits(sizes, plan):
        raise each.refusal(
            f"its samples have the shape {list(sizes)}, but the input is "
            + describe(needed.shape, plan.least),
            "change `input`, or the file",
        )
    return _checked(found, each, getattr(torch, needed.dtype))


def _images(found: Found, each: Wanted, request: Request) -> Stored:
    """uint8 images [N, C, H, W] of an array [N, H, W] or [N, H, W, C]."""
    raw = request.pipeline.raw
    assert raw is not None
    shape = found.array.shape
    if found.holds != "uint8":
        raise each.refusal(
            f"'{each.name}' holds {found.holds}, and images are uint8",
            "store numbers from 0 to 255 of 8 bits, or leave `images` out",
        )
    if len(shape) not in (3, 4) or (len(shape) == 4 and shape[3] not in (1, 3)):
        raise each.refusal(
            f"its samples have the shape {list(shape[1:])}, and images are [height, width] or "
            "[height, width, channels] with 1 or 3 channels",
            "put the channels last: `transpose(0, 2, 3, 1)`"
            if len(shape) == 4 and shape[1] in (1, 3)
            else "store such images",
        )
    if not (_takes(raw.height, shape[1]) and _takes(raw.width, shape[2])):
        raise each.refusal(
            f"its images are {shape[1]}x{shape[2]}, and {raw.height}x{raw.width} are needed",
            f"begin `evaluate`, and `augment` if there is one, with `Resize: {{size: [{shape[1]}, "
            f"{shape[2]}]}}` before what crops them, or with another size",
        )
    return Stored(found.array, partial(_pixels, channels=raw.channels))


def _check_still(each: Wanted, request: Request) -> None:
    """Refuse steps that move an image's pixels, with which its classes would have to move."""
    pipeline = request.pipeline
    for step in (*pipeline.augment, *pipeline.evaluate, *pipeline.preprocess):
        if masks(step) != "stay":
            raise each.refusal(
                f"'{each.name}' has a class for each pixel, and {step.type} does not move those of "
                "arrays with the images",
                f"leave {step.type} out, or use ImageMasks",
            )


def _takes(wanted: Size, size: int) -> bool:
    return size == wanted if isinstance(wanted, int) else size >= wanted.least


def _pixels(rows: Array, channels: int) -> Tensor:
    stored = torch.from_numpy(np.ascontiguousarray(rows))
    stored = stored.unsqueeze(1) if stored.dim() == 3 else stored.permute(0, 3, 1, 2)
    return with_channels(stored, channels)


def _fits(sizes: Sequence[int], plan: Plan) -> bool:
    """Whether the input's names have values that make it these sizes."""
    shape = plan.input.shape
    if len(sizes) != len(shape):
        return False
    pairs = list(zip(shape, sizes, strict=True))
    values = values_of(shape, plan.least, sizes)
    if values is None:
        return False
    sums = [(dim, size) for dim, size in pairs if isinstance(dim, Expr) and len(dim.names) > 1]
    return all(
        at(dim, values) == size if dim.names <= values.keys() else at(dim, plan.least) <= size
        for dim, size in sums
    )


def _targets(found: Found, each: Wanted, request: Request) -> tuple[Tensor | Stored, Target]:
    """Class indices [N, …], or floats [N, …], as the loss wants them; what is one number a sample
    is read into memory."""
    names, shape = request.args["classes"], found.array.shape[1:]
    if 0 in shape:
        raise each.refusal(f"'{each.name}' has the shape {list(found.array.shape)}")
    loss = loss_of(request.plan)[0]
    values = _floating(found) or (loss is not None and loss.wants == "same")
    if values and names is not None:
        raise each.refusal(
            f"'{each.name}' holds {found.holds}, but `classes` names class indices",
            "store whole numbers, or remove classes",
        )
    if not shape:
        check_memory(len(found.array) * 8, f"'{each.name}' takes", each.keys[0])
    targets: Tensor | Stored = _checked(found, each, torch.float32 if values else torch.int64)
    if not shape:
        targets = torch.cat([targets[:0], *chunks(targets)])
        targets = targets.unsqueeze(1) if values else targets
    if values:
        return targets, Values(shape or (1,))
    return targets, Classes(names and len(names), names and tuple(names), shape)


def _count(labels: Iterable[Tensor | Stored], loss: dict[str, object]) -> int:
    """One more than the largest label that is not ignored."""
    each = (counted(chunk, loss) for part in labels for chunk in chunks(part))
    return max((int(known.max()) + 1 for known in each if known.numel()), default=0)


def _floating(found: Found) -> bool:
    return found.bits is not None or found.array.dtype.kind == "f"


def _checked(found: Found, each: Wanted, dtype: torch.dtype) -> Stored:
    """The array as numbers of `dtype`, all of which it holds."""
    stored = Stored(found.array, partial(_numbers, bits=found.bits, dtype=dtype))
    if found.array.dtype == np.uint64 and dtype == torch.int64:
        largest = max((int(rows.max()) for rows in stored.rows() if rows.size), default=0)
        if largest > np.iinfo(np.int64).max:
            raise each.refusal(
                f"'{each.name}' holds {largest}, which is no 64-bit integer with a sign"
            )
    if _floating(found):
        start = 0
        for chunk in stored.chunks():
            # The ends are no numbers where any is none, and found sooner than each is looked at.
            if chunk.numel() and not torch.stack(chunk.aminmax()).isfinite().all():
                finite = chunk.isfinite().view(len(chunk), -1).all(1)
                row = start + int(finite.int().argmin())
                raise each.refusal(
                    f"'{each.name}' holds values that are not finite numbers of 32 bits, the "
                    f"first of them in row {row}",
                    "replace them, or leave such rows out",
                )
            start += len(chunk)
    return stored


def _numbers(rows: Array, bits: torch.dtype | None, dtype: torch.dtype) -> Tensor:
    if bits is not None:
        return torch.from_numpy(np.ascontiguousarray(rows)).view(bits).to(dtype)
    if rows.dtype.kind == "b":
        rows = rows.view(np.uint8) != 0  # a file's may be other than 0 and 1
    with np.errstate(over="ignore"):  # what grows infinite is refused
        made = rows.astype(str(dtype).removeprefix("torch."), order="C", copy=False)
    return torch.from_numpy(np.ascontiguousarray(made))
