"""Cells of a table → numbers, and the records of a CSV file: the one way, for training and for the
runtime.

A column holds numbers, or categories, which become their index in the spec's list. A cell is a
text; spaces around it mean nothing. Files are untrusted: what is wrong with one is an InputError at
its line, or a ValueError about a cell.
"""

from __future__ import annotations

import csv
import gzip
import math
import re
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import IO, TextIO, cast

from netspec.diagnostics import Code, Diagnostic, InputError, Place, suggestion

Category = str | int | float | bool

MISSING = frozenset({"", "NA", "N/A", "NaN", "nan", "null", "NULL"})
# What float32, in which the network computes, holds.
LARGEST = (2 - 2**-23) * 2.0**127
SHOWN = 60
SUFFIXES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_GROUPED = re.compile(r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?", re.ASCII)


class Wrong(ValueError):
    """What is wrong with a cell, and what to do about it."""

    def __init__(self, message: str, remedy: str | None = None) -> None:
        super().__init__(message)
        self.message, self.remedy = message, remedy


def name_of(category: Category) -> str:
    """A category as a person writes it: `true`, `3`, `2.5`."""
    if isinstance(category, bool):
        return str(category).lower()
    if isinstance(category, float) and category.is_integer() and abs(category) < 1e16:
        return str(int(category))
    return str(category)


class Missing(Wrong):
    """A cell is empty that may not be."""


class Categories:
    """Categories as the spec writes them. A number stands for every way to write it, `3` for `3.0`
    too, and true and false for any case; a text stands for itself alone."""

    def __init__(self, written: Sequence[Category]) -> None:
        self.names = tuple(map(name_of, written))
        self._texts = {name: code for code, name in enumerate(self.names)}
        self._numbers = {
            float(each): code
            for code, each in enumerate(written)
            if isinstance(each, int | float) and not isinstance(each, bool)
        }
        self._truths = {
            name_of(each): code for code, each in enumerate(written) if isinstance(each, bool)
        }

    def __len__(self) -> int:
        return len(self.names)

    def code(self, cell: str) -> int | None:
        """The index of the category that a cell names."""
        found = self._texts.get(cell)
        if found is None and self._truths:
            found = self._truths.get(cell.lower())
        if found is None and self._numbers and _NUMBER.fullmatch(cell):
            found = self._numbers.get(float(cell))
        return found


@dataclass(frozen=True)
class Column:
    """A column that is read: `categories` where it holds such, not numbers; `missing`: whether
    cells may be empty; `bounded`: whether its numbers have to be a float32's."""

    name: str
    categories: tuple[Category, ...] | None = None
    missing: bool = False
    bounded: bool = True

    @cached_property
    def codes(self) -> Categories | None:
        return None if self.categories is None else Categories(self.categories)

    def value(self, cell: str) -> float:
        """The number, or a category's index; NaN where a cell is empty. Raises Wrong."""
        cell = cell.strip()
        if self.codes is not None:
            code = self.codes.code(cell)
            if code is not None:
                return float(code)
        if cell in MISSING:
            return self.check(math.nan)
        if self.codes is not None:
            raise unknown(cell, self.codes.names)
        return self.check(number(cell))

    def check(self, value: float) -> float:
        """The number, where the column may hold it. Raises Wrong."""
        if math.isnan(value):
            if not self.missing:
                fill = "…" if self.categories else "median"
                raise Missing(
                    "the value is missing",
                    f"leave the row out, or train with `{{fill: {fill}}}` for the column",
                )
        elif self.categories is not None:
            if not (value.is_integer() and 0 <= value < len(self.categories)):
                raise Wrong(
                    f"{value:g} is no index of its {len(self.categories)} categories",
                    "categories count from 0 in the order of the spec",
                )
        elif math.isinf(value) or (self.bounded and abs(value) > LARGEST):
            raise Wrong(f"{value:g} is no number that float32 holds", "standardise it, or mend it")
        return value


def unknown(cell: str, known: Sequence[str]) -> Wrong:
    """Of a cell that names none of the known categories."""
    few = f"known are {', '.join(known[:8])}" + ", …" * (len(known) > 8)
    return Wrong(f"{_shown(cell)} is none of the categories", suggestion(cell, known) or few)


def number(cell: str) -> float:
    """The number that a cell holds. Raises Wrong."""
    if _NUMBER.fullmatch(cell):
        if math.isinf(value := float(cell)):
            raise Wrong(f"{_shown(cell)} is larger than what float64 holds", "scale it, or mend it")
        return value
    remedy = None
    if _GROUPED.fullmatch(cell):
        remedy = f"write it without commas: {cell.replace(',', '')}"
    elif "," in cell and _NUMBER.fullmatch(cell.replace(",", ".", 1)):
        remedy = f"write it with a point: {cell.replace(',', '.')}"
    raise Wrong(f"{_shown(cell)} is no number", remedy)


def _shown(cell: str) -> str:
    return f"'{cell}'" if len(cell) <= SHOWN else f"'{cell[:SHOWN]}…'"


def delimiter_of(path: Path) -> str:
    """A tab by the file's name, else a comma."""
    return "\t" if path.name.lower().removesuffix(".gz").endswith(".tsv") else ","


@dataclass(frozen=True)
class Layout:
    """How a CSV file is written: `delimiter` None: by its name; without a `header` its columns are
    called `0`, `1`, …"""

    delimiter: str | None = None
    header: bool = True


class Records:
    """The records of a CSV file, which is UTF-8, perhaps gzipped; empty lines are passed over.

    names: the columns', in the file's order; delimiter: what stands between two cells; begins: the
    line of the first record, from 1.
    """

    def __init__(self, path: Path, layout: Layout) -> None:
        """Raises InputError where the file can't be read or is empty."""
        self.path, self.layout = path, layout
        self.delimiter = layout.delimiter or delimiter_of(path)
        with self._open() as file:
            first = next(self._records(file), None)
        if first is None:
            raise self.wrong(None, "the file is empty", "write a line of column names, then rows")
        self.begins, cells = first
        self.names = tuple(cells if layout.header else map(str, range(len(cells))))

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        """Each record with its first line's number, from 1. Raises InputError where the file is
        damaged."""
        with self._open() as file:
            for index, (line, cells) in enumerate(self._records(file)):
                if index or not self.layout.header:
                    yield line, cells

    def check(self, line: int, cells: Sequence[str]) -> None:
        """Raises InputError where a record has another number of cells than the first."""
        if len(cells) != len(self.names):
            raise self.wrong(
                line,
                f"the row has {len(cells)} cells, and the file {len(self.names)} columns",
                "look for a delimiter too many or too few, or quotes that are not closed",
            )

    def wrong(self, line: int | None, message: str, remedy: str | None = None) -> InputError:
        place = Place(str(self.path), line, None if line is None else 1)
        return InputError([Diagnostic(Code.INPUT, message, place, remedy)])

    def binary(self) -> IO[bytes]:
        """Its content, unpacked."""
        if self.path.name.lower().endswith(".gz"):
            return cast(IO[bytes], gzip.open(self.path, "rb"))
        return self.path.open("rb")

    def _open(self) -> TextIO:
        try:
            if self.path.name.lower().endswith(".gz"):
                return gzip.open(self.path, "rt", encoding="utf-8-sig", newline="")
            return self.path.open(encoding="utf-8-sig", newline="")
        except OSError as error:
            raise self.wrong(
                None, f"the file can't be read: {error.strerror or error}", "check the path"
            ) from None

    def _records(self, file: TextIO) -> Iterator[tuple[int, list[str]]]:
        reader = csv.reader(file, delimiter=self.delimiter, strict=True)
        for _ in count():
            line = reader.line_num + 1
            try:
                cells = next(reader)
            except StopIteration:
                return
            except UnicodeDecodeError:
                raise self._undecodable() from None
            except csv.Error as error:
                raise self.wrong(
                    line, f"the row can't be read: {error}", "look for quotes that are not closed"
                ) from None
            except (OSError, EOFError, zlib.error) as error:
                raise self.wrong(
                    None, f"the file is damaged: {error}", "bring it back from a copy"
                ) from None
            if cells:
                yield line, cells

    def _undecodable(self) -> InputError:
        """About the first line that is not UTF-8."""
        with self.binary() as file:
            for line, content in enumerate(file, start=1):
                if line == 1 and content.startswith(b"PAR1"):
                    return self.wrong(None, "this is a Parquet file, not text", "write it as CSV")
                try:
                    content.decode()
                except UnicodeDecodeError:
                    break
        return self.wrong(line, "the line is not UTF-8", "save the file as UTF-8")


def place(name: str, names: Sequence[str]) -> int:
    """The index of a column among a table's. Raises Wrong where there is none, or several."""
    found = [index for index, each in enumerate(names) if each == name]
    if len(found) == 1:
        return found[0]
    if found:
        raise Wrong(
            f"{len(found)} columns have the name {_shown(name)}", "give each a name of its own"
        )
    shown = ", ".join(names[:12]) + ", …" * (len(names) > 12)
    raise Wrong(
        f"there is no column {_shown(name)}", suggestion(name, names) or f"its columns are {shown}"
    )
