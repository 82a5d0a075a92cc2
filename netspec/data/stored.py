"""Rows of arrays that are read when they are asked for, so that an array may outgrow memory.

Single rows come through the file's memory map, of which they touch a few pages; what passes over
all of them reads the file in chunks, which keeps none of its pages.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from netspec.diagnostics import Code, InputError

Array = npt.NDArray[Any]

CHUNK_BYTES = 1 << 24


@dataclass(frozen=True, eq=False)
class Stored:
    """Some rows of an array, as tensors [N, …].

    array: [M, …] as stored, in memory or a whole np.memmap (a slice of one does not know where it
    begins). convert: stored rows [n, …] → tensors [n, …], each row by itself. index: int64 [N],
    which rows; None: all.
    """

    array: Array
    convert: Callable[[Array], Tensor]
    index: Tensor | None = None

    def __len__(self) -> int:
        return len(self.array) if self.index is None else len(self.index)

    @cached_property
    def _none(self) -> Tensor:
        return self.convert(np.empty((0, *self.array.shape[1:]), self.array.dtype))

    @property
    def shape(self) -> torch.Size:
        return torch.Size((len(self), *self._none.shape[1:]))

    @property
    def dtype(self) -> torch.dtype:
        return self._none.dtype

    def dim(self) -> int:
        return self._none.dim()

    def is_floating_point(self) -> bool:
        return self._none.is_floating_point()

    def __getitem__(self, chosen: Tensor | slice | int) -> Tensor:
        """As a tensor is indexed in its first dimension."""
        if isinstance(chosen, int):
            return self.gather(torch.tensor([range(len(self))[chosen]]))[0]
        if isinstance(chosen, slice):
            chosen = torch.arange(*chosen.indices(len(self)))
        return self.gather(chosen)

    def gather(self, indices: Tensor) -> Tensor:
        """The rows [n, …] of int64 [n]."""
        rows = indices if self.index is None else self.index[indices]
        return self.convert(np.asarray(self.array[rows.numpy()]))

    def subset(self, indices: Tensor) -> Stored:
        """These rows, none of them copied."""
        rows = indices if self.index is None else self.index[indices]
        return Stored(self.array, self.convert, rows)

    def chunks(self, start: int = 0, stop: int | None = None) -> Iterator[Tensor]:
        """The rows from `start` to `stop`, in order, some at a time. Raises InputError where the
        file has become shorter since it was opened."""
        return map(self.convert, self.rows(start, stop))

    def rows(self, start: int = 0, stop: int | None = None) -> Iterator[Array]:
        """As `chunks`, as they lie in the array."""
        stop = len(self) if stop is None else min(stop, len(self))
        size = max(1, CHUNK_BYTES * len(self.array) // max(1, self.array.nbytes))
        rises = self.index is not None and bool((self.index.diff() > 0).all())
        while start < stop:
            if self.index is None:
                end = min(start + size, stop)
                yield self._read(start, end)
            elif rises:
                # As many as one chunk of the file holds.
                first = int(self.index[start])
                end = int(torch.searchsorted(self.index[:stop], first + size))
                rows = self.index[start:end].numpy()
                yield self._read(first, int(rows[-1]) + 1)[rows - first]
            else:
                end = min(start + size, stop)
                yield np.asarray(self.array[self.index[start:end].numpy()])
            start = end

    def _read(self, start: int, stop: int) -> Array:
        """A copy of some rows of the array; those of a map are read from its file."""
        array = self.array
        if not isinstance(array, np.memmap) or not array.flags.c_contiguous:
            return np.array(array[start:stop])
        each = array.nbytes // len(array)
        path = Path(str(array.filename))
        found = np.fromfile(
            path,
            array.dtype,
            (stop - start) * each // array.itemsize,
            offset=array.offset + start * each,
        )
        if found.nbytes < (stop - start) * each:
            raise InputError.of(
                Code.DATA, "the file has become shorter since it was opened", file=str(path)
            )
        return found.reshape(stop - start, *array.shape[1:])


def chunks(values: Tensor | Stored) -> Iterator[Tensor]:
    """All rows of what may outgrow memory, some at a time; those of a tensor at once."""
    return values.chunks() if isinstance(values, Stored) else iter((values,))
