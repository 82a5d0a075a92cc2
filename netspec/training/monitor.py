"""Which epoch's weights are the best."""

from __future__ import annotations

import math
from typing import Any

from netspec.data.dataset import Dataset
from netspec.diagnostics import Code
from netspec.planning import Plan
from netspec.planning.training import MONITOR, unvalidated


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

    def value(self, row: dict[str, Any]) -> float:
        """What it follows, of an epoch's measures."""
        return float(row[self.key])

    def improved(self, row: dict[str, Any]) -> bool:
        """Whether this epoch is the best so far."""
        if not self.chooses:
            return True
        value = self.value(row)
        if self.best is not None and not math.isnan(self.best):
            better = value > self.best if self.rising else value < self.best
            if not better:
                return False
        self.best = value
        return True
