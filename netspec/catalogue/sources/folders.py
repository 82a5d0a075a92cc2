"""Folders of image files."""

from __future__ import annotations

from netspec.catalogue.sources.source import ROOT, Classes, Images, Source
from netspec.catalogue.transforms import AtLeast

SOURCES = (
    Source(
        name="ImageFolder",
        target="netspec.data.folders:image_folder",
        doc="a folder per class; train/ and val/ or test/ below root are its parts",
        params=(ROOT,),
        sample=lambda args: Images(AtLeast(), AtLeast()),
        labels=lambda args: Classes(),
        parts=lambda args: None,
    ),
)
