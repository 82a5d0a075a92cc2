"""`netspec train`: trains into a new run directory, or goes on with one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from netspec.cli.options import default_spec, device_option, set_option

if TYPE_CHECKING:
    from netspec.spec.model import Spec
    from netspec.training.run import Run

SHOWN = 5  # differences between two specs


@click.command()
@click.argument("spec", required=False, type=click.Path(path_type=Path))
@set_option
@device_option
@click.option(
    "--resume",
    metavar="[RUN]",
    is_flag=False,
    flag_value="",
    default=None,
    help="Go on with a run; default: the spec's newest unfinished one.",
)
def command(
    spec: Path | None, settings: dict[str, str], device: str | None, resume: str | None
) -> None:
    """Train a spec. Ctrl-C stops it with what was reached saved."""
    if resume is not None and settings:
        raise click.UsageError("a run goes on with its own spec: --resume takes no --set")
    from netspec.cli.console import stderr
    from netspec.cli.progress import Reporter
    from netspec.planning import make_plan
    from netspec.spec.loading import load
    from netspec.training import devices, loop

    chosen = devices.find(device)
    run = _resumed(resume, spec) if resume is not None else None
    made = run.plan if run else make_plan(load(spec or default_spec(), settings))
    reporter = Reporter(stderr(), chosen)
    try:
        loop.train(made, device=chosen, listener=reporter, resume=run)
    finally:
        reporter.stop()


def _resumed(resume: str, spec: Path | None) -> Run:
    """The run to go on with. Raises InputError where there is none, or it is another spec's."""
    from netspec.diagnostics import Code, InputError
    from netspec.spec.loading import load
    from netspec.spec.writing import differences
    from netspec.training.run import SPEC, SUMMARY, Run

    if resume:
        run = Run.open(Path(resume))
    else:
        spec = spec or default_spec()
        found = Run.newest(load(spec).name, "running", "interrupted")
        if found is None:
            raise InputError.of(Code.RUN, "has no unfinished run to go on with", file=str(spec))
        run = found
    if not run.damage(SUMMARY) and run.status == "finished":
        raise InputError.of(Code.RUN, "is finished", file=str(run.directory))
    other = load(spec) if spec else _default(run)
    if other is not None and (apart := differences(run.plan.spec, other)):
        more = f" and {len(apart) - SHOWN} more" * (len(apart) > SHOWN)
        raise InputError.of(
            Code.RUN,
            f"its spec differs from {other.document.source.name}: {'; '.join(apart[:SHOWN])}{more}",
            file=str(run.directory),
            remedy="begin a new run, or go on with the run's own: "
            f"netspec train {run.directory / SPEC} --resume {run.directory}",
        )
    return run


def _default(run: Run) -> Spec | None:
    """The default spec, where it is what the run was begun with, by its name."""
    from netspec.spec.loading import load

    try:
        path = default_spec()
    except click.UsageError:
        return None
    spec = load(path) if path.is_file() else None
    return spec if spec and spec.name == run.plan.name else None
