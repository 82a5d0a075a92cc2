"""`netspec train`: trains into a new run directory, or goes on with one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from netspec.cli.options import default_spec, device_option, set_option

if TYPE_CHECKING:
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
    from netspec.training.run import Run

    if resume:
        run = Run.open(Path(resume))
    else:
        path = spec or default_spec()
        found = Run.newest(load(path).name, "running", "interrupted")
        if found is None:
            raise InputError.of(Code.RUN, "has no unfinished run to go on with", file=str(path))
        run = found
    if run.status == "finished":
        raise InputError.of(Code.RUN, "is finished", file=str(run.directory))
    if spec is not None and (apart := differences(run.plan.spec, load(spec))):
        more = f" and {len(apart) - SHOWN} more" * (len(apart) > SHOWN)
        raise InputError.of(
            Code.RUN,
            f"its spec differs from {spec}: {'; '.join(apart[:SHOWN])}{more}",
            file=str(run.directory),
            remedy="leave SPEC out to go on with the run's own, or begin a new run",
        )
    return run
