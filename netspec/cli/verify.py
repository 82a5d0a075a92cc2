"""`netspec verify`: a model file's own test vectors, proved again here."""

from __future__ import annotations

from pathlib import Path

import click

from netspec.cli.options import runtime_device_option


@click.command()
@click.argument("model", metavar="MODEL.onnx", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@runtime_device_option
def command(model: Path, as_json: bool, device: str) -> None:
    """Prove a model file: undamaged, and right on its own test inputs."""
    from netspec import api
    from netspec.cli.console import say, say_json

    found = api.verify(model, device=device)
    if as_json:
        say_json(found.as_json())
    else:
        verdict = "ok" if found.ok else "FAILED"
        say(
            f"{model}: {verdict}, {found.vectors} test vectors, largest difference "
            f"{found.distance.difference:.2g}, {found.distance.share:.2%} of what is allowed, "
            f"{found.providers[0]}"
        )
    raise SystemExit(0 if found.ok else 1)
