"""Decoded images, kept where they are found again: in memory, or in a file that is mapped.

A cache file holds all the pictures that a source brings, whatever a split makes of them: their
pixels, then a record of each, then what tells that the file is whole. It is trusted as git's index
is: an image's file whose size, times and inode are as recorded is the one that was decoded; of any
other the bytes are hashed. A cache file may be removed at any time.
"""

from __future__ import annotations

import hashlib
import math
import os
import shutil
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import IO, Any, TypeVar

import numpy as np
import numpy.typing as npt
import PIL
import torch
from torch import Tensor

from netspec import files
from netspec.compiler import memory
from netspec.data.dataset import Dataset, Extent, Part, PartName, Pictures, Rows, Subset
from netspec.data.stored import Stored
from netspec.data.streaming import Workers
from netspec.diagnostics import Code, Diagnostic, InputError, SetupError, Severity, SpecError
from netspec.planning import Plan
from netspec.version import VERSION

Array = npt.NDArray[Any]
Result = TypeVar("Result")

SHARE = 4  # `auto` keeps images in memory where they take no more than one part in so many of it
UNKNOWN = 2 << 30  # and no more than so many bytes where the system does not say how much it has
SETTLED = 2 * 10**9  # nanoseconds, after which any file system's clock tells two writes apart
_NOTHING = np.empty(0, np.uint8)  # an empty file cannot be mapped
AHEAD = 8  # images that are decoded ahead, for each thread

MAGIC = b"netspec images 1"
RECORD = np.dtype(
    [
        ("state", "<i8", 4),  # size, modified, changed, inode
        ("sha256", "u1", 32),
        ("height", "<i8"),  # 0: damaged
        ("width", "<i8"),
    ]
)
FOOTER = np.dtype(
    [
        ("magic", "S16"),
        ("key", "u1", 32),
        ("count", "<i8"),
        ("began", "<i8"),  # nanoseconds since 1970
        ("pixels", "<i8"),
        ("sha256", "u1", 32),  # of the records and of what stands before in the footer
    ]
)


@dataclass(frozen=True, eq=False)
class Decoded(Pictures):
    """Pictures whose pixels lie one after the other in `pixels`; what is damaged is read from
    `original`, which says so."""

    original: Pictures
    pixels: Tensor  # uint8 [bytes]
    sizes: Array  # height and width [N, 2], 0 where it is damaged

    @property
    def channels(self) -> int:  # type: ignore[override]  # read alone
        return self.original.channels

    @cached_property
    def starts(self) -> list[int]:
        """Where each image's pixels begin, and where the last one's end."""
        return [0, *(self.sizes.prod(1) * self.channels).cumsum().tolist()]

    @cached_property
    def whole(self) -> Tensor | None:
        """[N, C, H, W] where all have one size."""
        if not self.sizes.all() or (self.sizes != self.sizes[0]).any():
            return None
        return self.pixels.view(len(self.sizes), self.channels, *self.sizes[0].tolist())

    def __len__(self) -> int:
        return len(self.sizes)

    def __getitem__(self, index: int) -> Tensor:
        height, width = self.sizes[index].tolist()
        if not height:
            return self.original[index]
        found = self.pixels[self.starts[index] : self.starts[index + 1]]
        return found.view(self.channels, height, width)

    def gather(self, indices: Tensor) -> Rows:
        if self.whole is None:
            return super().gather(indices)
        return self.whole.index_select(0, indices)

    def size(self, index: int) -> tuple[int, int]:
        return self.original.size(index)

    def stamp(self, index: int) -> bytes:
        return self.original.stamp(index)

    def extent(self, index: int) -> Extent | None:
        return self.original.extent(index)


def keep(plan: Plan, dataset: Dataset, names: Iterable[PartName] | None = None) -> Dataset:
    """The data set with the pictures of these parts (None: of all) decoded as `data.cache` says, or
    with processes that do so, and without what is damaged where `data.on_error` is `skip`.

    Raises InputError with a diagnostic for each damaged image that decoding has shown, SpecError
    where they do not fit into memory, SetupError where they do not fit on the disk.
    """
    parts = {name: dataset.parts[name] for name in names or dataset.parts}
    pictures = [
        each
        for part in parts.values()
        for each in (part.inputs, part.targets)
        if isinstance(each, Pictures)
    ]
    if not pictures:
        return dataset
    keeper = Keeper(plan, pictures)
    made = {name: keeper.part(part) for name, part in parts.items()}
    return replace(
        dataset,
        parts={**dataset.parts, **made},
        warnings=(*dataset.warnings, *keeper.warnings),
    )


class Keeper:
    """Keeps all `pictures` in one way. `warnings`: what was left out, and what was not kept."""

    def __init__(self, plan: Plan, pictures: Sequence[Pictures]) -> None:
        assert plan.spec.data is not None
        self.plan, self.data = plan, plan.spec.data
        self.warnings: list[Diagnostic] = []
        self.files: dict[int, Decoded] = {}
        self.mode = self.data.cache
        if self.mode in ("auto", "memory"):
            needed, there = sum(map(_bytes, pictures)), memory()
            budget = there / SHARE if math.isfinite(there) else UNKNOWN
            if self.mode == "memory" and needed > there:
                raise self._refused(
                    f"the decoded images take {needed / 2**30:,.1f} GiB, and this machine has "
                    f"{there / 2**30:,.1f}",
                    "use auto, disk or none",
                )
            if self.mode == "auto":
                self.mode = "memory" if needed <= budget else "disk"

    def part(self, part: Part) -> Part:
        """The part with its pictures kept. Raises InputError."""
        (inputs, damaged), (targets, also) = map(self._kept, (part.inputs, part.targets))
        kept = replace(part, inputs=inputs, targets=targets)
        if damaged := sorted({*damaged, *also}):
            found = [each for index in damaged for each in _diagnostics(kept, index)]
            good = torch.ones(len(part), dtype=torch.bool)
            good[damaged] = False
            if found and (self.data.on_error == "raise" or not good.any()):
                raise InputError(found)
            self.warnings += (
                each._replace(message=f"is left out: {each.message}", severity=Severity.WARNING)
                for each in found
            )
            kept = kept.subset(good.nonzero().squeeze(1))
        if self.mode == "none" and self.data.workers:
            kept = replace(kept, reader=Workers(kept, self.data.workers))
        return kept

    def _kept(
        self, found: Tensor | Stored | Pictures
    ) -> tuple[Tensor | Stored | Pictures, list[int]]:
        """What stands for it from now on, and which of it are damaged, as far as is known."""
        if not isinstance(found, Pictures):
            return found, []
        if self.mode == "disk":
            try:
                return self._on_disk(found)
            except SetupError as error:
                if self.data.cache == "disk":
                    raise
                self.mode = "none"
                self.warnings += (
                    each._replace(
                        message=f"images are decoded anew in each epoch: {each.message}",
                        remedy="make room there, or say where with NETSPEC_CACHE",
                        severity=Severity.WARNING,
                    )
                    for each in error.diagnostics
                )
        if self.mode == "memory":
            decoded = _in_memory(found)
            return decoded, _damaged(decoded)
        if self.data.on_error == "raise":
            return found, []
        pixels = _ahead(partial(_pixels, found), len(found))
        return found, [index for index, each in enumerate(pixels) if each is None]

    def _on_disk(self, found: Pictures) -> tuple[Pictures, list[int]]:
        """Raises SetupError where there is no room, or no folder that can be written."""
        whole = found.whole if isinstance(found, Subset) else found
        if id(whole) not in self.files:
            self.files[id(whole)] = _cached(whole)
        decoded = self.files[id(whole)]
        if not isinstance(found, Subset):
            return decoded, _damaged(decoded)
        bad = np.isin(found.indices.numpy(), _damaged(decoded))
        return Subset(decoded, found.indices), bad.nonzero()[0].tolist()

    def _refused(self, message: str, remedy: str) -> SpecError:
        return self.plan.spec.document.error(Code.DATA, message, ("data", "cache"), remedy)


def folder() -> Path:
    """Where cache files lie: $NETSPEC_CACHE, else below $XDG_CACHE_HOME, else ~/.cache."""
    if named := os.environ.get("NETSPEC_CACHE"):
        return Path(named)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path("~/.cache").expanduser()) / "netspec"


def _bytes(pictures: Pictures) -> int:
    """What the decoded pixels take by the headers, those left out that cannot be read."""
    total = 0
    for index in range(len(pictures)):
        with suppress(InputError):
            width, height = pictures.size(index)
            total += width * height * pictures.channels
    return total


def _damaged(decoded: Decoded) -> list[int]:
    found: list[int] = np.flatnonzero(decoded.sizes[:, 0] == 0).tolist()
    return found


def _diagnostics(part: Part, index: int) -> Iterator[Diagnostic]:
    for each in (part.inputs, part.targets):
        try:
            each[index]
        except InputError as error:
            yield from error.diagnostics


def _pixels(pictures: Pictures, index: int) -> Array | None:
    """uint8 [C, H, W] in one piece; None where the image is damaged."""
    try:
        return np.ascontiguousarray(pictures[index].numpy())
    except InputError:
        return None


def _ahead(job: Callable[[int], Result], count: int) -> Iterator[Result]:
    """What a job gives for each number below `count`, in order, by threads on all cores: decoders
    leave the interpreter to others."""
    threads = os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        waiting: deque[Future[Result]] = deque()
        for number in range(count):
            waiting.append(pool.submit(job, number))
            if len(waiting) > AHEAD * threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _in_memory(pictures: Pictures) -> Decoded:
    buffer = torch.empty(_bytes(pictures), dtype=torch.uint8)
    sizes = np.zeros((len(pictures), 2), np.int64)
    end = 0
    for index, pixels in enumerate(_ahead(partial(_pixels, pictures), len(pictures))):
        if pixels is None:
            continue
        start, end = end, end + pixels.size
        if end > len(buffer):  # a frame of a GIF may outgrow its header
            buffer.resize_(end)
        buffer[start:end] = torch.from_numpy(pixels.reshape(-1))
        sizes[index] = pixels.shape[1:]
    return Decoded(pictures, buffer[:end], sizes)


def _cached(pictures: Pictures) -> Decoded:
    """The pictures by their cache file, which is made where there is none that holds them.

    Raises SetupError where it cannot be written.
    """
    extents = [pictures.extent(index) for index in range(len(pictures))]
    known = [extent for extent in extents if extent is not None]
    if len(known) < len(extents):
        raise SetupError.of(Code.ENVIRONMENT, "nothing says whether its images change on disk")
    key = _key(pictures, known)
    try:
        place = folder()
        path = place / f"{key.hex()}.images"
        if (found := _opened(path, key, pictures, known)) is not None:
            return found
        place.mkdir(parents=True, exist_ok=True)
        files.sweep(place)
        needed, free = _bytes(pictures), shutil.disk_usage(place).free
    except (OSError, RuntimeError) as error:  # RuntimeError: there is no home
        raise SetupError.of(
            Code.ENVIRONMENT, f"the cache folder cannot be used: {error}", file="NETSPEC_CACHE"
        ) from None
    if needed > free:
        raise SetupError.of(
            Code.ENVIRONMENT,
            f"the decoded images take {needed / 2**30:,.1f} GiB, and the disk has "
            f"{free / 2**30:,.1f}",
            file=str(place),
        )
    made: list[Decoded | None] = []
    files.write(
        path,
        partial(_write, key, pictures, known),
        # Opened before another can remove it.
        lambda temporary: made.append(_opened(temporary, key, pictures, known, fresh=True)),
    )
    (decoded,) = made
    assert decoded is not None
    return decoded


def _key(pictures: Pictures, extents: Sequence[Extent]) -> bytes:
    """Of which pictures a cache file is, decoded by which code."""
    found = hashlib.sha256(f"{VERSION}\0{PIL.__version__}\0".encode() + pictures.manner + b"\0")
    for path, start, length in extents:
        found.update(os.fsencode(path.absolute()) + f"\0{start}\0{length}\0".encode())
    return found.digest()


def _write(key: bytes, pictures: Pictures, extents: Sequence[Extent], file: IO[bytes]) -> None:
    footer = np.zeros(1, FOOTER)
    footer["magic"], footer["key"] = MAGIC, np.frombuffer(key, np.uint8)
    footer["count"], footer["began"] = len(pictures), time.time_ns()
    records = np.zeros(len(pictures), RECORD)

    def job(index: int) -> Array | None:
        # Its state before its bytes: what changes in between is hashed again.
        with suppress(OSError):
            records[index]["state"] = _state(extents[index])
            records[index]["sha256"] = _sha256(extents[index])
        return _pixels(pictures, index)

    for index, pixels in enumerate(_ahead(job, len(pictures))):
        if pixels is not None:
            file.write(pixels.data)
            records[index]["height"], records[index]["width"] = pixels.shape[1:]
    footer["pixels"] = file.tell()
    footer["sha256"] = _checksum(records, footer)
    file.write(records.tobytes() + footer.tobytes())


def _opened(
    path: Path, key: bytes, pictures: Pictures, extents: Sequence[Extent], *, fresh: bool = False
) -> Decoded | None:
    """A cache file's pictures; None where there is none, or it is cut off, or holds others.

    fresh: it was made just now, and is not held against the images' files.
    """
    count = len(pictures)
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            pixels = size - count * RECORD.itemsize - FOOTER.itemsize
            if pixels < 0:
                return None
            file.seek(pixels)
            records = np.frombuffer(file.read(count * RECORD.itemsize), RECORD)
            footer = np.frombuffer(file.read(), FOOTER)
            sizes = np.stack((records["height"], records["width"]), axis=1)
            whole = (
                footer["magic"] == MAGIC
                and footer["key"].tobytes() == key
                and footer["count"] == count
                and footer["pixels"] == pixels
                and footer["sha256"].tobytes() == _checksum(records, footer).tobytes()
                and int((sizes.prod(1) * pictures.channels).sum()) == pixels
            )
            if not whole or not (fresh or _unchanged(records, extents, int(footer["began"][0]))):
                return None
            mapped = np.memmap(file, np.uint8, "c", shape=(pixels,)) if pixels else _NOTHING
    except (OSError, ValueError):  # ValueError: it is being cut off
        return None
    return Decoded(pictures, torch.from_numpy(mapped), sizes)


def _checksum(records: Array, footer: Array) -> Array:
    stated = footer.copy()
    stated["sha256"] = 0
    found = hashlib.sha256(records.tobytes() + stated.tobytes())
    return np.frombuffer(found.digest(), np.uint8)


def _unchanged(records: Array, extents: Sequence[Extent], began: int) -> bool:
    """Whether the images' files hold what was decoded. Raises OSError."""
    states = np.array([_state(extent) for extent in extents])
    settled = states[:, 1:3].max(1) < began - SETTLED
    doubtful = np.flatnonzero(~settled | (states != records["state"]).any(1))
    hashes = _ahead(lambda number: _sha256(extents[doubtful[number]]), len(doubtful))
    return all(
        (records[index]["sha256"] == found).all()
        for index, found in zip(doubtful, hashes, strict=True)
    )


def _state(extent: Extent) -> tuple[int, int, int, int]:
    found = extent.path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino


def _sha256(extent: Extent) -> Array:
    with extent.path.open("rb") as file:
        file.seek(extent.start)
        content = file.read() if extent.length is None else file.read(extent.length)
    return np.frombuffer(hashlib.sha256(content).digest(), np.uint8)
