"""`netspec validate`: schema, references, static shapes; needs no torch."""

from __future__ import annotations

import gc
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netspec.cli.options import default_spec, set_option

if TYPE_CHECKING:
    from netspec.diagnostics import Diagnostic
    from netspec.planning import Plan


@click.command()
@click.argument("specs", metavar="[SPEC]...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--format", "style", type=click.Choice(["text", "json"]), default="text", show_default=True
)
@click.option("--strict", is_flag=True, help="Let warnings fail too.")
@set_option
def command(specs: tuple[Path, ...], style: str, strict: bool, settings: dict[str, str]) -> None:
    """Check specs: schema, references and every shape, without torch."""
    from netspec import api
    from netspec.cli.console import report, say, say_json
    from netspec.diagnostics import errors

    results = [(path, *api.check(path, settings)) for path in specs or (default_spec(),)]
    if style == "json":
        say_json({"files": [_row(*each) for each in results]}, indent=2)
    else:
        for path, plan, found in results:
            if found:
                report(found)
            if plan is not None and not errors(found):
                say(f"{path}: ok, {summary(plan)}")
    gc.freeze()  # the process ends: a last search for garbage would take a tenth of its time
    failed = any(found if strict else errors(found) for _, _, found in results)
    raise SystemExit(1 if failed else 0)


def summary(plan: Plan) -> str:
    """The network in one line; `+?`: torch alone knows the rest, and `expect` was believed."""
    if not plan.root.opaque:
        return f"{plan.input} → {plan.output}, {plan.parameters:,} parameters"
    return f"{plan.input} → {plan.output}, {plan.parameters:,}+? parameters, provisional"


def _row(path: Path, plan: Plan | None, found: list[Diagnostic]) -> dict[str, Any]:
    from netspec import reporting
    from netspec.diagnostics import errors

    valid = not errors(found)
    row: dict[str, Any] = {"file": str(path), "valid": valid}
    if plan is not None and valid:
        row |= {
            "input": str(plan.input),
            "output": str(plan.output),
            "parameters": plan.parameters,
            "provisional": plan.root.opaque,
            "digest": plan.digest,
        }
    return {**row, "findings": len(found), "diagnostics": reporting.as_json(found)}
