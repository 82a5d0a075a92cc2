"""Losses of torch.nn: what each expects of the output and the target."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from netspec.catalogue.component import Component, Param
from netspec.catalogue.types import (
    ABOVE_ZERO,
    BOOLEAN,
    INTEGER,
    NONNEGATIVE,
    NUMBER,
    Choice,
    Integer,
    ListOf,
    Number,
    optional,
)

Task = Literal["classes", "binary", "values"]

REDUCTION = Param("reduction", Choice("mean", "sum"), "mean")


class Bounds(NamedTuple):
    """Which values a target may have: those from `low` to `high`; `ends`: these two alone."""

    low: float = -math.inf
    high: float = math.inf
    ends: bool = False

    def __str__(self) -> str:
        if self.ends:
            return f"as {self.low:g} or {self.high:g}"
        if math.isinf(self.high):
            return f"from {self.low:g}"
        if math.isinf(self.low):
            return f"up to {self.high:g}"
        return f"between {self.low:g} and {self.high:g}"


ANY = Bounds()
UNIT = Bounds(0, 1)
SIGNS = Bounds(-1, 1, ends=True)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Loss(Component):
    """`target`: `classes`: integer class indices, the output has them in its first dimension;
    `same`: floats of the output's shape, with values within `bounds`. `blended`: for an index it
    also takes each class's probability. `tensors`: parameters that torch takes as a tensor.
    `vector`: the output has one dimension alone. `takes`: what the output holds: `any` numbers,
    `scores` (of which the loss takes softmax or sigmoid itself), `probabilities`, or
    `log-probabilities`. `unbounded`: of other numbers it has no least value.
    `binary`: each output says yes or no of its own; its sigmoid is the probability.
    `mean_over`: what its mean divides by: the number of `elements` of the output, of its `rows`
    along the last dimension, of `samples`; or the sum of the class weights of all `targets` that
    are not ignored."""

    wants: Literal["classes", "same"]
    blended: bool = False
    mean_over: Literal["elements", "rows", "samples", "targets"] = "elements"
    bounds: Callable[[dict[str, Any]], Bounds] = lambda args: ANY
    tensors: tuple[str, ...] = ()
    vector: bool = False
    takes: Literal["any", "scores", "probabilities", "log-probabilities"] = "any"
    unbounded: bool = False
    binary: bool = False

    def __post_init__(self) -> None:
        if not self.target:
            object.__setattr__(self, "target", f"torch.nn:{self.name}")

    @property
    def probabilities(self) -> bool:
        return self.takes == "probabilities"

    def no_and_yes(self, args: dict[str, Any]) -> tuple[float, float]:
        """What a target of 0 or 1 becomes where the loss takes two other numbers alone."""
        bounds = self.bounds(args)
        return (bounds.low, bounds.high) if bounds.ends else (0.0, 1.0)

    @property
    def task(self) -> Task:
        """What a network trained with it tells of a sample."""
        return "classes" if self.wants == "classes" else "binary" if self.binary else "values"


WEIGHTS = optional(ListOf(NONNEGATIVE, 1))

LOSSES: dict[str, Loss] = {
    loss.name: loss
    for loss in (
        Loss(
            name="CrossEntropyLoss",
            wants="classes",
            blended=True,
            takes="scores",
            mean_over="targets",
            tensors=("weight",),
            params=(
                Param("weight", WEIGHTS, None, "one for each class"),
                Param("ignore_index", INTEGER, -100),
                REDUCTION,
                Param("label_smoothing", Number(0, 1), 0.0),
            ),
        ),
        Loss(
            name="NLLLoss",
            wants="classes",
            takes="log-probabilities",
            unbounded=True,
            mean_over="targets",
            tensors=("weight",),
            params=(
                Param("weight", WEIGHTS, None, "one for each class"),
                Param("ignore_index", INTEGER, -100),
                REDUCTION,
            ),
        ),
        Loss(name="MSELoss", wants="same", params=(REDUCTION,)),
        Loss(name="L1Loss", wants="same", params=(REDUCTION,)),
        Loss(
            name="SmoothL1Loss", wants="same", params=(REDUCTION, Param("beta", NONNEGATIVE, 1.0))
        ),
        Loss(name="HuberLoss", wants="same", params=(REDUCTION, Param("delta", ABOVE_ZERO, 1.0))),
        Loss(
            name="BCEWithLogitsLoss",
            wants="same",
            takes="scores",
            binary=True,
            tensors=("weight", "pos_weight"),
            bounds=lambda args: UNIT,
            params=(
                Param("weight", WEIGHTS, None),
                REDUCTION,
                Param("pos_weight", optional(ListOf(NUMBER, 1)), None, "one for each output"),
            ),
        ),
        Loss(
            name="BCELoss",
            target="netspec.modules:BCELoss",
            wants="same",
            takes="probabilities",
            binary=True,
            tensors=("weight",),
            bounds=lambda args: UNIT,
            params=(Param("weight", WEIGHTS, None), REDUCTION),
        ),
        Loss(
            name="MultiMarginLoss",
            wants="classes",
            mean_over="samples",
            vector=True,
            tensors=("weight",),
            params=(
                Param("p", Integer(1, 2), 1),
                Param("margin", NUMBER, 1.0),
                Param("weight", WEIGHTS, None, "one for each class"),
                REDUCTION,
            ),
        ),
        Loss(
            name="MultiLabelSoftMarginLoss",
            wants="same",
            takes="scores",
            mean_over="rows",
            binary=True,
            tensors=("weight",),
            bounds=lambda args: UNIT,
            params=(Param("weight", WEIGHTS, None), REDUCTION),
        ),
        Loss(
            name="KLDivLoss",
            doc="the output is a log-probability, the target a probability",
            wants="same",
            takes="log-probabilities",
            mean_over="samples",
            bounds=lambda args: Bounds(high=0) if args["log_target"] else UNIT,
            params=(
                Param("reduction", Choice("batchmean", "sum"), "batchmean"),
                Param("log_target", BOOLEAN, False),
            ),
        ),
        Loss(
            name="PoissonNLLLoss",
            wants="same",
            bounds=lambda args: Bounds(low=0),
            params=(
                Param("log_input", BOOLEAN, True),
                Param("full", BOOLEAN, False),
                Param("eps", ABOVE_ZERO, 1e-8),
                REDUCTION,
            ),
        ),
        Loss(
            name="HingeEmbeddingLoss",
            doc="targets are 1 or -1",
            wants="same",
            bounds=lambda args: SIGNS,
            params=(Param("margin", NUMBER, 1.0), REDUCTION),
        ),
        Loss(
            name="SoftMarginLoss",
            doc="targets are 1 or -1",
            wants="same",
            takes="scores",
            bounds=lambda args: SIGNS,
            params=(REDUCTION,),
        ),
    )
}
