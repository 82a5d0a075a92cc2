"""SPEC or RUN: one argument that may be either."""

from __future__ import annotations

from pathlib import Path

from netspec.diagnostics import Code, InputError
from netspec.spec.loading import load
from netspec.training.run import Run


def run_of(target: Path, settings: dict[str, str] | None = None) -> Run:
    """The run that a folder is, or a spec's newest finished one. Raises InputError."""
    if target.is_dir():
        return Run.open(target)
    name = load(target, settings).name
    run = Run.newest(name, "finished")
    if run is None:
        raise InputError.of(
            Code.RUN,
            f"has no finished run below runs/{name}",
            file=str(target),
            remedy=f"`netspec train {target}` makes one; `netspec export --onnx --untrained "
            f"{target}` exports it as initialised",
        )
    return run
