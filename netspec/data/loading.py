"""A plan's data: read, split, and held against what the network and the loss expect."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import torch
from torch import Tensor

from netspec.catalogue.component import Refusal
from netspec.catalogue.losses import ANY, LOSSES, Bounds
from netspec.catalogue.sources import Classes, Target, Unknown
from netspec.catalogue.transforms import Image
from netspec.data.dataset import Dataset, Part, PartName, Pictures, Statistics
from netspec.data.doubts import doubts
from netspec.data.preparation import learn, preparing
from netspec.data.sources import counted, loss_of, read, vocabulary
from netspec.data.splitting import split
from netspec.diagnostics import Code
from netspec.planning import Plan
from netspec.planning.pipeline import learned
from netspec.planning.plans import Pipeline
from netspec.planning.training import check_target
from netspec.shapes import at
from netspec.spec.document import Document, Route

ROWS = 1024  # that are prepared at once to be looked at


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
            check_target(plan.training.loss, plan.output, target)
    if statistics is None:
        with _refused(document, pipeline.source.path):
            statistics = learn(pipeline, dataset.parts["train"])
    dataset = replace(dataset, statistics=statistics)
    if plan.training and plan.spec.data.target == "input":
        with _refused(document, plan.training.loss.path, Code.TRAIN):
            _check_own(pipeline, dataset, plan)
    return replace(dataset, warnings=(*dataset.warnings, *doubts(plan, dataset)))


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
    if raw and tuple(inputs.shape[1:]) != (raw.channels, raw.height, raw.width):
        raise Refusal(
            f"the {name} part's images are {list(inputs.shape[1:])}, not {raw}",
            "are its files whole?",
        )
    if inputs.dtype == torch.int64:
        low, high = int(inputs.min()), int(inputs.max())
        if low < 0 or high >= vocabulary(plan):
            raise Refusal(
                f"the {name} part has token ids from {low} to {high}, "
                f"but Embedding knows 0 to {vocabulary(plan) - 1}"
            )


def _check_targets(name: PartName, part: Part, target: Target, plan: Plan) -> None:
    """Refuse targets that the loss does not take, and labels of no class."""
    if isinstance(part.targets, Pictures):
        return
    loss, args = loss_of(plan)
    if part.targets.is_floating_point():
        if not part.targets.isfinite().all():
            raise Refusal(f"the {name} part has targets that are not finite numbers")
        if loss:
            _check_bounds(name, part.targets, loss.name, loss.bounds(args))
    elif isinstance(target, Classes):
        labels = counted(part.targets, args)
        if loss and not len(labels):
            raise Refusal(
                f"every label of the {name} part is {args['ignore_index']}, which {loss.name} "
                "ignores"
            )
        low, high = int(labels.min()), int(labels.max())
        if low < 0 or (target.count is not None and high >= target.count):
            raise Refusal(
                f"the {name} part has labels from {low} to {high}, "
                f"but classes count from 0 to {(target.count or 1) - 1}"
            )


def _check_bounds(name: PartName, targets: Tensor, loss: str, bounds: Bounds) -> None:
    low, high = float(targets.min()), float(targets.max())
    within = bounds.low <= low and high <= bounds.high
    if bounds.ends:
        within = bool(((targets == bounds.low) | (targets == bounds.high)).all())
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
        assert isinstance(inputs, Tensor)
        for start in range(0, len(inputs), ROWS):
            rows = inputs[start : start + ROWS]
            _check_bounds(name, prepares(rows) if prepares else rows, named.type, bounds)


def _largest(raw: Image, plan: Plan) -> list[int]:
    """The size of an image that every step takes."""
    wanted = [at(dim, plan.least) for dim in plan.input.shape[1:]]
    sizes = (raw.height, raw.width)
    return [
        size if isinstance(size, int) else max(size.least, least)
        for size, least in zip(sizes, wanted, strict=True)
    ]
