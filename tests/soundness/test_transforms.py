"""What the static check says of an image's size, torchvision's transforms do to it."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
import torch

from netspec.catalogue.component import Refusal
from netspec.catalogue.transforms import (
    TRANSFORMS,
    AtLeast,
    Image,
    Size,
    Transform,
    applied,
    least,
    mixes,
    most,
)
from netspec.catalogue.types import Type, canonical
from netspec.data.preprocessing import drawn
from netspec.planning.pipeline import completed
from netspec.spec.model import Named
from tests.soundness.drawing import draw

SIZES = (1, 2, 3, 4, 5, 8, 11, 16)
# What the type alone rarely draws so that the transform accepts it.
LIKELY: dict[str, list[Any]] = {
    "max_size": [None, 9, 20],
    "kernel_size": [1, 3, 5, [3, 5]],
    "sigma": [0.5, 1.0, [0.3, 0.9], [0.2]],
    "side_range": [[1.0, 1.0], [1.0, 2.5], [1.5, 1.5]],
    "degrees": [0.0, 30.0, [-10.0, 200.0], [90.0, 90.0], [180.0, 180.0], [45.0, 45.0]],
    "threshold": [0.0, 0.4, 1.0],
    "distortion_scale": [0.0, 0.3, 0.5],
    "quality": [30, [5, 90]],
    "num_magnitude_bins": [10, 31],
    "mixture_width": [1, 3],
}
MOVING = pytest.mark.filterwarnings("ignore:The image decoding and encoding:DeprecationWarning")


def value(name: str, kind: Type, random: Random) -> Any:
    if name == "transforms":
        return tuple(random_step(random) for _ in range(random.randint(1, 3)))
    found = draw(kind, random)
    if name in LIKELY and random.random() < 0.7:
        found = random.choice([each for each in LIKELY[name] if kind.accepts(each)])
    return canonical(kind, found)


def random_step(random: Random, entry: Transform | None = None) -> Named:
    """A transform with random parameters, sensible or not."""
    entry = entry or random.choice(list(TRANSFORMS.values()))
    args = {
        param.name: value(param.name, param.type, random)
        for param in entry.params
        if param.required or random.random() < 0.4
    }
    if isinstance(args.get("fill"), list) and random.random() < 0.8:
        args["fill"] = (args["fill"] * 3)[:3]
    if isinstance(args.get("p"), list) and random.random() < 0.8:
        args["p"] = [random.random() for _ in args["transforms"]]
    return completed(Named(entry.name, args, ()))


def made(step: Named, image: torch.Tensor) -> torch.Tensor:
    module = drawn(step, classes=4)
    if not mixes(step):
        return module(image)
    images, _ = module(torch.stack([image, image]), torch.tensor([0, 3]))
    return images[1]


def within(found: int, said: Size) -> bool:
    highest = most(said)
    return least(said) <= found and (highest is None or found <= highest)


@MOVING
@pytest.mark.parametrize("entry", TRANSFORMS.values(), ids=lambda entry: entry.name)
def test_an_accepted_transform_gives_the_size_it_said(entry: Transform, draws: int) -> None:
    random, accepted = Random(entry.name), 0
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for _ in range(draws):
            image = Image(random.choice([1, 3]), random.choice(SIZES), random.choice(SIZES))
            step = random_step(random, entry)
            try:
                said = applied(step, image)
            except Refusal:
                continue
            accepted += 1
            assert isinstance(image.height, int) and isinstance(image.width, int)
            output = made(step, torch.rand(image.channels, image.height, image.width))
            channels, height, width = output.shape
            assert channels == said.channels, (step, image)
            assert within(height, said.height) and within(width, said.width), (step, image, said)
            assert output.isfinite().all(), (step, image)
    assert accepted >= draws // 10


# What torchvision takes, by chance or always, and netspec refuses with a reason.
ON_PURPOSE = (
    " goes from ",  # it draws from falling ranges, or fails, as the class has it
    "is no mean of pixels",
    "is no pixel",
    "is none of the",  # a magnitude that not every draw looks at
    " values, but the image has ",  # one channel becomes three, unseen
    "goes with padding_mode 'constant' alone",  # where nothing is padded
    "may shrink to nothing",  # of sizes that are drawn
    "shows no perspective",
    "may move two corners to one place",
    "mixes always or never",
    "makes images of",
    "depend on their order",
)
TRIES = 6


@MOVING
@pytest.mark.filterwarnings("ignore:Scale and ratio should be:UserWarning")
@pytest.mark.parametrize("entry", TRANSFORMS.values(), ids=lambda entry: entry.name)
def test_what_is_refused_fails_or_is_refused_on_purpose(entry: Transform, draws: int) -> None:
    random = Random(f"refused {entry.name}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for _ in range(draws):
            image = Image(random.choice([1, 3]), random.choice(SIZES), random.choice(SIZES))
            step = random_step(random, entry)
            try:
                applied(step, image)
            except Refusal as refusal:
                message = refusal.message
            else:
                continue
            if not any(words in message for words in ON_PURPOSE) and entry.nested is None:
                assert isinstance(image.height, int) and isinstance(image.width, int)
                with pytest.raises((ValueError, TypeError, RuntimeError, IndexError)):
                    for _ in range(TRIES):
                        made(step, torch.rand(image.channels, image.height, image.width))


@pytest.mark.parametrize("entry", TRANSFORMS.values(), ids=lambda entry: entry.name)
def test_images_of_any_size_stay_within_what_is_said(entry: Transform, draws: int) -> None:
    random = Random(f"any {entry.name}")
    for _ in range(draws):
        low, more = random.choice(SIZES), random.choice([0, 3])
        step = random_step(random, entry)
        try:
            said = applied(step, Image(3, AtLeast(low), AtLeast(low)))
            there = applied(step, Image(3, low + more, low + 1))
        except Refusal:
            continue
        for told, found in ((said.height, there.height), (said.width, there.width)):
            highest = most(found)
            assert within(least(found), told), (step, said, there)
            assert highest is not None and within(highest, told), (step, said, there)
