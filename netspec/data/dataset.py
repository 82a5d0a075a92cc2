"""Samples and targets in memory or on disk, by part."""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

import torch
from torch import Tensor

from netspec import images
from netspec.catalogue.sources import Target
from netspec.data.stored import Stored
from netspec.diagnostics import Diagnostic

PartName = Literal["train", "validation", "test"]
Rows = Tensor | list[Tensor]  # of one size [N, …], or each of its own

HASHED_BYTES = 256 << 20
CHUNK_BYTES = 1 << 20

Statistics = Mapping[str, Sequence[float]]  # what is learned of the training part, by name
PartRows = Mapping[PartName, Tensor]  # of each part that a split made, int64 and rising


class Extent(NamedTuple):
    """Where an image's bytes lie: in the whole of a file, or in `length` bytes of it."""

    path: Path
    start: int = 0
    length: int | None = None


class Pictures(ABC):
    """8-bit images that are read when they are needed, each uint8 [C, H, W] of its own size."""

    channels: int

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def __getitem__(self, index: int) -> Tensor:
        """The pixels. Raises InputError where the image is damaged."""

    @abstractmethod
    def size(self, index: int) -> tuple[int, int]:
        """Width and height, from the header, before the image is turned as its EXIF orientation
        says. Raises InputError where it is damaged."""

    @abstractmethod
    def stamp(self, index: int) -> bytes:
        """What tells the image from others without reading it whole."""

    def extent(self, index: int) -> Extent | None:
        """The bytes that `__getitem__` decodes. None: nothing says whether they have changed, so
        that the pictures are not cached on disk."""
        return None

    @property
    def manner(self) -> bytes:
        """What beside the bytes of `extent` decides the pixels."""
        kind = type(self)
        return f"{kind.__module__}.{kind.__qualname__} {self.channels}".encode()

    def gather(self, indices: Tensor) -> Rows:
        """The pixels of these, [N, C, H, W] where all the pictures are known to have one size."""
        return [self[index] for index in indices.tolist()]

    def subset(self, indices: Tensor) -> Pictures:
        return Subset(self, indices)


@dataclass(frozen=True, eq=False)
class Subset(Pictures):
    """Some of the pictures `whole`."""

    whole: Pictures
    indices: Tensor

    @property
    def channels(self) -> int:  # type: ignore[override]  # read alone
        return self.whole.channels

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> Tensor:
        return self.whole[int(self.indices[index])]

    def size(self, index: int) -> tuple[int, int]:
        return self.whole.size(int(self.indices[index]))

    def stamp(self, index: int) -> bytes:
        return self.whole.stamp(int(self.indices[index]))

    def extent(self, index: int) -> Extent | None:
        return self.whole.extent(int(self.indices[index]))

    def gather(self, indices: Tensor) -> Rows:
        return self.whole.gather(self.indices[indices])

    def subset(self, indices: Tensor) -> Pictures:
        return Subset(self.whole, self.indices[indices])


@dataclass(frozen=True, eq=False)
class Files(Pictures):
    """Pictures of which each is a file below `root`."""

    paths: Sequence[Path]
    root: Path

    def __len__(self) -> int:
        return len(self.paths)

    def size(self, index: int) -> tuple[int, int]:
        return images.check(self.paths[index])

    def stamp(self, index: int) -> bytes:
        path = self.paths[index]
        name = path.relative_to(self.root).as_posix()
        return f"{name}\0{path.stat().st_size}\0".encode(errors="surrogateescape")

    def extent(self, index: int) -> Extent:
        return Extent(self.paths[index])


@dataclass(frozen=True, eq=False)
class ImageFiles(Files):
    """Images, grey or in colour."""

    channels: int

    def __getitem__(self, index: int) -> Tensor:
        return torch.from_numpy(images.load(self.paths[index], self.channels)).permute(2, 0, 1)


@dataclass(frozen=True)
class Part:
    """inputs: uint8 images [N, C, H, W], pictures, or tensors [N, …] as the pipeline's preparation
    takes them, without one in the input's shape. Tensors may be stored rows, which are read when
    they are asked for.

    targets: int64 [N], float32 [N, …], or pictures of masks: a class in each pixel. groups: int64
    [N], equal where `split.group` has the samples stay together. reader: what reads the samples
    ahead of time.
    """

    inputs: Tensor | Stored | Pictures
    targets: Tensor | Stored | Pictures
    groups: Tensor | None = None
    reader: Reader | None = None

    def __len__(self) -> int:
        return len(self.targets)

    @property
    def labels(self) -> Tensor:
        """The targets of a part that has no masks, in memory."""
        assert not isinstance(self.targets, Pictures)
        return self.targets[:]

    def subset(self, indices: Tensor) -> Part:
        return Part(
            _chosen(self.inputs, indices),
            _chosen(self.targets, indices),
            None if self.groups is None else self.groups[indices],
        )

    def gather(self, indices: Tensor) -> tuple[Rows, Rows]:
        """Inputs and targets of these samples. Raises InputError where an image is damaged."""
        return _gathered(self.inputs, indices), _gathered(self.targets, indices)

    def read(self, batches: Iterable[Tensor]) -> Iterator[tuple[Rows, Rows]]:
        """As `gather`, of one batch of indices after the other."""
        return self.reader.read(batches) if self.reader else map(self.gather, batches)


class Reader(Protocol):
    """Reads the samples of a part; see `Part.read`."""

    def read(self, batches: Iterable[Tensor]) -> Iterator[tuple[Rows, Rows]]: ...


def _chosen(values: Tensor | Stored | Pictures, indices: Tensor) -> Tensor | Stored | Pictures:
    return values[indices] if isinstance(values, Tensor) else values.subset(indices)


def _gathered(values: Tensor | Stored | Pictures, indices: Tensor) -> Rows:
    if isinstance(values, Tensor):
        return values.index_select(0, indices)  # for rows in one piece 40 times as fast as […]
    return values.gather(indices)


@dataclass(frozen=True)
class Dataset:
    """target: what the source's targets turned out to be; classes: their names, where they have
    any; warnings: what in them is legal and probably not meant; statistics: what the pipeline's
    preparation has learned of the training part; rows: which rows of the source's training part
    each part has that the split made, the training part too."""

    parts: Mapping[PartName, Part]
    target: Target
    classes: tuple[str, ...] | None = None
    warnings: tuple[Diagnostic, ...] = ()
    statistics: Statistics | None = None
    rows: PartRows = field(default_factory=dict)

    @property
    def held_out(self) -> PartName | None:
        """The part that each epoch is measured on: validation, else test."""
        names: tuple[PartName, ...] = ("validation", "test")
        return next((name for name in names if name in self.parts), None)

    @cached_property
    def fingerprint(self) -> dict[str, Any]:
        """What tells these data from others, in plain types: per part the number of samples and a
        SHA-256, and the classes' names. Files count by name and size, tensors beyond HASHED_BYTES
        by evenly spread runs of rows."""
        parts: dict[str, Any] = {
            name: {"samples": len(part), "sha256": _sha256(part)}
            for name, part in self.parts.items()
        }
        return {**parts, "classes": list(self.classes) if self.classes else None}


def changes(before: Any, now: Mapping[str, Any]) -> list[str]:
    """What differs between two fingerprints, for a person; `before` may be anything."""
    before = before if isinstance(before, dict) else {}
    found = []
    for name in {**before, **now}:
        one, other = before.get(name), now.get(name)
        if one == other:
            continue
        if name == "classes":
            found.append(f"its classes are {other}, and were {one}")
            continue
        had, has = (
            each.get("samples", 0) if isinstance(each, dict) else 0 for each in (one, other)
        )
        found.append(
            f"the {name} part has {has} samples, and had {had}"
            if had != has
            else f"the {name} part's content differs"
        )
    return found


def _sha256(part: Part) -> str:
    found = hashlib.sha256()
    for each in (part.inputs, part.targets):
        for piece in _stamps(each) if isinstance(each, Pictures) else _pieces(each):
            found.update(piece)
    return found.hexdigest()


def _stamps(found: Pictures) -> Iterator[bytes]:
    return map(found.stamp, range(len(found)))


def _pieces(found: Tensor | Stored) -> Iterator[bytes]:
    """Its kind, then its rows as bytes, no more of them at a time than are cheap to copy."""
    yield f"{found.dtype}{list(found.shape)}".encode()
    size = math.prod(found.shape) * found.dtype.itemsize
    together = max(1, CHUNK_BYTES * len(found) // max(1, size))
    for start in range(0, len(found), together * (-(-size // HASHED_BYTES) or 1)):
        if isinstance(found, Stored):
            rows = torch.cat([*found.chunks(start, start + together)])
        else:
            rows = found[start : start + together]
        yield rows.contiguous().numpy().tobytes()
