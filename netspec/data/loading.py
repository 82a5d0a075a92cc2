"""A plan's data: read, split, and held against what the network and the loss expect."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor

from netspec.catalogue.component import Refusal
from netspec.catalogue.losses import Bounds
from netspec.catalogue.sources import Classes, Target, Unknown, Values
from netspec.catalogue.sources.arrays import wanted
from netspec.catalogue.transforms import Image
from netspec.data.dataset import Dataset, Part, PartName, Pictures, Statistics
from netspec.data.preparation import learn
from netspec.data.sources import counted, loss_of, read, vocabulary
from netspec.data.stored import Stored, chunks
from netspec.diagnostics import Code, Diagnostic, Severity, spoken
from netspec.planning import Plan
from netspec.planning.pipeline import divide
from netspec.planning.training import check_target, unmeasured
from netspec.shapes import Tensor as Output
from netspec.shapes import at
from netspec.sizes import fixed, values_of
from netspec.spec.document import Document, Route
from netspec.spec.model import Split


def load(plan: Plan, *, download: bool = True, statistics: Statistics | None = None) -> Dataset:
    """The data of a plan. Raises SpecError at the place in the spec that they contradict.

    download=False: nothing is fetched or written whatever the spec says, which then is not the
    user's own but a file's. statistics: what was learned before; None: they are learned.
    """
    document, pipeline = plan.spec.document, plan.pipeline
    if pipeline is None or plan.spec.data is None:
        raise document.error(
            Code.DATA, "the spec has no `data`", (), "add data: {source: …}", key=True
        )
    with _refused(document, pipeline.source.path):
        brought = read(plan, pipeline, download=download)
        for name, part in brought.parts.items():
            _check_lengths(name, part)
    with _refused(document, ("data", "split")):
        dataset = _split(brought, plan.spec.data.split, plan.spec.seed)
    with _refused(document, pipeline.source.path):
        for name, part in dataset.parts.items():
            _check_inputs(name, part, plan)
            _check_targets(name, part, dataset.target, plan)
    if plan.training and not isinstance(dataset.target, Unknown):
        with _refused(document, plan.training.loss.path, Code.TRAIN):
            for part in dataset.parts.values():
                output = _output(plan, part, dataset.target)
                check_target(plan.training.loss, output, dataset.target)
    if statistics is None:
        with _refused(document, pipeline.source.path):
            statistics = learn(pipeline, dataset.parts["train"])
    return replace(
        dataset, statistics=statistics, warnings=(*dataset.warnings, *_doubts(plan, dataset))
    )


def _output(plan: Plan, part: Part, target: Classes | Values) -> Output:
    """The network's output; where the targets' sizes are numbers, its names have the values that a
    part's samples give them."""
    assert plan.pipeline is not None
    if plan.pipeline.raw or fixed(plan.output.shape) or not fixed(target.shape or ()):
        return plan.output
    if isinstance(part.inputs, Pictures):
        return plan.output
    values = values_of(plan.input.shape, plan.least, part.inputs.shape[1:]) or {}
    sizes = (
        dim if isinstance(dim, int) or not dim.names <= values.keys() else at(dim, values)
        for dim in plan.output.shape
    )
    return replace(plan.output, shape=tuple(sizes))


@contextmanager
def _refused(document: Document, route: Route, code: Code = Code.DATA) -> Iterator[None]:
    """A refusal within is a finding about what stands at `route`, at the parameter it names."""
    try:
        yield
    except Refusal as refusal:
        at = route if refusal.param is None else (*route, refusal.param, *refusal.within)
        raise document.error(code, refusal.message, at, refusal.remedy) from None


def _split(dataset: Dataset, split: Split, seed: int) -> Dataset:
    """Cut the parts that the source does not bring out of the training part."""
    parts = dict(dataset.parts)
    sizes = divide(split, {name: len(part) for name, part in parts.items()})
    names: tuple[PartName, ...] = ("test", "validation")
    for name in names:
        if name not in sizes or name in dataset.parts:
            continue
        whole, taken = parts["train"], sizes[name]
        order = torch.arange(len(whole))
        if split.shuffle:
            order = torch.randperm(len(whole), generator=torch.Generator().manual_seed(seed))
        # In the source's order again, so that a part without shuffling is the file's.
        kept, held_out = order[:-taken].sort().values, order[-taken:].sort().values
        parts["train"], parts[name] = whole.subset(kept), whole.subset(held_out)
    return replace(dataset, parts=parts)


def _check_lengths(name: PartName, part: Part) -> None:
    if len(part.inputs) != len(part):
        raise Refusal(f"the {name} part has {len(part.inputs):,} inputs, but {len(part):,} targets")
    if not len(part):
        raise Refusal(f"the {name} part is empty")


def _check_inputs(name: PartName, part: Part, plan: Plan) -> None:
    inputs = part.inputs
    if isinstance(inputs, Pictures):
        return
    raw = plan.pipeline.raw if plan.pipeline else None
    if raw and not _are(inputs.shape[1:], raw):
        raise Refusal(
            f"the {name} part's images are {list(inputs.shape[1:])}, not {raw}",
            "are its files whole?",
        )
    if inputs.dtype == torch.int64:
        low, high = _range(inputs)
        if low < 0 or high >= vocabulary(plan):
            raise Refusal(
                f"the {name} part has token ids from {low} to {high}, "
                f"but Embedding knows 0 to {vocabulary(plan) - 1}"
            )


def _are(sizes: torch.Size, raw: Image) -> bool:
    """Whether images have the size that is stated."""
    return sizes[0] == raw.channels and all(
        found == wanted if isinstance(wanted, int) else found >= wanted.least
        for found, wanted in zip(sizes[1:], (raw.height, raw.width), strict=True)
    )


def _range(values: Tensor | Stored) -> tuple[float, float]:
    """The least and the largest of some numbers."""
    ends = [chunk.aminmax() for chunk in chunks(values)]
    return min(low.item() for low, _ in ends), max(high.item() for _, high in ends)


def _check_targets(name: PartName, part: Part, target: Target, plan: Plan) -> None:
    """Refuse targets that the loss does not take, and labels of no class."""
    if isinstance(part.targets, Pictures):
        return
    loss, args = loss_of(plan)
    if part.targets.is_floating_point():
        if not all(chunk.isfinite().all() for chunk in chunks(part.targets)):
            raise Refusal(f"the {name} part has targets that are not finite numbers")
        if loss:
            _check_bounds(name, part.targets, loss.name, loss.bounds(args))
    elif isinstance(target, Classes):
        known = (counted(chunk, args) for chunk in chunks(part.targets))
        found = [_range(each) for each in known if len(each)]
        if loss and not found:
            raise Refusal(
                f"every label of the {name} part is {args['ignore_index']}, which {loss.name} "
                "ignores"
            )
        low, high = min(found)[0], max(high for _, high in found)
        if low < 0 or (target.count is not None and high >= target.count):
            raise Refusal(
                f"the {name} part has labels from {low} to {high}, "
                f"but classes count from 0 to {(target.count or 1) - 1}"
            )


def _check_bounds(name: PartName, targets: Tensor | Stored, loss: str, bounds: Bounds) -> None:
    low, high = _range(targets)
    within = bounds.low <= low and high <= bounds.high
    if bounds.ends:
        ends = torch.tensor([bounds.low, bounds.high])
        within = all(torch.isin(chunk, ends).all() for chunk in chunks(targets))
    if not within:
        raise Refusal(
            f"the {name} part has targets from {low:g} to {high:g}, but {loss} takes them {bounds}",
            "store such targets, or use another loss",
        )


def _doubts(plan: Plan, dataset: Dataset) -> Iterator[Diagnostic]:
    """Metrics without a part to measure, where only the data know the parts; arrays that look like
    images of 8 bits: floats of images lie in [0, 1]."""
    metrics = plan.training.metrics if plan.training else ()
    known = plan.pipeline is not None and plan.pipeline.parts is not None
    if not known and (refusal := unmeasured(metrics, dataset.parts)):
        place = plan.spec.document.place(("train", "metrics"), key=True)
        yield Diagnostic(
            Code.TRAIN, refusal.message, place, spoken(refusal.remedy), severity=Severity.WARNING
        )
    shape, inputs = plan.input.shape, dataset.parts["train"].inputs
    assert plan.pipeline is not None
    source = plan.pipeline.source
    if plan.pipeline.raw or plan.pipeline.preparation or len(shape) != 3 or shape[0] not in (1, 3):
        return
    if isinstance(inputs, Pictures) or inputs.dtype != torch.float32:
        return
    if not all(bool((chunk == chunk.floor()).all()) for chunk in chunks(inputs)):
        return
    low, high = _range(inputs)
    if low >= 0 and 127 < high <= 255:
        name, keys = wanted(source.args)["train"][0]
        yield Diagnostic(
            Code.DATA,
            f"'{name}' holds whole numbers from {low:g} to {high:g}, as images of "
            "8 bits do: they reach the network as they are",
            plan.spec.document.place((*source.path, *keys)),
            "store floats in [0, 1], `inputs.astype('float32') / 255`, or set `images: true`",
            severity=Severity.WARNING,
        )
