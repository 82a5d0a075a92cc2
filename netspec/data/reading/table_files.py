"""The columns of a table's file in batches, by pyarrow, and where a row of them stands."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from netspec.diagnostics import Code, InputError, SetupError
from netspec.tables import Layout, Records

Cells = Any  # pyarrow has no types

BLOCK_BYTES = 8 << 20
BATCH_ROWS = 1 << 16


class Reader(ABC):
    """A table's file. `names`: its columns'."""

    def __init__(self, path: Path, layout: Layout) -> None:
        """Raises InputError where the file is none of its kind, SetupError without pyarrow."""
        self.path, self.layout = path, layout
        self.pyarrow = pyarrow()
        self.names = self._names()

    @abstractmethod
    def _names(self) -> tuple[str, ...]: ...

    @abstractmethod
    def batches(self, places: Sequence[int]) -> Iterator[list[Cells]]:
        """The columns at these places, some rows at a time, as pyarrow's arrays; null: missing.
        Raises InputError."""

    @abstractmethod
    def wrong(self, row: int, message: str, remedy: str | None) -> InputError:
        """About a row, which counts from 0."""

    def _damaged(self, error: Exception) -> InputError:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        return InputError.of(
            Code.INPUT,
            f"the table can't be read: {reason}",
            file=str(self.path),
            remedy="bring it back from a copy, or write it again",
        )


class TextReader(Reader):
    """A CSV file, whose cells are texts."""

    def _names(self) -> tuple[str, ...]:
        self.records = Records(self.path, self.layout)
        return self.records.names

    def batches(self, places: Sequence[int]) -> Iterator[list[Cells]]:
        from pyarrow import csv

        names = [str(index) for index in range(len(self.names))]
        wanted = [names[index] for index in places]
        read = csv.ReadOptions(
            column_names=names,
            block_size=BLOCK_BYTES,
            # The header, and empty lines before it.
            skip_rows_after_names=self.records.begins if self.layout.header else 0,
        )
        parse = csv.ParseOptions(delimiter=self.records.delimiter, newlines_in_values=True)
        convert = csv.ConvertOptions(
            include_columns=wanted,
            column_types=dict.fromkeys(wanted, self.pyarrow.string()),
            strings_can_be_null=False,
        )
        try:
            with csv.open_csv(self.path, read, parse, convert) as reader:
                for batch in reader:
                    yield batch.columns
            self._check_quotes()
        except (self.pyarrow.ArrowException, OSError) as error:
            if self._check_records():  # pyarrow refuses a header alone
                raise self._damaged(error) from None

    def _check_quotes(self) -> None:
        """Refuse a quote that is not closed, whose cell has swallowed all rows behind it."""
        with self.records.binary() as file:
            quotes = sum(block.count(b'"') for block in iter(lambda: file.read(BLOCK_BYTES), b""))
        if quotes % 2:
            self._check_records()

    def _check_records(self) -> int:
        """How many there are. Raises InputError with the line of one that is wrong."""
        found = 0
        for line, cells in self.records:
            self.records.check(line, cells)
            found += 1
        return found

    def wrong(self, row: int, message: str, remedy: str | None) -> InputError:
        line = next(line for index, (line, _) in enumerate(self.records) if index == row)
        return self.records.wrong(line, message, remedy)


class ParquetReader(Reader):
    """A Parquet file, whose cells have types."""

    def _names(self) -> tuple[str, ...]:
        from pyarrow import parquet

        try:
            with parquet.ParquetFile(self.path) as file:
                return tuple(file.schema_arrow.names)
        except (self.pyarrow.ArrowException, OSError, ValueError) as error:
            raise self._damaged(error) from None

    def batches(self, places: Sequence[int]) -> Iterator[list[Cells]]:
        from pyarrow import parquet

        names = [self.names[index] for index in places]
        try:
            with parquet.ParquetFile(self.path) as file:
                for batch in file.iter_batches(BATCH_ROWS, columns=names):
                    yield [batch.column(name) for name in names]
        except (self.pyarrow.ArrowException, OSError, ValueError) as error:
            raise self._damaged(error) from None

    def wrong(self, row: int, message: str, remedy: str | None) -> InputError:
        return InputError.of(
            Code.INPUT, f"row {row + 1}, {message}", file=str(self.path), remedy=remedy
        )


def pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError:
        raise SetupError.of(
            Code.ENVIRONMENT,
            "tables are read by pyarrow, which is not installed",
            remedy="pip install 'netspec-compiler[tables]'",
        ) from None
    return pyarrow
