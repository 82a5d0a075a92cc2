"""Convolutions. Sizes follow the formulas of the torch.nn.Conv2d page."""

from netspec.catalogue.component import Param, Refusal
from netspec.catalogue.layers.layer import (
    Call,
    Layer,
    Weights,
    channels,
    inferred,
    spatial,
    volume,
)
from netspec.catalogue.types import (
    BOOLEAN,
    NATURAL,
    POSITIVE,
    Choice,
    Either,
    PerDimension,
    Type,
)
from netspec.shapes import Dim, Shape, show

LAYOUTS = {1: "C, L", 2: "C, H, W", 3: "C, D, H, W"}


def _check_groups(call: Call) -> None:
    for param in ("in_channels", "out_channels"):
        if call[param] % call["groups"]:
            raise Refusal(
                f"groups {call['groups']} does not divide {param} {call[param]}", param="groups"
            )


def _padding(call: Call, rank: int) -> tuple[tuple[int, int], ...]:
    """Left and right padding of each spatial dimension."""
    written = call["padding"]
    if written == "valid":
        return ((0, 0),) * rank
    if written != "same":
        return tuple((p, p) for p in call.spread("padding", rank))
    if set(call.spread("stride", rank)) != {1}:
        raise Refusal("padding 'same' needs a stride of 1", param="padding")
    totals = [
        dilation * (kernel - 1)
        for dilation, kernel in zip(
            call.spread("dilation", rank), call.spread("kernel_size", rank), strict=True
        )
    ]
    return tuple((total // 2, total - total // 2) for total in totals)


def _check_padding_mode(call: Call, padding: tuple[tuple[int, int], ...]) -> None:
    beyond = {"reflect": 1, "circular": 0}.get(call["padding_mode"])
    if beyond is None:
        return
    for length, sides in zip(spatial(call.shape), padding, strict=True):
        call.require(
            length,
            max(sides) + beyond,
            f"padding_mode '{call['padding_mode']}' cannot pad {length} by {max(sides)}",
            param="padding",
        )


def window(call: Call, length: Dim, kernel: int, stride: int, dilation: int, pad: int) -> Dim:
    """How many windows fit: floor((L + pad - dilation*(kernel-1) - 1) / stride) + 1."""
    reach = dilation * (kernel - 1) + 1
    call.require(
        length + pad,
        reach,
        f"a kernel that spans {reach} does not fit its input {call.input}"
        + (f" (padded to {length + pad})" if pad else ""),
        "make the kernel smaller, pad, or pool less before it",
        "kernel_size",
    )
    return (length + pad - reach) // stride + 1


def convolution(rank: int) -> Layer:
    def output(call: Call) -> Shape:
        _check_groups(call)
        padding = _padding(call, rank)
        _check_padding_mode(call, padding)
        sizes = zip(
            spatial(call.shape),
            call.spread("kernel_size", rank),
            call.spread("stride", rank),
            call.spread("dilation", rank),
            map(sum, padding),
            strict=True,
        )
        return (call["out_channels"], *(window(call, *size) for size in sizes))

    def weights(call: Call) -> Weights:
        found = {
            "weight": (
                call["out_channels"],
                call["in_channels"] // call["groups"],
                *call.spread("kernel_size", rank),
            )
        }
        return found | ({"bias": (call["out_channels"],)} if call["bias"] else {})

    def macs(call: Call) -> Dim:
        return volume(output(call)) * volume(weights(call)["weight"][1:])

    def per(item: Type) -> PerDimension:
        return PerDimension(item, rank)

    return Layer(
        name=f"Conv{rank}d",
        doc=f"{rank}-d convolution",
        output_is="spare",
        layouts=(LAYOUTS[rank],),
        params=(
            inferred("in_channels", POSITIVE),
            Param("out_channels", POSITIVE, doc="number of filters"),
            Param("kernel_size", per(POSITIVE)),
            Param("stride", per(POSITIVE), 1),
            Param("padding", Either(per(NATURAL), Choice("same", "valid")), 0),
            Param("dilation", per(POSITIVE), 1),
            Param("groups", POSITIVE, 1),
            Param("bias", BOOLEAN, True),
            Param("padding_mode", Choice("zeros", "reflect", "replicate", "circular"), "zeros"),
        ),
        inferred={"in_channels": channels},
        output=output,
        weights=weights,
        macs=macs,
    )


def transposed(rank: int) -> Layer:
    def output(call: Call) -> Shape:
        _check_groups(call)
        found: list[Dim] = [call["out_channels"]]
        for length, kernel, stride, pad, extra, dilation in zip(
            spatial(call.shape),
            call.spread("kernel_size", rank),
            call.spread("stride", rank),
            call.spread("padding", rank),
            call.spread("output_padding", rank),
            call.spread("dilation", rank),
            strict=True,
        ):
            if extra >= max(stride, dilation):
                raise Refusal(
                    f"output_padding {extra} must be less than stride {stride} or dilation "
                    f"{dilation}",
                    param="output_padding",
                )
            found.append((length - 1) * stride - 2 * pad + dilation * (kernel - 1) + extra + 1)
        for dim in found:
            call.require(dim, 1, f"padding leaves nothing of {call.input}: {show(found)}")
        return tuple(found)

    def weights(call: Call) -> Weights:
        found = {
            "weight": (
                call["in_channels"],
                call["out_channels"] // call["groups"],
                *call.spread("kernel_size", rank),
            )
        }
        return found | ({"bias": (call["out_channels"],)} if call["bias"] else {})

    def macs(call: Call) -> Dim:
        return volume(call.shape) * volume(weights(call)["weight"][1:])

    def exportable(call: Call) -> None:
        extras, strides = call.spread("output_padding", rank), call.spread("stride", rank)
        if any(extra >= stride for extra, stride in zip(extras, strides, strict=True)):
            raise Refusal(
                "an output_padding that is not less than the stride cannot be exported to ONNX",
                "pad less, or pad behind the layer",
                "output_padding",
            )

    def per(item: Type) -> PerDimension:
        return PerDimension(item, rank)

    return Layer(
        name=f"ConvTranspose{rank}d",
        doc=f"{rank}-d transposed convolution",
        output_is="spare",
        layouts=(LAYOUTS[rank],),
        params=(
            inferred("in_channels", POSITIVE),
            Param("out_channels", POSITIVE, doc="number of filters"),
            Param("kernel_size", per(POSITIVE)),
            Param("stride", per(POSITIVE), 1),
            Param("padding", per(NATURAL), 0),
            Param("output_padding", per(NATURAL), 0),
            Param("groups", POSITIVE, 1),
            Param("bias", BOOLEAN, True),
            Param("dilation", per(POSITIVE), 1),
            Param("padding_mode", Choice("zeros"), "zeros"),
        ),
        inferred={"in_channels": channels},
        output=output,
        weights=weights,
        macs=macs,
        exportable=exportable,
    )


LAYERS = [*map(convolution, LAYOUTS), *map(transposed, LAYOUTS)]
