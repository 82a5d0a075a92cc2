"""A plan's data: read, split, and held against what the network and the loss expect."""

from __future__ import annotations

import torch

from netspec.catalogue.component import Refusal
from netspec.catalogue.sources import Classes, Unknown
from netspec.data.dataset import Dataset, ImageFiles, Part, PartName
from netspec.data.sources import SourceError, read, vocabulary
from netspec.diagnostics import Code, Diagnostic, SpecError
from netspec.planning import Plan
from netspec.planning.training import check_target
from netspec.spec.document import Route
from netspec.spec.model import Split


def load(plan: Plan) -> Dataset:
    """The data of a plan. Raises SpecError at the place in the spec that they contradict."""
    if plan.pipeline is None or plan.spec.data is None:
        raise _error(plan, (), Code.DATA, "the spec has no `data`", "add data: {source: …}")
    source = plan.pipeline.source
    try:
        dataset = _split(read(plan, plan.pipeline), plan.spec.data.split, plan.spec.seed)
        _check(plan, dataset)
    except SourceError as error:
        path = error.path or source.path
        if error.param and error.param in source.args:
            path = (*source.path, error.param)
        raise _error(plan, path, Code.DATA, error.message, error.remedy) from None
    except Refusal as refusal:
        assert plan.spec.train is not None
        raise _error(
            plan, plan.spec.train.loss.path, Code.TRAIN, refusal.message, refusal.remedy
        ) from None
    return dataset


def _error(
    plan: Plan, path: Route, code: Code, message: str, remedy: str | None = None
) -> SpecError:
    return SpecError([Diagnostic(code, message, plan.spec.document.place(path), remedy)])


def _split(dataset: Dataset, split: Split, seed: int) -> Dataset:
    """Cut the parts that the source does not bring out of the training part."""
    parts = dict(dataset.parts)
    cut: tuple[tuple[PartName, float], ...] = (
        ("test", split.test),
        ("validation", split.validation),
    )
    for name, share in cut:
        if not share:
            continue
        if name in parts:
            raise SourceError(
                f"the source brings its own {name} part, so split.{name} has nothing to do",
                f"remove split.{name}",
                path=("data", "split", name),
            )
        whole = parts["train"]
        taken = round(len(whole) * share)
        if not 0 < taken < len(whole):
            raise SourceError(
                f"split.{name} {share:g} of {len(whole)} samples leaves a part empty",
                "use a larger share, or more data",
                path=("data", "split", name),
            )
        order = torch.arange(len(whole))
        if split.shuffle:
            order = torch.randperm(len(whole), generator=torch.Generator().manual_seed(seed))
        # In the source's order again, so that a part without shuffling is the file's.
        kept, held_out = order[:-taken].sort().values, order[-taken:].sort().values
        parts["train"], parts[name] = whole.subset(kept), whole.subset(held_out)
    return Dataset(parts, dataset.target, dataset.classes)


def _check(plan: Plan, dataset: Dataset) -> None:
    for name, part in dataset.parts.items():
        if not len(part):
            raise SourceError(f"the {name} part is empty")
        if len(part.inputs) != len(part):
            raise SourceError(
                f"the {name} part has {len(part.inputs):,} inputs, but {len(part):,} targets"
            )
        _check_inputs(name, part, plan)
        _check_labels(name, part, dataset)
    if plan.spec.train and not isinstance(dataset.target, Unknown):
        check_target(plan.spec.train.loss, plan.output, dataset.target)


def _check_inputs(name: PartName, part: Part, plan: Plan) -> None:
    inputs = part.inputs
    if isinstance(inputs, ImageFiles):
        return
    raw = plan.pipeline.raw if plan.pipeline else None
    if raw and tuple(inputs.shape[1:]) != (raw.channels, raw.height, raw.width):
        raise SourceError(
            f"the {name} part's images are {list(inputs.shape[1:])}, not {raw}",
            "are its files whole?",
        )
    if inputs.dtype == torch.int64:
        low, high = int(inputs.min()), int(inputs.max())
        if low < 0 or high >= vocabulary(plan):
            raise SourceError(
                f"the {name} part has token ids from {low} to {high}, "
                f"but Embedding knows 0 to {vocabulary(plan) - 1}"
            )


def _check_labels(name: PartName, part: Part, dataset: Dataset) -> None:
    if part.targets.is_floating_point():
        if not part.targets.isfinite().all():
            raise SourceError(f"the {name} part has targets that are not finite numbers")
    elif isinstance(dataset.target, Classes):
        low, high = int(part.targets.min()), int(part.targets.max())
        if low < 0 or (dataset.target.count is not None and high >= dataset.target.count):
            raise SourceError(
                f"the {name} part has labels from {low} to {high}, "
                f"but classes count from 0 to {(dataset.target.count or 1) - 1}"
            )
