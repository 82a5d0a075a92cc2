"""Where a training stands: what is saved, and what a run goes on from."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from torch import nn
from torch.optim import Optimizer

from netspec.data.dataset import Dataset
from netspec.planning import Plan
from netspec.spec.writing import digest
from netspec.training.monitor import Monitor
from netspec.training.optimization import Length, Schedule
from netspec.training.run import load_weights
from netspec.training.state import Misfit, check, check_optimizer


@dataclass
class Position:
    """Where a training stands.

    epoch, batch, step: how many are done, of the run, of the epoch, of the run. seconds: of
    training, without what is measured.
    """

    epoch: int = 0
    batch: int = 0
    step: int = 0
    seconds: float = 0.0

    def state_dict(self) -> dict[str, Any]:
        return asdict(self)

    def load_state_dict(self, state: dict[str, Any], length: Length) -> None:
        """Raises Misfit where a training of this length never stands there."""
        check(state, self.state_dict(), "position")
        found = Position(**state)
        per_epoch = length.steps_per_epoch
        if (
            not 0 <= found.epoch <= length.epochs
            or not 0 <= found.batch <= (per_epoch if found.epoch < length.epochs else 0)
            or found.step != min(found.epoch * per_epoch + found.batch, length.steps)
            or not found.seconds >= 0
        ):
            raise Misfit(f"position is {state}")
        for each in fields(self):
            setattr(self, each.name, getattr(found, each.name))


class Progress:
    """Everything that the next step depends on, and what other files of the run hold.

    running: the tally of this epoch's batch losses. rows: each epoch's measures. random: the
    generators' states to begin from; None: from the spec's seed.
    """

    def __init__(
        self,
        plan: Plan,
        dataset: Dataset,
        model: nn.Module,
        optimizer: Optimizer,
        schedule: Schedule,
        monitor: Monitor,
        length: Length,
        device: torch.device,
    ) -> None:
        self.plan, self.dataset, self.length, self.device = plan, dataset, length, device
        self.model, self.optimizer = model, optimizer
        self.schedule, self.monitor = schedule, monitor
        self.position = Position()
        self.running = torch.zeros(2, dtype=torch.float64, device=device)
        self.rows: list[dict[str, Any]] = []
        self.random: dict[str, torch.Tensor] | None = None

    def seed(self, seed: int) -> None:
        """Set torch's generators: by the seed, or as they stood."""
        if self.random is None:
            torch.manual_seed(seed)
            return
        torch.set_rng_state(self.random["cpu"])
        if "cuda" in self.random and self.device.type == "cuda":
            torch.cuda.set_rng_state(self.random["cuda"], self.device)

    def state_dict(self) -> dict[str, Any]:
        random = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            random["cuda"] = torch.cuda.get_rng_state(self.device)
        return {
            "spec": digest(self.plan.spec),
            "data": self.dataset.fingerprint,
            "position": self.position.state_dict(),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "monitor": self.monitor.state_dict(),
            "running": self.running,
            "rows": self.rows,
            "random": random,
        }

    def load_state_dict(self, state: dict[str, Any], file: str) -> None:
        """Raises Misfit, InputError, and whatever else torch makes of a state that is not one of
        this training."""
        check(state.keys(), self.state_dict().keys(), "the state")
        self.position.load_state_dict(state["position"], self.length)
        load_weights(self.model, state["model"], file)
        check_optimizer(state["optimizer"], self.optimizer)
        self.optimizer.load_state_dict(state["optimizer"])
        check(state["schedule"], self.schedule.state_dict(), "schedule")
        if planned := self.schedule.planned:
            done = state["position"][planned.interval]
            if (last := state["schedule"].get("last_epoch", done)) != done:
                raise Misfit(f"schedule.last_epoch is {last}, not {done}")
        self.schedule.load_state_dict(state["schedule"])
        self.monitor.load_state_dict(state["monitor"])
        check(state["running"], self.running.cpu(), "running")
        self.running = state["running"].to(self.device)
        check([row["epoch"] for row in state["rows"]], [*range(self.position.epoch)], "rows")
        self.rows = state["rows"]
        check(state["random"]["cpu"], torch.get_rng_state(), "random")
        torch.Generator().set_state(state["random"]["cpu"])  # refuses what is none
        self.random = state["random"]
