"""Shards: tar files whose members of one stem are a sample."""

from __future__ import annotations

import re

from netspec.catalogue.component import Param, Refusal
from netspec.catalogue.sources.source import CLASSES, Args, Classes, Images, Source
from netspec.catalogue.transforms import AtLeast
from netspec.catalogue.types import PATH, TEXT, Either, ListOf, optional

SHARDS = 100_000  # the most that one text stands for
# What is not read from a member: Python objects run code when they are loaded.
CODE = frozenset({"pyd", "pickle", "pkl", "pth", "pt", "py"})

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+:")
_RANGE = re.compile(r"(-?\d+)\.\.(-?\d+)")


def local(url: str) -> None:
    """Refuse what is not the path of a file on this machine."""
    if (scheme := _SCHEME.match(url)) is not None:
        raise Refusal(
            f"'{url}' begins with '{scheme.group()}', and shards are read from local files alone: "
            "nothing is fetched, and no command is run",
            "copy the shards here, and write their paths",
            "urls",
        )


def _check(args: Args) -> None:
    for url in args["urls"].split("::"):
        local(url)
        if "${" in url:
            raise Refusal("a variable of the environment does not stand in a spec", param="urls")
        if url.count("{") != url.count("}"):
            raise Refusal(f"the braces of '{url}' have no other half", param="urls")
        if url.endswith((".gz", ".tgz", ".zst", ".bz2", ".xz")):
            raise Refusal(
                f"'{url}' is compressed, so that no sample of it can be read alone",
                "unpack it to .tar: its images are compressed already",
                "urls",
            )
    if _most(args["urls"]) > SHARDS:
        raise Refusal(
            f"it may stand for more than {SHARDS:,} shards", "write fewer, larger ones", "urls"
        )
    for param in ("image", "target"):
        for kind in args[param].lower().split(";"):
            if kind in CODE:
                raise Refusal(
                    f"'.{kind}' holds Python objects, which run code when they are read",
                    "store images as .jpg or .png, and class indices as text in .cls",
                    param,
                )
    names = args["classes"]
    if isinstance(names, list | tuple) and len(set(names)) < len(names):
        raise Refusal("a class stands there twice", param="classes")


def _most(urls: str) -> int:
    """As many as the braces may stand for, or more."""
    found = 1
    for low, high in _RANGE.findall(urls):
        if len(low) > 9 or len(high) > 9:
            return SHARDS + 1
        found *= abs(int(high) - int(low)) + 1
    return found * (1 + urls.count("::") + urls.count(","))


def _labels(args: Args) -> Classes:
    classes = args["classes"]
    if classes is None or isinstance(classes, int):
        return Classes(classes)
    return Classes(len(classes), tuple(classes))


SOURCES = (
    Source(
        name="WebDataset",
        target="netspec.data.reading.shards:web_dataset",
        doc="tar files of images and class indices; members of one stem are a sample",
        params=(
            Param("urls", PATH, doc="paths, such as shards/train-{000..099}.tar; several by ::"),
            Param("image", TEXT, "jpg", "what an image's name ends with; several by ;"),
            Param("target", TEXT, "cls", "what the name of a class index, as text, ends with"),
            Param(
                "classes",
                optional(Either(CLASSES, ListOf(TEXT, 1))),
                None,
                "how many, or their names; default: up to the largest index",
            ),
        ),
        sample=lambda args: Images(AtLeast(), AtLeast()),
        labels=_labels,
        parts=lambda args: {"train": None},
        check=_check,
    ),
)
