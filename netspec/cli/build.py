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
@click.option(
    "--emit",
    "form",
    type=click.Choice(["python", "json", "yaml", "mermaid"]),
    help="Print the network in this form instead; needs no torch.",
)
@set_option
def command(spec: Path | None, form: str | None, settings: dict[str, str]) -> None:
    """Compile a spec and print every layer's output shape and size."""
    from netspec import api
    from netspec.cli.console import report, write
    from netspec.planning import make_plan
    from netspec.spec.loading import load

    loaded = load(spec or default_spec(), settings)
    made = make_plan(loaded)
    if made.warnings:
        report(made.warnings)
    if form is None:
        show(made)
    else:
        write(api.emit(loaded, form))


def show(made: Plan) -> None:
    """Build the module, which proves the plan, and print the table and the totals."""
    from netspec import api
    from netspec.cli.console import stdout

    model = api.build(made.spec)
    console = stdout()
    console.print(table(made))
    total = sum(p.numel() for p in model.parameters())
    held = sum(p.numel() for p in model.parameters() if not p.requires_grad)
    console.print(f"{total:,} parameters" + f", of which {held:,} frozen" * bool(held))
    console.print(f"{_count(made.root.macs, made.root.opaque) or 0} multiply-accumulates a sample")
    if made.least:
        least = ", ".join(f"{name} ≥ {value}" for name, value in made.least.items())
        console.print(f"named dimensions: {least}")
    console.print(f"model digest {made.digest}")


def table(plan: Plan) -> Table:
    """One row a module, indented as they nest."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    title = escape(f"{plan.name}  {plan.input}")
    made = Table(box=box.SIMPLE_HEAD, title=title, title_justify="left")
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
            escape(str(node.output)),
            _count(node.parameters, node.opaque),
            _count(node.macs, node.opaque),
            _bytes(node.memory),
        )
    return made


def _count(value: object, unknown: bool) -> str:
    """Nothing for 0; `+?` where torch alone knows the rest."""
    text = f"{value:,}" if isinstance(value, int) else str(value)
    return f"{text}+?" if unknown else text * bool(value)


def _bytes(value: object) -> str:
    if not isinstance(value, int):
        return f"{value} B"
    size = float(value)
    for unit in ("B", "KiB", "MiB"):
        if size < 1024:
            return f"{size:.4g} {unit}"
        size /= 1024
    return f"{size:.4g} GiB"
