"""Solving for names is the inverse of `shapes.at`."""

from __future__ import annotations

import itertools

import pytest

from netspec.shapes import at, names
from netspec.sizes import describe, solve
from tests.runtime.models import sized

SHAPES = [
    ("H", "W", 3),
    ("4*H", "4*W", 1),
    ("H", "H"),
    ("(H + 1)//2", "H"),
    ("4*H + 3", "2*H"),
    ("H*H + H", 7),
    ("(T + 3)//4",),
]


@pytest.mark.parametrize("dims", SHAPES, ids=str)
def test_solve(dims: tuple[int | str, ...]) -> None:
    shape = sized(*dims)
    known = sorted(names(shape))
    least = dict.fromkeys(known, 2)
    possible = {
        tuple(at(dim, dict(zip(known, values, strict=True))) for dim in shape)
        for values in itertools.product(range(2, 14), repeat=len(known))
    }
    spans = [range(30) if not isinstance(dim, int) else range(dim - 1, dim + 2) for dim in shape]
    for found in itertools.product(*spans):
        values = solve(shape, least, found)
        if values is None:
            assert found not in possible
        else:
            assert tuple(at(dim, values) for dim in shape) == found
            assert all(values[name] >= 2 for name in known)


def test_ranks_and_large_sizes() -> None:
    assert solve(sized("H"), {"H": 1}, (1, 1)) is None
    assert solve(sized("4*H"), {"H": 1}, (1 << 40,)) == {"H": 1 << 38}
    assert describe(sized("4*H", 3), {"H": 2}) == "[4*H, 3] with H from 2"
    assert describe((28, 28, 1), {}) == "[28, 28, 1]"
