"""One process at a time trains into a run's directory."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from netspec import files
from netspec.diagnostics import Code, InputError

LOCK, HOLDER = "lock", "process.json"


@contextmanager
def locked(directory: Path) -> Iterator[None]:
    """Hold the run; the system lets go of it when its process ends, in whatever way.

    Raises InputError where another process holds it.
    """
    lock = FileLock(directory / LOCK, timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise InputError.of(
            Code.RUN,
            f"is in use by {_holder(directory)}",
            file=str(directory),
            remedy="wait for its end, or stop it",
        ) from None
    try:
        here = {"pid": os.getpid(), "host": socket.gethostname()}
        files.write(directory / HOLDER, json.dumps(here) + "\n")
        yield
    finally:
        (directory / HOLDER).unlink(missing_ok=True)
        lock.release()


def _holder(directory: Path) -> str:
    """Who holds it, as far as it has said so."""
    try:
        found = json.loads(files.read(directory / HOLDER, 1 << 10))
        return f"process {int(found['pid'])} on {found['host']}"
    except (InputError, ValueError, TypeError, KeyError):
        return "another process"
