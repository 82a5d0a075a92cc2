"""A run measured on a part of its data."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import torch

from netspec import compiler
from netspec.catalogue.losses import LOSSES
from netspec.data.caching import keep
from netspec.data.dataset import Dataset, PartName
from netspec.data.loading import load
from netspec.diagnostics import Code, Diagnostic, InputError
from netspec.training.metrics import Measures, measure, metrics_of
from netspec.training.optimization import make_loss
from netspec.training.run import Run, load_weights
from netspec.training.weights import weights_of

PARTS: tuple[PartName, ...] = ("test", "validation", "train")


class Evaluation(NamedTuple):
    """What was measured, on which part; `warnings`: doubts about the spec or its data."""

    part: PartName
    measures: Measures
    warnings: tuple[Diagnostic, ...] = ()


def evaluate(run: Run, part: PartName | None, device: torch.device) -> Evaluation:
    """Loss and metrics of a run's best weights. Raises SpecError, InputError."""
    plan = run.plan
    assert plan.training is not None  # a run was trained
    weights = weights_of(run)
    found = load(plan, statistics=run.statistics)
    used = choose(found, part, run.directory)
    run.check_rows(found, used)
    dataset = keep(plan, found, [used])
    model = compiler.build(plan, initialize=False)
    load_weights(model, weights, str(run.directory))
    loss = make_loss(plan.training.loss).to(device)
    probabilities = LOSSES[plan.training.loss.type].probabilities
    metrics = metrics_of(
        plan.training.metrics,
        probabilities=probabilities,
        ignored=loss.ignored,
        one_hot=plan.one_hot,
    )
    measures = measure(plan, model.to(device), dataset, used, device, loss, metrics)
    return Evaluation(used, measures, (*plan.warnings, *dataset.warnings))


def choose(dataset: Dataset, part: PartName | None, target: Path) -> PartName:
    """`part`, or the first of test, validation and train that the data have. Raises InputError."""
    wanted = next(each for each in PARTS if each in dataset.parts) if part is None else part
    if wanted not in dataset.parts:
        raise InputError.of(
            Code.DATA,
            f"the data have no {wanted} part, but {', '.join(dataset.parts)}",
            file=str(target),
        )
    return wanted
