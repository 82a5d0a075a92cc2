"""What the static check says of an image's size, torchvision's transforms do to it."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
import torch

from netspec.catalogue.component import Refusal
from netspec.catalogue.sources import Unknown
from netspec.catalogue.transforms import TRANSFORMS, AtLeast, Image, Transform
from netspec.catalogue.types import canonical
from netspec.data.augmentation import Augmentation
from netspec.data.randomness import keys
from netspec.planning.plans import Pipeline
from netspec.spec.model import Named
from tests.soundness.drawing import draw

SIZES = (4, 5, 8, 11, 16)


def drawn(entry: Transform, random: Random) -> dict[str, Any]:
    found = {
        param.name: canonical(param.type, draw(param.type, random))
        for param in entry.params
        if param.required or random.random() < 0.4
    }
    if "fill" in found and isinstance(found["fill"], list):
        found["fill"] = (found["fill"] * 3)[:3]
    return found


def applied(entry: Transform, args: dict[str, Any], image: torch.Tensor) -> torch.Tensor:
    step = Named(entry.name, entry.complete(args), ())
    pipeline = Pipeline(
        source=Named("Digits", {}, ()), images=None, raw=None, augment=(step,), evaluate=(),
        preprocess=(), target=Unknown(), sizes=None,
    )  # fmt: skip
    result, _ = Augmentation(pipeline, training=True)(image[None], None, keys(0, 0))
    return result[0]


@pytest.mark.parametrize("entry", TRANSFORMS.values(), ids=lambda entry: entry.name)
def test_an_accepted_transform_gives_the_size_it_said(entry: Transform, draws: int) -> None:
    random, accepted = Random(entry.name), 0
    for _ in range(draws):
        height, width = random.choice(SIZES), random.choice(SIZES)
        args = drawn(entry, random)
        try:
            entry.check(entry.complete(args))
            said = entry.rule(Image(3, height, width), entry.complete(args))
        except Refusal:
            continue
        accepted += 1
        output = applied(entry, args, torch.rand(3, height, width))
        assert tuple(output.shape) == (3, said.height, said.width), (args, height, width)
    assert accepted >= draws // 10


@pytest.mark.parametrize("entry", TRANSFORMS.values(), ids=lambda entry: entry.name)
def test_images_of_any_size_stay_within_what_is_said(entry: Transform, draws: int) -> None:
    random = Random(f"any {entry.name}")
    for _ in range(draws):
        least = random.choice(SIZES)
        args = drawn(entry, random)
        try:
            said = entry.rule(Image(3, AtLeast(least), AtLeast(least)), entry.complete(args))
        except Refusal:
            continue
        height, width = least + random.choice([0, 3]), least + random.choice([0, 1])
        there = entry.rule(Image(3, height, width), entry.complete(args))
        for told, found in ((said.height, there.height), (said.width, there.width)):
            assert isinstance(found, int)
            assert found >= told.least if isinstance(told, AtLeast) else found == told
