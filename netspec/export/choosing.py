"""Which network a spec's export is, and how it is exported: a run's, as the spec says now."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from netspec.diagnostics import Code, Diagnostic, InputError, Place, Severity
from netspec.planning import Plan, make_plan
from netspec.spec.model import Spec
from netspec.spec.writing import differences
from netspec.training.run import Run

SHOWN = 5  # differences between two specs


class Followed(NamedTuple):
    """A run's plan with the export section of a spec."""

    plan: Plan
    warnings: tuple[Diagnostic, ...]


def finished(spec: Spec, root: Path) -> Run:
    """The newest finished run of a spec's name. Raises InputError."""
    run = Run.newest(spec.name, "finished", root=root)
    if run is None:
        file = spec.document.source.name
        raise InputError.of(
            Code.RUN,
            f"has no finished run below {root / spec.name}",
            file=file,
            remedy=f"`netspec train {file}` makes one; `netspec export --onnx --untrained "
            f"{file}` exports it as initialised",
        )
    return run


def follow(run: Run, spec: Spec) -> Followed:
    """The run as `spec` exports it: of the spec's edits since the training, those of `export` are
    followed, those of the network refused with an InputError, and all others said.

    Raises SpecError where the spec is wrong.
    """
    wanted, file = make_plan(spec), spec.document.source.name
    if run.plan.digest != wanted.digest:
        apart = differences(run.plan.spec, spec) or ["their model digests differ"]
        raise InputError.of(
            Code.RUN,
            f"the newest finished run, {run.directory}, is of another network: {_some(apart)}",
            file=file,
            remedy=f"`netspec train {file}` trains what the spec says; `netspec export --onnx "
            f"{run.directory}` exports the run as it was trained",
        )
    trained = replace(run.plan.spec, onnx=spec.onnx, exports=spec.exports)
    warnings = wanted.warnings
    if apart := differences(trained, spec):
        warning = Diagnostic(
            Code.RUN,
            f"was trained by {run.directory} with other settings: {_some(apart)}",
            Place(file),
            f"`netspec train {file}` trains with what the spec says now",
            severity=Severity.WARNING,
        )
        warnings = (*warnings, warning)
    return Followed(replace(run.plan, spec=trained, warnings=()), warnings)


def _some(apart: list[str]) -> str:
    """The first of the differences: the run's value, then the spec's."""
    more = f" and {len(apart) - SHOWN} more" * (len(apart) > SHOWN)
    return f"{'; '.join(apart[:SHOWN])}{more}"
