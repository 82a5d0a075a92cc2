"""Photographs and masks of drawn sizes, as a source would bring them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from netspec.data.dataset import Dataset, ImageFiles, Part
from netspec.data.loading import load
from netspec.planning import Plan, make_plan
from netspec.spec.loading import loads
from netspec.spec.writing import to_yaml


@dataclass(frozen=True)
class Masks(ImageFiles):
    """For each image a mask of its size: a class in each pixel."""

    def __getitem__(self, index: int) -> Tensor:
        return super().__getitem__(index) % 3


def photos(folder: Path, sizes: list[tuple[int, int]], seed: int = 0) -> None:
    """Images of these heights and widths below `folder/a` and `folder/b`, by turns: JPEG, PNG, grey
    or in colour, some of them turned by their EXIF orientation."""
    random, pixels = Random(seed), np.random.default_rng(seed)
    for index, (height, width) in enumerate(sizes):
        # Blotches, so that what a transform does to them shows.
        coarse = pixels.integers(0, 256, (height // 4 + 1, width // 4 + 1, 3), np.uint8)
        whole = coarse.repeat(4, 0).repeat(4, 1)[:height, :width]
        turned = random.random() < 0.3 and height == width
        exif = Image.Exif()
        exif[0x0112] = random.choice([3, 6, 8]) if turned else 1
        image = Image.fromarray(whole)
        path = folder / "ab"[index % 2] / f"{index:03}.{random.choice(['jpg', 'png'])}"
        path.parent.mkdir(parents=True, exist_ok=True)
        (image.convert("L") if random.random() < 0.2 else image).save(path, exif=exif)


def planned(root: Path, input: list[int], **data: Any) -> Plan:
    return make_plan(
        loads(
            to_yaml(
                {
                    "netspec": 1,
                    "input": input,
                    "model": ["Flatten"],
                    "data": {"source": {"ImageFolder": {"root": str(root)}}, **data},
                }
            )
        )
    )


def masked(plan: Plan) -> Dataset:
    """The plan's data with a mask for each image instead of its label."""
    dataset = load(plan)
    parts = {}
    for name, part in dataset.parts.items():
        assert isinstance(part.inputs, ImageFiles)
        masks = Masks(part.inputs.paths, part.inputs.root, 1)
        parts[name] = Part(part.inputs, masks)
    return Dataset(parts, dataset.target)


def same(one: Any, other: Any) -> bool:
    """Whether two series of batches are equal, bit for bit."""
    pairs = list(zip(list(one), list(other), strict=True))
    return all(
        torch.equal(x.inputs, y.inputs) and torch.equal(x.targets, y.targets) for x, y in pairs
    )
