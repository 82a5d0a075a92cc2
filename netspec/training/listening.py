"""Who watches a run: each method is called as it happens."""

from __future__ import annotations

from typing import Any

from netspec.data.dataset import Dataset
from netspec.diagnostics import Diagnostic
from netspec.training.metrics import Measures
from netspec.training.optimization import Length
from netspec.training.run import Run


class Listener:
    """Watches and does nothing; subclasses show what they want to."""

    def start(self, run: Run, dataset: Dataset, length: Length) -> None:
        """Before the first batch."""

    def warn(self, warning: Diagnostic) -> None:
        """What is legal and probably not meant, and what of a damaged run was mended."""

    def batch(self, epoch: int, done: int, total: int, loss: float | None) -> None:
        """After each batch; `loss` is the mean since the last report, None between reports."""

    def epoch(self, row: dict[str, Any]) -> None:
        """After each epoch, with its line of metrics.jsonl."""

    def finish(self, run: Run, test: Measures | None) -> None:
        """At the end, with the test part's measures by the weights that are kept."""
