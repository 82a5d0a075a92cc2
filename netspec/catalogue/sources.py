"""Data sources: what a sample and its target are, known without the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from netspec.catalogue.component import Component, Param, Refusal
from netspec.catalogue.transforms import AtLeast, Size
from netspec.catalogue.types import (
    BOOLEAN,
    NATURAL,
    PATH,
    POSITIVE,
    TEXT,
    Either,
    Integer,
    ListOf,
    optional,
)
from netspec.shapes import MAX_RANK

Args = dict[str, Any]


class Images(NamedTuple):
    """8-bit images; the network's input says whether they come grey or in colour."""

    height: Size
    width: Size


@dataclass(frozen=True)
class Classes:
    """Integer targets; None where only the data knows the count or the names."""

    count: int | None = None
    names: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Values:
    """Float targets of a shape, None where only the data knows it. `binary`: 0 or 1."""

    shape: tuple[int, ...] | None
    binary: bool = False


class Unknown:
    """Targets that only the data knows."""


Target = Classes | Values | Unknown
Sizes = Mapping[str, int | None]


def _images(args: Args) -> Images | None:
    return None


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Source(Component):
    """`sample`: its images, or None where samples come in the input's own shape.

    `parts`: the parts it brings and how many samples each has; None where only the data knows.
    `fetched`: a data set of torchvision's, which `download: true` fetches.
    """

    sample: Callable[[Args], Images | None] = _images
    labels: Callable[[Args], Target]
    parts: Callable[[Args], Sizes | None]
    fetched: bool = False


DIGITS = tuple("0123456789")
CIFAR10 = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip

MOST_NAMED = 1000

ROOT = Param("root", PATH, doc="folder of the data, from the working directory")
DOWNLOAD = Param("download", BOOLEAN, False, "fetch the data if they are not there")
CLASSES = Integer(1, 100_000)  # each has a name, which a model file carries


def _downloaded(name: str, size: int, names: tuple[str, ...], train: int, test: int) -> Source:
    return Source(
        name=name,
        target=f"torchvision.datasets:{name}",
        fetched=True,
        params=(ROOT, DOWNLOAD),
        sample=lambda args: Images(size, size),
        labels=lambda args: Classes(len(names), names),
        parts=lambda args: {"train": train, "test": test},
    )


def _synthetic_labels(args: Args) -> Target:
    if args["classes"] is not None:
        few = args["classes"] <= MOST_NAMED
        return Classes(args["classes"], tuple(map(str, range(args["classes"]))) if few else None)
    shape = args["targets"]
    return Values((shape,) if isinstance(shape, int) else tuple(shape), binary=args["binary"])


def _check_synthetic(args: Args) -> None:
    if (args["classes"] is None) == (args["targets"] is None):
        raise Refusal(
            "Synthetic needs exactly one of classes and targets",
            "classes: 10 draws class indices, targets: [3] draws floats of that shape",
        )
    if args["binary"] and args["targets"] is None:
        raise Refusal("binary goes with targets", param="binary")


SOURCES: dict[str, Source] = {
    source.name: source
    for source in (
        Source(
            name="Digits",
            target="netspec.data.sources:digits",
            doc="1,797 real 8x8 handwritten digits, in the package; every fifth is the test part",
            sample=lambda args: Images(8, 8),
            labels=lambda args: Classes(10, DIGITS),
            parts=lambda args: {"train": 1438, "test": 359},
        ),
        _downloaded("MNIST", 28, DIGITS, train=60_000, test=10_000),
        _downloaded("CIFAR10", 32, CIFAR10, train=50_000, test=10_000),
        Source(
            name="ImageFolder",
            target="netspec.data.folders:image_folder",
            doc="a folder per class; train/ and val/ or test/ below root are its parts",
            params=(ROOT,),
            sample=lambda args: Images(AtLeast(), AtLeast()),
            labels=lambda args: Classes(),
            parts=lambda args: None,
        ),
        Source(
            name="Tensors",
            target="netspec.data.arrays:tensors",
            doc="arrays of a .npz file, taken as they are",
            params=(
                Param("path", PATH, doc="from the working directory"),
                Param("inputs", TEXT, "inputs", "name of the array of samples"),
                Param("targets", TEXT, "targets", "name of the array of targets"),
            ),
            labels=lambda args: Unknown(),
            parts=lambda args: {"train": None},
        ),
        Source(
            name="Synthetic",
            target="netspec.data.sources:synthetic",
            doc="seeded noise of the input's shape; targets follow from it by a fixed random map, "
            "within what the loss takes",
            params=(
                Param("samples", POSITIVE),
                Param("classes", optional(CLASSES), None, "class indices from 0"),
                Param(
                    "targets",
                    optional(Either(POSITIVE, ListOf(POSITIVE, 1, MAX_RANK))),
                    None,
                    "shape of float targets",
                ),
                Param("binary", BOOLEAN, False, "each float target is 0 or 1"),
                Param("seed", NATURAL, 0),
            ),
            labels=_synthetic_labels,
            parts=lambda args: {"train": args["samples"]},
            check=_check_synthetic,
        ),
    )
}
