"""Image files looked at before training begins: every header, and what parts have in common."""

from __future__ import annotations

import hashlib
import os
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import torch

from netspec import images
from netspec.catalogue.component import Refusal
from netspec.catalogue.transforms import Image, applied, most
from netspec.data.dataset import Part, PartName
from netspec.data.reading.sources import Request, check_memory
from netspec.diagnostics import Code, Diagnostic, InputError, Severity
from netspec.planning.plans import BYTES

Found = TypeVar("Found")
Given = TypeVar("Given")

THREADS = 8  # most of the time goes into waiting for the disk, or into decoding outside Python
TOGETHER = 64
NAMED = 5  # of many files
TAIL = 4096  # bytes at a file's end, which tell most files of one size apart


class Inspection:
    """What looking at the files of a data set finds. `warnings`: what is legal and probably not
    meant; `refused`: what stands against them, a diagnostic for each file."""

    def __init__(self, request: Request) -> None:
        assert request.plan.spec.data is not None
        self.request = request
        self.skipping = request.plan.spec.data.on_error == "skip"
        self.warnings: list[Diagnostic] = []
        self.refused: list[Diagnostic] = []

    def headers(self, paths: Sequence[Path]) -> list[images.Header | None]:
        """Each image's header; None where it is unreadable. Raises Refusal for an image that a
        transform cannot take or makes too large, or of another size than the source's."""
        found = self.each(images.header, paths)
        self._check_names(paths, found)
        self.check_sizes(found, lambda index: f"'{paths[index]}'", "root")
        return found

    def check_sizes(
        self,
        headers: Sequence[images.Header | None],
        name: Callable[[int], str],
        param: str,
    ) -> None:
        """Raises Refusal, about a parameter of the source, for an image that a transform cannot
        take or makes too large, or of another size than the source's."""
        fixed = self.request.pipeline.images
        first: dict[tuple[int, int], int] = {}
        for index, header in enumerate(headers):
            if header is not None:
                first.setdefault(header.shown, index)
        for (width, height), index in first.items():
            what = f"{name(index)} is {width:,}x{height:,}"
            if fixed and not (_fits(width, fixed.width) and _fits(height, fixed.height)):
                source = self.request.pipeline.source.type
                raise Refusal(
                    f"{what}, but {source}'s images are {fixed.width}x{fixed.height}",
                    "are its files whole?",
                    param,
                )
            try:
                step, made, size = _largest(width, height, self.request)
            except Refusal as refusal:
                raise Refusal(
                    f"{what}, and {refusal.about.type} cannot take it: {refusal.message}",
                    refusal.remedy,
                    param,
                ) from None
            check_memory(
                size,
                f"{what}, and {step} makes {made} of it, which takes",
                param,
                "crop the image, or leave it out",
            )

    def each(self, read: Callable[[Given], Found], given: Sequence[Given]) -> list[Found | None]:
        """What `read` makes of each, in threads; None where it raises InputError: for
        `data.on_error: skip` that is a warning, else it is refused."""

        def tried(each: Given) -> Found | InputError:
            try:
                return read(each)
            except InputError as error:
                return error

        made: list[Found | None] = []
        for found in _in_threads(tried, given):
            if isinstance(found, InputError):
                self._unreadable(found)
                made.append(None)
            else:
                made.append(found)
        return made

    def warn(self, message: str, remedy: str | None = None) -> None:
        """About the folder of the data as a whole."""
        place = self.request.plan.spec.document.place((*self.request.pipeline.source.path, "root"))
        self.warnings.append(
            Diagnostic(Code.DATA, message, place, remedy, severity=Severity.WARNING)
        )

    def compare(self, parts: Mapping[PartName, Sequence[Path]]) -> None:
        """Warn of files of one content in two parts."""
        names = list(parts)
        for index, later in enumerate(names):
            for earlier in names[:index]:
                if common := shared(parts[earlier], parts[later]):
                    pairs = [f"'{other}' is '{one}'" for one, other in common]
                    self.warn(
                        f"{len(common):,} of the {later} part's {len(parts[later]):,} images "
                        f"{'is' if len(common) == 1 else 'are'} in the {earlier} part too: "
                        f"{few(pairs)}",
                        "a figure of samples that were learned from says little: take them out",
                    )

    def finish(self) -> tuple[Diagnostic, ...]:
        """The warnings. Raises InputError where files are refused."""
        if self.refused:
            raise InputError(self.refused)
        return tuple(self.warnings)

    def _unreadable(self, error: InputError) -> None:
        if not self.skipping:
            self.refused += error.diagnostics
            return
        self.warnings += [
            found._replace(message=f"{found.message}: it is left out", severity=Severity.WARNING)
            for found in error.diagnostics
        ]

    def _check_names(self, paths: Sequence[Path], headers: Sequence[images.Header | None]) -> None:
        misnamed = [
            f"'{path}' is {header.format}"
            for path, header in zip(paths, headers, strict=True)
            if header and images.named(path) not in (None, header.format)
        ]
        if misnamed:
            self.warn(
                f"{len(misnamed):,} image{'s are' if len(misnamed) > 1 else ' is'} not what the "
                f"name says: {few(misnamed)}",
                "they are read as what they are; rename them",
            )


def readable(part: Part, kept: Sequence[int]) -> Part:
    """The samples `kept` of a part, itself where these are all."""
    if len(kept) == len(part):
        return part
    return part.subset(torch.tensor(kept, dtype=torch.int64))


def few(texts: Sequence[str]) -> str:
    """The first of them, and that there are more."""
    return ", ".join(texts[:NAMED]) + ", …" * (len(texts) > NAMED)


def shared(some: Sequence[Path], others: Sequence[Path]) -> list[tuple[Path, Path]]:
    """Pairs of files of one content: by size, then by their last bytes, then as a whole."""
    for telling in (_size, _tail, _content):
        kinds = [_by(telling, paths) for paths in (some, others)]
        common = kinds[0].keys() & kinds[1].keys()
        some, others = (
            [path for key, paths in kind.items() if key in common for path in paths]
            for kind in kinds
        )
    return [(kinds[0][key][0], path) for key in kinds[1] if key in common for path in kinds[1][key]]


def _by(telling: Callable[[Path], object], paths: Sequence[Path]) -> dict[object, list[Path]]:
    found: dict[object, list[Path]] = defaultdict(list)
    for path, key in zip(paths, _in_threads(telling, paths), strict=True):
        found[key].append(path)
    return found


def _in_threads(read: Callable[[Given], Found], given: Sequence[Given]) -> Iterator[Found]:
    """What `read` makes of each, in order; many at a time, as handing over a header takes longer
    than reading it."""
    together = min(TOGETHER, len(given) // (4 * THREADS) + 1)
    chunks = (given[start : start + together] for start in range(0, len(given), together))
    with ThreadPoolExecutor(THREADS) as threads:
        for made in threads.map(lambda chunk: list(map(read, chunk)), chunks):
            yield from made


def _size(path: Path) -> int:
    return path.stat().st_size


def _tail(path: Path) -> tuple[int, bytes]:
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - TAIL))
        return size, hashlib.blake2b(file.read()).digest()


def _content(path: Path) -> bytes:
    with path.open("rb") as file:
        return hashlib.file_digest(file, hashlib.blake2b).digest()


def _fits(side: int, stated: object) -> bool:
    return not isinstance(stated, int) or side == stated


def _largest(width: int, height: int, request: Request) -> tuple[str, Image, int]:
    """The transform that takes the most memory with an image of this size, the image that it
    makes, and the bytes of what goes in and comes out."""
    pipeline = request.pipeline
    raw = Image(request.channels, height, width)
    steps = [("reading", raw, 2 * _bytes(raw))]
    for way in (pipeline.evaluate, pipeline.augment or pipeline.evaluate):
        image = raw
        for step in (*way, *pipeline.preprocess):
            made = applied(step, image)
            steps.append((step.type, made, _bytes(image) + _bytes(made)))
            image = made
    return max(steps, key=lambda step: step[2])


def _bytes(image: Image) -> int:
    """Of one as large as chance makes it."""
    height, width = most(image.height), most(image.width)
    assert height is not None and width is not None
    return image.channels * height * width * BYTES["float32"]
