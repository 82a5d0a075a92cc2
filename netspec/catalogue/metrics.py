"""Metrics that the loop can report beside the loss."""

from __future__ import annotations

from dataclasses import dataclass

from netspec.catalogue.component import Component, Param
from netspec.catalogue.losses import Task
from netspec.catalogue.types import POSITIVE


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Metric(Component):
    """`tasks`: what it can judge: `classes`: class indices; `binary`: 0 or 1 for each output;
    `values`: floats. `rising`: whether more is better. `halved`: it takes a `threshold` between no
    and yes: 0 for scores, 0.5 for probabilities. `share`: it is one, of 1. `figure`: what makes the
    figure of what `target` has counted."""

    tasks: frozenset[Task]
    rising: bool = False
    halved: bool = False
    share: bool = False
    figure: str = "netspec.training.criterion:mean"


ACCURACY = Metric(
    name="accuracy",
    target="netspec.training.metrics:accuracy",
    doc="share of targets that are the largest output; with 0/1 targets, share "
    "of outputs on the right side of the threshold",
    tasks=frozenset({"classes", "binary"}),
    rising=True,
    halved=True,
    share=True,
)

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        ACCURACY,
        Metric(
            name="top_k",
            target="netspec.training.metrics:top_k",
            doc="share of targets that are among the k largest outputs",
            params=(Param("k", POSITIVE, 5),),
            tasks=frozenset({"classes"}),
            rising=True,
            share=True,
        ),
        Metric(
            name="iou",
            target="netspec.training.metrics:overlap",
            figure="netspec.training.metrics:mean_overlap",
            doc="of each class the targets that are it and are taken for it, as a share of those "
            "that are either (intersection over union); the mean of the classes",
            tasks=frozenset({"classes"}),
            rising=True,
            share=True,
        ),
        Metric(
            name="mae",
            target="netspec.training.metrics:mae",
            doc="mean absolute error",
            tasks=frozenset({"values", "binary"}),
        ),
        Metric(
            name="mse",
            target="netspec.training.metrics:mse",
            doc="mean squared error",
            tasks=frozenset({"values", "binary"}),
        ),
    )
}
