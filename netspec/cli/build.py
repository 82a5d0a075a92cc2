"""`netspec build`: compiles a spec and prints its layers."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from netspec.cli.options import default_spec, set_option

if TYPE_CHECKING:
    from rich.table import Table

    from netspec.planning import Plan


@click.command()
@click.argument("spec", required=False, type=click.Path(path_type=Path))
@set_option
def command(spec: Path | None, settings: dict[str, str]) -> None:
    """Compile a spec and print every layer's output shape and size."""
    from netspec import compiler
    from netspec.cli.console import stdout
    from netspec.planning import plan
    from netspec.spec.loading import load

    path = spec or default_spec()
    made = plan(load(path, settings))
    model = compiler.build(made)
    console = stdout()
    console.print(table(made))
    learned = sum(p.numel() for p in model.parameters() if p.requires_grad)
    frozen = f", of which {made.parameters - learned:,} frozen" * (learned != made.parameters)
    console.print(f"{made.parameters:,} parameters{frozen}")
    console.print(f"{made.root.macs:,} multiply-accumulates a sample".replace("'", ""))
    if made.least:
        least = ", ".join(f"{name} ≥ {value}" for name, value in made.least.items())
        console.print(f"named dimensions: {least}")
    console.print(f"model digest {made.digest}")


def table(plan: Plan) -> Table:
    """One row a module, indented as they nest."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, title=f"{plan.name}  {plan.input}", title_justify="left")
    made.add_column("layer", no_wrap=True)
    made.add_column("type", no_wrap=True)
    for heading in ("output", "parameters", "MACs", "memory"):
        made.add_column(heading, justify="right", no_wrap=True)
    for node in plan.root.walk():
        if not node.name:
            continue
        depth = node.name.count(".")
        made.add_row(
            "  " * depth + node.label,
            node.type,
            str(node.output).replace("[", r"\["),
            f"{node.parameters:,}" if node.parameters else "",
            _count(node.macs),
            _bytes(node.memory),
        )
    return made


def _count(value: object) -> str:
    if not isinstance(value, int):
        return str(value)
    return f"{value:,}" if value else ""


def _bytes(value: object) -> str:
    if not isinstance(value, int):
        return f"{value} B"
    for unit in ("B", "KiB", "MiB"):
        if value < 1024:
            return f"{value:.4g} {unit}"
        value /= 1024  # type: ignore[assignment]
    return f"{value:.4g} GiB"
