"""`netspec predict`: images, folders and arrays through a model file, without torch."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command()
@click.argument("model", metavar="MODEL.onnx", type=click.Path(path_type=Path))
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True)
@click.option("--top", type=click.IntRange(1), default=3, show_default=True, help="Classes shown.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object a line.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda or cuda:N.")
def command(model: Path, inputs: tuple[str, ...], top: int, as_json: bool, device: str) -> None:
    """Predict image files, folders of them, or .npy arrays."""
    from netspec.runtime import Session
    from netspec.runtime.prediction import gather, predictions

    session = Session(model, device)
    for each in predictions(session, gather(session, inputs), top):
        if as_json:
            click.echo(json.dumps(each.as_json(), ensure_ascii=False))
        elif each.top is not None:
            shown = "  ".join(f"{name} {probability:.2%}" for name, probability in each.top)
            click.echo(f"{each.label}  {shown}")
        else:
            click.echo(f"{each.label}  {each.as_json()['values']}")
