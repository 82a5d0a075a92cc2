"""What moves pixels, or changes an image's size."""

from __future__ import annotations

import math
from typing import Any

from netspec.catalogue.component import Param, Refusal
from netspec.catalogue.transforms.transform import (
    ANTIALIAS,
    CROP,
    FILL,
    RESAMPLING,
    SAMPLING,
    STAGES,
    Args,
    AtLeast,
    Image,
    P,
    Size,
    Transform,
    between,
    certain,
    check_channels,
    doubt_fill,
    filled,
    grown,
    least,
    most,
    pair,
    rising,
)
from netspec.catalogue.types import (
    ABOVE_ZERO,
    BOOLEAN,
    NATURAL,
    NONNEGATIVE,
    NUMBER,
    POSITIVE,
    PROBABILITY,
    Choice,
    Either,
    ListOf,
    Null,
    Number,
    OneOrMore,
    optional,
)


def _check_resize(args: Args) -> None:
    size, longest = args["size"], args["max_size"]
    if size is None and longest is None:
        raise Refusal(
            "neither size nor max_size is given", "write the shorter side as `size`", "size"
        )
    if longest is None or size is None:
        return
    if isinstance(size, list) and len(size) == 2:
        raise Refusal(
            "max_size bounds the longer side, and size gives both", "leave one out", "max_size"
        )
    if longest <= pair(size)[0]:
        raise Refusal(
            f"max_size {longest} is not above size {pair(size)[0]}, the shorter side's",
            "make it larger",
            "max_size",
        )


def _resize(image: Image, args: Args) -> Image:
    size, longest = args["size"], args["max_size"]
    if isinstance(size, list) and len(size) == 2:
        return image.sized(*size)
    height, width = image.height, image.width
    if not isinstance(height, int) or not isinstance(width, int):
        if longest is not None:
            return image.sized(AtLeast(1, longest), AtLeast(1, longest))
        made = pair(size)[0]
        return image.sized(*[AtLeast(made, _longest(image, made))] * 2)
    short, long = resized(min(height, width), max(height, width), size, longest)
    if short < 1:
        raise Refusal(
            f"the shorter side of {image} would shrink to nothing",
            "make max_size larger, or give both sides as `size: [height, width]`",
            "max_size",
        )
    return image.sized(short, long) if height <= width else image.sized(long, short)


def _longest(image: Image, short: int) -> int | None:
    """The longest that the longer side can be, where the shorter one is made `short`; None: there
    is no bound."""
    sides = most(image.height), most(image.width)
    if None in sides:
        return None
    return short * max(side for side in sides if side is not None) // min(image.least())


def resized(short: int, long: int, size: Any, longest: int | None) -> tuple[int, int]:
    """The sides that Resize makes of these, in torchvision's arithmetic."""
    if size is None:
        assert longest is not None
        return longest * short // long, longest
    made = pair(size)[0]
    other = made * long // short
    if longest is not None and other > longest:
        return longest * made // other, longest
    return made, other


def _center_crop(image: Image, args: Args) -> Image:
    return image.sized(*pair(args["size"]))


def _doubt_center_crop(image: Image, args: Args) -> None:
    """Zeros around photographs of any size may be meant; around all images they are not."""
    height, width = pair(args["size"])
    lacks = least(image.height) < height or least(image.width) < width
    if lacks and image.least() != (1, 1):
        raise Refusal(
            f"CenterCrop to {height}x{width} pads an image of {image} with zeros",
            "put `Resize: {size: …}` with at least that size before it",
            "size",
        )


def edges(padding: Any) -> list[int]:
    """Left, top, right and bottom of one, two or four numbers."""
    sides = [padding] * 4 if isinstance(padding, int) else list(padding)
    return sides if len(sides) == 4 else [sides[0], sides[-1]] * 2


def _check_padding(image: Image, sides: list[int], args: Args) -> None:
    mode = args["padding_mode"]
    check_channels(image, args, "fill")
    if mode == "constant":
        return
    if isinstance(args["fill"], list) and len(args["fill"]) > 1:
        raise Refusal(
            "a fill for each channel goes with padding_mode 'constant' alone", None, "fill"
        )
    beyond = {"reflect": 1, "symmetric": 0, "edge": -max(sides)}[mode]
    for size, pads in ((image.width, sides[::2]), (image.height, sides[1::2])):
        if max(pads) + beyond > least(size):
            raise Refusal(
                f"padding_mode '{mode}' cannot pad an image of {image} by {max(pads)}",
                "pad less, or use padding_mode edge",
                "padding",
            )


def _random_crop(image: Image, args: Args) -> Image:
    height, width = pair(args["size"])
    sides = edges(args["padding"] or 0)
    padded = image.sized(
        grown(image.height, sides[1] + sides[3]), grown(image.width, sides[0] + sides[2])
    )
    # What lacks is added on both sides, and padded with the rest at once.
    lacks = [max(0, width - least(padded.width)), max(0, height - least(padded.height))]
    needed = lacks * 2 if args["pad_if_needed"] else [0] * 4
    _check_padding(image, [side + more for side, more in zip(sides, needed, strict=True)], args)
    if not args["pad_if_needed"] and any(lacks):
        raise Refusal(
            f"RandomCrop to {height}x{width} of an image of {padded}",
            "make `padding` larger, or put a Resize before it",
            "size",
        )
    return image.sized(height, width)


def _resized_crop(image: Image, args: Args) -> Image:
    """Where no crop fits, torchvision takes one of the nearest ratio, as high or wide as can be."""
    low, high = args["ratio"]
    height, width = image.least()
    if round(width / low) < 1 or round(height * high) < 1:
        raise Refusal(
            f"no part of an image of {image} has a ratio from {low:g} to {high:g}",
            "widen the ratio",
            "ratio",
        )
    return image.sized(*pair(args["size"]))


def _pad(image: Image, args: Args) -> Image:
    left, top, right, bottom = sides = edges(args["padding"])
    _check_padding(image, sides, args)
    return image.sized(grown(image.height, top + bottom), grown(image.width, left + right))


def _random_resize(image: Image, args: Args) -> Image:
    low, high = args["min_size"], args["max_size"]
    if low + 1 == high:
        return _resize(image, {"size": low, "max_size": None})
    if isinstance(image.height, int) and isinstance(image.width, int):
        sides = image.height, image.width
        return image.sized(
            *(AtLeast(low * side // min(sides), (high - 1) * side // min(sides)) for side in sides)
        )
    return image.sized(*[AtLeast(low, _longest(image, high - 1))] * 2)


def _check_random_resize(args: Args) -> None:
    if args["min_size"] >= args["max_size"]:
        raise Refusal(
            f"min_size {args['min_size']} is not below max_size {args['max_size']}, to which the "
            "sizes do not reach",
            "make max_size larger",
            "max_size",
        )


def _shortest_size(image: Image, args: Args) -> Image:
    """torchvision rounds down what floats make of the quotient: a side may lack one."""
    sizes, longest = args["min_size"], args["max_size"]
    if not isinstance(image.height, int) or not isinstance(image.width, int):
        if longest is not None:
            return image.sized(AtLeast(1, longest), AtLeast(1, longest))
        high = _longest(image, max(sizes))
        return image.sized(*[AtLeast(max(1, min(sizes) - 1), high)] * 2)
    short, long = sorted((image.height, image.width))
    factors = [size / short for size in sizes]
    if longest is not None:
        factors = [min(factor, longest / long) for factor in factors]
    return _scaled(image, [int(image.height * factor) for factor in factors], [
        int(image.width * factor) for factor in factors
    ])  # fmt: skip


def _scaled(image: Image, heights: list[int], widths: list[int]) -> Image:
    """Of sides from the least to the largest of these."""
    if min(*heights, *widths) < 1:
        raise Refusal(f"a side of {image} may shrink to nothing", "make it shrink less", "max_size")
    return image.sized(between(min(heights), max(heights)), between(min(widths), max(widths)))


def _scale_jitter(image: Image, args: Args) -> Image:
    height, width = image.height, image.width
    (first, second), scales = args["target_size"], args["scale_range"]
    if not isinstance(height, int) or not isinstance(width, int):
        most = math.ceil(max(first, second) * scales[1])
        return image.sized(AtLeast(1, most), AtLeast(1, most))
    fit = min(second / height, first / width)
    # The scale is drawn in float32.
    low, high = (fit * scale * rounding for scale, rounding in zip(scales, FLOAT32, strict=True))
    if min(height, width) * low < 1:
        raise Refusal(
            f"a side of {image} may shrink to nothing", "write a larger least scale", "scale_range"
        )
    return image.sized(
        between(int(height * low), int(height * high)), between(int(width * low), int(width * high))
    )


FLOAT32 = (1 - 1e-6, 1 + 1e-6)


def _zoom_out(image: Image, args: Args) -> Image:
    largest = args["side_range"][1] if args["p"] > 0 else 1
    smallest = args["side_range"][0] if args["p"] == 1 else 1

    def zoomed(size: Size) -> Size:
        high = most(size)
        low = max(least(size), int(least(size) * smallest * FLOAT32[0]))
        return between(low, None if high is None else max(high, int(high * largest * FLOAT32[1])))

    return image if largest == 1 else image.sized(zoomed(image.height), zoomed(image.width))


def _check_zoom_out(args: Args) -> None:
    rising("side_range")(args)
    if args["side_range"][0] < 1:
        raise Refusal(
            f"side_range begins at {args['side_range'][0]:g}, and the image grows",
            "write [1, …]",
            "side_range",
        )


def _rotation(image: Image, args: Args) -> Image:
    if not args["expand"]:
        return image
    low, high = _angles(args["degrees"])
    if low == high and args["center"] is None and low % 90 == 0:
        return image if low % 180 == 0 else image.sized(image.width, image.height)
    height, width = image.least()
    # Turned, a rectangle is at least as high and as wide as its shorter side, at most as its
    # diagonal; the corners are floats, which are rounded.
    sides = most(image.height), most(image.width)
    known = [side for side in sides if side is not None]
    longest = math.ceil(math.hypot(*known)) + 2 if len(known) == 2 else None
    size = between(min(height, width) - 2, longest)
    return image.sized(size, size)


def _angles(degrees: Any) -> tuple[float, float]:
    low, high = degrees if isinstance(degrees, list | tuple) else (-degrees, degrees)
    return low, high


def _perspective(image: Image, args: Args) -> Image:
    if min(image.least()) < 2:
        raise Refusal(
            f"an image of {image} may have a single row or column, which shows no perspective",
            "put a Resize before it",
        )
    return image


def _check_perspective(args: Args) -> None:
    if args["distortion_scale"] == 1:
        raise Refusal(
            "distortion_scale 1 may move two corners to one place, which torchvision cannot solve",
            "write a smaller one",
            "distortion_scale",
        )


def _elastic(image: Image, args: Args) -> Image:
    """The displacements are blurred, by a kernel of eight deviations."""
    sigma = args["sigma"]
    deviations = list(sigma) if isinstance(sigma, list | tuple) else [sigma]
    reach = max(int(8 * each + 1) // 2 for each in deviations)
    if reach and min(image.least()) <= reach:
        raise Refusal(
            f"an image of {image} is too small for sigma {max(deviations):g}, which reaches "
            f"{reach} pixels far",
            "write a smaller sigma, or put a Resize before it",
            "sigma",
        )
    return image


def _check_elastic(args: Args) -> None:
    """torchvision blurs both ways with both deviations, unless the one it looks at is 0."""
    sigma = args["sigma"]
    if isinstance(sigma, list | tuple) and max(sigma) > 0 and min(sigma) == 0:
        raise Refusal("a sigma of 0 goes with a sigma of 0", "write both above 0", "sigma")


PADDING = Either(NATURAL, ListOf(NATURAL, 1, 2), ListOf(NATURAL, 4, 4))
PADDING_MODE = Param("padding_mode", Choice("constant", "edge", "reflect", "symmetric"), "constant")
SHEAR = Either(NONNEGATIVE, ListOf(NUMBER, 2, 2), ListOf(NUMBER, 4, 4))
DEGREES = Param("degrees", Either(NONNEGATIVE, ListOf(NUMBER, 2, 2)))
INTERPOLATION = Param("interpolation", RESAMPLING, "bilinear")
CENTER = Param("center", optional(ListOf(NUMBER, 2, 2)), None, "x and y; default: the middle")
EITHER_WAY = Either(NONNEGATIVE, ListOf(NONNEGATIVE, 1, 2))


def _flip(name: str, batched: str) -> Transform:
    return Transform(
        name=name,
        params=(P,),
        stages=STAGES,
        fixed=certain,
        batched=f"netspec.data.augmentation:{batched}",
        masks="move",
    )


TRANSFORMS = [
    Transform(
        name="Resize",
        params=(
            Param(
                "size",
                Either(POSITIVE, ListOf(POSITIVE, 1, 2), Null()),
                doc="one number: the shorter side",
            ),
            INTERPOLATION,
            Param("max_size", optional(POSITIVE), None, "the most that the longer side may have"),
            ANTIALIAS,
        ),
        check=_check_resize,
        rule=_resize,
        deployed="netspec.data.preprocessing:Resize",
        stages=STAGES,
        masks="move",
    ),
    Transform(
        name="CenterCrop",
        params=(CROP,),
        rule=_center_crop,
        doubt=_doubt_center_crop,
        deployed="netspec.data.preprocessing:CenterCrop",
        stages=STAGES,
        masks="move",
        doc="smaller images are padded with zeros",
    ),
    Transform(
        name="Pad",
        params=(Param("padding", PADDING), FILL, PADDING_MODE),
        rule=_pad,
        doubt=doubt_fill,
        deployed="netspec.data.preprocessing:Pad",
        stages=STAGES,
        masks="move",
    ),
    Transform(
        name="RandomCrop",
        params=(
            CROP,
            Param("padding", optional(PADDING), None),
            Param("pad_if_needed", BOOLEAN, False),
            FILL,
            PADDING_MODE,
        ),
        rule=_random_crop,
        doubt=doubt_fill,
        batched="netspec.data.augmentation:random_crop",
        masks="move",
    ),
    _flip("RandomHorizontalFlip", "random_horizontal_flip"),
    _flip("RandomVerticalFlip", "random_vertical_flip"),
    Transform(
        name="RandomResizedCrop",
        params=(
            CROP,
            Param("scale", ListOf(ABOVE_ZERO, 2, 2), (0.08, 1.0)),
            Param("ratio", ListOf(ABOVE_ZERO, 2, 2), (3 / 4, 4 / 3)),
            INTERPOLATION,
            ANTIALIAS,
        ),
        rule=_resized_crop,
        check=rising("scale", "ratio"),
        batched="netspec.data.augmentation:random_resized_crop",
        masks="move",
    ),
    Transform(
        name="RandomResize",
        params=(
            Param("min_size", POSITIVE, doc="the least shorter side"),
            Param("max_size", POSITIVE, doc="which the shorter side stays below"),
            INTERPOLATION,
            ANTIALIAS,
        ),
        rule=_random_resize,
        check=_check_random_resize,
        masks="move",
    ),
    Transform(
        name="RandomShortestSize",
        params=(
            Param("min_size", OneOrMore(POSITIVE), doc="shorter sides to choose from"),
            Param("max_size", optional(POSITIVE), None, "the most that the longer side may have"),
            INTERPOLATION,
            ANTIALIAS,
        ),
        rule=_shortest_size,
        masks="move",
    ),
    Transform(
        name="ScaleJitter",
        params=(
            Param("target_size", ListOf(POSITIVE, 2, 2), doc="sides that the image is fitted into"),
            Param("scale_range", ListOf(ABOVE_ZERO, 2, 2), (0.1, 2.0)),
            INTERPOLATION,
            ANTIALIAS,
        ),
        rule=_scale_jitter,
        check=rising("scale_range"),
        masks="move",
    ),
    Transform(
        name="RandomZoomOut",
        params=(FILL, Param("side_range", ListOf(ABOVE_ZERO, 2, 2), (1.0, 4.0)), P),
        rule=filled(_zoom_out),
        check=_check_zoom_out,
        doubt=doubt_fill,
        masks="move",
    ),
    Transform(
        name="RandomRotation",
        params=(
            DEGREES,
            Param("interpolation", SAMPLING, "nearest"),
            Param("expand", BOOLEAN, False, "the image grows so that all of it is seen"),
            CENTER,
            FILL,
        ),
        rule=filled(_rotation),
        check=rising("degrees"),
        doubt=doubt_fill,
        masks="move",
    ),
    Transform(
        name="RandomAffine",
        params=(
            DEGREES,
            Param("translate", optional(ListOf(PROBABILITY, 2, 2)), None),
            Param("scale", optional(ListOf(ABOVE_ZERO, 2, 2)), None),
            Param("shear", optional(SHEAR), None, "[from, to] along x, and along y"),
            Param("interpolation", SAMPLING, "nearest"),
            FILL,
            CENTER,
        ),
        rule=filled(lambda image, args: image),
        check=rising("degrees", "scale", "shear"),
        doubt=doubt_fill,
        masks="move",
    ),
    Transform(
        name="RandomPerspective",
        params=(
            Param("distortion_scale", PROBABILITY, 0.5),
            P,
            Param("interpolation", SAMPLING, "bilinear"),
            FILL,
        ),
        rule=filled(_perspective),
        check=_check_perspective,
        doubt=doubt_fill,
        augmented="netspec.data.preprocessing:RandomPerspective",
        masks="move",
    ),
    Transform(
        name="ElasticTransform",
        params=(
            Param("alpha", EITHER_WAY, 50.0, "how far pixels move"),
            Param("sigma", Either(Number(0, 100), ListOf(Number(0, 100), 1, 2)), 5.0, "how evenly"),
            Param("interpolation", SAMPLING, "bilinear"),
            FILL,
        ),
        rule=filled(_elastic),
        check=_check_elastic,
        doubt=doubt_fill,
        masks="move",
    ),
]
