"""Diagnostics → text or JSON."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from netspec.diagnostics import SHOWN, Diagnostic, Place, Severity, errors

WIDTH = 160  # of an excerpt; a longer line is cut around the place
BEFORE = 60  # what is left of it before the place


def text(diagnostics: Sequence[Diagnostic]) -> str:
    """One block a finding; its first line is `FILE:LINE:COLUMN: SEVERITY[CODE]: headline`. Of very
    many the last line tells how many more there are."""
    blocks = [_block(found) for found in _first(diagnostics)]
    if len(diagnostics) > len(blocks):
        blocks.append(f"… and {len(diagnostics) - len(blocks):,} more")
    return "\n".join(blocks)


def _first(diagnostics: Sequence[Diagnostic]) -> Sequence[Diagnostic]:
    """Those that are shown; of many, the errors first."""
    if len(diagnostics) <= SHOWN:
        return diagnostics
    stopping = errors(diagnostics)[:SHOWN]
    left = SHOWN - len(stopping)
    warnings = [each for each in diagnostics if each.severity is Severity.WARNING][:left]
    return stopping + warnings


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
    line, start = _cut(place)
    # Tabs are kept, so that the carets stand where the text does.
    indent = "".join(c if c == "\t" else " " for c in line[:start])
    end = start + (place.end_column or 0) - (place.column or 1)
    width = max(1, min(end, len(line)) - start)
    number = str(place.line)
    return [f"  {number} | {line}", f"  {' ' * len(number)} | {indent}{'^' * width}"]


def _cut(place: Place) -> tuple[str, int]:
    """The place's line, cut around it where it is long, and where in that the place begins."""
    line, start = place.text or "", (place.column or 1) - 1
    if len(line) <= WIDTH:
        return line, start
    first = max(0, start - BEFORE)
    last = first + WIDTH
    before, after = "…" * (first > 0), "…" * (last < len(line))
    return f"{before}{line[first:last]}{after}", start - first + len(before)


def as_json(diagnostics: Sequence[Diagnostic]) -> list[dict[str, Any]]:
    """Plain data: severity, code, message, remedy, place and notes of each finding that `text`
    shows."""
    return [
        {
            "severity": str(found.severity),
            "code": str(found.code),
            "message": found.message,
            "remedy": found.remedy,
            "place": _place(found.place),
            "notes": [
                {"message": message, "place": _place(place)} for message, place in found.notes
            ],
        }
        for found in _first(diagnostics)
    ]


def _place(place: Place) -> dict[str, Any]:
    return {**place._asdict(), "text": place.text if place.text is None else _cut(place)[0]}
