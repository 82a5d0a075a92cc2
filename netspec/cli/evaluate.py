"""`netspec evaluate`: a run's or a model file's metrics on a part of the data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from netspec.cli.options import device_option

if TYPE_CHECKING:
    from netspec.data.dataset import PartName


@click.command()
@click.argument("target", metavar="RUN|MODEL.onnx", type=click.Path(path_type=Path))
@click.option(
    "--part",
    type=click.Choice(["test", "validation", "train"]),
    help="Default: test, else validation.",
)
@click.option(
    "--spec",
    type=click.Path(path_type=Path),
    help="Where a model file's data are described, which does not keep their paths.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@device_option
def command(
    target: Path, part: PartName | None, spec: Path | None, as_json: bool, device: str | None
) -> None:
    """Measure a run, or an exported model, on a part of the data."""
    if spec and target.is_dir():
        raise click.UsageError("a run has its own spec: --spec goes with a MODEL.onnx")
    from netspec import api
    from netspec.cli.console import report, say, say_json
    from netspec.cli.progress import shown
    from netspec.spec.loading import load

    described = load(spec) if spec else None
    used, found, warnings = api.evaluate(target, part=part, spec=described, device=device)
    if warnings:
        report(warnings)
    if as_json:
        say_json({"part": used, **found})
    else:
        say(f"{used} part: " + "  ".join(shown(name, value) for name, value in found.items()))
