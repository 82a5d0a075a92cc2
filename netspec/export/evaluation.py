"""A model file measured on a part of the data, through onnxruntime."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from netspec.catalogue.sources import Classes
from netspec.data.dataset import Dataset, PartName
from netspec.data.preprocessing import Preprocessing
from netspec.diagnostics import Code, InputError
from netspec.planning import Plan
from netspec.runtime import Session
from netspec.runtime.samples import One
from netspec.spec.model import Named
from netspec.training.metrics import Measures, metrics_of

BATCH = 64


def evaluate(plan: Plan, session: Session, dataset: Dataset, part: PartName) -> Measures:
    """The spec's metrics, accuracy by default for classes; the file's outputs are taken as they
    are, so there is no loss. Raises InputError where the file is another network's, or nothing
    says what to measure."""
    if session.metadata.digest != plan.digest:
        raise InputError.of(
            Code.MODEL,
            "the file holds another network than the spec",
            file=str(session.path),
            remedy="give the spec that it was exported from with --spec",
        )
    named = plan.spec.train.metrics if plan.spec.train else ()
    if not named and isinstance(dataset.target, Classes):
        named = (Named("accuracy", {}, ()),)
    if not named:
        raise InputError.of(
            Code.MODEL,
            "its spec names nothing to measure",
            file=str(session.path),
            remedy="give a spec with train.metrics with --spec",
        )
    metrics = metrics_of(named, probabilities=session.metadata.output.activation == "sigmoid")
    prepare = _preparation(plan, session)
    chosen = dataset.parts[part]
    totals = dict.fromkeys(metrics, 0.0)
    for start in range(0, len(chosen), BATCH):
        rows = range(start, min(start + BATCH, len(chosen)))
        samples: list[One] = [prepare(chosen.inputs[i]).numpy() for i in rows]
        outputs = torch.from_numpy(session.predict(samples))
        for name, metric in metrics.items():
            totals[name] += float(metric(outputs, chosen.targets[rows.start : rows.stop]).sum())
    return {name: total / len(chosen) for name, total in totals.items()}


def _preparation(plan: Plan, session: Session) -> Callable[[Tensor], Tensor]:
    """From one of the source's samples to what the file takes: pixels with their channels last, or
    what preprocessing makes of them where the file was exported without it."""
    if plan.pipeline is None or plan.pipeline.raw is None:
        return lambda sample: sample
    if session.metadata.input.kind == "images":
        return lambda image: image.permute(1, 2, 0)
    preprocessing = Preprocessing(plan.pipeline)
    return lambda image: preprocessing(image.unsqueeze(0)).squeeze(0)
