"""`WebDataset`: shards as the webdataset library groups them, each sample read where it lies.

Shards are untrusted: their headers alone are read as tar files, none of their members is unpacked
or named as a file, and whatever is wrong is a diagnostic that names the shard and the member.
"""

from __future__ import annotations

import io
import re
import tarfile
from array import array
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from netspec import files, images
from netspec.catalogue.component import Refusal
from netspec.catalogue.sources import Classes
from netspec.catalogue.sources.shards import SHARDS, local
from netspec.data.dataset import Dataset, Extent, Part, Pictures
from netspec.data.reading.inspection import Inspection
from netspec.data.reading.sources import Request
from netspec.diagnostics import Code, Diagnostic, InputError

BLOCK = tarfile.BLOCKSIZE
LONGEST_HEADER = 1 << 20  # bytes of one, such as a long name
LONGEST_LABEL = 64
TOGETHER = 10_000  # headers of images that are looked at at once
LABEL = re.compile(rb"\s*([+-]?\d{1,18})\s*")
META = re.compile(r"__[^/]*__($|/)")  # webdataset's own members, which are no samples

Numbers = npt.NDArray[np.int64]


class Place(NamedTuple):
    """Where a member's bytes lie in its shard."""

    start: int
    length: int


@dataclass(frozen=True, eq=False)
class ShardImages(Pictures):
    """Images in tar files. shards: which file each lies in; starts, lengths: its bytes there."""

    channels: int
    paths: tuple[Path, ...]
    shards: Numbers
    starts: Numbers
    lengths: Numbers

    def __len__(self) -> int:
        return len(self.shards)

    def __getitem__(self, index: int) -> Tensor:
        path, start, length = self.place(index)
        name, content = _read(path, start, length)
        pixels = images.decode(io.BytesIO(content), self.channels, f"{path}: {name}")
        return torch.from_numpy(pixels).permute(2, 0, 1)

    def size(self, index: int) -> tuple[int, int]:
        header = self.header(index)
        return header.width, header.height

    def header(self, index: int) -> images.Header:
        """What it states of itself. Raises InputError where it is damaged."""
        path, start, length = self.place(index)
        with io.BufferedReader(_Window(path, start, length)) as stream:
            return images.examine(stream, self.name(index))

    def name(self, index: int) -> str:
        """Its shard and its member's name."""
        path, start, _ = self.place(index)
        return f"{path}: {_read(path, start, 0)[0]}"

    def stamp(self, index: int) -> bytes:
        path = self.paths[self.shards[index]]
        return f"{path.name}\0{self.starts[index]}\0{self.lengths[index]}\0".encode(
            errors="surrogateescape"
        )

    def extent(self, index: int) -> Extent:
        return Extent(*self.place(index))

    def place(self, index: int) -> tuple[Path, int, int]:
        """Its shard, and the first and the number of its bytes there."""
        path = self.paths[self.shards[index]]
        return path, int(self.starts[index]), int(self.lengths[index])


def web_dataset(request: Request) -> Dataset:
    """All samples of all shards, in their order."""
    paths = _paths(request.args["urls"])
    shards, starts, lengths, labels = (array("q") for _ in range(4))
    for number, path in enumerate(paths):
        for image, label in _samples(path, request):
            shards.append(number)
            starts.append(image.start)
            lengths.append(image.length)
            labels.append(label)
    if not shards:
        raise Refusal(f"'{request.args['urls']}' holds no samples", param="urls")
    inputs = ShardImages(request.channels, paths, *map(_numbers, (shards, starts, lengths)))
    part = Part(inputs, torch.frombuffer(labels, dtype=torch.int64))
    part, warnings = _readable(part, inputs, request)
    target = request.pipeline.labels
    assert isinstance(target, Classes)
    if target.count is None:
        target = Classes(max(0, int(part.labels.max())) + 1)
    return Dataset({"train": part}, target, target.names, warnings)


def _numbers(found: array[int]) -> Numbers:
    return np.frombuffer(found, np.int64)


def _paths(urls: str) -> tuple[Path, ...]:
    """The files that the library takes the text for."""
    from webdataset.shardlists import expand_urls  # an extra

    try:
        expanded = expand_urls(urls)
    except ValueError as error:
        raise Refusal(f"'{urls}' stands for no paths: {error}", None, "urls") from None
    assert len(expanded) <= SHARDS
    for url in expanded:
        local(url)
    for path in map(Path, expanded):
        try:
            files.size(path)
        except InputError as error:
            raise Refusal(f"'{path}': {error.diagnostics[0].message}", None, "urls") from None
    return tuple(map(Path, expanded))


def _samples(path: Path, request: Request) -> Iterator[tuple[Place, int]]:
    """Each sample's image and label, as the library groups members. Raises Refusal."""
    from webdataset.tariterators import group_by_keys  # an extra

    kinds = request.args["image"].lower().split(";")
    target = request.args["target"].lower()
    members = ({"fname": name, "data": at, "__url__": str(path)} for name, at in _members(path))
    with path.open("rb") as file:
        try:
            for sample in group_by_keys(members, suffixes={*kinds, target}):
                key = f"'{path}': the sample '{sample['__key__']}'"
                found = [sample[kind] for kind in kinds if kind in sample]
                if not found and target not in sample:  # a note, or what other users need
                    continue
                if not found or target not in sample:
                    lacks = target if found else request.args["image"]
                    raise Refusal(
                        f"{key} has no '.{lacks}'",
                        "name what its members' names end with by `image` and `target`",
                        "target" if found else "image",
                    )
                if found[0].length > images.MAX_BYTES:
                    raise Refusal(
                        f"{key} has an image of {found[0].length:,} bytes; at most "
                        f"{images.MAX_BYTES:,} are read",
                        param="urls",
                    )
                yield found[0], _label(file, sample[target], f"{key} has a '.{target}' that")
        except ValueError as error:  # the library's, of two members of one name
            raise Refusal(f"'{path}': {error.args[0]}", None, "urls") from None


def _label(file: Any, at: Place, what: str) -> int:
    content = b""
    if at.length <= LONGEST_LABEL:
        file.seek(at.start)
        content = file.read(at.length)
    if (found := LABEL.fullmatch(content)) is None:
        raise Refusal(
            f"{what} is no whole number as text",
            "store each sample's class index as text, such as 3",
            "target",
        )
    return int(found.group(1))


def _members(path: Path) -> Iterator[tuple[str, Place]]:
    """The names of a shard's files and where they lie. Raises Refusal where it is damaged."""
    try:
        size = path.stat().st_size
        with _Headers(path) as stream, tarfile.open(fileobj=stream, mode="r:") as shard:
            end = 0
            while (member := shard.next()) is not None:
                shard.members = []  # type: ignore[attr-defined]  # of millions none is kept
                if member.size < 0 or not end < shard.offset <= size:
                    raise tarfile.ReadError("a member reaches beyond its end")
                end = shard.offset
                if member.issparse():
                    raise tarfile.ReadError(f"'{member.name}' is sparse")
                if member.isreg() and not META.match(member.name):
                    yield member.name, Place(member.offset_data, member.size)
            # Python's tarfile takes a damaged header for the end.
            stream.seek(end)
            if stream.read(BLOCK) != bytes(BLOCK):
                raise tarfile.ReadError(f"it is damaged or cut off after {end:,} bytes")
    except (tarfile.TarError, OSError, ValueError, OverflowError) as error:
        raise Refusal(
            f"'{path}' cannot be read as .tar: {error}",
            "replace it by an intact copy; shards are uncompressed tar files",
            "urls",
        ) from None


def _read(path: Path, start: int, length: int) -> tuple[str, bytes]:
    """A member's name, by the header that stands before its bytes, and so many of these. Raises
    InputError where the shard is no longer what it was."""
    files.size(path, code=Code.INPUT)
    with path.open("rb") as file:
        file.seek(start - BLOCK)
        header, content = file.read(BLOCK), file.read(length)
    try:
        return tarfile.TarInfo.frombuf(header, "utf-8", "surrogateescape").name, content
    except tarfile.TarError:
        raise InputError.of(
            Code.INPUT,
            f"it has changed since training began: no member lies at byte {start:,}",
            file=str(path),
        ) from None


def _readable(
    part: Part, pictures: ShardImages, request: Request
) -> tuple[Part, tuple[Diagnostic, ...]]:
    """The samples whose images' headers are whole; warnings where `data.on_error` leaves others
    out. Raises InputError with a diagnostic for each of them, Refusal."""
    inspection, whole = Inspection(request), torch.ones(len(pictures), dtype=torch.bool)
    for start in range(0, len(pictures), TOGETHER):
        rows = range(start, min(start + TOGETHER, len(pictures)))
        headers = inspection.each(pictures.header, rows)
        inspection.check_sizes(headers, lambda index: f"'{pictures.name(rows[index])}'", "urls")  # noqa: B023 - called at once
        whole[start : rows.stop] = torch.tensor([header is not None for header in headers])
    warnings = inspection.finish()
    if whole.all():
        return part, warnings
    if not whole.any():
        raise Refusal("no image can be read", param="urls")
    return part.subset(torch.nonzero(whole).flatten()), warnings


class _Window(io.RawIOBase):
    """Some bytes of a file, as a file of its own."""

    def __init__(self, path: Path, start: int, length: int) -> None:
        self._file = path.open("rb", buffering=0)
        self._start, self._length, self._at = start, length, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._length}[whence]
        if base + offset < 0:
            raise ValueError(f"{base + offset} lies before the beginning")
        self._at = base + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def readinto(self, buffer: Any) -> int:
        left = max(0, min(len(buffer), self._length - self._at))
        self._file.seek(self._start + self._at)
        count = self._file.readinto(memoryview(buffer)[:left])
        self._at += count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


class _Headers(io.FileIO):
    """A tar file that is read header by header: one of them may say that it is as long as all."""

    def read(self, size: int | None = -1, /) -> bytes:
        if size is None or not 0 <= size <= LONGEST_HEADER:
            raise tarfile.ReadError(f"a header says that it has {size} bytes")
        return super().read(size)
