"""Pooling. Sizes follow torch's `pooling_output_shape` (ATen/native/Pool.h)."""

from typing import Any

from netspec.catalogue.component import Param, Refusal
from netspec.catalogue.layers.convolution import LAYOUTS
from netspec.catalogue.layers.layer import Call, Layer, spatial, unexportable
from netspec.catalogue.types import (
    ABOVE_ZERO,
    BOOLEAN,
    NATURAL,
    POSITIVE,
    Either,
    ListOf,
    Number,
    PerDimension,
    optional,
)
from netspec.shapes import Dim, Shape, show

ONE_TENSOR = {"return_indices": "it would make the layer return two tensors"}


def _stride(call: Call) -> Any:
    return call["kernel_size"] if call["stride"] is None else call["stride"]


def _pooled(call: Call, length: Dim, kernel: int, stride: int, pad: int, dilation: int = 1) -> Dim:
    if 2 * pad > kernel:
        raise Refusal(f"padding {pad} is more than half of kernel_size {kernel}", param="padding")
    reach = dilation * (kernel - 1) + 1
    slack = stride - 1 if call["ceil_mode"] else 0
    call.require(
        length + 2 * pad + slack,
        reach,
        f"a window that spans {reach} does not fit its input {call.input}",
        "make kernel_size smaller, or pool less before it",
        "kernel_size",
    )
    found = (length + 2 * pad - reach + slack) // stride + 1
    if call["ceil_mode"] and reach < pad + stride:
        # Only then can a last window start beyond the input and its left padding.
        if not isinstance(length, int) or not isinstance(found, int):
            raise Refusal(
                f"ceil_mode with windows {stride} apart that span {reach} has no formula for "
                f"the named dimension {length}",
                "use ceil_mode: false, or a kernel_size of at least stride + padding",
                "ceil_mode",
            )
        if (found - 1) * stride >= length + pad:
            found -= 1
    return found


def _check_windows(call: Call, length: Dim, stride: int, pad: int, dilation: int) -> None:
    """Refuse a window that holds padding alone: torch's backward pass then writes out of bounds.

    The first tap of a window that starts at s < 0 which does not lie in the padding is s mod
    dilation, which repeats itself after as many starts as the dilation has.
    """
    starts = range(-pad, 0, stride)[:dilation]
    if pad and not isinstance(length, int):
        call.require(length, dilation, "a window lies wholly in the padding", param="padding")
    elif (
        isinstance(length, int)
        and dilation > length
        and any(start % dilation >= length for start in starts)
    ):
        raise Refusal(
            f"a window lies wholly in the padding of {call.input}",
            "pad less, or use a smaller dilation",
            "padding",
        )


def max_pool(rank: int) -> Layer:
    def output(call: Call) -> Shape:
        sizes = list(
            zip(
                spatial(call.shape),
                call.spread("kernel_size", rank),
                call.spread("stride", rank),
                call.spread("padding", rank),
                call.spread("dilation", rank),
                strict=True,
            )
        )
        found = tuple(_pooled(call, *size) for size in sizes)
        # Of windows that fit, few starts are left to look at.
        for length, _, stride, pad, dilation in sizes:
            _check_windows(call, length, stride, pad, dilation)
        return (call.shape[0], *found)

    return Layer(
        name=f"MaxPool{rank}d",
        doc=f"{rank}-d max pooling",
        output_is="spare",
        layouts=(LAYOUTS[rank],),
        params=(
            Param("kernel_size", PerDimension(POSITIVE, rank)),
            Param("stride", optional(PerDimension(POSITIVE, rank)), None, "default: kernel_size"),
            Param("padding", PerDimension(NATURAL, rank), 0, "at most half of kernel_size"),
            Param("dilation", PerDimension(POSITIVE, rank), 1),
            Param("ceil_mode", BOOLEAN, False),
        ),
        settled={"stride": _stride},
        output=output,
        exported_as="netspec.export.rewriting:max_pool1d" if rank == 1 else "",
        withheld=ONE_TENSOR,
    )


def avg_pool(rank: int) -> Layer:
    def output(call: Call) -> Shape:
        kernel = call.spread("kernel_size", rank)
        if rank == 3:
            _check_unpadded(call, kernel)
        sizes = zip(
            spatial(call.shape),
            kernel,
            call.spread("stride", rank),
            call.spread("padding", rank),
            strict=True,
        )
        return (call.shape[0], *(_pooled(call, *size) for size in sizes))

    def exportable(call: Call) -> None:
        if rank > 1 and call["divisor_override"] is not None:
            raise Refusal(
                "divisor_override cannot be exported to ONNX",
                "leave it out, and put `Scale` behind the layer",
                "divisor_override",
            )

    divisor = Param("divisor_override", optional(POSITIVE), None)
    return Layer(
        name=f"AvgPool{rank}d",
        doc=f"{rank}-d average pooling",
        output_is="spare",
        layouts=(LAYOUTS[rank],),
        params=(
            Param("kernel_size", PerDimension(POSITIVE, rank)),
            Param("stride", optional(PerDimension(POSITIVE, rank)), None, "default: kernel_size"),
            Param("padding", PerDimension(NATURAL, rank), 0, "at most half of kernel_size"),
            Param("ceil_mode", BOOLEAN, False),
            Param("count_include_pad", BOOLEAN, True),
            *((divisor,) if rank > 1 else ()),
        ),
        settled={"stride": _stride},
        output=output,
        exportable=exportable,
    )


def adaptive_pool(kind: str, rank: int) -> Layer:
    def output(call: Call) -> Shape:
        wanted = call.spread("output_size", rank)
        sizes = zip(wanted, spatial(call.shape), strict=True)
        return (call.shape[0], *(size if size is not None else left for size, left in sizes))

    def exportable(call: Call) -> None:
        """Windows of one size, or any over numbers in 1-d and 2-d averages."""
        wanted, lengths = call.spread("output_size", rank), spatial(call.shape)
        if set(wanted) == {1}:
            return
        if not all(isinstance(length, int) for length in lengths):
            raise Refusal(
                f"over the named dimensions of {call.input} only an output_size of 1 can be "
                "exported to ONNX",
                "pool to 1, or declare the dimensions as numbers",
                "output_size",
            )
        if kind == "Avg" and rank == 3:
            raise Refusal(
                "only an output_size of 1 can be exported to ONNX",
                "use AvgPool3d",
                "output_size",
            )
        uneven = any(size and length % size for size, length in zip(wanted, lengths, strict=True))
        if kind == "Max" and uneven:
            raise Refusal(
                f"output_size {show(wanted)} can be exported to ONNX only where it divides the "
                f"input's sizes, which are {call.input}",
                f"use MaxPool{rank}d",
                "output_size",
            )

    size = POSITIVE if rank == 1 else optional(POSITIVE)
    several = ListOf(size, rank, rank)
    return Layer(
        name=f"Adaptive{kind}Pool{rank}d",
        doc=f"{rank}-d pooling to a given size",
        output_is="spare",
        layouts=(LAYOUTS[rank],),
        params=(
            Param(
                "output_size",
                Either(POSITIVE, several),
                doc="null in a list keeps the input's size" if rank > 1 else "",
            ),
        ),
        output=output,
        exportable=exportable,
        exported_as="netspec.export.rewriting:adaptive_max_pool" if kind == "Max" else "",
        withheld=ONE_TENSOR if kind == "Max" else {},
    )


def lp_pool(rank: int) -> Layer:
    def output(call: Call) -> Shape:
        kernel = call.spread("kernel_size", rank)
        if rank == 3:
            _check_unpadded(call, kernel)
        sizes = zip(spatial(call.shape), kernel, call.spread("stride", rank), strict=True)
        return (call.shape[0], *(_pooled(call, *size, 0) for size in sizes))

    size = POSITIVE if rank == 1 else PerDimension(POSITIVE, rank)
    return Layer(
        name=f"LPPool{rank}d",
        doc=f"{rank}-d power-average pooling",
        output_is="spare",
        layouts=(LAYOUTS[rank],),
        params=(
            Param("norm_type", ABOVE_ZERO, doc="the power"),
            Param("kernel_size", size),
            Param("stride", optional(size), None, "default: kernel_size"),
            Param("ceil_mode", BOOLEAN, False),
        ),
        settled={"stride": _stride},
        output=output,
    )


def fractional_max_pool(rank: int) -> Layer:
    def output(call: Call) -> Shape:
        if (call["output_size"] is None) == (call["output_ratio"] is None):
            raise Refusal("give exactly one of output_size and output_ratio")
        found = []
        for index, (length, kernel) in enumerate(
            zip(spatial(call.shape), call.spread("kernel_size", rank), strict=True)
        ):
            if call["output_size"] is not None:
                size = call.spread("output_size", rank)[index]
            else:
                ratio = call.spread("output_ratio", rank)[index]
                size = int(
                    call.number(length, "a size times output_ratio", "use output_size") * ratio
                )
            # torch's 3-d kernel wants one element more than its 2-d one.
            call.require(
                length,
                size + kernel - (1 if rank == 2 else 0),
                f"{size} windows of {kernel} do not fit {length}",
                "make kernel_size or the output smaller",
                "kernel_size",
            )
            found.append(size)
        return (call.shape[0], *found)

    return Layer(
        name=f"FractionalMaxPool{rank}d",
        doc="max pooling over random windows, in evaluation too; it cannot be exported",
        output_is="spare",
        exportable=unexportable,
        layouts=(LAYOUTS[rank],),
        params=(
            Param("kernel_size", PerDimension(POSITIVE, rank)),
            Param("output_size", optional(PerDimension(POSITIVE, rank)), None),
            Param("output_ratio", optional(PerDimension(Number(above=0, below=1), rank)), None),
        ),
        output=output,
        withheld=ONE_TENSOR,
    )


def _check_unpadded(call: Call, kernel: tuple[int, ...]) -> None:
    """In 3-d alone, torch compares the kernel with the input before padding."""
    for length, size in zip(spatial(call.shape), kernel, strict=True):
        call.require(
            length,
            size,
            f"kernel_size {size} is larger than the input {call.input}",
            "make kernel_size smaller, or pool less before it",
            "kernel_size",
        )


LAYERS = [
    *map(max_pool, LAYOUTS),
    *map(avg_pool, LAYOUTS),
    *map(lp_pool, LAYOUTS),
    *map(fractional_max_pool, (2, 3)),
    *(adaptive_pool(kind, rank) for kind in ("Avg", "Max") for rank in LAYOUTS),
]
