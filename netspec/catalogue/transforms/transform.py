"""What a transform states of itself, and how sizes are reckoned with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

from netspec.catalogue.component import Component, Param, Refusal
from netspec.catalogue.types import (
    BOOLEAN,
    NUMBER,
    POSITIVE,
    PROBABILITY,
    Choice,
    Either,
    ListOf,
)


class AtLeast(NamedTuple):
    """A size that differs from image to image: what it is never less than, and never more than
    (None: nobody knows)."""

    least: int = 1
    most: int | None = None

    def __str__(self) -> str:
        if self.most is not None:
            return f"{self.least} to {self.most}"
        return "any" if self.least == 1 else f"{self.least} or more"


Size = int | AtLeast


class Image(NamedTuple):
    """What flows between two transforms: channels, height, width.

    `pixels`: its values are pixels from 0 to 1, as those of every source are.
    """

    channels: int
    height: Size
    width: Size
    pixels: bool = True

    def __str__(self) -> str:
        return f"[{self.channels}, {self.height}, {self.width}]"

    def sized(self, height: Size, width: Size) -> Image:
        return self._replace(height=height, width=width)

    def least(self) -> tuple[int, int]:
        """The smallest height and width it can have."""
        return least(self.height), least(self.width)


Args = dict[str, Any]
Rule = Callable[[Image, Args], Image]
Stage = Literal["augment", "evaluate", "preprocess"]
STAGES: tuple[Stage, ...] = ("augment", "evaluate", "preprocess")


def same(image: Image, args: Args) -> Image:
    return image


def of_pixels(image: Image, args: Args) -> Image:
    """The rule of what keeps the size, and reckons with pixels from 0 to 1."""
    if not image.pixels:
        raise Refusal(
            "it works on pixels from 0 to 1, and Normalize stands before it",
            "put Normalize behind it",
        )
    return image


def _no_doubt(image: Image, args: Args) -> None:
    """Most of what is legal is meant."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Transform(Component):
    """A class of torchvision.transforms.v2, for float images [C, H, W] from 0 to 1.

    rule: the image that it makes; refuses images that it cannot take.
    stages: where it may stand; what `evaluate` and `preprocess` hold leaves nothing to chance, can
        be exported, and makes no leaps: another engine's rounding stays what it is. `fixed`
        refuses, there, parameters that leave something to chance; None: whatever they are, nothing
        is.
    doubt: refuses what is legal and probably not meant.
    deployed: netspec's own module, which stands for it in evaluation and in the exported graph;
        None: torchvision's own.
    augmented: netspec's own module, which stands for it in augmentation; None: torchvision's own.
    batched: what draws it for each sample of a batch at once, where measurement justifies that: on
        small images the calls cost more than their work; None: it is called for each sample.
    eight_bit: it is made for uint8 images: it is given those, and `fill` from 0 to 255.
    masks: what torchvision does with masks as targets: it moves them as it moves the image, they
        stay as they are, or it refuses them.
    standardizes: it subtracts `mean` and divides by `std`.
    mixes: it mixes the samples of a batch and their targets, as class probabilities.
    nested: the parameter that lists transforms.
    """

    rule: Rule = same
    stages: tuple[Stage, ...] = ("augment",)
    fixed: Callable[[Args], None] | None = None
    doubt: Callable[[Image, Args], None] = _no_doubt
    deployed: str | None = None
    augmented: str | None = None
    batched: str | None = None
    eight_bit: bool = False
    masks: Literal["move", "stay", "refused"] = "stay"
    standardizes: bool = False
    mixes: bool = False
    nested: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "target", f"torchvision.transforms.v2:{self.name}")


def certain(args: Args) -> None:
    """Refuse a transform with a probability that is applied to some images and not to others."""
    if args["p"] != 1:
        raise Refusal(f"p is {args['p']:g}, and chance has no place there", "write `p: 1`", "p")


def pair(size: Any) -> tuple[int, int]:
    """`32` or `[32]` → (32, 32); `[24, 32]` is height and width."""
    values = [size] if isinstance(size, int) else list(size)
    return (values[0], values[-1])


def least(size: Size) -> int:
    return size if isinstance(size, int) else size.least


def most(size: Size) -> int | None:
    return size if isinstance(size, int) else size.most


def between(low: int, high: int | None) -> Size:
    """A size from `low`, at least 1, to `high`."""
    return low if low == high and low > 0 else AtLeast(max(1, low), high)


LARGEST = 2**30  # pixels that an image on its way may have: 12 GiB of colour


def check_size(image: Image) -> None:
    """Refuse images that, as far as that is known, may be larger than any that is meant."""
    height, width = (most(size) or least(size) for size in (image.height, image.width))
    if height * width > LARGEST:
        raise Refusal(
            f"it makes images of {image}, and {LARGEST:,} pixels are the most", "make them smaller"
        )


def grown(size: Size, by: int) -> Size:
    if isinstance(size, int):
        return size + by
    return AtLeast(size.least + by, None if size.most is None else size.most + by)


def rising(*params: str) -> Callable[[Args], None]:
    """Refuse a range `[from, to]` that falls."""

    def check(args: Args) -> None:
        for param in params:
            value = args[param]
            pairs = [value[at : at + 2] for at in (0, 2)] if isinstance(value, list | tuple) else []
            for low, high in (each for each in pairs if len(each) == 2):
                if low > high:
                    raise Refusal(
                        f"{param} goes from {low:g} down to {high:g}", "write [least, most]", param
                    )

    return check


def check_channels(image: Image, args: Args, param: str) -> None:
    """Refuse a list of values that are not one for each channel."""
    value = args[param]
    if isinstance(value, list | tuple) and len(value) not in (1, image.channels):
        raise Refusal(
            f"{param} has {len(value)} values, but the image has {image.channels} "
            f"channel{'s' * (image.channels > 1)}",
            "write one number, or one for each channel",
            param,
        )


def filled(rule: Rule) -> Rule:
    """`rule`, of a transform that has a `fill`."""

    def checked(image: Image, args: Args) -> Image:
        check_channels(image, args, "fill")
        return rule(image, args)

    return checked


def doubt_fill(image: Image, args: Args) -> None:
    fill = args["fill"]
    highest = max(fill) if isinstance(fill, list | tuple) else fill
    if image.pixels and highest is not None and highest > 1:
        raise Refusal(
            f"fill {highest:g} is no pixel, which lie between 0 and 1",
            f"of an 8-bit value write {highest / 255:.3g}",
            "fill",
        )


SIDES = Either(POSITIVE, ListOf(POSITIVE, 1, 2))
CROP = Param("size", SIDES, doc="height and width")
P = Param("p", PROBABILITY, 0.5)
RESAMPLING = Choice("nearest", "nearest-exact", "bilinear", "bicubic")
SAMPLING = Choice("nearest", "bilinear")
ANTIALIAS = Param("antialias", BOOLEAN, True)
FILL = Param("fill", Either(NUMBER, ListOf(NUMBER, 1)), 0, "pixels around the image, from 0 to 1")
