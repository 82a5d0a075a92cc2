"""`netspec predict`: images, folders and arrays through a model file, without torch."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from netspec.cli.options import runtime_device_option

if TYPE_CHECKING:
    from netspec.diagnostics import NetspecError


@click.command()
@click.argument("model", metavar="MODEL.onnx", type=click.Path(path_type=Path))
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True)
@click.option("--top", type=click.IntRange(1), default=3, show_default=True, help="Classes shown.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@runtime_device_option
def command(model: Path, inputs: tuple[str, ...], top: int, as_json: bool, device: str) -> None:
    """Predict image files, folders of them, .npy arrays, or the rows of a table in a CSV file.

    An input that is wrong is reported, the others are answered, and the status is 1.
    """
    from netspec import api
    from netspec.cli.console import report, say, say_json

    refused = 0

    def refuse(error: NetspecError) -> None:
        nonlocal refused
        refused += 1
        report(error.diagnostics)

    for each in api.predict(model, inputs, top=top, device=device, refuse=refuse):
        if as_json:
            say_json(each.as_json())
        elif each.top is not None:
            shown = "  ".join(f"{name} {probability:.2%}" for name, probability in each.top)
            say(f"{each.label}  {shown}")
        else:
            say(f"{each.label}  {each.as_json()['values']}")
    raise SystemExit(1 if refused else 0)
