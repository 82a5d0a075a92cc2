"""A run as it goes: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from netspec.catalogue.metrics import METRICS
from netspec.cli.console import report, say
from netspec.data.dataset import Dataset
from netspec.diagnostics import Diagnostic
from netspec.training.listening import Listener
from netspec.training.metrics import Measures
from netspec.training.optimization import Length
from netspec.training.run import Run

SHARES = tuple(metric.name for metric in METRICS.values() if metric.share)
BATCHES_PER_LINE = 100


class Reporter(Listener):
    """Results to standard output; the bar to standard error, where that is a terminal."""

    def __init__(self, console: Console, device: object) -> None:
        self.console, self.device = console, device
        self.bar: Progress | None = None
        self.last = 0  # the run's last epoch, counted from 0 as in its files
        self.said = 0  # the batch of this epoch's last line

    def warn(self, warning: Diagnostic) -> None:
        report([warning])

    def start(self, run: Run, dataset: Dataset, length: Length) -> None:
        parts = ", ".join(f"{len(part):,} {name}" for name, part in dataset.parts.items())
        count = f"{run.plan.parameters:,}{'+?' * run.plan.root.opaque} parameters"
        say(f"{run.plan.name}: {parts} samples; {count}")
        say(f"{length.epochs} epochs of {length.steps_per_epoch} batches on {self.device}")
        say(f"run directory {run.directory}")
        self.last = length.epochs - 1
        if self.console.is_terminal:
            columns = (
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TimeRemainingColumn(),
                TextColumn("{task.fields[loss]}"),
            )
            # A line on the same terminal goes above the bar; one into a file goes there.
            same = sys.stdout.isatty()
            self.bar = Progress(
                *columns, console=self.console, transient=True, redirect_stdout=same
            )
            self.task = self.bar.add_task("", loss="")
            self.bar.start()

    def batch(self, epoch: int, done: int, total: int, loss: float | None) -> None:
        title = f"epoch {epoch}/{self.last}"
        if self.bar is not None:
            self.bar.update(self.task, description=title, completed=done, total=total)
            if loss is not None:
                self.bar.update(self.task, loss=f"loss {loss:.4g}")
        elif loss is not None and done - self.said >= BATCHES_PER_LINE and done < total:
            say(f"{title}  batch {done}/{total}  loss {loss:.4g}")
            self.said = done

    def epoch(self, row: dict[str, Any]) -> None:
        self.said = 0
        parts = [f"epoch {row['epoch']}/{self.last}", f"{row['seconds']:.1f} s"]
        parts += [
            shown(name, value)
            for name, value in row.items()
            if name not in ("epoch", "step", "seconds", "learning_rate")
        ]
        say("  ".join(parts))

    def finish(self, run: Run, test: Measures | None) -> None:
        self.stop()
        best = run.summary["best_epoch"]
        say(f"best epoch {best}, weights in {run.directory / 'weights.safetensors'}")
        if test:
            measures = "  ".join(shown(name, value) for name, value in test.items())
            say(f"test part: {measures}")

    def stop(self) -> None:
        if self.bar is not None:
            self.bar.stop()
            self.bar = None


def shown(name: str, value: float) -> str:
    """`validation accuracy 98.61 %`, `loss 0.0289`."""
    share = any(name.endswith(each) for each in SHARES)
    return name.replace("_", " ") + (f" {value:.2%}" if share else f" {value:.4g}")
