"""Arrays in files."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any, Literal, NamedTuple

from netspec.catalogue.component import Component, Param, Refusal, Section
from netspec.catalogue.preparations import Preparation
from netspec.catalogue.sources.source import (
    CLASSES,
    Args,
    Classes,
    Images,
    Sizes,
    Source,
    Target,
    Unknown,
)
from netspec.catalogue.types import BOOLEAN, PATH, TEXT, ListOf, optional
from netspec.shapes import Tensor

PartName = Literal["train", "validation", "test"]

PARTS: tuple[PartName, ...] = ("train", "validation", "test")
ARRAYS = (".npz", ".safetensors", ".pt", ".pth")
ALONE = ".npy"

PAIR = Component(
    name="part",
    params=(
        Param("inputs", TEXT, doc="the part's array of samples"),
        Param("targets", TEXT, doc="the part's array of targets"),
    ),
)
NAMED_PARTS = Component(
    name="parts",
    params=(
        Param("train", Section(PAIR)),
        *(Param(name, optional(Section(PAIR)), None) for name in PARTS[1:]),
    ),
)


class Wanted(NamedTuple):
    """An array's name, or its file where there is no `path`; `keys`: where that is written."""

    name: str
    keys: tuple[str, ...]

    def refusal(self, message: str, remedy: str | None = None) -> Refusal:
        param, *within = self.keys
        return Refusal(message, remedy, param, tuple(within))


def wanted(args: Mapping[str, Any]) -> dict[PartName, tuple[Wanted, Wanted]]:
    """The arrays of each part: its inputs and its targets."""
    if args["parts"] is None:
        places: dict[PartName, tuple[str, ...]] = {"train": ()}
    else:
        places = {name: ("parts", name) for name in PARTS if args["parts"].get(name)}
    found = {}
    for part, keys in places.items():
        pair = args["parts"][part] if keys else args
        inputs, targets = (Wanted(pair[key], (*keys, key)) for key in ("inputs", "targets"))
        found[part] = (inputs, targets)
    return found


def _check(args: Args) -> None:
    if args["parts"] is not None and (args["inputs"], args["targets"]) != ("inputs", "targets"):
        raise Refusal(
            "`parts` names the arrays, so that inputs and targets have nothing to do",
            "remove them",
            "parts",
        )
    if args["path"] is None:
        for each in (each for pair in wanted(args).values() for each in pair):
            if PurePath(each.name).suffix.lower() != ALONE:
                raise each.refusal(
                    f"'{each.name}' is no {ALONE} file, and there is no `path` of a file that "
                    "holds such an array",
                    f"give a `path` of one of {', '.join(ARRAYS)}, or inputs and targets as "
                    f"{ALONE} files",
                )
    elif PurePath(args["path"]).suffix.lower() not in ARRAYS:
        alone = PurePath(args["path"]).suffix.lower() == ALONE
        raise Refusal(
            f"'{args['path']}' is none of {', '.join(ARRAYS)}",
            "leave `path` out: `{inputs: x.npy, targets: y.npy}`" if alone else "save it as .npz",
            "path",
        )
    if args["standardize"] and args["images"]:
        raise Refusal(
            "images are scaled to [0, 1]",
            "remove it; `preprocess: [Normalize: {mean: …, std: …}]` standardizes images",
            "standardize",
        )
    twice = [name for name, count in Counter(args["classes"] or ()).items() if count > 1]
    if twice:
        raise Refusal(
            f"'{twice[0]}' stands twice in classes", "give each class its own name", "classes"
        )


def _images(args: Args) -> Images | None:
    return Images(None, None) if args["images"] else None


def _labels(args: Args) -> Target:
    names = args["classes"]
    return Unknown() if names is None else Classes(len(names), tuple(names), shape=None)


def _sizes(args: Args) -> Sizes:
    return dict.fromkeys(wanted(args))


def _standardized(args: Args, input: Tensor) -> Preparation | None:
    if not args["standardize"]:
        return None
    if input.dtype != "float32":
        raise Refusal(f"it makes floats, but the input is {input}", "remove it", "standardize")
    count = input.shape[0]
    if not isinstance(count, int):
        raise Refusal(
            f"it learns a mean of each of the first dimension's numbers, and that is {count}",
            "make it a number",
            "standardize",
        )
    return Preparation(
        kind="array",
        shape=input.shape,
        dtype="float32",
        statistics={"mean": count, "deviation": count},
        target="netspec.data.standardizing:Standardized",
    )


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Arrays(Source):
    """A source whose arrays' names are files where it has no `path`."""

    def without_paths(self, args: Mapping[str, Any]) -> dict[str, Any]:
        kept = super().without_paths(args)
        if args.get("path") is None:
            for name in ("inputs", "targets", "parts"):
                kept.pop(name, None)
        return kept


SOURCES = (
    Arrays(
        name="Tensors",
        target="netspec.data.reading.arrays:tensors",
        doc="arrays of files, taken as they are, and mapped where the format allows",
        params=(
            Param(
                "path",
                optional(PATH),
                None,
                ".npz, .safetensors or .pt (weights only), from the working directory; without it "
                "the arrays are .npy files",
            ),
            Param("inputs", TEXT, "inputs", "the array of samples"),
            Param("targets", TEXT, "targets", "the array of targets"),
            Param(
                "standardize",
                BOOLEAN,
                False,
                "by the training part's mean and deviation, of each feature or channel",
            ),
            Param("images", BOOLEAN, False, "8-bit N×H×W or N×H×W×C, taken as images"),
            Param("classes", optional(ListOf(TEXT, 1, CLASSES.maximum)), None, "names, from 0"),
            Param(
                "parts",
                optional(Section(NAMED_PARTS)),
                None,
                "the arrays of each part: `{train: {inputs, targets}, validation: …, test: …}`",
            ),
        ),
        sample=_images,
        preparation=_standardized,
        labels=_labels,
        parts=_sizes,
        check=_check,
    ),
)
