"""What netspec knows of a data set of torchvision's beside its parameters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from netspec.catalogue.component import Param
from netspec.catalogue.sources.source import ROOT, Args, Images, Source, Target
from netspec.catalogue.types import BOOLEAN

DOWNLOAD = Param("download", BOOLEAN, False, "fetch the data if they are not there")

_EVERY_PART = "netspec reads every part"
WITHHELD = {
    "train": _EVERY_PART,
    "split": _EVERY_PART,
    "transform": "`augment`, `evaluate` and `preprocess` say it",
    "transforms": "`augment`, `evaluate` and `preprocess` say it",
    "target_transform": "targets stay as they are",
    "loader": "netspec reads every image in one way",
}


class Piece(NamedTuple):
    """A part: the arguments of torchvision's class that make it, the file or folder below `root`
    without which it is not there, and its samples (None: only the data know how many)."""

    args: Args
    place: str
    size: int | None = None


Pieces = Mapping[str, Piece]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Fetched(Source):
    """A data set of torchvision's. `pieces`: its parts.

    `layout`: the function of `netspec.data.reading.layouts` that finds the samples in torchvision's
    object. `needs`: the packages beside torchvision that read it, `fetching`: that download it.
    `unpacks`:
    archives that lie below `root` are unpacked without a download. `withheld`: parameters of
    torchvision's that are not offered, and why.
    """

    pieces: Callable[[Args], Pieces]
    layout: str
    needs: tuple[str, ...] = ()
    fetching: tuple[str, ...] = ()
    unpacks: bool = False
    withheld: Mapping[str, str] = field(default_factory=dict)
    reader: str = "netspec.data.reading.downloaded:downloaded"


def fetched(
    name: str,
    layout: str,
    doc: str,
    pieces: Pieces | Callable[[Args], Pieces],
    labels: Target | Callable[[Args], Target],
    sample: Images | Callable[[Args], Images],
    *params: Param,
    download: bool = True,
    needs: tuple[str, ...] = (),
    fetching: tuple[str, ...] = (),
    unpacks: bool = False,
    masks: Callable[[Args], bool] = lambda args: False,
    check: Callable[[Args], None] = lambda args: None,
    withheld: Mapping[str, str] | None = None,
) -> Fetched:
    """The entry of a class of torchvision.datasets; what no argument changes is given as it is."""
    all_pieces = pieces if callable(pieces) else lambda args: pieces
    offered = {param.name for param in params}
    common = {param: why for param, why in WITHHELD.items() if param not in offered}
    return Fetched(
        name=name,
        target=f"torchvision.datasets:{name}",
        doc=doc,
        params=(ROOT, *params, *([DOWNLOAD] if download else [])),
        sample=sample if callable(sample) else lambda args: sample,
        labels=labels if callable(labels) else lambda args: labels,
        parts=lambda args: {name: piece.size for name, piece in all_pieces(args).items()},
        pieces=all_pieces,
        layout=layout,
        needs=needs,
        fetching=fetching,
        unpacks=unpacks,
        masks=masks,
        check=check,
        withheld=common | dict(withheld or {}),
    )
