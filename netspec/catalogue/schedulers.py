"""Learning-rate schedulers of torch.optim.lr_scheduler."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from netspec.catalogue.component import Component, OneOf, Param, Refusal
from netspec.catalogue.types import (
    ABOVE_ZERO,
    BOOLEAN,
    NATURAL,
    NONNEGATIVE,
    NUMBER,
    POSITIVE,
    PROBABILITY,
    Choice,
    Either,
    ListOf,
    Number,
    optional,
    show,
)


def _not_counted(args: dict[str, Any], steps_per_epoch: int) -> int | None:
    """Most have one parameter for their length, or none."""
    return None


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Scheduler(Component):
    """`interval`: what one step of it counts by default.

    `length`: the parameter that is the whole run's length, in intervals, when left out.
    `counted`: that length where other parameters say it, from them and the steps of an epoch.
    `ends`: whether it can't step beyond its length.
    `direction`: it follows a measure, and this parameter says which way the measure gets better.
    `nested`: the parameter that lists schedulers; `edges`: the one that says where each of them but
    the first begins; without it they act at once.
    """

    interval: Literal["epoch", "step"] = "epoch"
    length: str | None = None
    counted: Callable[[dict[str, Any], int], int | None] = _not_counted
    ends: bool = False
    direction: str | None = None
    nested: str | None = None
    edges: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "target", f"torch.optim.lr_scheduler:{self.name}")

    @property
    def required(self) -> tuple[str, ...]:
        return tuple(name for name in super().required if name != self.length)

    def directed(self, rising: bool) -> dict[str, str]:
        """What it is told of a measure that gets better as it rises, or as it falls."""
        return {self.direction: "max" if rising else "min"} if self.direction else {}


GAMMA = Param("gamma", NONNEGATIVE, 0.1)
FACTOR = Number(above=0, maximum=1)
# A momentum of 1 divides by zero in Adam; a cycle that starts at 0 leaves RMSprop without a buffer.
LEAST, MOST = Number(0, below=1), Number(above=0, below=1)
RATES: Any = Either(NONNEGATIVE, ListOf(NONNEGATIVE, 1, 1))  # there is one group of parameters


def _together(args: dict[str, Any]) -> None:
    following = [each.type for each in args["schedulers"] if SCHEDULERS[each.type].direction]
    if following:
        raise Refusal(
            f"{following[0]}, which follows a measure, can't stand among others",
            "use it alone, or leave it out",
            "schedulers",
        )


def _in_a_row(args: dict[str, Any]) -> None:
    _together(args)
    schedulers, milestones = args["schedulers"], args["milestones"]
    if len(milestones) != len(schedulers) - 1:
        raise Refusal(
            f"{len(schedulers)} schedulers need {len(schedulers) - 1} milestones, "
            f"not {len(milestones)}",
            "write the step at which each but the first begins",
            "milestones",
        )
    inner = [each.type for each in schedulers[1:] if SCHEDULERS[each.type].nested]
    if inner:
        raise Refusal(
            f"torch can begin with {inner[0]}, not go over to it",
            "list their schedulers here",
            "schedulers",
        )
    if milestones != sorted(set(milestones)):
        raise Refusal(
            f"milestones {show(milestones)} must rise",
            "write each number once, the smallest first",
            "milestones",
        )


def _epochs_of_a_cycle(args: dict[str, Any], steps_per_epoch: int) -> int | None:
    epochs, each = args["epochs"], args["steps_per_epoch"] or steps_per_epoch
    return None if epochs is None else epochs * each


SCHEDULERS: dict[str, Scheduler] = {}
NESTED = ListOf(OneOf("scheduler", SCHEDULERS), 1)

SCHEDULERS.update(
    (entry.name, entry)
    for entry in (
        Scheduler(name="StepLR", params=(Param("step_size", POSITIVE), GAMMA)),
        Scheduler(name="MultiStepLR", params=(Param("milestones", ListOf(NATURAL, 1)), GAMMA)),
        Scheduler(
            name="ConstantLR",
            params=(Param("factor", FACTOR, 1 / 3), Param("total_iters", NATURAL, 5)),
        ),
        Scheduler(
            name="LinearLR",
            params=(
                Param("start_factor", FACTOR, 1 / 3),
                Param("end_factor", PROBABILITY, 1.0),
                Param("total_iters", POSITIVE, 5),
            ),
        ),
        Scheduler(name="ExponentialLR", params=(Param("gamma", NONNEGATIVE),)),
        Scheduler(
            name="PolynomialLR",
            params=(Param("total_iters", POSITIVE, 5), Param("power", NONNEGATIVE, 1.0)),
        ),
        Scheduler(
            name="CosineAnnealingLR",
            params=(Param("T_max", POSITIVE), Param("eta_min", NONNEGATIVE, 0.0)),
            length="T_max",
        ),
        Scheduler(
            name="CosineAnnealingWarmRestarts",
            params=(
                Param("T_0", POSITIVE),
                Param("T_mult", POSITIVE, 1),
                Param("eta_min", NONNEGATIVE, 0.0),
            ),
        ),
        Scheduler(
            name="OneCycleLR",
            interval="step",
            length="total_steps",
            counted=_epochs_of_a_cycle,
            ends=True,
            params=(
                Param("max_lr", RATES),
                Param("total_steps", optional(POSITIVE), None),
                Param("epochs", optional(POSITIVE), None),
                Param("steps_per_epoch", optional(POSITIVE), None),
                Param("pct_start", Number(0, below=1), 0.3),
                Param("anneal_strategy", Choice("cos", "linear"), "cos"),
                Param("cycle_momentum", BOOLEAN, True),
                Param("base_momentum", Either(LEAST, ListOf(LEAST, 1, 1)), 0.85),
                Param("max_momentum", Either(MOST, ListOf(MOST, 1, 1)), 0.95),
                Param("div_factor", ABOVE_ZERO, 25.0),
                Param("final_div_factor", ABOVE_ZERO, 1e4),
                Param("three_phase", BOOLEAN, False),
            ),
        ),
        Scheduler(
            name="CyclicLR",
            interval="step",
            params=(
                Param("base_lr", RATES),
                Param("max_lr", RATES),
                Param("step_size_up", POSITIVE, 2000),
                Param("step_size_down", optional(POSITIVE), None),
                Param("mode", Choice("triangular", "triangular2", "exp_range"), "triangular"),
                Param("gamma", NUMBER, 1.0),
                Param("scale_mode", Choice("cycle", "iterations"), "cycle"),
                Param("cycle_momentum", BOOLEAN, True),
                Param("base_momentum", LEAST, 0.8),
                Param("max_momentum", MOST, 0.9),
            ),
        ),
        Scheduler(
            name="ReduceLROnPlateau",
            direction="mode",
            params=(
                Param("mode", Choice("min", "max"), "min", "left out: as the monitor gets better"),
                Param("factor", Number(0, below=1), 0.1),
                Param("patience", NATURAL, 10),
                Param("threshold", NONNEGATIVE, 1e-4),
                Param("threshold_mode", Choice("rel", "abs"), "rel"),
                Param("cooldown", NATURAL, 0),
                Param("min_lr", RATES, 0),
                Param("eps", NONNEGATIVE, 1e-8),
            ),
        ),
        Scheduler(
            name="SequentialLR",
            nested="schedulers",
            edges="milestones",
            params=(Param("schedulers", NESTED), Param("milestones", ListOf(NATURAL))),
            check=_in_a_row,
        ),
        Scheduler(
            name="ChainedScheduler",
            nested="schedulers",
            params=(Param("schedulers", NESTED),),
            check=_together,
        ),
    )
)
