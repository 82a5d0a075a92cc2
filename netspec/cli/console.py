"""The one place where text is written, whatever it holds and wherever it goes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from io import TextIOWrapper
from typing import TYPE_CHECKING, Any

import click

from netspec.plain import finite

if TYPE_CHECKING:
    from rich.console import Console

    from netspec.diagnostics import Diagnostic


def prepare() -> None:
    """Make the standard streams take any text.

    What their encoding lacks is written as an escape. A stream that the caller closed leads
    nowhere: its number would go to the next file that is opened, and C libraries write to it.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            nowhere = os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
            setattr(sys, name, os.fdopen(nowhere, mode, encoding="utf-8"))
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def say(line: object, *, err: bool = False) -> None:
    """One line; what would break it, or what a terminal would obey, is escaped."""
    from netspec.reporting import printable

    write(f"{printable(str(line))}\n", err=err)


def report(diagnostics: Sequence[Diagnostic]) -> None:
    """Findings, to standard error."""
    from netspec import reporting

    write(f"{reporting.text(diagnostics)}\n", err=True)


def say_json(value: Any, indent: int | None = None) -> None:
    """Plain data as JSON, which escapes all but ASCII and has null for what is not finite."""
    write(json.dumps(finite(value), indent=indent, allow_nan=False) + "\n")


def write(text: str, *, err: bool = False) -> None:
    """Text that is printable already."""
    click.echo(text, file=sys.stderr if err else sys.stdout, nl=False)


def stdout() -> Console:
    """Standard output; text that is piped is neither cut nor coloured."""
    return _console(
        file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else 200, soft_wrap=True
    )


def stderr() -> Console:
    return _console(file=sys.stderr, highlight=False)


def _console(**options: Any) -> Console:
    from rich.console import Console

    class Own(Console):
        def on_broken_pipe(self) -> None:
            """Leave it to the command line as a whole; rich would end with the status 1."""
            raise BrokenPipeError

    return Own(**options)
