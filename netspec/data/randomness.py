"""Random numbers that follow from keys alone, for many samples at once.

SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014,
with the constants of https://prng.di.unimi.it/splitmix64.c. The n-th output of the generator that a
key seeds costs the same for every n, and is a key itself; so what is drawn for one sample depends
on no other, nor on who draws it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch

Keys = npt.NDArray[np.uint64]
Integers = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_FACTORS = (np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB))
_BITS = 2**64


def keys(seeds: int | Keys, numbers: int | Integers) -> Keys:
    """The outputs of these numbers (counted from 0) of the generators with these seeds; one of
    either goes with each of the other. A negative number counts from the end of the period."""
    state = _words(seeds) + (_words(numbers) + np.uint64(1)) * _GAMMA
    state = (state ^ (state >> np.uint64(30))) * _FACTORS[0]
    state = (state ^ (state >> np.uint64(27))) * _FACTORS[1]
    mixed: Keys = state ^ (state >> np.uint64(31))
    return mixed


def uniform(seeds: Keys, numbers: int | Integers) -> Floats:
    """In [0, 1), by the 53 high bits of the outputs of these numbers."""
    return (keys(seeds, numbers) >> np.uint64(11)).astype(np.float64) * 2.0**-53


def integers(seeds: Keys, number: int, count: int | Integers) -> Integers:
    """In [0, count), which is far below 2^53."""
    return (uniform(seeds, number) * count).astype(np.int64)


def generator(key: Keys) -> torch.Generator:
    """torch's, on the CPU, seeded by a single key."""
    return torch.Generator().manual_seed(int(key[0]))


def _words(values: int | Integers | Keys) -> Keys:
    # An array even of one number: numpy's scalars warn where arrays wrap.
    if isinstance(values, int):
        return np.array([values % _BITS], np.uint64)
    return values.astype(np.uint64)
