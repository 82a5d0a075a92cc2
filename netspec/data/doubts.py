"""What in the data is legal and probably not meant."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from netspec.catalogue.sources import Classes
from netspec.catalogue.sources.arrays import wanted
from netspec.data.dataset import HASHED_BYTES, Dataset, PartName, Pictures
from netspec.data.reading.sources import counted, loss_of
from netspec.data.stored import Stored, chunks, extremes
from netspec.diagnostics import Code, Diagnostic, Severity, spoken
from netspec.planning import Plan
from netspec.planning.training import unmeasured
from netspec.spec.document import Route

COMPARED = 1 << 20  # the most samples that are compared with one another
DISTINCT = 16  # numbers of a sample, from which two are hardly equal by chance
SHOWN = 5


def doubts(plan: Plan, dataset: Dataset) -> Iterator[Diagnostic]:
    """Metrics without a part to measure, where only the data know the parts; arrays that look like
    images of 8 bits; classes without a sample to learn from; samples that two parts share."""
    yield from _unmeasured(plan, dataset)
    yield from _bytes(plan, dataset)
    yield from _absent(plan, dataset)
    yield from _shared(plan, dataset)


def _warning(
    plan: Plan, message: str, route: Route, remedy: str | None, code: Code = Code.DATA
) -> Diagnostic:
    place = plan.spec.document.place(route, key=code is Code.TRAIN)
    return Diagnostic(code, message, place, remedy, severity=Severity.WARNING)


def _unmeasured(plan: Plan, dataset: Dataset) -> Iterator[Diagnostic]:
    metrics = plan.training.metrics if plan.training else ()
    known = plan.pipeline is not None and plan.pipeline.parts is not None
    if not known and (refusal := unmeasured(metrics, dataset.parts)):
        remedy = spoken(refusal.remedy)
        yield _warning(plan, refusal.message, ("train", "metrics"), remedy, Code.TRAIN)


def _bytes(plan: Plan, dataset: Dataset) -> Iterator[Diagnostic]:
    """Floats of images lie in [0, 1]."""
    shape, inputs = plan.input.shape, dataset.parts["train"].inputs
    assert plan.pipeline is not None
    source = plan.pipeline.source
    if plan.pipeline.raw or plan.pipeline.preparation or len(shape) != 3 or shape[0] not in (1, 3):
        return
    if not isinstance(inputs, Stored) or inputs.dtype != torch.float32:
        return
    if not all(bool((chunk == chunk.floor()).all()) for chunk in chunks(inputs)):
        return
    low, high = extremes(inputs)
    if low >= 0 and 127 < high <= 255:
        name, keys = wanted(source.args)["train"][0]
        yield _warning(
            plan,
            f"'{name}' holds whole numbers from {low:g} to {high:g}, as images of 8 bits do: they "
            "reach the network as they are",
            (*source.path, *keys),
            "store floats in [0, 1], `inputs.astype('float32') / 255`, or set `images: true`",
        )


def _absent(plan: Plan, dataset: Dataset) -> Iterator[Diagnostic]:
    """Classes that no sample of the training part is of."""
    target, targets = dataset.target, dataset.parts["train"].targets
    if not isinstance(target, Classes) or not target.count or isinstance(targets, Pictures):
        return
    if target.count > COMPARED:  # labels are no classes then
        return
    args, found = loss_of(plan)[1], torch.zeros(target.count, dtype=torch.int64)
    for chunk in chunks(targets):
        found += torch.bincount(counted(chunk, args).flatten(), minlength=target.count)
    absent = torch.nonzero(found == 0).flatten().tolist()
    if absent:
        names = dataset.classes or [str(each) for each in range(target.count)]
        said = ", ".join(f"'{names[each]}'" for each in absent[:SHOWN])
        more = f" and {len(absent) - SHOWN:,} more" * (len(absent) > SHOWN)
        yield _warning(
            plan,
            f"no training sample is of the class{'es' * (len(absent) > 1)} {said}{more}",
            _source(plan),
            "add samples of every class, or leave the class out",
        )


def _shared(plan: Plan, dataset: Dataset) -> Iterator[Diagnostic]:
    """Samples that are held out and learned from too, where all of them are quickly compared."""
    inputs = {name: part.inputs for name, part in dataset.parts.items()}
    known = {name: each for name, each in inputs.items() if not isinstance(each, Pictures)}
    size = sum(each.shape.numel() * each.dtype.itemsize for each in known.values())
    count = sum(map(len, known.values()))
    if "train" not in known or size > HASHED_BYTES or count > COMPARED:
        return
    if known["train"].shape[1:].numel() < DISTINCT:
        return
    tensors = {name: torch.cat([*chunks(each)]) for name, each in known.items()}
    train = tensors.pop("train")
    for name, held_out in tensors.items():
        twins = _twins(train, held_out)
        if not twins:
            continue
        row, other = min(twins.items())
        yield _warning(
            plan,
            f"{len(twins):,} of the {name} part's {len(held_out):,} samples are in the training "
            f"part too: {_row(dataset, name, row)} is {_row(dataset, 'train', other)}",
            _source(plan),
            "keep each sample once: what is measured on such a part is not what new data give",
        )


def _twins(train: Tensor, held_out: Tensor) -> dict[int, int]:
    """For rows that are held out, an equal row that is learned from."""
    rows = {_content(each): row for row, each in reversed([*enumerate(held_out)])}
    found: dict[int, int] = {}
    for other, each in enumerate(train):
        if (row := rows.get(_content(each))) is not None:
            found.setdefault(row, other)
    return found


def _content(sample: Tensor) -> bytes:
    return sample.numpy().tobytes()


def _row(dataset: Dataset, part: PartName, row: int) -> str:
    """A row by its number in the part, or in the data where a split made it."""
    if part in dataset.rows:
        return f"row {int(dataset.rows[part][row])}"
    return f"row {row} of {part}"


def _source(plan: Plan) -> Route:
    assert plan.pipeline is not None
    return plan.pipeline.source.path
