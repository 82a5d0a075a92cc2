"""Files of arrays: .npy, .npz, .safetensors and .pt, none of whose contents is run as code.

What a file says of an array (where it lies, its kind of numbers, its shape) is held against the
file's size before it is believed. Arrays are then mapped, but for those that are compressed, which
are read into memory. The checksums that .npz and .pt keep are checked.
"""

from __future__ import annotations

import errno
import json
import math
import pickle
import sys
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from netspec.catalogue.component import Refusal
from netspec.catalogue.sources.arrays import Wanted
from netspec.data.reading.sources import check_memory
from netspec.data.stored import CHUNK_BYTES, Array
from netspec.diagnostics import suggestion


class Found(NamedTuple):
    """An array as stored. bits: what its integers are the bits of, where numpy has no such numbers;
    None: it holds what it says."""

    array: Array
    bits: torch.dtype | None = None

    @property
    def holds(self) -> str:
        """Its kind of numbers, to a person."""
        return str(self.array.dtype if self.bits is None else self.bits).removeprefix("torch.")


File = Mapping[str, Callable[[Wanted], Found]]  # by array name; raises whatever a file brings about


def alone(wanted: Wanted) -> Found:
    """The array of a .npy file. Raises Refusal."""
    path = Path(wanted.name)
    with _reading(path, wanted), path.open("rb") as stream:
        return _npy(path, stream, 0, path.stat().st_size, wanted)


def opened(path: Path, place: Wanted) -> File:
    """The arrays of a file, none of them read yet. Raises Refusal."""
    with _reading(path, place):
        return _READERS[path.suffix.lower()](path)


def array(path: Path, file: File, wanted: Wanted) -> Found:
    """One array of an opened file. Raises Refusal."""
    if wanted.name not in file:
        some = ", ".join([*file][:8]) + ", …" * (len(file) > 8)
        raise wanted.refusal(
            f"'{path}' has no array '{wanted.name}'",
            suggestion(wanted.name, file) or f"it has {some or 'none'}",
        )
    with _reading(path, wanted):
        return file[wanted.name](wanted)


@contextmanager
def _reading(path: Path, wanted: Wanted) -> Iterator[None]:
    """Whatever reading a file raises, as a Refusal."""
    if not path.is_file():
        raise wanted.refusal(f"there is no file '{path}'")
    try:
        yield
    except Refusal:
        raise
    except Exception as error:  # hostile bytes make numpy, zipfile and torch raise many things
        said = error.strerror if isinstance(error, OSError) else str(error)
        if isinstance(error, OSError) and error.errno == errno.EINVAL:
            said = "its parts would begin before it does"
        reason = " ".join((said or type(error).__name__).split())[:200]
        raise wanted.refusal(
            f"'{path}' cannot be read as {path.suffix.lower()}: {reason}"
        ) from None


# .npy and .npz


def _npy(path: Path, stream: IO[bytes], start: int, end: int, wanted: Wanted) -> Found:
    """The array whose header begins at `start`; the file, or its part of it, ends at `end`."""
    stream.seek(start)
    shape, order, dtype = _header(stream, wanted)
    return Found(_mapped(path, stream.tell(), end, dtype, shape, order))


def _header(stream: IO[bytes], wanted: Wanted) -> tuple[tuple[int, ...], str, np.dtype[Any]]:
    formats = np.lib.format
    version = formats.read_magic(stream)
    read = formats.read_array_header_1_0 if version == (1, 0) else formats.read_array_header_2_0
    shape, columns_first, dtype = read(stream)
    if dtype.kind not in "fiub":
        raise wanted.refusal(
            f"'{wanted.name}' holds {'objects' if dtype.hasobject else dtype}, not numbers",
            "store numbers",
        )
    return shape, "F" if columns_first else "C", dtype


def _mapped(
    path: Path, start: int, end: int, dtype: np.dtype[Any], shape: tuple[int, ...], order: str = "C"
) -> Array:
    if any(size < 0 for size in shape):
        raise ValueError(f"its shape is {list(shape)}")
    needed = math.prod(shape) * dtype.itemsize
    if start + needed > end:
        raise ValueError(f"it ends after {end - start:,} of {needed:,} bytes of an array")
    if not needed:
        return np.empty(shape, dtype)
    found: Array = np.memmap(path, dtype, "r", start, shape, order)  # type: ignore[call-overload]
    return found


def _npz(path: Path) -> File:
    with zipfile.ZipFile(path) as archive:
        found = [entry for entry in archive.infolist() if entry.filename.endswith(".npy")]
    return {entry.filename.removesuffix(".npy"): _member_of(path, entry) for entry in found}


def _member_of(path: Path, entry: zipfile.ZipInfo) -> Callable[[Wanted], Found]:
    def read(wanted: Wanted) -> Found:
        with zipfile.ZipFile(path) as archive:
            if entry.compress_type == zipfile.ZIP_STORED:
                with path.open("rb") as stream:
                    start = _begins(stream, entry)
                    found = _npy(path, stream, start, start + entry.file_size, wanted)
                _check_sum(archive, entry)
                return found
            with archive.open(entry) as packed:
                shape, _, dtype = _header(packed, wanted)
                needed = math.prod(shape) * dtype.itemsize
                check_memory(needed, f"'{wanted.name}' in '{path}' takes", "path")
                if needed > entry.file_size:
                    raise ValueError(f"it has {entry.file_size:,} of {needed:,} bytes of an array")
            _check_sum(archive, entry)
            with archive.open(entry) as packed:
                return Found(np.lib.format.read_array(packed, allow_pickle=False))

    return read


def _begins(stream: IO[bytes], entry: zipfile.ZipInfo) -> int:
    """Where the bytes of an archive's member begin: behind its own header of 30 bytes, a name and
    extra fields, whose lengths stand at its end (APPNOTE.TXT 4.3.7)."""
    stream.seek(entry.header_offset)
    header = stream.read(30)
    if len(header) < 30 or header[:4] != b"PK\3\4" or entry.flag_bits & 1:
        raise ValueError(f"'{entry.filename}' has no header, or is encrypted")
    return stream.tell() + sum(int.from_bytes(header[at : at + 2], "little") for at in (26, 28))


def _check_sum(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> None:
    """Raises BadZipFile where a member is not what was written."""
    with archive.open(entry) as stream:
        while stream.read(CHUNK_BYTES):
            pass


# .safetensors

_KINDS: dict[str, tuple[str, torch.dtype | None]] = {
    "F64": ("<f8", None),
    "F32": ("<f4", None),
    "F16": ("<f2", None),
    "BF16": ("<i2", torch.bfloat16),
    "F8_E4M3": ("u1", torch.float8_e4m3fn),
    "F8_E5M2": ("u1", torch.float8_e5m2),
    "I64": ("<i8", None),
    "I32": ("<i4", None),
    "I16": ("<i2", None),
    "I8": ("i1", None),
    "U64": ("<u8", None),
    "U32": ("<u4", None),
    "U16": ("<u2", None),
    "U8": ("u1", None),
    "BOOL": ("?", None),
}


def _safetensors(path: Path) -> File:
    """As https://github.com/huggingface/safetensors#format says: the header's length, the header,
    and the bytes of each tensor at its offsets behind it."""
    from safetensors import safe_open

    with safe_open(path, "np"):  # holds the header against the file
        pass
    with path.open("rb") as stream:
        size = int.from_bytes(stream.read(8), "little")
        header = json.loads(stream.read(size))
    header.pop("__metadata__", None)
    return {name: _slice_of(path, 8 + size, entry) for name, entry in header.items()}


def _slice_of(path: Path, start: int, entry: Mapping[str, Any]) -> Callable[[Wanted], Found]:
    def read(wanted: Wanted) -> Found:
        if entry["dtype"] not in _KINDS:
            raise wanted.refusal(f"'{wanted.name}' holds {entry['dtype']}, not numbers")
        kind, bits = _KINDS[entry["dtype"]]
        first, last = (start + offset for offset in entry["data_offsets"])
        return Found(_mapped(path, first, last, np.dtype(kind), tuple(entry["shape"])), bits)

    return read


# .pt

_AS_BITS = {torch.bfloat16: "i2", torch.float8_e4m3fn: "u1", torch.float8_e5m2: "u1"}


def _torch(path: Path) -> File:
    """A dict of tensors that torch.save wrote; where each begins, a load without data tells
    (https://docs.pytorch.org/docs/stable/notes/serialization.html, "storage offsets")."""
    from torch._subclasses.fake_tensor import FakeTensorMode

    with zipfile.ZipFile(path) as archive, path.open("rb") as stream:
        entries = archive.infolist()
        if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
            raise ValueError("its parts are compressed, which torch.save never does")
        lie = {_begins(stream, entry): entry for entry in entries}
        order = next((e for e in entries if e.filename.endswith("/byteorder")), None)
        if order and archive.read(order).decode() != sys.byteorder:
            raise ValueError("it was written on a machine of another byte order")
    try:
        with FakeTensorMode():
            found = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:  # its advice is to run what the file says
        raise ValueError("it is damaged, or holds more than tensors and plain values") from None
    if not isinstance(found, dict):
        raise ValueError(f"it holds a {type(found).__name__}, and no dict of tensors")
    return {
        name: _storage_of(path, lie, each)
        for name, each in found.items()
        if isinstance(name, str) and isinstance(each, Tensor)
    }


def _storage_of(
    path: Path, lie: Mapping[int, zipfile.ZipInfo], tensor: Tensor
) -> Callable[[Wanted], Found]:
    def read(wanted: Wanted) -> Found:
        if tensor.layout != torch.strided or tensor.is_quantized or tensor.is_complex():
            raise wanted.refusal(f"'{wanted.name}' holds {tensor.dtype}, not plain numbers")
        if not tensor.is_contiguous() or tensor.is_neg():
            raise wanted.refusal(
                f"'{wanted.name}' is a view of another tensor", "save it with .contiguous()"
            )
        storage: Any = tensor.untyped_storage()
        entry = lie[storage._checkpoint_offset]
        bits = tensor.dtype if tensor.dtype in _AS_BITS else None
        kind = _AS_BITS.get(tensor.dtype, str(tensor.dtype).removeprefix("torch."))
        begins = storage._checkpoint_offset
        start = begins + tensor.storage_offset() * tensor.element_size()
        end = begins + entry.file_size
        found = Found(_mapped(path, start, end, np.dtype(kind), tuple(tensor.shape)), bits)
        with zipfile.ZipFile(path) as archive:
            _check_sum(archive, entry)
        return found

    return read


_READERS: dict[str, Callable[[Path], File]] = {
    ".npz": _npz,
    ".safetensors": _safetensors,
    ".pt": _torch,
    ".pth": _torch,
}
