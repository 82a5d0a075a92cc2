"""Masks: a class in each pixel of an image, every one of them looked at before training begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from netspec import images
from netspec.catalogue.component import Refusal
from netspec.catalogue.sources import VOID, Classes
from netspec.data.dataset import Files, Part, Pictures
from netspec.data.reading.inspection import Inspection, readable
from netspec.diagnostics import Code, Diagnostic, Place


@dataclass(frozen=True, eq=False)
class MaskFiles(Files):
    """Masks, each uint8 [1, H, W] of classes. `classes`: the class of each value that the files
    have, uint8 [256]; None: the value itself."""

    classes: Tensor | None = None
    channels = 1

    def __getitem__(self, index: int) -> Tensor:
        mask = torch.from_numpy(images.load_mask(self.paths[index])).unsqueeze(0)
        return mask if self.classes is None else self.classes[mask.long()]

    @property
    def manner(self) -> bytes:
        mapped = b"" if self.classes is None else self.classes.numpy().tobytes()
        return super().manner + mapped


class _Seen(NamedTuple):
    """A mask's width and height, and how many pixels have each value, int64 [256]."""

    size: tuple[int, int]
    counts: np.ndarray[tuple[int], np.dtype[np.int64]]


def inspected(
    files: Pictures,
    headers: Sequence[images.Header | None],
    masks: Pictures,
    names: Sequence[Path],
    target: Classes,
    inspection: Inspection,
    *,
    training: bool,
) -> Part:
    """A part of images and masks, without the pairs of which one is unreadable. `names`: the masks'
    files, to speak of them. Masks of another size than the image, or with values of no class, are
    refused."""

    def seen(index: int) -> _Seen:
        mask = masks[index]
        counts = np.bincount(mask.numpy().reshape(-1), minlength=VOID + 1)
        return _Seen((mask.shape[2], mask.shape[1]), counts)

    total = np.zeros(VOID + 1, np.int64)
    kept = []
    for index, found in enumerate(inspection.each(seen, range(len(masks)))):
        header = headers[index]
        if found is None or header is None:
            continue
        kept.append(index)
        total += found.counts
        if problem := _problem(found, header, target):
            message, remedy = problem
            place = Place(str(names[index]))
            inspection.refused.append(Diagnostic(Code.DATA, message, place, remedy))
    if training and kept and not inspection.refused:
        _check_classes(total, target, inspection)
    return readable(Part(files, masks), kept)


def _problem(found: _Seen, header: images.Header, target: Classes) -> tuple[str, str] | None:
    """What speaks against a mask, and what to do about it."""
    if found.size != header.shown:
        said = "{}x{}".format(*found.size), "{}x{}".format(*header.shown)
        turned = header.upended and found.size == (header.width, header.height)
        return (
            f"the mask is {said[0]}, but its image is {said[1]}",
            "the image is shown turned, as its EXIF orientation says: turn the mask likewise"
            if turned
            else "a mask has the size of its image",
        )
    assert target.count is not None
    values = np.flatnonzero(found.counts)
    if len(unknown := values[(values >= target.count) & (values != VOID)]):
        last = target.count - 1
        return (
            f"the mask has the value {unknown[0]}, but its classes are 0 to {last}, and {VOID} is "
            "ignored",
            "a pixel is the number of its class in `classes`, from 0",
        )
    return None


def _check_classes(
    total: np.ndarray[tuple[int], np.dtype[np.int64]], target: Classes, inspection: Inspection
) -> None:
    """Refuse training masks from which nothing can be learned, warn of classes in none of them."""
    assert target.count is not None and target.names is not None
    there = [name for name, count in zip(target.names, total[: target.count], strict=True) if count]
    lacking = [name for name in target.names if name not in there]
    if target.count > 1 and len(there) < 2:
        counted = f"is '{there[0]}'" if there else "is ignored"
        missing = lacking[0]
        raise Refusal(
            f"every pixel of the training masks {counted}"
            + f" or {VOID}, which is ignored" * bool(there and total[VOID]),
            f"a pixel is the number of its class: '{missing}' is {target.names.index(missing)}",
            "root",
        )
    if lacking:
        inspection.warn(
            f"no pixel of the training masks is {' or '.join(map(repr, lacking[:5]))}",
            "a class that is never seen is never learned",
        )
