"""What applies other transforms by chance; and the table of them all, which it chooses from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, Protocol

from netspec.catalogue.component import OneOf, Param, Refusal
from netspec.catalogue.transforms import colour, geometry, mixing
from netspec.catalogue.transforms.transform import (
    Args,
    Image,
    P,
    Size,
    Transform,
    between,
    check_size,
    least,
    most,
)
from netspec.catalogue.types import NONNEGATIVE, ListOf, optional


class Step(Protocol):
    """A transform as a spec names it, every parameter filled in."""

    @property
    def type(self) -> str: ...
    @property
    def args(self) -> Any: ...


def applied(step: Step, image: Image) -> Image:
    """The image that a step makes. A Refusal says which nested step it is about."""
    entry, args = TRANSFORMS[step.type], dict(step.args)
    try:
        entry.check(args)
        made = entry.rule(image, args)
        check_size(made)
        return made
    except Refusal as refusal:
        refusal.about = refusal.about or step
        raise


def settled(step: Step) -> bool:
    """Whether it leaves nothing to chance, and may be exported."""
    entry = TRANSFORMS[step.type]
    if entry.stages == ("augment",):
        return False
    try:
        if entry.fixed:
            entry.fixed(dict(step.args))
    except Refusal:
        return False
    return True


def mixes(step: Step) -> bool:
    """Whether it mixes the samples of a batch."""
    return bool(mixers(step))


def mixers(step: Any) -> list[Any]:
    """The steps within it, itself too, that mix the samples of a batch."""
    found = [step] if TRANSFORMS[step.type].mixes else []
    return found + [each for nested in _nested(step) for each in mixers(nested)]


def masks(step: Step) -> Literal["move", "stay", "refused"]:
    """As `Transform.masks`, of what is nested in it, too."""
    found = {TRANSFORMS[step.type].masks, *map(masks, _nested(step))}
    return "refused" if "refused" in found else "move" if "move" in found else "stay"


def _nested(step: Step) -> Iterable[Step]:
    param = TRANSFORMS[step.type].nested
    nested: Iterable[Step] = step.args[param] if param else ()
    return nested


def _chained(image: Image, args: Args) -> Image:
    for step in args["transforms"]:
        image = applied(step, image)
    return image


def _apply(image: Image, args: Args) -> Image:
    made = _chained(image, args)
    return made if args["p"] == 1 else _either(image, made)


def _choice(image: Image, args: Args) -> Image:
    first, *others = (applied(step, image) for step in args["transforms"])
    for each in others:
        first = _either(first, each)
    return first


def _order(image: Image, args: Args) -> Image:
    """One of them may change the size, which comes out the same wherever it stands."""
    steps = args["transforms"]
    changing = [step for step in steps if applied(step, image) != image]
    if len(changing) > 1:
        names = " and ".join(step.type for step in changing)
        raise Refusal(
            f"{names} change the image's size, which would depend on their order",
            "put one of them before or behind it",
            "transforms",
        )
    made = applied(changing[0], image) if changing else image
    for step in steps:
        if step not in changing and applied(step, made) != made:
            raise Refusal(
                f"{step.type} changes what {changing[0].type} makes, so that it would depend on "
                "their order",
                "put one of them before or behind it",
                "transforms",
            )
    return made


def _either(one: Image, other: Image) -> Image:
    if one.channels != other.channels:
        raise Refusal(
            f"it makes images of {one} or of {other}, as chance has it",
            "make them end in as many channels",
            "transforms",
        )
    made = one.sized(_one_of(one.height, other.height), _one_of(one.width, other.width))
    return made._replace(pixels=one.pixels and other.pixels)


def _one_of(one: Size, other: Size) -> Size:
    ends = most(one), most(other)
    highest = None if None in ends else max(end for end in ends if end is not None)
    return between(min(least(one), least(other)), highest)


def _doubt(image: Image, args: Args) -> None:
    for step in args["transforms"]:
        try:
            TRANSFORMS[step.type].doubt(image, dict(step.args))
        except Refusal as refusal:
            refusal.about = refusal.about or step
            raise


def _check_unmixed(args: Args) -> None:
    for step in args["transforms"]:
        if mixes(step):
            refusal = Refusal(
                f"{step.type} mixes always or never: what it leaves has other targets",
                "let it stand in `augment` itself, last; `RandomChoice` may choose among such",
            )
            refusal.about = step
            raise refusal


def _check_choice(args: Args) -> None:
    steps, shares = args["transforms"], args["p"]
    if not all(map(mixes, steps)):
        _check_unmixed(args)
    if shares is not None and len(shares) != len(steps):
        raise Refusal(
            f"p has {len(shares)} values, but there are {len(steps)} transforms", None, "p"
        )
    if shares is not None and not sum(shares):
        raise Refusal("p leaves nothing to choose", "write a share above 0", "p")


TRANSFORMS: dict[str, Transform] = {
    entry.name: entry for family in (geometry, colour, mixing) for entry in family.TRANSFORMS
}
LISTED = Param("transforms", ListOf(OneOf("transform", TRANSFORMS), 1))
CHOOSING = [
    Transform(
        name="RandomApply",
        params=(LISTED, P),
        rule=_apply,
        check=_check_unmixed,
        doubt=_doubt,
        nested="transforms",
        doc="all of them, or none",
    ),
    Transform(
        name="RandomChoice",
        params=(
            LISTED,
            Param("p", optional(ListOf(NONNEGATIVE, 1)), None, "shares; default: equal ones"),
        ),
        rule=_choice,
        check=_check_choice,
        doubt=_doubt,
        nested="transforms",
        doc="one of them",
    ),
    Transform(
        name="RandomOrder",
        params=(LISTED,),
        rule=_order,
        check=_check_unmixed,
        doubt=_doubt,
        nested="transforms",
        doc="all of them, in any order",
    ),
]
TRANSFORMS |= {entry.name: entry for entry in CHOOSING}
