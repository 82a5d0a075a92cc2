"""`CSV` and `Parquet`: read by pyarrow in batches, kept as numbers in a file that is mapped.

A row's raw sample is its columns as float64, so that no id or date loses digits before it is
standardised: categories by their index, missing values as NaN.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from netspec.catalogue.component import Refusal
from netspec.catalogue.preparations import Table
from netspec.catalogue.sources import Classes, Target, Values
from netspec.catalogue.sources import tables as catalogue
from netspec.data.dataset import Dataset, Part
from netspec.data.reading.sources import Request, counted, loss_of
from netspec.data.reading.table_files import Cells, ParquetReader, Reader, TextReader
from netspec.data.stored import Stored
from netspec.diagnostics import Code, SetupError
from netspec.tables import LARGEST, MISSING, Column, Missing, Wrong, place

Array = npt.NDArray[Any]

LARGEST_WHOLE = 1 << 53  # from which float64 leaves whole numbers out


def csv(request: Request) -> Dataset:
    """A text file's rows."""
    return _read(request, TextReader)


def parquet(request: Request) -> Dataset:
    """A Parquet file's rows."""
    return _read(request, ParquetReader)


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
