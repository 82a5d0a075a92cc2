"""A run goes on: from its last good state, by which its other files are mended."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from netspec.data.dataset import changes
from netspec.diagnostics import Code, Diagnostic, InputError, Severity
from netspec.spec.writing import digest
from netspec.training.progress import Progress
from netspec.training.run import METRICS, ROWS, SUMMARY, WEIGHTS, Run
from netspec.training.state import Misfit

Warn = Callable[[Diagnostic], None]


def resume(progress: Progress, run: Run, warn: Warn) -> None:
    """Stand where the run's last state was saved, and mend by it what can be mended.

    Raises InputError where the state, or what the data hold now, is not the run's.
    """
    state, damage = run.state()
    if damage is not None:
        _tell(warn, damage, "the run goes on from the state before it")
    if state.get("spec") != digest(progress.plan.spec):
        raise InputError.of(Code.RUN, "its state belongs to another spec", file=str(run.directory))
    _check_data(state.get("data"), progress.dataset.fingerprint, run)
    try:
        progress.load_state_dict(state, str(run.directory))
    except (
        Misfit,
        LookupError,
        TypeError,
        ValueError,
        AttributeError,
        RuntimeError,
    ) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise InputError.of(
            Code.RUN,
            f"its state is not one of this training: {reason}",
            file=str(run.directory),
            remedy="begin a new run",
        ) from None
    _mend(progress, run, warn)


def _check_data(before: Any, now: Mapping[str, Any], run: Run) -> None:
    """Raises InputError where the data are not those of the run's beginning."""
    if changed := changes(before, now):
        raise InputError.of(
            Code.RUN,
            f"its data have changed: {'; '.join(changed)}",
            file=str(run.directory),
            remedy="bring them back, or begin a new run",
        )


def _mend(progress: Progress, run: Run, warn: Warn) -> None:
    """What the state holds too is written again where it is damaged."""
    at, best = progress.position, progress.monitor.epoch
    if damage := run.damage(SUMMARY):
        _tell(warn, damage, "it is written again from the run's state")
        facts = {} if best is None else {"best_epoch": best}
        run.write_summary({"status": "running", **facts})
    if damage := run.damage(ROWS):
        _tell(warn, damage, "it is written again from the data, which are the same")
        run.write_rows(progress.dataset.rows)
    if damage := run.damage(METRICS):
        _tell(warn, damage, "it is written again from the run's state")
        run.write_metrics(progress.rows)
    if damage := run.damage(WEIGHTS):
        if at.batch or best != at.epoch - 1:
            raise damage
        _tell(warn, damage, "they are written again from the run's state")
        run.write_weights(progress.model.state_dict(), epoch=best)


def _tell(warn: Warn, damage: InputError, done: str) -> None:
    for found in damage.diagnostics:
        warn(found._replace(severity=Severity.WARNING, remedy=done))
