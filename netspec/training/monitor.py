"""Which epoch's weights are the best."""

from __future__ import annotations

from typing import Any

from netspec.catalogue.metrics import METRICS
from netspec.data.dataset import Dataset
from netspec.diagnostics import Code, Diagnostic, SpecError
from netspec.spec.model import Spec
from netspec.training.state import check


class Monitor:
    """Follows `checkpoint.monitor`, by default the validation loss; without a validation part the
    last epoch is the best. The test part is never asked."""

    def __init__(self, spec: Spec, dataset: Dataset) -> None:
        assert spec.train is not None
        measured = ["loss", *(metric.type for metric in spec.train.metrics)]
        validated = "validation" in dataset.parts
        name = (spec.train.monitor or "loss").removeprefix("validation_")
        if spec.train.monitor and (name not in measured or not validated):
            raise _unknown(spec, measured if validated else [])
        self.key = f"validation_{name}" if validated else None
        self.rising = name in METRICS and METRICS[name].rising
        self.best: float | None = None
        self.epoch: int | None = None

    def state_dict(self) -> dict[str, Any]:
        return {"best": self.best, "epoch": self.epoch}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        check(state, {"best": None, "epoch": None}, "monitor")
        self.best, self.epoch = state["best"], state["epoch"]

    def improved(self, row: dict[str, Any]) -> bool:
        """Whether this epoch is the best so far."""
        if self.key is not None:
            value = float(row[self.key])
            if self.best is not None:
                better = value > self.best if self.rising else value < self.best
                if not better:
                    return False
            self.best = value
        self.epoch = row["epoch"]
        return True


def _unknown(spec: Spec, measured: list[str]) -> SpecError:
    assert spec.train is not None
    each = ", ".join(f"validation_{name}" for name in measured) or "no validation part"
    return SpecError(
        [
            Diagnostic(
                Code.TRAIN,
                f"checkpoint.monitor is '{spec.train.monitor}', but each epoch measures {each}",
                spec.document.place(("train", "checkpoint", "monitor")),
                "add it to train.metrics"
                if measured
                else "add data: {split: {validation: 0.1}}, or remove the monitor",
            )
        ]
    )
