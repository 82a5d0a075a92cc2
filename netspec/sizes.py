"""Which sizes a model takes: its input's shape solved for the names in it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from netspec.shapes import Dim, Expr, Shape, at, show


def solve(
    shape: Sequence[Dim], least: Mapping[str, int], found: Sequence[int]
) -> dict[str, int] | None:
    """The value of each name where a sample's sizes are `found`; None where they don't fit.

    Each dimension of `shape` is a number or grows with one name (see `metadata.Input`). Sizes fit
    where every number is met, a name stands for one value throughout, and none is below `least`.
    """
    if len(found) != len(shape):
        return None
    values: dict[str, int] = {}
    # Plain multiples first: a floor division, `(H + 1)//2`, has more than one solution.
    for dim, size in sorted(zip(shape, found, strict=True), key=lambda pair: "//" in str(pair[0])):
        if isinstance(dim, Expr):
            (name,) = dim.names
            if name not in values:
                values[name] = _reach(dim, name, size, least[name])
        if at(dim, values) != size:
            return None
    return values


def values_of(
    shape: Sequence[Dim], least: Mapping[str, int], found: Sequence[int]
) -> dict[str, int] | None:
    """As `solve`, of as many sizes as dimensions, where a dimension may be a sum of several names:
    the values of those that stand alone."""
    alone = [
        (dim, size)
        for dim, size in zip(shape, found, strict=True)
        if isinstance(dim, int) or len(dim.names) == 1
    ]
    return solve([dim for dim, _ in alone], least, [size for _, size in alone])


def _reach(dim: Expr, name: str, size: int, low: int) -> int:
    """The first value of `name`, from `low` up, at which `dim` is `size` or more."""
    step = 1
    while dim.at({name: low + step}) < size:
        step *= 2
    high = low + step
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if dim.at({name: middle}) >= size else (middle + 1, high)
    return low


def describe(shape: Shape, least: Mapping[str, int]) -> str:
    """`[28, 28, 1]`, or `[4*H, 4*W, 3] with H from 2 and W from 2`."""
    bounds = " and ".join(f"{name} from {value}" for name, value in sorted(least.items()))
    return f"{show(shape)} with {bounds}" if bounds else show(shape)


def fixed(shape: Sequence[Dim]) -> bool:
    """Whether every dimension is a number."""
    return all(isinstance(dim, int) for dim in shape)
