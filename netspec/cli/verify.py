"""`netspec verify`: a model file's own test vectors, proved again here."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("model", metavar="MODEL.onnx", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option("--device", default="cpu", show_default=True, help="cpu, cuda or cuda:N.")
def command(model: Path, as_json: bool, device: str) -> None:
    """Prove a model file: undamaged, and right on its own test inputs."""
    from netspec.cli.console import say, say_json
    from netspec.runtime import Session
    from netspec.runtime.verification import verify

    session = Session(model, device)
    found = verify(session)
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
