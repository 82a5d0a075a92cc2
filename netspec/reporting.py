"""Diagnostics → text or JSON."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from netspec.diagnostics import Diagnostic, Place


def text(diagnostics: Iterable[Diagnostic]) -> str:
    """One block a finding; its first line is `FILE:LINE:COLUMN: SEVERITY[CODE]: headline`."""
    return "\n".join(map(_block, diagnostics))


def _block(found: Diagnostic) -> str:
    lines = [f"{where(found.place)}: {found.severity}[{found.code}]: {found.message}"]
    lines += _excerpt(found.place)
    lines += [f"  note: {message} at {where(place)}" for message, place in found.notes]
    if found.remedy:
        lines.append(f"  help: {found.remedy}")
    return "\n".join(map(printable, lines))


# What a terminal obeys (a tab does no harm), what turns the text around it, and the bytes of a file
# name that are no text.
_UNPRINTABLE = re.compile(
    r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)


def printable(line: str) -> str:
    """One line that any terminal shows: names may hold anything, and its rest becomes escapes."""
    return _UNPRINTABLE.sub(_escape, line)


def _escape(found: re.Match[str]) -> str:
    code = ord(found[0])
    if 0xDC80 <= code <= 0xDCFF:  # a byte that Python could not decode
        code -= 0xDC00
    elif found[0] in "\n\r":
        return repr(found[0])[1:-1]
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def where(place: Place) -> str:
    if place.line is None:
        return place.file
    return f"{place.file}:{place.line}:{place.column}"


def _excerpt(place: Place) -> list[str]:
    if place.line is None or place.text is None:
        return []
    column = place.column or 1
    # Tabs are kept, so that the carets stand where the text does.
    indent = "".join(c if c == "\t" else " " for c in place.text[: column - 1])
    width = max(1, min((place.end_column or column + 1) - column, len(place.text) - column + 1))
    number = str(place.line)
    return [f"  {number} | {place.text}", f"  {' ' * len(number)} | {indent}{'^' * width}"]


def as_json(diagnostics: Iterable[Diagnostic]) -> list[dict[str, Any]]:
    """Plain data: severity, code, message, remedy, place and notes of each finding."""
    return [
        {
            "severity": str(found.severity),
            "code": str(found.code),
            "message": found.message,
            "remedy": found.remedy,
            "place": found.place._asdict(),
            "notes": [
                {"message": message, "place": place._asdict()} for message, place in found.notes
            ],
        }
        for found in diagnostics
    ]
