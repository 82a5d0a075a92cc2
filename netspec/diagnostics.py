"""What is wrong and where, as data; rendering is `netspec.reporting`'s."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum
from itertools import islice
from typing import NamedTuple, Self


class Code(StrEnum):
    """The kinds of finding; the value is what stands between the brackets of `error[…]`."""

    FILE = "file"
    YAML = "yaml"
    LIMIT = "limit"
    SET = "set"
    UNKNOWN_KEY = "unknown-key"
    UNKNOWN_LAYER = "unknown-layer"
    UNKNOWN_NAME = "unknown-name"
    UNKNOWN_PARAMETER = "unknown-parameter"
    MISSING_PARAMETER = "missing-parameter"
    MISSING_KEY = "missing-key"
    ENTRY = "entry"
    VALUE = "value"
    EXPRESSION = "expression"
    BLOCK = "block"
    NAME = "name"
    SHAPE = "shape"
    EXPECT = "expect"
    INIT = "init"
    DATA = "data"
    TRAIN = "train"
    EXPORT = "export"
    RUN = "run"
    MODEL = "model"
    INPUT = "input"
    ENVIRONMENT = "environment"


# As many findings are shown; the others are counted.
SHOWN = 100
# The longest message or remedy, and the longest word that may be misspelt.
MOST, LONGEST_WORD = 280, 80

# What to do, or what finds that out where it takes time.
Remedy = str | Callable[[], str | None] | None


def spoken(remedy: Remedy) -> str | None:
    """A remedy's words; one that takes time is made only now."""
    return remedy() if callable(remedy) else remedy


class Severity(StrEnum):
    """What a finding stops: an `error` everything, a `warning` (legal and probably not meant)
    nothing but `--strict`."""

    ERROR = "error"
    WARNING = "warning"


class Place(NamedTuple):
    """A span of a file. Lines and columns count from 1; `line` is None for a file as a whole."""

    file: str
    line: int | None = None
    column: int | None = None
    end_column: int | None = None
    text: str | None = None  # the source line, so that a report needs no file


class Diagnostic(NamedTuple):
    """One finding: what is wrong with the value found, where, and what to do about it."""

    code: Code
    message: str
    place: Place
    remedy: str | None = None
    notes: tuple[tuple[str, Place], ...] = ()
    severity: Severity = Severity.ERROR


class NetspecError(Exception):
    """What a caller of netspec may catch; carries every diagnostic and the exit status."""

    exit_status = 1

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = tuple(diagnostics)
        super().__init__("\n".join(map(_line, self.diagnostics)))

    @classmethod
    def of(
        cls, code: Code, message: str, *, file: str = "netspec", remedy: str | None = None
    ) -> Self:
        """One finding about a file (or the command) as a whole."""
        return cls([Diagnostic(code, message, Place(file), remedy)])


class SpecError(NetspecError):
    """The spec is wrong."""


class InputError(NetspecError):
    """A model, a run, an image or a data set is wrong."""


class SetupError(NetspecError):
    """What the machine lacks: an extra, a GPU, room on the disk."""

    exit_status = 3


def errors(diagnostics: Iterable[Diagnostic]) -> list[Diagnostic]:
    """Those that stop."""
    return [found for found in diagnostics if found.severity is Severity.ERROR]


def suggestion(word: str, known: Iterable[str]) -> str | None:
    """`did you mean …?` for a misspelt word, or None where nothing known is near."""
    import difflib  # needed for mistakes alone

    if len(word) > LONGEST_WORD:
        return None
    word = word.lower()
    # Of many names the comparison letter by letter is made for the most promising alone: those
    # that share the most letters, wherever these stand.
    letters = {letter: word.count(letter) for letter in set(word)}
    promising: list[tuple[float, str, str]] = []
    for name in islice(known, 1_000):
        lowered, length = name.lower(), len(name) + len(word)
        if len(name) * 7 < len(word) * 3 or len(word) * 7 < len(name) * 3:
            continue
        shared = sum(min(count, lowered.count(letter)) for letter, count in letters.items())
        if 2 * shared >= 0.6 * length:
            promising.append((2 * shared / length, lowered, name))
    promising.sort(reverse=True)
    names = {lowered: name for _, lowered, name in promising[:40]}
    near = difflib.get_close_matches(word, names, n=1, cutoff=0.6)
    return f"did you mean '{names[near[0]]}'?" if near else None


def shortened(text: str) -> str:
    """A message without the middle of what would fill a page."""
    if len(text) <= MOST:
        return text
    return f"{text[: MOST - 83]} … {text[-80:]}"


def _line(found: Diagnostic) -> str:
    place = found.place
    where = place.file if place.line is None else f"{place.file}:{place.line}:{place.column}"
    return f"{where}: {found.severity}[{found.code}]: {found.message}"
