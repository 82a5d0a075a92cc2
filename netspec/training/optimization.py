"""Loss, optimizer and scheduler of a spec, as torch's objects."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler, ReduceLROnPlateau

from netspec.catalogue.component import Component
from netspec.catalogue.losses import LOSSES
from netspec.catalogue.optimizers import OPTIMIZERS
from netspec.catalogue.schedulers import SCHEDULERS
from netspec.compiler import attribute
from netspec.diagnostics import Code, Diagnostic, SpecError
from netspec.spec.model import Named, Spec


def make_loss(spec: Spec, named: Named) -> nn.Module:
    entry = LOSSES[named.type]
    args = {
        name: torch.tensor(value, dtype=torch.float32)
        if name in entry.tensors and value is not None
        else value
        for name, value in entry.complete(named.args).items()
    }
    loss: nn.Module = _construct(spec, named, entry, **args)
    return loss


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
    """A scheduler and what one step of it counts."""

    def __init__(self, scheduler: LRScheduler | None, interval: str) -> None:
        self.scheduler, self.interval = scheduler, interval

    def step(self, interval: str, monitored: float | None = None) -> None:
        """To be called after each optimizer step and after each epoch."""
        if self.scheduler is None or interval != self.interval:
            return
        if isinstance(self.scheduler, ReduceLROnPlateau):
            self.scheduler.step(float("inf") if monitored is None else monitored)
        else:
            self.scheduler.step()

    def state_dict(self) -> dict[str, Any]:
        return self.scheduler.state_dict() if self.scheduler else {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        if self.scheduler:
            self.scheduler.load_state_dict(state)


def make_schedule(
    spec: Spec, named: Named | None, optimizer: Optimizer, length: Length
) -> Schedule:
    if named is None:
        return Schedule(None, "epoch")
    assert spec.train is not None
    default = "step" if spec.train.steps is not None else SCHEDULERS[named.type].interval
    interval = named.siblings.get("interval") or default
    total = length.steps if interval == "step" else length.epochs
    if named.type == "ReduceLROnPlateau" and interval == "step":
        raise _error(spec, named, "ReduceLROnPlateau follows an epoch's loss: interval: epoch")
    return Schedule(_scheduler(spec, named, optimizer, length, total), interval)


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
        if len(milestones) != len(children) - 1:
            raise _error(
                spec,
                named,
                f"{len(children)} schedulers need {len(children) - 1} milestones, "
                f"not {len(milestones)}",
            )
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
    except (ValueError, TypeError, RuntimeError) as error:
        raise _error(spec, named, str(error)) from None


def _error(spec: Spec, named: Named, message: str) -> SpecError:
    place = spec.document.place(named.path, key=True)
    return SpecError([Diagnostic(Code.TRAIN, f"{named.type}: {message}", place)])
