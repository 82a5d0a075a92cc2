"""Where results go, as wide as they are when no terminal bounds them."""

from __future__ import annotations

import sys

from rich.console import Console


class _Console(Console):
    def on_broken_pipe(self) -> None:
        """Leave it to the command line as a whole; rich would end with the status 1."""
        raise BrokenPipeError


def stdout() -> Console:
    """Standard output; text that is piped is neither cut nor coloured."""
    return _Console(
        file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else 200, soft_wrap=True
    )


def stderr() -> Console:
    return _Console(file=sys.stderr, highlight=False)
