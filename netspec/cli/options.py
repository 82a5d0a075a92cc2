"""What several verbs take: SPEC, which may be left out, and `--set`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from netspec.devices import parse

F = TypeVar("F", bound=Callable[..., Any])


def default_spec() -> Path:
    """`[tool.netspec] spec` of the nearest pyproject.toml. Raises UsageError without one."""
    import tomllib  # needed where no SPEC is given

    here = Path.cwd()
    for folder in (here, *here.parents):
        project = folder / "pyproject.toml"
        if not project.is_file():
            continue
        try:
            tool = tomllib.loads(project.read_text(encoding="utf-8")).get("tool", {})
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
            raise click.UsageError(f"{project} cannot be read: {error}") from None
        spec = tool.get("netspec", {}).get("spec")
        if not isinstance(spec, str):
            raise click.UsageError(
                f'no SPEC is given, and {project} has no [tool.netspec] spec = "…"'
            )
        path = folder / spec
        return path.relative_to(here) if path.is_relative_to(here) else path
    raise click.UsageError("no SPEC is given, and no pyproject.toml names one")


def _settings(
    context: click.Context, param: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    found = {}
    for value in values:
        key, equals, text = value.partition("=")
        if not equals or not key:
            raise click.BadParameter(f"'{value}' is not KEY=VALUE", context, param)
        found[key] = text
    return found


set_option = click.option(
    "--set",
    "settings",
    metavar="KEY=VALUE",
    multiple=True,
    callback=_settings,
    help="Replace a value of the spec, as train.epochs=1; the value is YAML.",
)


def _device(context: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """The name of a device. Raises DeviceNameError, before anything is read or loaded."""
    return None if value is None else str(parse(value))


device_option = click.option(
    "--device",
    metavar="DEVICE",
    callback=_device,
    help="cpu, cuda or cuda:N; default: the GPU if there is one.",
)

# Where a model file is run: onnxruntime is asked for a GPU only where the user asks for one.
runtime_device_option = click.option(
    "--device", default="cpu", show_default=True, callback=_device, help="cpu, cuda or cuda:N."
)
