"""A plan's data: read, split, and held against what the network and the loss expect."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from netspec.catalogue.component import Refusal
from netspec.catalogue.sources import Classes, Unknown
from netspec.data.dataset import Dataset, ImageFiles, Part, PartName
from netspec.data.sources import read, vocabulary
from netspec.diagnostics import Code
from netspec.planning import Plan
from netspec.planning.pipeline import divide
from netspec.planning.training import check_target
from netspec.spec.document import Document, Route
from netspec.spec.model import Split


def load(plan: Plan) -> Dataset:
    """The data of a plan. Raises SpecError at the place in the spec that they contradict."""
    document, pipeline = plan.spec.document, plan.pipeline
    if pipeline is None or plan.spec.data is None:
        raise document.error(
            Code.DATA, "the spec has no `data`", (), "add data: {source: …}", key=True
        )
    with _refused(document, pipeline.source.path):
        brought = read(plan, pipeline)
        for name, part in brought.parts.items():
            _check_lengths(name, part)
    with _refused(document, ("data", "split")):
        dataset = _split(brought, plan.spec.data.split, plan.spec.seed)
    with _refused(document, pipeline.source.path):
        for name, part in dataset.parts.items():
            _check_inputs(name, part, plan)
            _check_labels(name, part, dataset)
    if plan.spec.train and not isinstance(dataset.target, Unknown):
        with _refused(document, plan.spec.train.loss.path, Code.TRAIN):
            check_target(plan.spec.train.loss, plan.output, dataset.target)
    return dataset


@contextmanager
def _refused(document: Document, route: Route, code: Code = Code.DATA) -> Iterator[None]:
    """A refusal within is a finding about what stands at `route`, at the parameter it names."""
    try:
        yield
    except Refusal as refusal:
        at = route if refusal.param is None else (*route, refusal.param)
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
    return Dataset(parts, dataset.target, dataset.classes)


def _check_lengths(name: PartName, part: Part) -> None:
    if len(part.inputs) != len(part):
        raise Refusal(f"the {name} part has {len(part.inputs):,} inputs, but {len(part):,} targets")
    if not len(part):
        raise Refusal(f"the {name} part is empty")


def _check_inputs(name: PartName, part: Part, plan: Plan) -> None:
    inputs = part.inputs
    if isinstance(inputs, ImageFiles):
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


def _check_labels(name: PartName, part: Part, dataset: Dataset) -> None:
    if part.targets.is_floating_point():
        if not part.targets.isfinite().all():
            raise Refusal(f"the {name} part has targets that are not finite numbers")
    elif isinstance(dataset.target, Classes):
        low, high = int(part.targets.min()), int(part.targets.max())
        if low < 0 or (dataset.target.count is not None and high >= dataset.target.count):
            raise Refusal(
                f"the {name} part has labels from {low} to {high}, "
                f"but classes count from 0 to {(dataset.target.count or 1) - 1}"
            )
