"""`netspec schema`: the JSON Schemas that editors and CI use."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("schemas"),
    show_default=True,
)
def command(output: Path) -> None:
    """Write the JSON Schema of specs."""
    from netspec import api, files
    from netspec.cli.console import say

    path = output / "netspec.schema.json"
    files.write(path, api.schema())
    say(path)
