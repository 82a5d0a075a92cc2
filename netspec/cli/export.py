"""`netspec export --onnx`: one file, proved before it is kept."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from netspec.cli.options import default_spec, set_option

if TYPE_CHECKING:
    from netspec.spec.model import Spec
    from netspec.training.run import Run


@click.command()
@click.argument("target", metavar="[SPEC|RUN]", required=False, type=click.Path(path_type=Path))
@click.option("--onnx", "onnx", is_flag=True, help="Write an ONNX file.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Default: exported/NAME.onnx."
)
@click.option(
    "--weights", type=click.Path(path_type=Path), help="A .safetensors file; default: the run's."
)
@click.option("--untrained", is_flag=True, help="Export the network as initialised.")
@set_option
def command(
    target: Path | None,
    onnx: bool,
    output: Path | None,
    weights: Path | None,
    untrained: bool,
    settings: dict[str, str],
) -> None:
    """Export a run, or a spec's newest finished run."""
    if not onnx:
        raise click.UsageError("say what to export: --onnx")
    if untrained and weights:
        raise click.UsageError("--untrained and --weights exclude each other")
    target = target or default_spec()
    if target.is_dir() and settings:
        raise click.UsageError("a run has its own spec: --set goes with a SPEC")
    from netspec import api
    from netspec.cli.console import report, say
    from netspec.spec.loading import load
    from netspec.training.run import Run

    spec = None if target.is_dir() else load(target, settings)
    source: Spec | Run
    if spec is None:
        run = Run.open(target)
        source = run.plan.spec if untrained else run
    else:
        source = spec if untrained or weights else api.finished_run(spec)
    followed = spec if isinstance(source, Run) else None
    name = source.plan.name if isinstance(source, Run) else source.name
    path = output or Path("exported") / f"{name}.onnx"
    made = api.export_onnx(source, path, weights=weights, spec=followed)
    if made.warnings:
        report(made.warnings)
    origin = weights or (source.directory if isinstance(source, Run) else "as initialised")
    say(f"{made.path}: {made.bytes:,} bytes, weights {origin}")
    batches = ", ".join(map(str, made.batches))
    say(f"onnxruntime equals torch within {made.difference:.2g} at batches {batches}")
