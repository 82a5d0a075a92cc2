"""Every data source, a module per family."""

from netspec.catalogue.sources import arrays, folders, made, shards, tables, torchvision
from netspec.catalogue.sources.fetched import Fetched, Piece
from netspec.catalogue.sources.source import (
    VOID,
    Args,
    Classes,
    Images,
    Sizes,
    Source,
    Target,
    Unknown,
    Values,
)

FAMILIES = (made, torchvision, folders, shards, tables, arrays)

SOURCES: dict[str, Source] = {
    source.name: source for family in FAMILIES for source in family.SOURCES
}

__all__ = [
    "SOURCES",
    "VOID",
    "Args",
    "Classes",
    "Fetched",
    "Images",
    "Piece",
    "Sizes",
    "Source",
    "Target",
    "Unknown",
    "Values",
]
