"""Whatever a caller has – arrays, images, files, folders – as single samples that a model takes."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import numpy.typing as npt

from netspec import images, tables
from netspec.diagnostics import Code, InputError, NetspecError
from netspec.runtime import arrays
from netspec.runtime.metadata import Metadata, Table
from netspec.shapes import show
from netspec.sizes import describe, fixed, solve

Array = npt.NDArray[Any]
One = Array | str | os.PathLike[str] | images.Picture
Inputs = One | Sequence[One]
Sample = tuple[str, Array]  # what to call it, and its values without the batch
Refuse = Callable[[NetspecError], None]  # what to do about a wrong one


def stop(error: NetspecError) -> NoReturn:
    """One wrong sample ends it all."""
    raise error


def read(metadata: Metadata, inputs: Inputs, refuse: Refuse = stop) -> Iterator[Sample]:
    """The samples that `inputs` holds, in order, each in the shape and dtype of the graph's input.

    Paths are looked up at once, so that a missing one is known before the first sample; files are
    read as they come. An array is a sample or a batch of them, an image model's with the channels
    last or first; a `.npy` file likewise; a folder gives an image model its images, another its
    `.npy` files, sorted. `refuse` gets an InputError about each wrong one; where it returns, the
    others follow.
    """
    if isinstance(inputs, np.ndarray | str | os.PathLike | images.Picture):
        named: list[tuple[str, One]] = [("input", inputs)]
    else:
        named = [(f"input[{index}]", each) for index, each in enumerate(inputs)]
    found: list[tuple[str, One]] = []
    for label, each in named:
        if isinstance(each, str | os.PathLike):
            try:
                found += [(str(path), path) for path in _files(metadata, Path(each))]
            except NetspecError as error:
                refuse(error)
        elif isinstance(each, np.ndarray | images.Picture):
            found.append((label, each))
        else:
            refuse(
                _wrong(
                    label,
                    f"a {type(each).__name__} is no input",
                    "give numpy arrays, paths or Pillow images",
                )
            )
    return (sample for label, each in found for sample in _samples(metadata, label, each, refuse))


def _files(metadata: Metadata, path: Path) -> Iterable[Path]:
    if not path.is_dir():
        if not path.exists():
            raise _wrong(str(path), "there is no such file or folder", "check the path")
        return [path]
    if metadata.input.kind == "images":
        found, wanted = images.find(path), "images"
    else:
        endings = (".npy", *tables.SUFFIXES) if metadata.input.table else (".npy",)
        found = sorted(
            each
            for each in path.rglob("*")
            if each.name.lower().endswith(endings) and each.is_file()
        )
        wanted = f"{' or '.join(endings)} files"
    if not found:
        raise _wrong(str(path), f"the folder holds no {wanted}", f"name a folder with {wanted}")
    return found


def _samples(metadata: Metadata, label: str, found: One, refuse: Refuse) -> Iterator[Sample]:
    table = metadata.input.table
    if table and isinstance(found, str | os.PathLike) and Path(found).suffix.lower() != ".npy":
        yield from _rows(table, Path(found), refuse)
        return
    try:
        batch = _batch(metadata, label, found)
    except NetspecError as error:
        refuse(error)
        return
    for index, sample in enumerate(batch):
        name = label if len(batch) == 1 else f"{label}[{index}]"
        if table:
            try:
                yield name, _checked(table, name, sample)
            except NetspecError as error:
                refuse(error)
        elif np.isfinite(sample).all():
            yield name, sample
        else:
            refuse(
                _wrong(
                    name,
                    f"{np.count_nonzero(~np.isfinite(sample))} of its {sample.size} values are "
                    "not finite",
                    "replace them, as was done with the samples of the training",
                )
            )


def _rows(table: Table, path: Path, refuse: Refuse) -> Iterator[Sample]:
    """The rows of a CSV file, each under its line, of the columns that the model takes."""
    try:
        records = tables.Records(path, table.layout)
        places = [tables.place(column.name, records.names) for column in table.columns]
    except tables.Wrong as wrong:
        refuse(_wrong(str(path), wrong.message, wrong.remedy))
        return
    except NetspecError as error:
        refuse(error)
        return
    following = iter(records)
    while True:
        try:
            line, cells = next(following)
            records.check(line, cells)
            sample = np.empty(len(places))
            for index, (column, place) in enumerate(zip(table.columns, places, strict=True)):
                try:
                    sample[index] = column.value(cells[place])
                except tables.Wrong as wrong:
                    message = f"column '{column.name}': {wrong.message}"
                    raise records.wrong(line, message, wrong.remedy) from None
        except StopIteration:
            return
        except NetspecError as error:
            refuse(error)
        else:
            yield f"{path}:{line}", sample


def _checked(table: Table, label: str, sample: Array) -> Array:
    """A row of a table. Raises InputError where a column cannot hold its value."""
    for column, value in zip(table.columns, sample, strict=True):
        try:
            column.check(float(value))
        except tables.Wrong as wrong:
            raise _wrong(label, f"column '{column.name}': {wrong.message}", wrong.remedy) from None
    return sample


def _batch(metadata: Metadata, label: str, found: One) -> Array:
    """The samples [N, …] that one input holds."""
    taken = metadata.input
    if isinstance(found, str | os.PathLike):
        path = Path(found)
        if path.suffix.lower() == ".npy":
            found = arrays.read(path)
        elif taken.kind == "images":
            found = images.load(path, _channels(metadata, label))
    elif isinstance(found, images.Picture) and taken.kind == "images":
        found = images.from_pillow(found, _channels(metadata, label), label)
    if not isinstance(found, np.ndarray):
        raise _wrong(
            label,
            f"the model takes {taken.dtype} arrays, not images",
            "give arrays (.npy), prepared as the spec does",
        )
    batch = (
        _pixels(metadata, label, found)
        if taken.kind == "images"
        else _numbers(metadata, label, found)
    )
    if solve(taken.shape, metadata.least, batch.shape[1:]) is None:
        raise _unfit(metadata, label, batch.shape[1:])
    return batch


def _channels(metadata: Metadata, label: str) -> int:
    channels = metadata.input.shape[2]
    if channels not in (1, 3):
        raise _wrong(
            label,
            f"the model takes pixels of {channels} channels; image files give 1 or 3",
            "give uint8 arrays (.npy)",
        )
    return int(str(channels))


def _pixels(metadata: Metadata, label: str, found: Array) -> Array:
    """uint8 [N, height, width, channels] of a sample or batch in either layout."""
    taken = metadata.input
    if found.dtype != np.uint8:
        raise _wrong(
            label,
            f"the pixels are {found.dtype}; the model takes uint8 from 0 to 255",
            "give the 8-bit pixels: the model prepares them itself",
        )
    channels = taken.shape[2]
    layouts: list[Array] = []
    if found.ndim in (3, 4):
        batch = found if found.ndim == 4 else found[None]
        if batch.shape[-1] == channels:
            layouts.append(batch)
        if batch.shape[-3] == channels:
            layouts.append(np.moveaxis(batch, -3, -1))
    if channels == 1 and found.ndim in (2, 3):
        layouts.append(found[..., None] if found.ndim == 3 else found[None, ..., None])
    # Where both layouts are possible, as for [3, 32, 3], the one whose size the model takes.
    for batch in layouts:
        if solve(taken.shape, metadata.least, batch.shape[1:]) is not None:
            return batch
    if not layouts:
        raise _wrong(
            label,
            f"{show(found.shape)} is no image of {channels} channels; the model takes "
            + describe(taken.shape, metadata.least),
            "give [height, width, channels] or [channels, height, width], with or without a batch",
        )
    return layouts[0]


def _numbers(metadata: Metadata, label: str, found: Array) -> Array:
    """[N, …] of a sample or batch, in the graph's dtype where no kind of number is lost."""
    taken = metadata.input
    wanted = np.dtype(taken.dtype)
    pixels = found.dtype == np.uint8 and wanted != np.uint8
    if pixels or not np.can_cast(found.dtype, wanted, "same_kind"):
        raise _wrong(
            label,
            f"the array is {found.dtype}; the model takes {wanted}",
            "give the values as the network was trained on them",
        )
    rank = len(taken.shape)
    if found.ndim not in (rank, rank + 1):
        raise _unfit(metadata, label, found.shape)
    batch = found[None] if found.ndim == rank else found
    return batch.astype(wanted, copy=False)


def _unfit(metadata: Metadata, label: str, found: Sequence[int]) -> NetspecError:
    taken = metadata.input
    if taken.kind == "images":
        height, width, channels = taken.shape
        if fixed(taken.shape) and found[2] == channels:
            return _wrong(
                label,
                f"the image is {found[0]}×{found[1]} (height × width); "
                f"the model takes {height}×{width}",
                f"resize it to {height}×{width}, or train with a Resize in `preprocess`",
            )
    return _wrong(
        label,
        f"the sample has shape {show(found)}; the model takes "
        + describe(taken.shape, metadata.least),
        "give a sample of that shape, with or without a batch dimension before it",
    )


def _wrong(label: str, message: str, remedy: str | None) -> NetspecError:
    return InputError.of(Code.INPUT, message, file=label, remedy=remedy)
