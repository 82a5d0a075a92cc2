"""A model file measured on a part of the data, through onnxruntime."""

from __future__ import annotations

import torch
from torch import Tensor

from netspec.data.dataset import Dataset, ImageFiles, PartName
from netspec.diagnostics import Code, InputError
from netspec.planning import Plan
from netspec.runtime import Session
from netspec.training.metrics import Measures, metrics_of

BATCH = 64


def evaluate(plan: Plan, session: Session, dataset: Dataset, part: PartName) -> Measures:
    """The spec's metrics, accuracy by default for classes; the file's outputs are taken as they
    are, so there is no loss. Raises InputError where the file is another network's."""
    assert plan.spec.train is not None
    if session.metadata.digest != plan.digest:
        raise InputError.of(
            Code.MODEL,
            "the file holds another network than the spec",
            file=str(session.path),
            remedy="give the spec that it was exported from with --spec",
        )
    metrics = metrics_of(plan.spec.train.metrics, plan.spec.train.loss)
    chosen = dataset.parts[part]
    totals = dict.fromkeys(metrics, 0.0)
    for start in range(0, len(chosen), BATCH):
        rows = range(start, min(start + BATCH, len(chosen)))
        outputs = torch.from_numpy(session.predict([_sample(chosen.inputs, i) for i in rows]))
        for name, metric in metrics.items():
            totals[name] += float(metric(outputs, chosen.targets[rows.start : rows.stop]).sum())
    return {name: total / len(chosen) for name, total in totals.items()}


def _sample(inputs: Tensor | ImageFiles, index: int) -> object:
    """One raw sample as the file takes it: images have their channels last."""
    sample = inputs[index]
    images = sample.dtype == torch.uint8
    return (sample.permute(1, 2, 0) if images else sample).numpy()
