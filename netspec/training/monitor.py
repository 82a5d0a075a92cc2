"""Which epoch's weights are the best."""

from __future__ import annotations

from typing import Any

from netspec.data.dataset import Dataset
from netspec.diagnostics import Code
from netspec.planning import Plan
from netspec.planning.training import MONITOR, unvalidated
from netspec.training.state import check


class Monitor:
    """Follows the plan's monitor on the validation part; without one, the training loss, and the
    last epoch is the best. The test part is never asked.

    Raises SpecError where the spec names a monitor and the data have no validation part.
    """

    def __init__(self, plan: Plan, dataset: Dataset) -> None:
        assert plan.training is not None
        monitor = plan.training.monitor
        self.chooses = "validation" in dataset.parts
        if monitor.written and not self.chooses:
            refusal = unvalidated(monitor.name)
            raise plan.spec.document.error(Code.TRAIN, refusal.message, MONITOR, refusal.remedy)
        self.key = f"validation_{monitor.name}" if self.chooses else "train_loss"
        self.rising = monitor.rising and self.chooses
        self.best: float | None = None
        self.epoch: int | None = None

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "epoch": self.epoch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        check(state, {"best": None, "epoch": None}, "monitor")
        self.best, self.epoch = state["best"], state["epoch"]

    def value(self, row: dict[str, Any]) -> float:
        """What it follows, of an epoch's measures."""
        return float(row[self.key])

    def improved(self, row: dict[str, Any]) -> bool:
        """Whether this epoch is the best so far."""
        if self.chooses:
            value = self.value(row)
            if self.best is not None:
                better = value > self.best if self.rising else value < self.best
                if not better:
                    return False
            self.best = value
        self.epoch = row["epoch"]
        return True
