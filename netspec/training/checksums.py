"""`checksums.json` in a run's directory: of each of its files the SHA-256s that are right.

A file is listed with its new sum beside its old one before it is replaced, and with its new one
alone afterwards: a process that is killed between leaves a file that is listed.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from netspec import files
from netspec.diagnostics import Code, InputError

NAME = "checksums.json"
MOST = 1 << 20  # bytes of a list, which has a few lines

Sums = dict[str, list[str]]


def write(directory: Path, name: str, content: bytes | str) -> None:
    """Replace the file `name` of a run, and list its sum. Raises SetupError, InputError."""
    data = content.encode() if isinstance(content, str) else content
    sums = _sums(directory) if (directory / NAME).exists() else {}
    right = _sha256(data)
    _list(directory, {**sums, name: [right, *sums.get(name, ())]})
    files.write(directory / name, data)
    _list(directory, {**sums, name: [right]})


def read(directory: Path, name: str) -> bytes:
    """The file `name` of a run. Raises InputError where it is missing or not what was written."""
    content = files.read(directory / name, code=Code.RUN)
    verify(directory, name, content)
    return content


def verify(directory: Path, name: str, content: bytes) -> None:
    """Raises InputError where this is not what was written."""
    if _sha256(content) not in _sums(directory).get(name, ()):
        raise InputError.of(
            Code.RUN,
            f"is damaged: it is not what the run wrote, as {NAME} has it",
            file=str(directory / name),
            remedy="bring it back from a copy, or train again",
        )


def listed(directory: Path, name: str) -> bool:
    """Whether the run wrote such a file. Raises InputError."""
    return name in _sums(directory)


def _sums(directory: Path) -> Sums:
    path = directory / NAME
    if not path.exists():
        raise InputError.of(
            Code.RUN,
            f"has no {NAME}: nothing tells whether its files are whole",
            file=str(directory),
            remedy="bring it back from a copy; `netspec export --onnx SPEC --weights FILE` uses "
            "weights on your own word",
        )
    try:
        found = json.loads(files.read(path, MOST, Code.RUN))
    except (ValueError, RecursionError):
        found = None
    if isinstance(found, dict) and all(
        isinstance(each, list) and all(isinstance(sum, str) for sum in each)
        for each in found.values()
    ):
        return found
    raise InputError.of(
        Code.RUN,
        "is damaged: it is no list of checksums",
        file=str(path),
        remedy="bring it back from a copy, or train again",
    )


def _list(directory: Path, sums: Sums) -> None:
    files.write(directory / NAME, json.dumps(sums, indent=2) + "\n")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
