"""torchvision's data sets: found below `root`, or fetched there whole or not at all."""

from __future__ import annotations

import importlib.util
import io
import os
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from netspec.catalogue.component import Refusal
from netspec.catalogue.sources import SOURCES, Classes, Fetched, Piece
from netspec.compiler import attribute, resolve
from netspec.data.dataset import Dataset, ImageFiles, Part, PartName, Pictures
from netspec.data.reading.inspection import Inspection, readable
from netspec.data.reading.layouts import Samples
from netspec.data.reading.masks import inspected
from netspec.data.reading.sources import Request
from netspec.diagnostics import Code, NetspecError, SetupError

ARCHIVES = frozenset({".bin", ".bz2", ".gz", ".mat", ".tar", ".tgz", ".txt", ".xz", ".zip"})
LONGEST = 200  # of torchvision's words
SECONDS = 60  # without an answer


def downloaded(request: Request, kind: Any = None) -> Dataset:
    """All parts of a data set of torchvision's. kind: its class; None: the catalogue's.

    Raises Refusal where its files are not there or not whole, SetupError where a package is
    missing that reads or fetches it.
    """
    entry = SOURCES[request.pipeline.source.type]
    assert isinstance(entry, Fetched)
    _require(entry.needs, f"{entry.name} is read by")
    inspection = Inspection(request)
    target = request.pipeline.labels
    parts: dict[PartName, Part] = {}
    for name, piece in entry.pieces(request.args).items():
        part: PartName = name  # type: ignore[assignment]  # the catalogue knows no PartName
        samples = _samples(request, entry, piece, kind or attribute(entry))
        if not len(samples.targets) and part != "train":
            continue
        parts[part] = _part(request, samples, inspection, training=part == "train")
        if isinstance(target, Classes) and target.names is None and samples.names is not None:
            target = replace(target, count=len(samples.names), names=tuple(samples.names))
        count = len(samples.targets)
        if piece.size not in (None, count):
            inspection.warn(
                f"{entry.name}'s {part} part has {count:,} samples here, not {piece.size:,}",
                "are its files whole? remove them to fetch them anew",
            )
    names = target.names if isinstance(target, Classes) else None
    return Dataset(parts, target, names, inspection.finish())


def _part(request: Request, samples: Samples, inspection: Inspection, *, training: bool) -> Part:
    """The samples as a part, every file of them looked at."""
    inputs, targets = samples.inputs, samples.targets
    if isinstance(inputs, Tensor | Pictures):
        return Part(inputs, targets)
    root = Path(request.args["root"]).expanduser()
    files, headers = ImageFiles(inputs, root, request.channels), inspection.headers(inputs)
    if isinstance(targets, Pictures):
        target = request.pipeline.labels
        assert isinstance(target, Classes) and samples.masks is not None
        return inspected(
            files, headers, targets, samples.masks, target, inspection, training=training
        )
    kept = [index for index, header in enumerate(headers) if header]
    return readable(Part(files, targets), kept)


def _samples(request: Request, entry: Fetched, piece: Piece, kind: Any) -> Samples:
    """A part's samples, fetched where they are not there and the spec says so."""
    root = Path(request.args["root"]).expanduser()
    args = {**request.args, **piece.args}
    fetching = request.download and (entry.unpacks or bool(args.pop("download", False)))
    args.pop("download", None)
    place = root / piece.place
    try:
        return _read(request, entry, partial(kind, **args | {"root": str(root)}), place)
    except _Absent as absent:
        if not fetching:
            raise _refusal(request, entry, place, absent.reason) from None
    try:
        with _staged(root, entry) as staging:
            made = args | {"root": str(staging)}
            kind(**made if entry.unpacks else made | {"download": True})
        return _read(request, entry, partial(kind, **args | {"root": str(root)}), place)
    except NetspecError:
        raise
    except _Absent as absent:
        raise _refusal(request, entry, place, absent.reason) from None
    except Exception as error:  # torchvision raises whatever a server or an archive brings about
        raise _refusal(request, entry, place, _reason(error), tried=True) from None


class _Absent(Exception):
    """torchvision finds no data, or none that are whole. `reason`: its own word; "": there are no
    files at all."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _read(request: Request, entry: Fetched, make: Any, place: Path) -> Samples:
    # torchvision's classes make folders, or unpack archives, before they look.
    if not place.exists():
        raise _Absent("")
    try:
        found: Samples = resolve(f"netspec.data.reading.layouts:{entry.layout}")(make, request)
    except (NetspecError, Refusal):
        raise
    except Exception as error:  # torchvision raises whatever damaged files bring about
        raise _Absent(_reason(error)) from None
    return found


def _refusal(
    request: Request, entry: Fetched, place: Path, reason: str, *, tried: bool = False
) -> Refusal:
    root = request.args["root"]
    if not reason:
        message = f"{entry.name} is not in '{root}': there is no '{place}'"
    elif tried:
        what = "unpacked" if entry.unpacks else "downloaded"
        message = f"{entry.name} is not in '{root}', where '{place}' is looked for, and cannot be "
        message += f"{what}: {reason}"
    else:
        message = f"{entry.name} cannot be read from '{root}': {reason}"
    by_hand = "put its files there by hand"
    if not request.download or entry.param("download") is None:
        remedy = by_hand
    elif request.args["download"]:
        remedy = f"try again where there is a network, or {by_hand}"
    else:
        remedy = f"set `download: true`, or {by_hand}"
    return Refusal(message, remedy, "root")


def _reason(error: Exception) -> str:
    return " ".join(str(error).split())[:LONGEST] or type(error).__name__


def _require(packages: tuple[str, ...], what: str) -> None:
    for package in packages:
        if importlib.util.find_spec(package) is None:
            raise SetupError.of(
                Code.ENVIRONMENT,
                f"{what} {package}, which is not installed",
                remedy=f"pip install {package}",
            )


@contextmanager
def _staged(root: Path, entry: Fetched) -> Iterator[Path]:
    """A folder below `root` to download into, with the archives that lie in `root` already; what is
    in it afterwards moves into `root`. torchvision takes a folder that is there for whole: of a
    download that fails or is killed, none may be left under its name."""
    if not entry.unpacks:
        _require(entry.fetching, f"{entry.name} is downloaded by")
    found = root.is_dir()
    root.mkdir(parents=True, exist_ok=True)
    staging = Path(tempfile.mkdtemp(prefix=f".{entry.name}.", dir=root))
    try:
        for archive in _archives(root, staging):
            there = staging / archive.relative_to(root)
            there.parent.mkdir(parents=True, exist_ok=True)
            with suppress(OSError):  # of a file system without links: it is fetched again
                os.link(archive, there)
        with _speaking():
            yield staging
        _move(staging, root)
    finally:
        shutil.rmtree(staging, ignore_errors=True)
        if not found:
            with suppress(OSError):  # it holds the data now
                root.rmdir()


def _archives(root: Path, staging: Path) -> list[Path]:
    """Where torchvision looks for them: in `root` or in a folder of a data set's own."""
    found = (path for pattern in ("*", "*/*", "*/raw/*") for path in root.glob(pattern))
    return [
        path
        for path in found
        if path.suffix in ARCHIVES and path.is_file() and staging not in path.parents
    ]


def _move(source: Path, target: Path) -> None:
    """Everything below one folder into another, in place of what is there; whole folders where
    there are none yet."""
    for each in sorted(source.iterdir()):
        there = target / each.name
        if each.is_dir() and there.is_dir():
            _move(each, there)
        else:
            each.replace(there)


@contextmanager
def _speaking() -> Iterator[None]:
    """What torchvision says of its progress goes to a terminal's standard error, or nowhere."""
    stream = sys.stderr if sys.stderr.isatty() else io.StringIO()
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SECONDS)
    try:
        with redirect_stdout(stream), redirect_stderr(stream):
            yield
    finally:
        socket.setdefaulttimeout(before)
