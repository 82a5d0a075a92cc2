"""Loss, optimizer and scheduler of a spec, as torch's objects."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from netspec.catalogue.component import Component
from netspec.catalogue.losses import LOSSES
from netspec.catalogue.optimizers import OPTIMIZERS
from netspec.catalogue.schedulers import SCHEDULERS
from netspec.compiler import attribute
from netspec.diagnostics import Code, Diagnostic, SpecError
from netspec.planning.training import interval
from netspec.spec.model import Named, Spec
from netspec.training.criterion import Criterion


def make_loss(named: Named) -> Criterion:
    entry = LOSSES[named.type]
    return Criterion(entry, entry.complete(named.args))


def make_optimizer(spec: Spec, named: Named, parameters: Iterable[nn.Parameter]) -> Optimizer:
    parameters = list(parameters)
    if not parameters:
        raise _error(
            spec, named, "there is nothing to learn: no parameter is unfrozen when training begins"
        )
    entry = OPTIMIZERS[named.type]
    made: Optimizer = _construct(spec, named, entry, parameters, **_args(entry, named))
    return made


@dataclass(frozen=True)
class Length:
    """How long the run is."""

    epochs: int
    steps: int
    steps_per_epoch: int


class Schedule:
    """A scheduler, None where the spec names none, and what one step of it counts."""

    def __init__(
        self, spec: Spec, scheduler: LRScheduler | None = None, interval: str = "epoch"
    ) -> None:
        self.spec, self.scheduler, self.interval = spec, scheduler, interval

    def step(self, interval: str, monitored: float | None = None) -> None:
        """To be called after each optimizer step and after each epoch.

        Raises SpecError where torch's formula divides by zero, as for a phase of no length.
        """
        if self.scheduler is None or interval != self.interval:
            return
        try:
            if isinstance(self.scheduler, ReduceLROnPlateau):
                self.scheduler.step(float("inf") if monitored is None else monitored)
            else:
                self.scheduler.step()
        except ArithmeticError as error:
            assert self.spec.train is not None and self.spec.train.scheduler is not None
            raise _uncomputed(self.spec, self.spec.train.scheduler, error) from None

    def state_dict(self) -> dict[str, Any]:
        return self.scheduler.state_dict() if self.scheduler else {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if self.scheduler:
            self.scheduler.load_state_dict(state)


def make_schedule(
    spec: Spec, named: Named | None, optimizer: Optimizer, length: Length
) -> Schedule:
    if named is None:
        return Schedule(spec)
    assert spec.train is not None
    counted = interval(named, spec.train)
    total = length.steps if counted == "step" else length.epochs
    return Schedule(spec, _scheduler(spec, named, optimizer, length, total), counted)


def _scheduler(
    spec: Spec, named: Named, optimizer: Optimizer, length: Length, total: int
) -> LRScheduler:
    entry = SCHEDULERS[named.type]
    args = _args(entry, named)
    if entry.length and args.get(entry.length) is None:
        if named.type == "OneCycleLR" and args["epochs"] is not None:
            per_epoch = args["steps_per_epoch"] or length.steps_per_epoch
            args["total_steps"] = args["epochs"] * per_epoch
        else:
            args[entry.length] = total
    if named.type == "OneCycleLR" and args["total_steps"] < total:
        message = f"its cycle ends after {args['total_steps']} steps of the run's {total}"
        raise _error(spec, named, message)
    if entry.param("schedulers"):
        return _nested(spec, named, optimizer, length, total)
    made: LRScheduler = _construct(spec, named, entry, optimizer, **args)
    return made


def _nested(
    spec: Spec, named: Named, optimizer: Optimizer, length: Length, total: int
) -> LRScheduler:
    """Schedulers in a row (each as long as its stretch between milestones) or all at once."""
    entry = SCHEDULERS[named.type]
    children: tuple[Named, ...] = named.args["schedulers"]
    milestones: list[int] = named.args.get("milestones", [])
    if entry.param("milestones"):
        edges = [0, *milestones, total]
        totals = [max(1, end - start) for start, end in pairwise(edges)]
    else:
        totals = [total] * len(children)
    made = [
        _scheduler(spec, child, optimizer, length, each)
        for child, each in zip(children, totals, strict=True)
    ]
    if entry.param("milestones"):
        scheduler: LRScheduler = _construct(spec, named, entry, optimizer, made, milestones)
    else:
        scheduler = _construct(spec, named, entry, made)
    return scheduler


def _args(entry: Component, named: Named) -> dict[str, Any]:
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in entry.complete(named.args).items()
    }


def _construct(spec: Spec, named: Named, entry: Component, *args: Any, **kwargs: Any) -> Any:
    """What torch refuses only now is still a finding about the spec."""
    try:
        return attribute(entry)(*args, **kwargs)
    except ArithmeticError as error:
        raise _uncomputed(spec, named, error) from None
    except (ValueError, TypeError, RuntimeError) as error:
        raise _error(spec, named, str(error)) from None


def _uncomputed(spec: Spec, named: Named, error: ArithmeticError) -> SpecError:
    remedy = "a phase of it has no length in this run: change its share or its number of steps"
    return _error(spec, named, f"torch can't compute it: {error}", remedy)


def _error(spec: Spec, named: Named, message: str, remedy: str | None = None) -> SpecError:
    place = spec.document.place(named.path, key=True)
    return SpecError([Diagnostic(Code.TRAIN, f"{named.type}: {message}", place, remedy)])
