"""Folders of image files."""

from __future__ import annotations

from netspec.catalogue.component import Param, Refusal
from netspec.catalogue.sources.source import ROOT, VOID, Args, Classes, Images, Source
from netspec.catalogue.transforms import AtLeast
from netspec.catalogue.types import TEXT, ListOf


def _check_names(args: Args) -> None:
    names = args["classes"]
    if twice := next((name for name in names if names.count(name) > 1), None):
        raise Refusal(f"the class '{twice}' stands there twice", param="classes")


IMAGE_FOLDER = Source(
    name="ImageFolder",
    target="netspec.data.reading.folders:image_folder",
    doc="a folder per class; train/ and val/ or test/ below root are its parts",
    params=(ROOT,),
    sample=lambda args: Images(AtLeast(), AtLeast()),
    labels=lambda args: Classes(),
    parts=lambda args: None,
)
IMAGE_MASKS = Source(
    name="ImageMasks",
    target="netspec.data.reading.folders:image_masks",
    doc="images/ and masks/ of the same stems, below train/, val/ and test/ where these are there; "
    "a mask's grey value or palette index is the class, and 255 is ignored",
    params=(
        ROOT,
        Param("classes", ListOf(TEXT, 1, VOID), doc="their names, from the value 0"),
    ),
    sample=lambda args: Images(AtLeast(), AtLeast()),
    labels=lambda args: Classes(len(args["classes"]), tuple(args["classes"]), None, VOID),
    parts=lambda args: None,
    masks=lambda args: True,
    check=_check_names,
)

SOURCES = (IMAGE_FOLDER, IMAGE_MASKS)
