"""Arrays from untrusted text and from untrusted `.npy` files."""

from __future__ import annotations

import base64
import binascii
import math
import warnings
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from netspec import files
from netspec.diagnostics import Code, InputError, NetspecError
from netspec.runtime.fields import MAX_DIMENSIONS

DTYPES = ("uint8", "float16", "float32", "int64")

Array = npt.NDArray[Any]


def pack(array: Array) -> str:
    """Its values as base64 of zlib of little-endian bytes, in C order."""
    plain = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    return base64.b64encode(zlib.compress(plain.tobytes(), 9)).decode()


def unpack(dtype: str, shape: Sequence[int], data: str, most: int) -> Array:
    """The array that `pack` wrote, read-only; `dtype` is one of DTYPES, `shape` not negative.

    Never allocates more than `most` bytes, whatever `data` would swell to. Raises ValueError.
    """
    kind = np.dtype(dtype).newbyteorder("<")
    size = math.prod(shape) * kind.itemsize
    if size > most:
        raise ValueError(f"an array of {size} bytes is too large")
    try:
        stream = zlib.decompressobj()
        plain = stream.decompress(base64.b64decode(data, validate=True), size + 1)
    except (binascii.Error, zlib.error) as error:
        raise ValueError(f"an array's data is broken: {error}") from None
    if len(plain) != size or not stream.eof or stream.unused_data:
        raise ValueError("an array's data has another size than its shape")
    found: Array = np.frombuffer(plain, kind).astype(dtype, copy=False).reshape(shape)
    return found


def read(path: Path) -> Array:
    """The numbers in a `.npy` file, memory-mapped and read-only.

    Raises InputError for whatever else the file is: a pickle, an archive, cut off, not numbers.
    """
    try:
        files.size(path, code=Code.INPUT)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # numpy's, about headers written by Python 2
            # Not numpy.load, which looks for archives and pickles too; an array of objects has no
            # map and is refused.
            found: Array = np.lib.format.open_memmap(path, mode="r")
    except NetspecError:
        raise
    except OSError as error:
        raise _wrong(
            path, f"the file can't be read: {error.strerror or error}", "check the path"
        ) from None
    # Headers are Python literals, and numpy raises whatever its tokenizer stumbles over.
    except Exception as error:
        why = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise _wrong(
            path, f"this is no array of numbers that numpy.save wrote: {why}", _REMEDY
        ) from None
    if found.dtype.kind not in "fiu" or not 0 < found.ndim <= MAX_DIMENSIONS or not found.size:
        raise _wrong(path, f"{found.dtype} {list(found.shape)} is no array of numbers", _REMEDY)
    return found


_REMEDY = "write the file by numpy.save(file, array, allow_pickle=False)"


def _wrong(path: Path, message: str, remedy: str) -> NetspecError:
    return InputError.of(Code.INPUT, message, file=str(path), remedy=remedy)
