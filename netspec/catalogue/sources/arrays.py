"""Arrays in files."""

from __future__ import annotations

from netspec.catalogue.component import Param
from netspec.catalogue.sources.source import Source, Unknown
from netspec.catalogue.types import PATH, TEXT

SOURCES = (
    Source(
        name="Tensors",
        target="netspec.data.arrays:tensors",
        doc="arrays of a .npz file, taken as they are",
        params=(
            Param("path", PATH, doc="from the working directory"),
            Param("inputs", TEXT, "inputs", "name of the array of samples"),
            Param("targets", TEXT, "targets", "name of the array of targets"),
        ),
        labels=lambda args: Unknown(),
        parts=lambda args: {"train": None},
    ),
)
