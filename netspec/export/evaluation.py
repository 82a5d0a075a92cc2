"""A model file measured on a part of the data, through onnxruntime."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from typing import NamedTuple

import torch
from torch import Tensor

from netspec.catalogue.metrics import ACCURACY
from netspec.catalogue.sources import Classes
from netspec.data.batches import Batches
from netspec.data.caching import keep
from netspec.data.dataset import Dataset, PartName, Statistics
from netspec.data.loading import load
from netspec.data.preparation import preparing
from netspec.data.reading.sources import loss_of
from netspec.data.splitting import digests, stratified
from netspec.diagnostics import Code, InputError
from netspec.planning import Plan, make_plan
from netspec.runtime import Session
from netspec.runtime.samples import One
from netspec.spec.loading import loads
from netspec.spec.model import Named, Spec
from netspec.spec.reading import parse
from netspec.spec.writing import resolved, to_yaml
from netspec.training.evaluation import Evaluation, choose
from netspec.training.metrics import Measures, metrics_of

BATCH = 64


def evaluate_file(session: Session, spec: Spec | None, part: PartName | None) -> Evaluation:
    """A model file's metrics on the data of `spec`, or of its own spec, for which nothing is
    downloaded. Raises SpecError, InputError."""
    plan = make_plan(spec or loads(session.metadata.spec, f"{session.path} (its spec)"))
    found = load(plan, download=spec is not None)
    used = choose(found, part, session.path)
    dataset = keep(plan, found, [used])
    warnings = (*plan.warnings, *dataset.warnings)
    return Evaluation(used, evaluate(plan, session, dataset, used), warnings)


def evaluate(plan: Plan, session: Session, dataset: Dataset, part: PartName) -> Measures:
    """The spec's metrics, accuracy by default for classes; the file's outputs are taken as they
    are, so there is no loss. Raises InputError where the file is another network's, or nothing
    says what to measure, SpecError where the spec's split is not the file's."""
    if session.metadata.digest != plan.digest:
        raise InputError.of(
            Code.MODEL,
            "the file holds another network than the spec",
            file=str(session.path),
            remedy="give the spec that it was exported from with --spec",
        )
    named = plan.training.metrics if plan.training else ()
    own = plan.spec.data is not None and plan.spec.data.target == "input"
    if not named and isinstance(dataset.target, Classes) and not own:
        named = (Named(ACCURACY.name, {}, ()),)
    if not named:
        raise InputError.of(
            Code.MODEL,
            "its spec names nothing to measure",
            file=str(session.path),
            remedy="give a spec with train.metrics with --spec",
        )
    _check_split(plan, session, dataset, part)
    ignored = dataset.target.ignored if isinstance(dataset.target, Classes) else None
    metrics = metrics_of(
        named,
        probabilities=session.metadata.output.activation == "sigmoid",
        ignored=loss_of(plan)[1].get("ignore_index", ignored),
        one_hot=plan.one_hot,
    )
    prepare = _preparation(plan, session, dataset.statistics)
    chosen = dataset.parts[part]
    tallies: dict[str, Tensor] = {}
    batches = Batches(
        plan, chosen, torch.device("cpu"), batch_size=BATCH, statistics=dataset.statistics
    )
    rows = iter(range(len(chosen)))
    for batch in batches.epoch(0):
        samples: list[One] = [prepare(chosen.inputs[i]).numpy() for i in islice(rows, len(batch))]
        outputs = torch.from_numpy(session.predict(samples))
        for name, metric in metrics.items():
            found = metric.tally(outputs, batch.targets)
            tallies[name] = tallies[name] + found if name in tallies else found
    return {name: metrics[name].figure(tally) for name, tally in tallies.items()}


class Cut(NamedTuple):
    """What decides which samples a split gives to a part; `seed` None: it takes the last rows."""

    test: float
    validation: float
    seed: int | None
    stratified: bool
    group: str | None

    def __str__(self) -> str:
        shares = f"test {self.test:g} and validation {self.validation:g}"
        taken = "the last rows" if self.seed is None else f"seed {self.seed}"
        whole = f", whole groups of '{self.group}'" if self.group is not None else ""
        return f"{shares} with {taken}{whole}" + ", stratified" * self.stratified


def _cut(spec: Spec, dataset: Dataset, part: PartName) -> Cut | None:
    """How a split cuts the part; None where it is as the source brings it."""
    if spec.data is None:
        return None
    split = spec.data.split
    validation = 0 if part == "test" else split.validation  # the test part is cut first
    if not split.test and not validation:
        return None
    seed = spec.seed if split.seed is None else split.seed
    return Cut(
        split.test,
        validation,
        seed if split.shuffle else None,
        stratified(split, dataset.parts["train"]),
        split.group,
    )


def _check_split(plan: Plan, session: Session, dataset: Dataset, part: PartName) -> None:
    """Refuse a part that another split makes than the one that the file was trained with, or that
    has other rows because the data have changed."""
    document, before = plan.spec.document, session.metadata.rows.get(part)
    may = f"the {part} part may hold samples that the file learned from"
    cut = _cut(plan.spec, dataset, part)
    file = parse(session.metadata.spec, str(session.path)).data
    if cut is None or not isinstance(file, dict) or not isinstance(file.get("data"), dict):
        return
    # A file does not keep its source's paths, without which its spec is none.
    source = resolved(plan.spec)["data"]["source"]
    completed = to_yaml({**file, "data": {**file["data"], "source": source}})
    trained = _cut(loads(completed, f"{session.path} (its spec)"), dataset, part)
    if trained != cut:
        raise document.error(
            Code.DATA,
            f"{may}: it was trained with {trained or 'no split'}, and the spec has {cut}",
            ("data", "split"),
            "give the split and train.seed of the spec that it was exported from",
        )
    if before is not None and before != digests(dataset.rows)[part]:
        raise document.error(
            Code.DATA,
            f"{may}: the data have changed, and the split gives it other rows than it had",
            ("data", "split"),
            "bring back the data that it was trained on",
        )


def _preparation(
    plan: Plan, session: Session, statistics: Statistics | None
) -> Callable[[Tensor], Tensor]:
    """From one of the source's samples to what the file takes: pixels with their channels last, or
    what preprocessing makes of it where the file was exported without it."""
    prepares = plan.pipeline and preparing(plan.pipeline, statistics)
    kind = session.metadata.input.kind
    if kind == "images":
        return lambda image: image.permute(1, 2, 0)
    if not prepares or kind != "tensor":
        return lambda sample: sample
    return lambda sample: prepares(sample.unsqueeze(0)).squeeze(0)
