"""Layers that trade resolution against channels, or change it."""

from __future__ import annotations

import math
from typing import Any

from netspec.catalogue.component import Param, Refusal
from netspec.catalogue.layers.convolution import LAYOUTS, window
from netspec.catalogue.layers.layer import Call, Layer, channels, fine, spatial
from netspec.catalogue.types import (
    ABOVE_ZERO,
    BOOLEAN,
    NATURAL,
    POSITIVE,
    Choice,
    Either,
    ListOf,
    PerDimension,
    optional,
    spread,
)
from netspec.shapes import Dim, Shape, divisible, numel

# Interpolation → the ranks that torch has it for, and whether it takes align_corners.
MODES = {
    "nearest": ((1, 2, 3), False),
    "nearest-exact": ((1, 2, 3), False),
    "linear": ((1,), True),
    "bilinear": ((2,), True),
    "bicubic": ((2,), True),
    "trilinear": ((3,), True),
}


def _resized(call: Call) -> Shape:
    """`size`, or floor(length * scale_factor) in double precision, as torch computes it."""
    rank = len(call.shape) - 1
    size, scale = call["size"], call["scale_factor"]
    if (size is None) == (scale is None):
        raise Refusal("give exactly one of size and scale_factor")
    for param in ("size", "scale_factor"):
        if isinstance(call[param], list) and len(call[param]) != rank:
            raise Refusal(
                f"{param} has {len(call[param])} values for {rank} spatial dimensions", param=param
            )
    if size is not None:
        return (call.shape[0], *spread(size, rank))
    scaled = zip(spatial(call.shape), spread(scale, rank), strict=True)
    return (call.shape[0], *(_scaled(call, length, factor) for length, factor in scaled))


def _scaled(call: Call, length: Dim, factor: float) -> Dim:
    if float(factor).is_integer():
        return length * int(factor)
    number = call.number(length, "a size scaled by a fraction", "use a whole scale_factor, or size")
    return math.floor(number * float(factor))


def _upsample(call: Call) -> Shape:
    mode, rank = call["mode"], len(call.shape) - 1
    ranks, corners = MODES[mode]
    if rank not in ranks:
        wanted = " or ".join(f"[{LAYOUTS[each]}]" for each in ranks)
        raise Refusal(f"mode '{mode}' takes {wanted}, but the input is {call.input}", param="mode")
    if call["align_corners"] is not None and not corners:
        raise Refusal(f"mode '{mode}' has no align_corners", "leave it out", "align_corners")
    if call["recompute_scale_factor"] and call["size"] is not None:
        raise Refusal("there is no scale_factor to recompute", param="recompute_scale_factor")
    return _resized(call)


def _moved(call: Call) -> None:
    """Refuse a factor that moves the values along a dimension whose size it keeps: onnxruntime
    copies them."""
    factor = call["scale_factor"]
    if factor is None or call.args.get("align_corners") or call.args.get("recompute_scale_factor"):
        return
    lengths = spatial(call.shape)
    for before, after, each in zip(
        lengths, spatial(_resized(call)), spread(factor, len(lengths)), strict=True
    ):
        if before == after and each != 1:
            raise Refusal(
                f"onnxruntime does not do it as torch does: scale_factor {each:g} leaves a size of "
                f"{before} as it is",
                f"write a factor of 1 there, or one that makes it {before + 1} at least",
                "scale_factor",
            )


def _shuffle(call: Call) -> Shape:
    factor, depth = call["upscale_factor"], channels(call)
    if depth % factor**2:
        raise Refusal(
            f"upscale_factor {factor} needs a multiple of {factor**2} channels, not {depth}",
            param="upscale_factor",
        )
    return (depth // factor**2, *(length * factor for length in spatial(call.shape)))


def _unshuffle(call: Call) -> Shape:
    factor = call["downscale_factor"]
    for length in spatial(call.shape):
        if not divisible(length, factor):
            raise Refusal(
                f"downscale_factor {factor} does not divide the size {length}",
                f"declare the input's size as a multiple, {factor}*H"
                if not isinstance(length, int)
                else None,
                "downscale_factor",
            )
    return (call.shape[0] * factor**2, *(length // factor for length in spatial(call.shape)))


def _channel_shuffle(call: Call) -> Shape:
    if channels(call) % call["groups"]:
        raise Refusal(
            f"groups {call['groups']} does not divide the {call.shape[0]} channels", param="groups"
        )
    return call.shape


def _blocks(call: Call, lengths: Any) -> Dim:
    """How many windows lie in an image of these lengths."""
    sizes = zip(
        lengths,
        call.spread("kernel_size", 2),
        call.spread("stride", 2),
        call.spread("dilation", 2),
        (2 * pad for pad in call.spread("padding", 2)),
        strict=True,
    )
    return numel(window(call, *size) for size in sizes)


def _unfold(call: Call) -> Shape:
    kernel = numel(call.spread("kernel_size", 2))
    return (call.shape[0] * kernel, _blocks(call, spatial(call.shape)))


def _fold(call: Call) -> Shape:
    kernel: int = math.prod(call.spread("kernel_size", 2))
    depth = channels(call)
    size = call.spread("output_size", 2)
    if depth % kernel:
        raise Refusal(f"the {depth} channels are no multiple of the kernel's {kernel} values")
    blocks = _blocks(call, size)
    if call.shape[1] != blocks:
        raise Refusal(
            f"an image of {list(size)} has {blocks} windows, but the input {call.input} has "
            f"{call.shape[1]}",
            param="output_size",
        )
    return (depth // kernel, *size)


WINDOWS = (
    Param("kernel_size", PerDimension(POSITIVE, 2)),
    Param("dilation", PerDimension(POSITIVE, 2), 1),
    Param("padding", PerDimension(NATURAL, 2), 0),
    Param("stride", PerDimension(POSITIVE, 2), 1),
)
SIZE = Param("size", optional(Either(POSITIVE, ListOf(POSITIVE, 1, 3))), None)
FACTOR = Param("scale_factor", optional(Either(ABOVE_ZERO, ListOf(ABOVE_ZERO, 1, 3))), None)

LAYERS = [
    Layer(
        name="Upsample",
        doc="interpolation to `size`, or by `scale_factor`",
        output_is="spare",
        layouts=tuple(LAYOUTS.values()),
        params=(
            SIZE,
            FACTOR,
            Param("mode", Choice(*MODES), "nearest"),
            Param("align_corners", optional(BOOLEAN), None),
            Param("recompute_scale_factor", optional(BOOLEAN), None),
        ),
        output=_upsample,
        exportable=_moved,
    ),
    *(
        Layer(
            name=name,
            doc="an older name of `Upsample`'s mode",
            output_is="spare",
            layouts=("C, H, W",),
            params=(SIZE, FACTOR),
            output=_resized,
            exportable=exportable,
        )
        # The bilinear one aligns the corners, and so moves nothing where the size is kept.
        for name, exportable in (("UpsamplingNearest2d", _moved), ("UpsamplingBilinear2d", fine))
    ),
    Layer(
        name="PixelShuffle",
        doc="[C·r², H, W] → [C, H·r, W·r] (Shi et al., 2016, arXiv:1609.05158)",
        output_is="as input",
        layouts=("C, H, W",),
        params=(Param("upscale_factor", POSITIVE),),
        output=_shuffle,
    ),
    Layer(
        name="PixelUnshuffle",
        doc="the reverse of PixelShuffle",
        output_is="as input",
        layouts=("C, H, W",),
        params=(Param("downscale_factor", POSITIVE),),
        output=_unshuffle,
    ),
    Layer(
        name="ChannelShuffle",
        doc="channels dealt out over groups (Zhang et al., 2017, arXiv:1707.01083)",
        output_is="as input",
        layouts=tuple(LAYOUTS.values()),
        params=(Param("groups", POSITIVE),),
        output=_channel_shuffle,
    ),
    Layer(
        name="Unfold",
        doc="every window of the image as a column",
        output_is="spare",
        layouts=("C, H, W",),
        params=WINDOWS,
        output=_unfold,
    ),
    Layer(
        name="Fold",
        doc="columns summed back into an image, the reverse of Unfold",
        output_is="spare",
        layouts=("C, L",),
        params=(Param("output_size", PerDimension(POSITIVE, 2)), *WINDOWS),
        output=_fold,
    ),
]
