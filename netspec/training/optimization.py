"""Loss, optimizer and scheduler of a plan's training, as torch's objects."""

from __future__ import annotations

import math
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
from netspec.compiler import attribute, frozen
from netspec.diagnostics import Code, Diagnostic, SpecError
from netspec.planning import Plan
from netspec.planning.plans import Scheduling
from netspec.spec.model import Named, Spec
from netspec.training.criterion import Criterion


def make_loss(named: Named) -> Criterion:
    return Criterion(LOSSES[named.type], named.args)


def make_optimizer(spec: Spec, named: Named, parameters: Iterable[nn.Parameter]) -> Optimizer:
    parameters = list(parameters)
    if not parameters:
        raise _error(
            spec, named, "there is nothing to learn: no parameter is unfrozen when training begins"
        )
    entry = OPTIMIZERS[named.type]
    made: Optimizer = _construct(spec, named, entry, parameters, **_args(named))
    return made


def learners(plan: Plan, model: nn.Module) -> list[nn.Parameter]:
    """What the optimizer holds: what learns now, or will once it is released; nothing where nothing
    learns at once."""
    if not any(parameter.requires_grad for parameter in model.parameters()):
        return []
    never = frozen(plan, model, math.inf)
    return [each for name, each in model.named_parameters() if name not in never]


@dataclass(frozen=True)
class Length:
    """How long the run is."""

    epochs: int
    steps: int
    steps_per_epoch: int


class Schedule:
    """A scheduler and what the plan says of it; neither where the spec names none."""

    def __init__(
        self,
        spec: Spec,
        planned: Scheduling | None = None,
        scheduler: LRScheduler | None = None,
    ) -> None:
        self.spec, self.planned, self.scheduler = spec, planned, scheduler

    def step(self, interval: str, monitored: float | None = None) -> None:
        """To be called after each optimizer step and, with the monitored value, each epoch.

        Raises SpecError where torch's formula divides by zero, as for a phase of no length.
        """
        if self.scheduler is None or self.planned is None or interval != self.planned.interval:
            return
        try:
            if isinstance(self.scheduler, ReduceLROnPlateau):
                assert monitored is not None
                self.scheduler.step(monitored)
            else:
                self.scheduler.step()
        except ArithmeticError as error:
            raise _uncomputed(self.spec, self.planned.scheduler, error) from None

    def state_dict(self) -> dict[str, Any]:
        return self.scheduler.state_dict() if self.scheduler else {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if self.scheduler:
            self.scheduler.load_state_dict(state)


def make_schedule(
    spec: Spec, planned: Scheduling | None, optimizer: Optimizer, length: Length
) -> Schedule:
    if planned is None:
        return Schedule(spec)
    total = length.steps if planned.interval == "step" else length.epochs
    return Schedule(spec, planned, _scheduler(spec, planned.scheduler, optimizer, length, total))


def _scheduler(
    spec: Spec, named: Named, optimizer: Optimizer, length: Length, total: int
) -> LRScheduler:
    """`total`: how many of its steps it has; nested ones have as many as their stretch."""
    entry = SCHEDULERS[named.type]
    args = _args(named)
    if entry.length and args.get(entry.length) is None:
        args[entry.length] = entry.counted(args, length.steps_per_epoch) or total
    if entry.length and entry.ends and args[entry.length] < total:
        message = f"its cycle ends after {args[entry.length]} steps of the run's {total}"
        raise _error(spec, named, message)
    if entry.nested:
        children = args[entry.nested]
        totals = [total] * len(children)
        if entry.edges:
            edges = [0, *args[entry.edges], total]
            totals = [max(1, end - start) for start, end in pairwise(edges)]
        args[entry.nested] = [
            _scheduler(spec, child, optimizer, length, each)
            for child, each in zip(children, totals, strict=True)
        ]
    made: LRScheduler = _construct(spec, named, entry, optimizer=optimizer, **args)
    return made


def _args(named: Named) -> dict[str, Any]:
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in named.args.items()
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
