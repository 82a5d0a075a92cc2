"""Samples and targets in memory or on disk, by part."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor

from netspec import images
from netspec.catalogue.sources import Target
from netspec.diagnostics import Diagnostic

PartName = Literal["train", "validation", "test"]

HASHED_BYTES = 256 << 20
CHUNK_BYTES = 1 << 20


@dataclass(frozen=True)
class ImageFiles:
    """Images below `root` that are read when they are needed: each uint8 [C, H, W], of its own
    size."""

    paths: Sequence[Path]
    channels: int
    root: Path

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        return torch.from_numpy(images.load(self.paths[index], self.channels)).permute(2, 0, 1)

    def subset(self, indices: Tensor) -> ImageFiles:
        chosen = [self.paths[index] for index in indices.tolist()]
        return ImageFiles(chosen, self.channels, self.root)


@dataclass(frozen=True)
class Part:
    """inputs: uint8 images [N, C, H, W], files of them, or tensors [N, …] in the input's shape.

    targets: int64 [N], or float32 [N, …].
    """

    inputs: Tensor | ImageFiles
    targets: Tensor

    def __len__(self) -> int:
        return len(self.targets)

    def subset(self, indices: Tensor) -> Part:
        inputs = self.inputs
        chosen = inputs.subset(indices) if isinstance(inputs, ImageFiles) else inputs[indices]
        return Part(chosen, self.targets[indices])


@dataclass(frozen=True)
class Dataset:
    """target: what the data turned out to hold; classes: their names, where they have any;
    warnings: what in them is legal and probably not meant."""

    parts: Mapping[PartName, Part]
    target: Target
    classes: tuple[str, ...] | None = None
    warnings: tuple[Diagnostic, ...] = ()

    @property
    def held_out(self) -> PartName | None:
        """The part that each epoch is measured on: validation, else test."""
        names: tuple[PartName, ...] = ("validation", "test")
        return next((name for name in names if name in self.parts), None)

    @property
    def fingerprint(self) -> dict[str, Any]:
        """What tells these data from others, in plain types: per part the number of samples and a
        SHA-256, and the classes' names. Files count by name and size, tensors beyond HASHED_BYTES
        by evenly spread rows."""
        parts: dict[str, Any] = {
            name: {"samples": len(part), "sha256": _sha256(part)}
            for name, part in self.parts.items()
        }
        return {**parts, "classes": list(self.classes) if self.classes else None}


def changes(before: Any, now: Mapping[str, Any]) -> list[str]:
    """What differs between two fingerprints, for a person; `before` may be anything."""
    before = before if isinstance(before, dict) else {}
    found = []
    for name in {**before, **now}:
        one, other = before.get(name), now.get(name)
        if one == other:
            continue
        if name == "classes":
            found.append(f"its classes are {other}, and were {one}")
            continue
        had, has = (
            each.get("samples", 0) if isinstance(each, dict) else 0 for each in (one, other)
        )
        found.append(
            f"the {name} part has {has} samples, and had {had}"
            if had != has
            else f"the {name} part's content differs"
        )
    return found


def _sha256(part: Part) -> str:
    found = hashlib.sha256()
    for each in (part.inputs, part.targets):
        for piece in _files(each) if isinstance(each, ImageFiles) else _pieces(each):
            found.update(piece)
    return found.hexdigest()


def _files(found: ImageFiles) -> Iterator[bytes]:
    for path in found.paths:
        name = path.relative_to(found.root).as_posix()
        yield f"{name}\0{path.stat().st_size}\0".encode(errors="surrogateescape")


def _pieces(found: Tensor) -> Iterator[bytes]:
    """Its kind, then its rows as bytes, no more of them at a time than are cheap to copy."""
    yield f"{found.dtype}{list(found.shape)}".encode()
    size = found.numel() * found.element_size()
    rows = found[:: -(-size // HASHED_BYTES) or 1]
    together = max(1, CHUNK_BYTES * len(found) // max(1, size))
    for start in range(0, len(rows), together):
        yield rows[start : start + together].contiguous().numpy().tobytes()
