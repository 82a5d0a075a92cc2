"""Test vectors: inputs drawn from a seed, and what a network gave for them, at some places."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

MAX_VALUES = 1 << 27  # of one input, which is drawn and not stored
PROBES = 1024  # values kept of one sample's output

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Vector:
    """The batch that `noise` draws, and what the graph gave for it when the file was exported.

    shape: the batch's, [N, …]. below: the bound of its token ids. output: the output's shape,
    [N, …]. values: the output at `probes`, [N, PROBES] at most. scale: how far outputs lie apart
    from sample to sample, which is what a difference is held against.
    """

    shape: tuple[int, ...]
    seed: int
    below: int
    output: tuple[int, ...]
    values: Array
    scale: float


class Draw(NamedTuple):
    """How a table's column is drawn: numbers within 3 `spread` of `center`, or indices of as many
    `categories`; `missing`: every eighth value is, more or less."""

    center: float
    spread: float
    categories: int = 0
    missing: bool = False


def noise(
    shape: tuple[int, ...], dtype: str, seed: int, below: int = 1, columns: Sequence[Draw] = ()
) -> Array:
    """A batch [N, …] of seeded noise, each sample of a contrast and brightness of its own.

    uint8: from 0 to 255; float32 and float64: within -3 to 3; int64: from 0 to below `below`;
    a table's `columns` as they say. Of
    `RandomState.random_sample` alone, whose numbers no numpy changes (NEP 19).
    """
    draw = np.random.RandomState(seed)
    batch = np.empty(shape, dtype)
    for index in range(shape[0]):
        contrast, brightness = draw.random_sample(2)
        values = draw.random_sample(shape[1:])
        contrast = (1 + 3 * contrast) / 4
        match dtype:
            case "int64":
                batch[index] = np.floor(values * below)
            case "uint8":
                batch[index] = np.floor(256 * (contrast * values + (1 - contrast) * brightness))
            case _:
                batch[index] = 4 * contrast * (values - 0.5) + 2 * (brightness - 0.5)
    if columns:
        centers, spreads, categories, missing = map(np.array, zip(*columns, strict=True))
        indices = np.floor(categories * draw.random_sample(shape))
        batch = np.where(categories > 0, indices, centers + spreads * batch)
        batch[missing & (draw.random_sample(shape) < 1 / 8)] = np.nan
    return batch


def probes(output: Array) -> Array:
    """[N, PROBES] at most: an output [N, …] at places that its shape alone decides."""
    flat = output.reshape(len(output), -1)
    kept = kept_of(output.shape)
    return np.ascontiguousarray(flat[:, np.arange(kept) * flat.shape[1] // max(kept, 1)])


def kept_of(shape: tuple[int, ...]) -> int:
    """How many values `probes` keeps of each sample of an output [N, …]."""
    return min(math.prod(shape[1:]), PROBES)
