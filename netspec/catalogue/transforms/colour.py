"""What changes values and leaves every pixel in its place."""

from __future__ import annotations

from typing import Any

from netspec.catalogue.component import Param, Refusal
from netspec.catalogue.transforms.transform import (
    SAMPLING,
    STAGES,
    Args,
    Image,
    P,
    Transform,
    certain,
    check_channels,
    doubt_fill,
    filled,
    of_pixels,
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
    Integer,
    ListOf,
    Number,
    OneOrMore,
    optional,
)


def _normalize(image: Image, args: Args) -> Image:
    for param in ("mean", "std"):
        check_channels(image, args, param)
    return image._replace(pixels=False)


def _check_statistics(args: Args) -> None:
    if (mean := max(args["mean"])) > 1:
        means, stds = (
            ", ".join(f"{value / 255:.3g}" for value in args[each]) for each in ("mean", "std")
        )
        raise Refusal(
            f"mean {mean:g} is no mean of pixels, which lie between 0 and 1",
            f"of 8-bit statistics write mean: [{means}], std: [{stds}]",
            "mean",
        )


def _doubt_statistics(image: Image, args: Args) -> None:
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


def _grayscale(image: Image, args: Args) -> Image:
    return image._replace(channels=args["num_output_channels"])


def _rgb(image: Image, args: Args) -> Image:
    return image._replace(channels=3)


def _check_blur(args: Args) -> None:
    kernel = args["kernel_size"]
    sizes = kernel if isinstance(kernel, list | tuple) else [kernel]
    if any(size % 2 == 0 for size in sizes):
        raise Refusal("kernel_size has to be odd, so that it has a middle", param="kernel_size")
    rising("sigma")(args)


def _blur(image: Image, args: Args) -> Image:
    """The edges are mirrored without their last pixels."""
    height, width = image.least()
    across, down = pair(args["kernel_size"])
    if width <= across // 2 or height <= down // 2:
        raise Refusal(
            f"an image of {image} is too small for a kernel of {max(across, down)}",
            "write a smaller one, or put a Resize before it",
            "kernel_size",
        )
    return image


def _one_sigma(args: Args) -> None:
    sigma = args["sigma"]
    if isinstance(sigma, list | tuple) and sigma[0] != sigma[-1]:
        raise Refusal(
            f"sigma is drawn from {sigma[0]:g} to {sigma[-1]:g}, and chance has no place there",
            "write one number",
            "sigma",
        )


def _solarize(args: Args) -> None:
    if args["threshold"] > 1:
        raise Refusal(
            f"threshold {args['threshold']:g} is no pixel, which lie between 0 and 1",
            f"of an 8-bit value write {args['threshold'] / 255:.3g}",
            "threshold",
        )


def _check_quality(args: Args) -> None:
    quality = args["quality"]
    if isinstance(quality, list | tuple):
        rising("quality")({"quality": list(quality)})


def _check_magnitude(args: Args) -> None:
    if args["magnitude"] >= args["num_magnitude_bins"]:
        raise Refusal(
            f"magnitude {args['magnitude']} is none of the {args['num_magnitude_bins']} bins, "
            "which count from 0",
            "write a smaller one",
            "magnitude",
        )


def _erasing(image: Image, args: Args) -> Image:
    check_channels(image, args, "value")
    return image


JITTER = Either(NONNEGATIVE, ListOf(NONNEGATIVE, 2, 2))
FACTORS = ListOf(NONNEGATIVE, 2, 2)
BINS = Param("num_magnitude_bins", Integer(2), 31)
FILL = Param("fill", optional(Either(NUMBER, ListOf(NUMBER, 1))), None, "pixels from 0 to 1")


def policy(name: str, *params: Param, interpolation: str = "nearest", **stated: Any) -> Transform:
    """One of the published policies, which choose among transforms of 8-bit images."""
    return Transform(
        name=name,
        params=(*params, Param("interpolation", SAMPLING, interpolation), FILL),
        rule=filled(of_pixels),
        doubt=doubt_fill,
        eight_bit=True,
        masks="refused",
        **stated,
    )


TRANSFORMS = [
    Transform(
        name="Normalize",
        params=(
            Param("mean", OneOrMore(NUMBER), doc="of each channel, of pixels from 0 to 1"),
            Param("std", OneOrMore(ABOVE_ZERO)),
        ),
        rule=_normalize,
        stages=("preprocess",),
        check=_check_statistics,
        doubt=_doubt_statistics,
        standardizes=True,
    ),
    Transform(
        name="Grayscale",
        params=(Param("num_output_channels", Either(Integer(1, 1), Integer(3, 3)), 1),),
        rule=_grayscale,
        stages=STAGES,
    ),
    Transform(name="RGB", rule=_rgb, stages=STAGES, doc="grey images get three equal channels"),
    Transform(name="Identity", stages=STAGES),
    Transform(
        name="GaussianBlur",
        params=(
            Param("kernel_size", Either(POSITIVE, ListOf(POSITIVE, 1, 2)), doc="width and height"),
            Param("sigma", Either(ABOVE_ZERO, ListOf(ABOVE_ZERO, 1, 2)), (0.1, 2.0)),
        ),
        rule=_blur,
        check=_check_blur,
        stages=STAGES,
        fixed=_one_sigma,
        deployed="netspec.data.preprocessing:GaussianBlur",
    ),
    Transform(
        name="GaussianNoise",
        params=(
            Param("mean", NUMBER, 0.0),
            Param("sigma", NONNEGATIVE, 0.1),
            Param("clip", BOOLEAN, True, "to values from 0 to 1"),
        ),
        rule=of_pixels,
    ),
    Transform(
        name="ColorJitter",
        params=(
            Param("brightness", optional(JITTER), None),
            Param("contrast", optional(JITTER), None),
            Param("saturation", optional(JITTER), None),
            Param("hue", optional(Either(Number(0, 0.5), ListOf(Number(-0.5, 0.5), 2, 2))), None),
        ),
        rule=of_pixels,
        check=rising("brightness", "contrast", "saturation", "hue"),
    ),
    Transform(
        name="RandomPhotometricDistort",
        params=(
            Param("brightness", FACTORS, (0.875, 1.125)),
            Param("contrast", FACTORS, (0.5, 1.5)),
            Param("saturation", FACTORS, (0.5, 1.5)),
            Param("hue", ListOf(Number(-0.5, 0.5), 2, 2), (-0.05, 0.05)),
            P,
        ),
        rule=of_pixels,
        check=rising("brightness", "contrast", "saturation", "hue"),
    ),
    Transform(name="RandomChannelPermutation"),
    Transform(name="RandomGrayscale", params=(Param("p", PROBABILITY, 0.1),)),
    Transform(name="RandomInvert", params=(P,), rule=of_pixels, stages=STAGES, fixed=certain),
    Transform(
        name="RandomSolarize",
        params=(Param("threshold", NUMBER, doc="pixels from there on are inverted"), P),
        rule=of_pixels,
        check=_solarize,
    ),
    Transform(
        name="RandomPosterize",
        params=(Param("bits", Integer(0, 8), doc="of 8, that are kept"), P),
        rule=of_pixels,
        eight_bit=True,
    ),
    Transform(name="RandomEqualize", params=(P,), rule=of_pixels),
    Transform(name="RandomAutocontrast", params=(P,), rule=of_pixels),
    Transform(
        name="RandomAdjustSharpness",
        params=(Param("sharpness_factor", NONNEGATIVE, doc="0 blurs, 1 changes nothing"), P),
        rule=of_pixels,
    ),
    Transform(
        name="JPEG",
        params=(Param("quality", Either(Integer(1, 100), ListOf(Integer(1, 100), 2, 2))),),
        rule=of_pixels,
        check=_check_quality,
        eight_bit=True,
        doc="as if it had been compressed",
    ),
    Transform(
        name="RandomErasing",
        params=(
            P,
            Param("scale", ListOf(Number(above=0, maximum=1), 2, 2), (0.02, 0.33)),
            Param("ratio", ListOf(ABOVE_ZERO, 2, 2), (0.3, 3.3)),
            Param("value", Either(NUMBER, ListOf(NUMBER, 1), Choice("random")), 0.0),
        ),
        rule=_erasing,
        check=rising("scale", "ratio"),
        batched="netspec.data.augmentation:random_erasing",
    ),
    policy("AutoAugment", Param("policy", Choice("imagenet", "cifar10", "svhn"), "imagenet")),
    policy(
        "RandAugment",
        Param("num_ops", NATURAL, 2),
        Param("magnitude", NATURAL, 9),
        BINS,
        check=_check_magnitude,
    ),
    policy("TrivialAugmentWide", BINS),
    policy(
        "AugMix",
        Param("severity", Integer(1, 10), 3),
        Param("mixture_width", POSITIVE, 3),
        Param("chain_depth", Integer(-1), -1, "transforms in a row; -1: one to three of them"),
        Param("alpha", ABOVE_ZERO, 1.0),
        Param("all_ops", BOOLEAN, True),
        interpolation="bilinear",
    ),
]
