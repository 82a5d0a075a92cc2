"""Test inputs are the same wherever they are drawn."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
import pytest

from netspec.runtime.vectors import PROBES, Draw, kept_of, noise, probes

# What every numpy draws, on every machine.
DRAWN = {
    "uint8": "5c079c34f17beed3",
    "float32": "233750fc4f873e5a",
    "int64": "6e1424893ec70779",
}


@pytest.mark.parametrize("dtype", DRAWN)
def test_noise_is_the_same_everywhere(dtype: str) -> None:
    found = noise((3, 5, 7), dtype, 12, 1000)
    assert (found.shape, found.dtype.name) == ((3, 5, 7), dtype)
    little = found.astype(found.dtype.newbyteorder("<")).tobytes()
    assert hashlib.sha256(little).hexdigest()[:16] == DRAWN[dtype]


def test_noise_fills_its_range() -> None:
    many: tuple[Any, ...] = (200, 100)
    pixels = noise(many, "uint8", 1)
    assert pixels.min() < 5 and pixels.max() > 250
    floats = noise(many, "float32", 1)
    assert -3 <= floats.min() < -2 < 2 < floats.max() <= 3
    assert set(noise(many, "int64", 1, 5).flat) == {0, 1, 2, 3, 4}
    assert not noise(many, "int64", 1).any()
    assert not np.array_equal(noise(many, "uint8", 1), noise(many, "uint8", 2))


def test_the_columns_of_a_table_are_drawn_as_they_were() -> None:
    columns = (Draw(1000, 50), Draw(0, 1, 3), Draw(-2, 0.1, missing=True), Draw(0, 1, 2, True))
    found = noise((400, 4), "float64", 3, columns=columns)
    present = ~np.isnan(found)
    assert present[:, :2].all()
    for column in (2, 3):
        assert 0.05 < 1 - present[:, column].mean() < 0.2
    assert 850 <= found[:, 0].min() < 950 < 1050 < found[:, 0].max() <= 1150
    assert set(found[:, 1]) == {0, 1, 2}
    assert np.nanmin(found[:, 2]) >= -2.3 and np.nanmax(found[:, 2]) <= -1.7
    assert set(found[present[:, 3], 3]) == {0, 1}
    np.testing.assert_array_equal(noise((400, 4), "float64", 3, columns=columns), found)


def test_samples_differ_in_brightness_and_contrast() -> None:
    """Or networks that average would give nearly the same for all of them."""
    samples = noise((50, 1000), "float32", 1)
    assert samples.mean(axis=1).std() > 0.3
    assert samples.std(axis=1).max() > 2 * samples.std(axis=1).min()


def test_probes_are_spread_over_the_output() -> None:
    few = np.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_array_equal(probes(few), few.reshape(2, 12))
    many = np.arange(2 * 21 * 64 * 64).reshape(2, 21, 64, 64)
    found = probes(many)
    assert found.shape == (2, kept_of(many.shape)) == (2, PROBES)
    steps = np.diff(found[0])
    assert found[0, 0] == 0 and {*steps} == {84}
    np.testing.assert_array_equal(found[1] - found[0], 21 * 64 * 64)
    assert probes(np.ones(3)).shape == (3, 1)
