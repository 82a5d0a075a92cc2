"""A plan's data: read, split, and held against what the network and the loss expect."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor

from netspec.catalogue.component import Refusal
from netspec.catalogue.losses import ANY, LOSSES, Bounds
from netspec.catalogue.sources import Classes, Target, Unknown, Values
from netspec.catalogue.transforms import Image
from netspec.data.dataset import Dataset, Part, PartName, Pictures, Statistics
from netspec.data.doubts import doubts
from netspec.data.preparation import learn, preparing
from netspec.data.reading.sources import counted, loss_of, read, vocabulary
from netspec.data.splitting import split
from netspec.data.stored import Stored, chunks, extremes
from netspec.diagnostics import Code
from netspec.planning import Plan
from netspec.planning.fitting import check_target
from netspec.planning.pipeline import learned
from netspec.planning.plans import Pipeline
from netspec.shapes import Tensor as Output
from netspec.shapes import at
from netspec.sizes import fixed, values_of
from netspec.spec.document import Document, Route


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
        dataset = split(brought, plan.spec.data.split, plan.spec.seed)
    with _refused(document, pipeline.source.path):
        for name, part in dataset.parts.items():
            _check_inputs(name, part, plan)
            _check_targets(name, part, dataset.target, plan)
    with _refused(document, ("data", "target")):
        target = learned(plan.spec.data.target, dataset.target, plan.input)
    if plan.training and not isinstance(target, Unknown):
        with _refused(document, plan.training.loss.path, Code.TRAIN):
            for part in dataset.parts.values():
                check_target(plan.training.loss, _output(plan, part, target), target)
    if statistics is None:
        with _refused(document, pipeline.source.path):
            statistics = learn(pipeline, dataset.parts["train"])
    dataset = replace(dataset, statistics=statistics)
    if plan.training and plan.spec.data.target == "input":
        with _refused(document, plan.training.loss.path, Code.TRAIN):
            _check_own(pipeline, dataset, plan)
    return replace(dataset, warnings=(*dataset.warnings, *doubts(plan, dataset)))


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
        low, high = extremes(inputs)
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
        found = [extremes(each) for each in known if len(each)]
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
    low, high = extremes(targets)
    within = bounds.low <= low and high <= bounds.high
    if bounds.ends:
        ends = torch.tensor([bounds.low, bounds.high])
        within = all(torch.isin(chunk, ends).all() for chunk in chunks(targets))
    if not within:
        raise Refusal(
            f"the {name} part has targets from {low:g} to {high:g}, but {loss} takes them {bounds}",
            "store such targets, or use another loss",
        )


def _check_own(pipeline: Pipeline, dataset: Dataset, plan: Plan) -> None:
    """Refuse samples that are their own targets where the loss does not take such numbers."""
    assert plan.training is not None
    named = plan.training.loss
    bounds = LOSSES[named.type].bounds(dict(named.args))
    if bounds == ANY:
        return
    prepares = preparing(pipeline, dataset.statistics)
    for name, part in dataset.parts.items():
        inputs = part.inputs
        if pipeline.raw:  # black and white, between which all images lie
            inputs = torch.tensor([0, 255], dtype=torch.uint8).view(2, 1, 1, 1)
            inputs = inputs.expand(2, pipeline.raw.channels, *_largest(pipeline.raw, plan))
        assert not isinstance(inputs, Pictures)
        for rows in chunks(inputs):
            _check_bounds(name, prepares(rows) if prepares else rows, named.type, bounds)


def _largest(raw: Image, plan: Plan) -> list[int]:
    """The size of an image that every step takes."""
    wanted = [at(dim, plan.least) for dim in plan.input.shape[1:]]
    sizes = (raw.height, raw.width)
    return [
        size if isinstance(size, int) else max(size.least, least)
        for size, least in zip(sizes, wanted, strict=True)
    ]
