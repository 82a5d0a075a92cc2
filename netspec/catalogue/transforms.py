"""Image transforms of torchvision.transforms.v2, and what each does to an image's size."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from netspec.catalogue.component import Component, Param, Refusal
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
    Number,
    optional,
)


class AtLeast(NamedTuple):
    """A size that differs from image to image, and what it is never less than."""

    least: int = 1

    def __str__(self) -> str:
        return "any" if self.least == 1 else f"{self.least} or more"


Size = int | AtLeast


class Image(NamedTuple):
    """What flows between two transforms: channels, height, width."""

    channels: int
    height: Size
    width: Size

    def __str__(self) -> str:
        return f"[{self.channels}, {self.height}, {self.width}]"

    def sized(self, height: Size, width: Size) -> Image:
        return Image(self.channels, height, width)


Rule = Callable[[Image, dict[str, Any]], Image]
Stage = Literal["augment", "evaluate", "preprocess"]


def _same(image: Image, args: dict[str, Any]) -> Image:
    return image


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Transform(Component):
    """`stages`: where it may stand; only what `evaluate` and `preprocess` hold can be exported.
    `doubt`: refuses what is legal and probably not meant. `deployed`: netspec's own module, which
    stands for it in evaluation and in the exported graph; None: torchvision's own."""

    rule: Rule = _same
    stages: tuple[Stage, ...] = ("augment",)
    doubt: Callable[[dict[str, Any]], None] = lambda args: None
    deployed: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "target", f"torchvision.transforms.v2:{self.name}")


def pair(size: Any) -> tuple[int, int]:
    """`32` or `[32]` → (32, 32); `[24, 32]` is height and width."""
    values = [size] if isinstance(size, int) else list(size)
    return (values[0], values[-1])


def _least(size: Size) -> int:
    return size if isinstance(size, int) else size.least


def _resize(image: Image, args: dict[str, Any]) -> Image:
    size = args["size"]
    if isinstance(size, list) and len(size) == 2:
        return image.sized(*size)
    short = size if isinstance(size, int) else size[0]
    height, width = image.height, image.width
    if isinstance(height, int) and isinstance(width, int):
        least = min(height, width)
        return image.sized(short * height // least, short * width // least)
    return image.sized(AtLeast(short), AtLeast(short))


def _center_crop(image: Image, args: dict[str, Any]) -> Image:
    height, width = pair(args["size"])
    if _least(image.height) < height or _least(image.width) < width:
        raise Refusal(
            f"CenterCrop to {height}x{width} of an image of {image}",
            "put `Resize: {size: …}` with at least that size before it",
            "size",
        )
    return image.sized(height, width)


def _sides(padding: Any) -> list[int]:
    """Left, top, right and bottom of one, two or four numbers."""
    sides = [padding] * 4 if isinstance(padding, int) else list(padding)
    return sides if len(sides) == 4 else [sides[0], sides[-1]] * 2


def _check_padding(image: Image, sides: list[int], args: dict[str, Any]) -> None:
    mode = args["padding_mode"]
    if mode == "constant":
        return
    if isinstance(args["fill"], list):
        raise Refusal(
            "a fill for each channel goes with padding_mode 'constant' alone", None, "fill"
        )
    beyond = {"reflect": 1, "symmetric": 0, "edge": -max(sides)}[mode]
    for size, pads in ((image.width, sides[::2]), (image.height, sides[1::2])):
        if max(pads) + beyond > _least(size):
            raise Refusal(
                f"padding_mode '{mode}' cannot pad an image of {image} by {max(pads)}",
                "pad less, or use padding_mode edge",
                "padding",
            )


def _random_crop(image: Image, args: dict[str, Any]) -> Image:
    height, width = pair(args["size"])
    sides = _sides(args["padding"] or 0)
    grown = image.sized(
        _grow(image.height, sides[1] + sides[3]), _grow(image.width, sides[0] + sides[2])
    )
    # What lacks is added on both sides, and padded with the rest at once.
    lacks = [max(0, width - _least(grown.width)), max(0, height - _least(grown.height))]
    needed = lacks * 2 if args["pad_if_needed"] else [0] * 4
    _check_padding(image, [side + more for side, more in zip(sides, needed, strict=True)], args)
    if not args["pad_if_needed"] and any(lacks):
        raise Refusal(
            f"RandomCrop to {height}x{width} of an image of {grown}",
            "make `padding` larger, or put a Resize before it",
            "size",
        )
    return image.sized(height, width)


def _grow(size: Size, by: int) -> Size:
    return size + by if isinstance(size, int) else AtLeast(size.least + by)


def _to_size(image: Image, args: dict[str, Any]) -> Image:
    return image.sized(*pair(args["size"]))


def _pad(image: Image, args: dict[str, Any]) -> Image:
    left, top, right, bottom = sides = _sides(args["padding"])
    _check_padding(image, sides, args)
    return image.sized(_grow(image.height, top + bottom), _grow(image.width, left + right))


def _normalize(image: Image, args: dict[str, Any]) -> Image:
    for param in ("mean", "std"):
        if len(args[param]) not in (1, image.channels):
            raise Refusal(
                f"{param} has {len(args[param])} values, but the image has {image.channels} "
                "channels",
                param=param,
            )
    return image


def _check_statistics(args: dict[str, Any]) -> None:
    if (mean := max(args["mean"])) > 1:
        means, stds = (
            ", ".join(f"{value / 255:.3g}" for value in args[each]) for each in ("mean", "std")
        )
        raise Refusal(
            f"mean {mean:g} is no mean of pixels, which lie between 0 and 1",
            f"of 8-bit statistics write mean: [{means}], std: [{stds}]",
            "mean",
        )


def _doubt_statistics(args: dict[str, Any]) -> None:
    if (std := max(args["std"])) > 1:
        raise Refusal(
            f"std {std:g} is more than pixels between 0 and 1 can have",
            "divide statistics of 8-bit pixels by 255; Normalize alone needs no scaling to [0, 1]",
            "std",
        )
    if (mean := min(args["mean"])) < 0:
        raise Refusal(
            f"mean {mean:g} is no mean of pixels, which lie between 0 and 1",
            "the mean is subtracted: write it without the sign",
            "mean",
        )


def _rising(*params: str) -> Callable[[dict[str, Any]], None]:
    """Refuse a range `[from, to]` that falls."""

    def check(args: dict[str, Any]) -> None:
        for param in params:
            value = args[param]
            pairs = [value[at : at + 2] for at in (0, 2)] if isinstance(value, list | tuple) else []
            for low, high in filter(None, pairs):
                if low > high:
                    raise Refusal(
                        f"{param} goes from {low:g} down to {high:g}", "write [least, most]", param
                    )

    return check


SIZE = Param("size", Either(POSITIVE, ListOf(POSITIVE, 1, 2)), doc="one number: the shorter side")
CROP = Param("size", Either(POSITIVE, ListOf(POSITIVE, 1, 2)), doc="height and width")
P = Param("p", PROBABILITY, 0.5)
INTERPOLATION = Param("interpolation", Choice("nearest", "bilinear", "bicubic"), "bilinear")
PADDING = Either(NATURAL, ListOf(NATURAL, 1, 2), ListOf(NATURAL, 4, 4))
FILL = Param("fill", Either(NUMBER, ListOf(NUMBER, 1)), 0)
PADDING_MODE = Param("padding_mode", Choice("constant", "edge", "reflect", "symmetric"), "constant")
SHEAR = Either(NONNEGATIVE, ListOf(NUMBER, 2, 2), ListOf(NUMBER, 4, 4))
JITTER = Either(NONNEGATIVE, ListOf(NONNEGATIVE, 2, 2))

TRANSFORMS: dict[str, Transform] = {
    entry.name: entry
    for entry in (
        Transform(
            name="Resize",
            params=(SIZE, Param("antialias", BOOLEAN, True)),
            rule=_resize,
            deployed="netspec.data.preprocessing:Resize",
            stages=("augment", "evaluate"),
            doc="bilinear",
        ),
        Transform(
            name="CenterCrop",
            params=(CROP,),
            rule=_center_crop,
            deployed="netspec.data.preprocessing:CenterCrop",
            stages=("augment", "evaluate"),
        ),
        Transform(
            name="Normalize",
            params=(
                Param("mean", ListOf(NUMBER, 1), doc="of each channel, of pixels in [0, 1]"),
                Param("std", ListOf(ABOVE_ZERO, 1)),
            ),
            rule=_normalize,
            stages=("preprocess",),
            check=_check_statistics,
            doubt=_doubt_statistics,
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
        ),
        Transform(name="RandomHorizontalFlip", params=(P,)),
        Transform(name="RandomVerticalFlip", params=(P,)),
        Transform(
            name="RandomResizedCrop",
            params=(
                CROP,
                Param("scale", ListOf(ABOVE_ZERO, 2, 2), (0.08, 1.0)),
                Param("ratio", ListOf(ABOVE_ZERO, 2, 2), (3 / 4, 4 / 3)),
                INTERPOLATION,
                Param("antialias", BOOLEAN, True),
            ),
            rule=_to_size,
            check=_rising("scale", "ratio"),
        ),
        Transform(
            name="RandomRotation",
            params=(
                Param("degrees", Either(NONNEGATIVE, ListOf(NUMBER, 2, 2))),
                Param("interpolation", Choice("nearest", "bilinear"), "nearest"),
            ),
            check=_rising("degrees"),
        ),
        Transform(
            name="RandomAffine",
            params=(
                Param("degrees", Either(NONNEGATIVE, ListOf(NUMBER, 2, 2))),
                Param("translate", optional(ListOf(PROBABILITY, 2, 2)), None),
                Param("scale", optional(ListOf(ABOVE_ZERO, 2, 2)), None),
                Param("shear", optional(SHEAR), None, "[from, to] along x, and along y"),
                Param("interpolation", Choice("nearest", "bilinear"), "nearest"),
            ),
            check=_rising("degrees", "scale", "shear"),
        ),
        Transform(
            name="ColorJitter",
            params=(
                Param("brightness", optional(JITTER), None),
                Param("contrast", optional(JITTER), None),
                Param("saturation", optional(JITTER), None),
                Param(
                    "hue", optional(Either(Number(0, 0.5), ListOf(Number(-0.5, 0.5), 2, 2))), None
                ),
            ),
            check=_rising("brightness", "contrast", "saturation", "hue"),
        ),
        Transform(name="Pad", params=(Param("padding", PADDING), FILL, PADDING_MODE), rule=_pad),
        Transform(
            name="RandomErasing",
            params=(
                P,
                Param("scale", ListOf(Number(above=0, maximum=1), 2, 2), (0.02, 0.33)),
                Param("ratio", ListOf(ABOVE_ZERO, 2, 2), (0.3, 3.3)),
            ),
            check=_rising("scale", "ratio"),
        ),
    )
}
