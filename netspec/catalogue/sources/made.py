"""Sources that need no data of the user's."""

from __future__ import annotations

from netspec.catalogue.component import Param, Refusal
from netspec.catalogue.sources.source import CLASSES, Args, Classes, Images, Source, Target, Values
from netspec.catalogue.types import BOOLEAN, NATURAL, POSITIVE, Either, ListOf, optional
from netspec.shapes import MAX_RANK

DIGITS = tuple("0123456789")
MOST_NAMED = 1000


def _synthetic_labels(args: Args) -> Target:
    if args["classes"] is not None:
        few = args["classes"] <= MOST_NAMED
        return Classes(args["classes"], tuple(map(str, range(args["classes"]))) if few else None)
    shape = args["targets"]
    return Values((shape,) if isinstance(shape, int) else tuple(shape), binary=args["binary"])


def _check_synthetic(args: Args) -> None:
    if (args["classes"] is None) == (args["targets"] is None):
        raise Refusal(
            "Synthetic needs exactly one of classes and targets",
            "classes: 10 draws class indices, targets: [3] draws floats of that shape",
        )
    if args["binary"] and args["targets"] is None:
        raise Refusal("binary goes with targets", param="binary")


SOURCES = (
    Source(
        name="Digits",
        target="netspec.data.reading.sources:digits",
        doc="1,797 real 8x8 handwritten digits, in the package; every fifth is the test part",
        sample=lambda args: Images(8, 8),
        labels=lambda args: Classes(10, DIGITS),
        parts=lambda args: {"train": 1438, "test": 359},
    ),
    Source(
        name="Synthetic",
        target="netspec.data.reading.sources:synthetic",
        doc="seeded noise of the input's shape; targets follow from it by a fixed random map, "
        "within what the loss takes",
        params=(
            Param("samples", POSITIVE),
            Param("classes", optional(CLASSES), None, "class indices from 0"),
            Param(
                "targets",
                optional(Either(POSITIVE, ListOf(POSITIVE, 1, MAX_RANK))),
                None,
                "shape of float targets",
            ),
            Param("binary", BOOLEAN, False, "each float target is 0 or 1"),
            Param("seed", NATURAL, 0),
        ),
        labels=_synthetic_labels,
        parts=lambda args: {"train": args["samples"]},
        check=_check_synthetic,
    ),
)
