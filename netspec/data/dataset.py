"""Samples and targets in memory or on disk, by part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from netspec import images
from netspec.catalogue.sources import Target

PartName = Literal["train", "validation", "test"]


@dataclass(frozen=True)
class ImageFiles:
    """Images that are read when they are needed: each uint8 [C, H, W], of its own size."""

    paths: Sequence[Path]
    channels: int

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        return torch.from_numpy(images.load(self.paths[index], self.channels)).permute(2, 0, 1)

    def subset(self, indices: Tensor) -> ImageFiles:
        return ImageFiles([self.paths[index] for index in indices.tolist()], self.channels)


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
    """target: what the data turned out to hold; classes: their names, where they have any."""

    parts: Mapping[PartName, Part]
    target: Target
    classes: tuple[str, ...] | None = None

    @property
    def held_out(self) -> PartName | None:
        """The part that each epoch is measured on: validation, else test."""
        names: tuple[PartName, ...] = ("validation", "test")
        return next((name for name in names if name in self.parts), None)
