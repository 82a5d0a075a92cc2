"""What a data source is: its samples and their targets, known without the data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from netspec.catalogue.component import Component, Param
from netspec.catalogue.preparations import Preparation
from netspec.catalogue.transforms import Size
from netspec.catalogue.types import PATH, Integer
from netspec.shapes import Shape, Tensor

Args = dict[str, Any]


class Images(NamedTuple):
    """8-bit images; the network's input says whether they come grey or in colour."""

    height: Size
    width: Size


@dataclass(frozen=True)
class Classes:
    """Class indices, a target of them having a `shape`: () is one a sample, (T,) one at each
    position, (H, W) one in each pixel. None where only the data knows the count, the names or the
    shape. `ignored`: the index of what has no class."""

    count: int | None = None
    names: tuple[str, ...] | None = None
    shape: Shape | None = ()
    ignored: int | None = None


@dataclass(frozen=True)
class Values:
    """Float targets of a shape, None where only the data knows it. `binary`: each says yes or no,
    as 1 and 0 or as the two numbers that the loss takes."""

    shape: Shape | None
    binary: bool = False


class Unknown:
    """Targets that only the data knows."""


Target = Classes | Values | Unknown
Sizes = Mapping[str, int | None]


def _images(args: Args) -> Images | None:
    return None


def _as_it_is(args: Args, input: Tensor) -> Preparation | None:
    return None


def _never(args: Args) -> bool:
    return False


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Source(Component):
    """`sample`: its images, or None where samples come in the input's own shape.

    `preparation`: what makes its samples the network's `input` by statistics of the training part;
    raises Refusal where it makes another. `parts`: the parts it brings and how many samples each
    has; None where only the data knows. `masks`: its targets are a class in each pixel of the
    image, and geometric transforms move both. `columns`: it has columns, one of which may say what
    a split keeps together. `reader`: what reads it, where `target` is another's class.
    """

    sample: Callable[[Args], Images | None] = _images
    preparation: Callable[[Args, Tensor], Preparation | None] = _as_it_is
    labels: Callable[[Args], Target]
    parts: Callable[[Args], Sizes | None]
    masks: Callable[[Args], bool] = _never
    columns: bool = False
    reader: str = ""


VOID = 255  # in a mask: of no class

ROOT = Param("root", PATH, doc="folder of the data, from the working directory")
CLASSES = Integer(1, 100_000)  # each has a name, which a model file carries
