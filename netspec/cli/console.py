"""Where results go, as wide as they are when no terminal bounds them."""

from __future__ import annotations

import sys

from rich.console import Console


def stdout() -> Console:
    """Standard output; text that is piped is neither cut nor coloured."""
    return Console(
        file=sys.stdout, highlight=False, width=None if sys.stdout.isatty() else 200, soft_wrap=True
    )


def stderr() -> Console:
    return Console(file=sys.stderr, highlight=False)
