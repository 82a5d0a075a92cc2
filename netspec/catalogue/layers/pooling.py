"""Pooling. Sizes follow torch's `pooling_output_shape` (ATen/native/Pool.h)."""

from netspec.catalogue.component import Param, Refusal
from netspec.catalogue.layers.convolution import LAYOUTS
from netspec.catalogue.layers.layer import Call, Layer, spatial
from netspec.catalogue.types import (
    BOOLEAN,
    NATURAL,
    POSITIVE,
    Either,
    ListOf,
    PerDimension,
    optional,
)
from netspec.shapes import Dim, Shape

ONE_TENSOR = {"return_indices": "it would make the layer return two tensors"}


def _strides(call: Call, rank: int) -> tuple[int, ...]:
    return call.spread("kernel_size" if call["stride"] is None else "stride", rank)


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


def max_pool(rank: int) -> Layer:
    def output(call: Call) -> Shape:
        sizes = zip(
            spatial(call.shape),
            call.spread("kernel_size", rank),
            _strides(call, rank),
            call.spread("padding", rank),
            call.spread("dilation", rank),
            strict=True,
        )
        return (call.shape[0], *(_pooled(call, *size) for size in sizes))

    return Layer(
        name=f"MaxPool{rank}d",
        doc=f"{rank}-d max pooling",
        layouts=(LAYOUTS[rank],),
        params=(
            Param("kernel_size", PerDimension(POSITIVE, rank)),
            Param("stride", optional(PerDimension(POSITIVE, rank)), None, "default: kernel_size"),
            Param("padding", PerDimension(NATURAL, rank), 0, "at most half of kernel_size"),
            Param("dilation", PerDimension(POSITIVE, rank), 1),
            Param("ceil_mode", BOOLEAN, False),
        ),
        output=output,
        withheld=ONE_TENSOR,
    )


def avg_pool(rank: int) -> Layer:
    def output(call: Call) -> Shape:
        kernel = call.spread("kernel_size", rank)
        if rank == 3:  # torch compares with the input before padding, in 3-d alone
            for length, size in zip(spatial(call.shape), kernel, strict=True):
                call.require(
                    length, size, f"kernel_size {size} is larger than the input {call.input}"
                )
        sizes = zip(
            spatial(call.shape),
            kernel,
            _strides(call, rank),
            call.spread("padding", rank),
            strict=True,
        )
        return (call.shape[0], *(_pooled(call, *size) for size in sizes))

    divisor = Param("divisor_override", optional(POSITIVE), None)
    return Layer(
        name=f"AvgPool{rank}d",
        doc=f"{rank}-d average pooling",
        layouts=(LAYOUTS[rank],),
        params=(
            Param("kernel_size", PerDimension(POSITIVE, rank)),
            Param("stride", optional(PerDimension(POSITIVE, rank)), None, "default: kernel_size"),
            Param("padding", PerDimension(NATURAL, rank), 0, "at most half of kernel_size"),
            Param("ceil_mode", BOOLEAN, False),
            Param("count_include_pad", BOOLEAN, True),
            *((divisor,) if rank > 1 else ()),
        ),
        output=output,
    )


def adaptive_pool(kind: str, rank: int) -> Layer:
    def output(call: Call) -> Shape:
        wanted = call.spread("output_size", rank)
        sizes = zip(wanted, spatial(call.shape), strict=True)
        return (call.shape[0], *(size if size is not None else left for size, left in sizes))

    size = POSITIVE if rank == 1 else optional(POSITIVE)
    several = ListOf(size, rank, rank)
    return Layer(
        name=f"Adaptive{kind}Pool{rank}d",
        doc=f"{rank}-d pooling to a given size",
        layouts=(LAYOUTS[rank],),
        params=(
            Param(
                "output_size",
                Either(POSITIVE, several),
                doc="null in a list keeps the input's size" if rank > 1 else "",
            ),
        ),
        output=output,
        withheld=ONE_TENSOR if kind == "Max" else {},
    )


LAYERS = [
    *map(max_pool, LAYOUTS),
    *map(avg_pool, LAYOUTS),
    *(adaptive_pool(kind, rank) for kind in ("Avg", "Max") for rank in LAYOUTS),
]
