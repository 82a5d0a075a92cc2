"""Padding. `padding` counts from the last dimension: left, right, top, bottom, front, back."""

from __future__ import annotations

from netspec.catalogue.component import Param
from netspec.catalogue.layers.convolution import LAYOUTS
from netspec.catalogue.layers.layer import Call, Layer, spatial
from netspec.catalogue.types import INTEGER, NATURAL, NUMBER, PerDimension
from netspec.shapes import Dim, Shape

# The kinds that take their values from the input: how many more elements than it pads it must have.
BORROWING = {"Reflection": 1, "Circular": 0}


def padding(kind: str, rank: int) -> Layer:
    def sides(call: Call) -> list[tuple[Dim, int, int]]:
        """Length, left and right of each spatial dimension, first dimension first."""
        written = call.spread("padding", 2 * rank)
        pairs = list(zip(written[::2], written[1::2], strict=True))[::-1]
        return [(length, *pair) for length, pair in zip(spatial(call.shape), pairs, strict=True)]

    def output(call: Call) -> Shape:
        found: list[Dim] = [call.shape[0]]
        for length, left, right in sides(call):
            if kind in BORROWING:
                most = max(left, right)
                call.require(
                    length,
                    most + BORROWING[kind],
                    f"{kind}Pad{rank}d cannot pad {length} by {most}",
                    param="padding",
                )
            message = f"the negative padding cuts more than there is of {call.input}"
            call.require(length + min(left, 0) + min(right, 0), 0, message, param="padding")
            found.append(length + left + right)
        return tuple(found)

    item = INTEGER if kind in ("Constant", "Zero") else NATURAL
    value = (Param("value", NUMBER),) if kind == "Constant" else ()
    return Layer(
        name=f"{kind}Pad{rank}d",
        doc=f"{rank}-d padding" + ("; negative cuts off" if item is INTEGER else ""),
        output_is="spare",
        layouts=(LAYOUTS[rank],),
        params=(
            Param(
                "padding",
                PerDimension(item, 2 * rank),
                doc="the last dimension's two sides first",
            ),
            *value,
        ),
        output=output,
    )


LAYERS = [
    padding(kind, rank)
    for kind in ("Constant", "Zero", "Reflection", "Replication", "Circular")
    for rank in LAYOUTS
]
