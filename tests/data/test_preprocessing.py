"""What happens to an image is torchvision's, bit for bit."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision.transforms import v2
from torchvision.transforms.functional import to_tensor

from netspec.data.preprocessing import CenterCrop, Preprocessing, Resize, scale
from netspec.planning import make_plan
from netspec.planning.plans import Pipeline
from netspec.spec.loading import loads


def image(height: int, width: int, channels: int = 3, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    size = (channels, height, width)
    return torch.randint(0, 256, size, dtype=torch.uint8, generator=generator)


def pipeline(input: str, **steps: str) -> Pipeline:
    written = "\n".join(f"  {stage}: {text}" for stage, text in steps.items())
    found = make_plan(
        loads(
            f"netspec: 1\ninput: {input}\nmodel: [Flatten]\n"
            f"data:\n  source: {{ImageFolder: {{root: photos}}}}\n{written}\n"
        )
    ).pipeline
    assert found is not None
    return found


def sizes(count: int, least: int, most: int, seed: int) -> list[tuple[int, int]]:
    draw = random.Random(seed)
    return [(draw.randint(least, most), draw.randint(least, most)) for _ in range(count)]


@pytest.mark.parametrize("size", [17, 32, [24], [20, 33], [7, 7]])
@pytest.mark.parametrize("antialias", [True, False])
def test_resize(size: Any, antialias: bool) -> None:
    theirs, ours = v2.Resize(size, antialias=antialias), Resize(size, antialias)
    for height, width in [(17, 17), (32, 32), (24, 200), (200, 24), *sizes(12, 5, 90, seed=1)]:
        one = scale(image(height, width))
        assert torch.equal(ours(one[None])[0], theirs(one)), (height, width)


@pytest.mark.parametrize("size", [8, [8], [5, 8], [8, 7], 1])
def test_center_crop(size: Any) -> None:
    theirs, ours = v2.CenterCrop(size), CenterCrop(size)
    for height in range(8, 16):
        for width in range(8, 16):
            one = scale(image(height, width))
            assert torch.equal(ours(one[None])[0], theirs(one)), (height, width)


def test_pixels_become_the_floats_that_to_tensor_makes() -> None:
    every = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    ours = scale(torch.from_numpy(every).permute(2, 0, 1))
    assert torch.equal(ours, to_tensor(every))
    assert (float(ours.min()), float(ours.max())) == (0, 1)


def test_the_whole_of_evaluation_at_random_sizes() -> None:
    ours = Preprocessing(
        pipeline(
            "[3, 24, 20]",
            evaluate="[Resize: {size: 32}, CenterCrop: {size: [24, 20]}]",
            preprocess="[Normalize: {mean: [0.4, 0.5, 0.6], std: [0.2, 0.3, 0.4]}]",
        )
    )
    theirs = v2.Compose(
        [
            v2.Lambda(lambda pixels: to_tensor(pixels.permute(1, 2, 0).numpy())),
            v2.Resize(32),
            v2.CenterCrop([24, 20]),
            v2.Normalize([0.4, 0.5, 0.6], [0.2, 0.3, 0.4]),
        ]
    )
    for seed, (height, width) in enumerate(sizes(20, 3, 120, seed=2)):
        one = image(height, width, seed=seed)
        assert torch.equal(ours(one[None])[0], theirs(one)), (height, width)
