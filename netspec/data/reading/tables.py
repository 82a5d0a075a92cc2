"""`CSV` and `Parquet`: read by pyarrow in batches, kept as numbers in a file that is mapped.

A row's raw sample is its columns as float64, so that no id or date loses digits before it is
standardised: categories by their index, missing values as NaN.
"""

from __future__ import annotations

import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from netspec.catalogue.component import Refusal
from netspec.catalogue.preparations import Feature, Table
from netspec.catalogue.sources import Classes, Target, Values
from netspec.catalogue.sources import tables as catalogue
from netspec.data.dataset import Dataset, Part, Statistics
from netspec.data.preparation import Prepared
from netspec.data.reading.sources import Request, counted, loss_of
from netspec.data.stored import Stored, chunks
from netspec.diagnostics import Code, InputError, SetupError
from netspec.tables import LARGEST, MISSING, Column, Layout, Missing, Records, Wrong, name_of, place

Array = npt.NDArray[Any]
Cells = Any  # pyarrow has no types

BLOCK_BYTES = 8 << 20
BATCH_ROWS = 1 << 16
LARGEST_WHOLE = 1 << 53  # from which float64 leaves whole numbers out


class PreparedTable(Prepared):
    """[N, columns] float64, NaN where a value is missing → [N, width] float32.

    Filled, standardised as (x - mean) / deviation, and categories as one-hot, in float64: the
    exported graph computes the same.
    """

    fill: Tensor
    mean: Tensor
    deviation: Tensor
    column: Tensor
    code: Tensor

    def __init__(self, stated: Table, statistics: Statistics) -> None:
        super().__init__()
        features = stated.features
        # Of each number that the network takes: its column, and its category or -1.
        places = [
            (index, -1 if feature.categories is None else code)
            for index, feature in enumerate(features)
            for code in range(feature.width)
        ]
        self.register_buffer("column", torch.tensor([index for index, _ in places]))
        self.register_buffer("code", torch.tensor([code for _, code in places]).double())
        self.register_buffer("fill", torch.tensor(statistics["fill"], dtype=torch.float64))
        for name, without in (("mean", 0.0), ("deviation", 1.0)):
            learned = zip(statistics[name], features, strict=True)
            used = [value if feature.standardize else without for value, feature in learned]
            numbers = torch.tensor(used, dtype=torch.float64)
            self.register_buffer(name, numbers[self.column])

    def forward(self, rows: Tensor) -> Tensor:
        filled = torch.where(rows.isnan(), self.fill, rows).index_select(1, self.column)
        numbers = (filled - self.mean) / self.deviation
        chosen = (filled == self.code).to(torch.float64)
        return torch.where(self.code < 0, numbers, chosen).to(torch.float32)

    @classmethod
    def made(cls, stated: Table, statistics: Statistics) -> Self:
        return cls(stated, statistics)

    @classmethod
    def learn(cls, stated: Table, inputs: Tensor | Stored) -> Statistics:
        """`fill`: what stands for a column's missing values; `mean` and `deviation`: of the filled
        column, the population's, 1 where it is constant. Columns that are categories have 0 and 1.
        """
        learned = [
            _measure(feature, _column(inputs, index))
            for index, feature in enumerate(stated.features)
        ]
        names = ("fill", "mean", "deviation")
        return dict(zip(names, map(list, zip(*learned, strict=True)), strict=True))


def _column(inputs: Tensor | Stored, index: int) -> Array:
    """A copy of a column [N]."""
    column = np.empty(len(inputs))
    start = 0
    for rows in chunks(inputs):
        column[start : start + len(rows)] = rows[:, index]
        start += len(rows)
    return column


def _measure(feature: Feature, values: Array) -> tuple[float, float, float]:
    """What fills a column [N], its mean and its deviation; the array is sorted in place."""
    values.sort()  # NaN last; and no sum depends on the order of the rows
    present = values[: len(values) - np.count_nonzero(np.isnan(values))]
    fill = 0.0
    if feature.fill in catalogue.MEASURES and feature.categories is None:
        if not len(present):
            raise Refusal(
                f"column '{feature.name}' has no value in the train part to take the "
                f"{feature.fill} of",
                "fill it with a number",
                "features",
                (feature.name,),
            )
        fill = float(np.median(present) if feature.fill == "median" else np.mean(present))
    elif feature.fill is not None:
        codes = feature.column.codes
        fill = float(feature.fill) if codes is None else feature.column.value(name_of(feature.fill))
    if feature.categories is not None:
        return fill, 0.0, 1.0
    values[len(present) :] = fill
    values.sort()
    if values[0] == values[-1]:
        return fill, float(values[0]), 1.0
    with np.errstate(over="ignore", invalid="ignore"):
        mean, deviation = float(np.mean(values)), float(np.std(values))
    if not np.isfinite(mean) or not 0 < deviation < np.inf:
        raise Refusal(
            f"column '{feature.name}' has values from {values[0]:g} to {values[-1]:g}, whose "
            "deviation float64 does not hold",
            "scale them",
            "features",
            (feature.name,),
        )
    return fill, mean, deviation


def csv(request: Request) -> Dataset:
    """A text file's rows."""
    return _read(request, TextReader)


def parquet(request: Request) -> Dataset:
    """A Parquet file's rows."""
    return _read(request, ParquetReader)


class Reader(ABC):
    """A table's file. `names`: its columns'."""

    def __init__(self, path: Path, layout: Layout) -> None:
        """Raises InputError where the file is none of its kind, SetupError without pyarrow."""
        self.path, self.layout = path, layout
        self.pyarrow = _pyarrow()
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


class _At(Exception):
    """What is wrong with a row's cell."""

    def __init__(self, row: int, wrong: Wrong) -> None:
        self.row, self.wrong = row, wrong


class _Rows:
    """Rows of numbers in a file without a name, whose tensor keeps what is mapped."""

    def __init__(self, file: IO[bytes], width: int, dtype: npt.DTypeLike) -> None:
        self.file, self.width, self.dtype, self.count = file, width, np.dtype(dtype), 0

    def add(self, columns: Sequence[Array], count: int) -> None:
        """Raises SetupError where the disk is full."""
        self.count += count
        if not columns:
            return
        try:
            self.file.write(np.stack(columns, axis=1).astype(self.dtype).data)
        except OSError as error:
            raise SetupError.of(
                Code.ENVIRONMENT,
                f"the rows can't be kept in '{tempfile.gettempdir()}': {error.strerror}",
                remedy="make room there, or set TMPDIR to another folder",
            ) from None

    def mapped(self) -> Array:
        """[N, width]."""
        if not self.width:
            return np.zeros((self.count, 0), self.dtype)
        self.file.flush()
        shape = (self.count, self.width)
        return np.asarray(np.memmap(self.file, self.dtype, "r+", shape=shape))

    def tensor(self) -> Tensor:
        """[N, width]."""
        return torch.from_numpy(self.mapped())


def _read(request: Request, kind: type[Reader]) -> Dataset:
    stated, args, data = request.pipeline.preparation, request.args, request.plan.spec.data
    assert isinstance(stated, Table) and data is not None
    path = Path(args["path"])
    if not path.is_file():
        raise Refusal(f"there is no file '{path}'", param="path")
    learned, group = catalogue.targets(args), data.split.group
    if not learned and data.target != "input":
        raise Refusal(
            "it names nothing to learn", "write `target: COLUMN`, or `data: {target: input}`"
        )
    loss, _ = loss_of(request.plan)
    classes = args["classes"]
    wanted = data.target == "one_hot" or (loss is not None and loss.wants == "classes")
    labels = classes is not None or wanted
    categories = None if classes is None else tuple(classes)
    columns = [feature.column for feature in stated.features]
    columns += [Column(name, categories) for name in learned]
    reader = kind(path, stated.layout)
    places = [_place(column.name, reader, args, learned) for column in columns]
    if group is not None:
        places.append(_place(group, reader, args, learned))
    width = len(stated.features)
    known: dict[str, int] = {}
    with ExitStack() as files:
        temporary = [files.enter_context(tempfile.TemporaryFile()) for _ in range(3)]
        inputs = _Rows(temporary[0], width, np.float64)
        targets = _Rows(temporary[1], len(learned), np.int64 if labels else np.float32)
        groups = _Rows(temporary[2], 1, np.int64)
        for cells in reader.batches(places):
            before, count = inputs.count, len(cells[0])
            column = columns[0]
            try:
                numbers = []
                for column, each in zip(columns, cells, strict=False):
                    numbers.append(_numbers(each, column))
                    if labels and len(numbers) > width:
                        _check_whole(numbers[-1])
                if group is not None:
                    column = Column(group)
                    groups.add([_codes(cells[-1], known)], count)
            except _At as at:
                remedy = at.wrong.remedy
                if isinstance(at.wrong, Missing) and column.name in learned:
                    remedy = "leave the row out"
                message = f"column '{column.name}': {at.wrong.message}"
                raise reader.wrong(before + at.row, message, remedy) from None
            inputs.add(numbers[:width], count)
            targets.add(numbers[width:], count)
        if not inputs.count:
            raise Refusal(f"'{path}' has no rows", None, "path")
        found = targets.tensor()
        part = Part(
            Stored(inputs.mapped(), torch.from_numpy),
            found.squeeze(1) if labels else found,
            None if group is None else groups.tensor().squeeze(1),
        )
    target = _target(request, part, labels)
    names = target.names if isinstance(target, Classes) else None
    return Dataset({"train": part}, target, names)


def _place(name: str, reader: Reader, args: Mapping[str, Any], learned: Sequence[str]) -> int:
    """The index of a column that the spec names. Raises Refusal there."""
    try:
        return place(name, reader.names)
    except Wrong as wrong:
        message, remedy = f"'{reader.path}': {wrong.message}", wrong.remedy
        other = next((each for each in ";\t|," if each in reader.names[0]), None)
        if len(reader.names) == 1 and other:
            remedy = f"its only column is '{reader.names[0]}': write `delimiter: {other!r}`"
        if name in args["features"]:
            raise Refusal(message, remedy, "features", (name,)) from None
        within = (learned.index(name),) if isinstance(args["target"], list) else ()
        raise Refusal(message, remedy, "target" if name in learned else None, within) from None


def _target(request: Request, part: Part, labels: bool) -> Target:
    """What the targets are."""
    stated = request.pipeline.labels
    if isinstance(stated, Classes) or not labels:
        return stated if isinstance(stated, Classes) else Values(tuple(part.labels.shape[1:]))
    counting = counted(part.labels, loss_of(request.plan)[1])
    return Classes(int(counting.max()) + 1 if len(counting) else 0)


def _numbers(cells: Cells, column: Column) -> Array:
    """A column's numbers [N] as float64, NaN where missing. Raises _At about the first cell that
    has none."""
    import pyarrow
    from pyarrow import compute

    kind = cells.type
    if pyarrow.types.is_dictionary(kind):
        cells = cells.dictionary_decode()
        kind = cells.type
    if column.categories is not None or not _numeric(kind):
        if not (_numeric(kind) or _text(kind)):
            raise _At(0, Wrong(f"it holds {kind}, not numbers or texts", "store it as such"))
        cells = cells.cast(pyarrow.string())
    if column.categories is not None:
        return _by_value(cells, column)
    if _numeric(kind):
        values = cells.cast(pyarrow.float64(), safe=False).to_numpy(zero_copy_only=False)
    else:
        trimmed = compute.utf8_trim_whitespace(cells)
        missing = compute.is_in(trimmed, value_set=pyarrow.array(sorted(MISSING)))
        present = compute.if_else(missing, None, trimmed)
        try:
            values = present.cast(pyarrow.float64()).to_numpy(zero_copy_only=False)
        except pyarrow.ArrowInvalid:
            return _by_value(cells, column)
        if np.count_nonzero(~np.isfinite(values)) > present.null_count:  # such as `inf`
            return _by_value(cells, column)
    return _checked(values, column)


def _checked(values: Array, column: Column) -> Array:
    wrong = np.isinf(values)
    if column.bounded:
        wrong |= np.abs(values) > LARGEST
    if not column.missing:
        wrong |= np.isnan(values)
    if wrong.any():
        row = int(wrong.argmax())
        try:
            column.check(float(values[row]))
        except Wrong as found:
            raise _At(row, found) from None
    return values


def _by_value(cells: Cells, column: Column) -> Array:
    """As `_numbers`: each text that there is, is looked at once."""
    texts, rows = _different(cells)
    numbers, wrong = np.full(len(texts), np.nan), {}
    for index, text in enumerate(texts):
        try:
            numbers[index] = column.value(text)
        except Wrong as found:
            wrong[index] = found
    if wrong:
        row = int(np.isin(rows, list(wrong)).argmax())
        raise _At(row, wrong[int(rows[row])])
    return numbers[rows]


def _codes(cells: Cells, known: dict[str, int]) -> Array:
    """A number for each text, the same wherever it stands; `known` learns the new ones."""
    import pyarrow

    if pyarrow.types.is_dictionary(cells.type):
        cells = cells.dictionary_decode()
    texts, rows = _different(cells.cast(pyarrow.string()))
    stripped = [text.strip() for text in texts]
    if missing := [index for index, text in enumerate(stripped) if not text]:
        row = int(np.isin(rows, missing).argmax())
        raise _At(row, Wrong("the value is missing, so that the row belongs to no group"))
    return np.array([known.setdefault(text, len(known)) for text in stripped], np.int64)[rows]


def _different(cells: Cells) -> tuple[list[str], Array]:
    """The texts that there are, "" for a null, and which of them stands in each row [N]."""
    encoded = cells.dictionary_encode()
    texts: list[str] = encoded.dictionary.to_pylist()
    indices = encoded.indices
    if indices.null_count:
        indices = indices.fill_null(len(texts))
        texts = [*texts, ""]
    return texts, indices.to_numpy(zero_copy_only=False)


def _check_whole(values: Array) -> None:
    wrong = (values != np.floor(values)) | (np.abs(values) >= LARGEST_WHOLE)
    if wrong.any():
        row = int(wrong.argmax())
        raise _At(
            row,
            Wrong(
                f"{values[row]:g} is no whole number, as a class index is",
                "name the classes with `classes: […]`, or use a loss that compares values",
            ),
        )


def _numeric(kind: Any) -> bool:
    from pyarrow import types

    return bool(types.is_integer(kind) or types.is_floating(kind))


def _text(kind: Any) -> bool:
    from pyarrow import types

    tests = (types.is_string, types.is_large_string, types.is_boolean, types.is_decimal)
    return any(test(kind) for test in (*tests, types.is_null))


def _pyarrow() -> Any:
    try:
        import pyarrow
    except ImportError:
        raise SetupError.of(
            Code.ENVIRONMENT,
            "tables are read by pyarrow, which is not installed",
            remedy="pip install 'netspec-compiler[tables]'",
        ) from None
    return pyarrow
