"""The way does not matter: where images lie, who reads them, in which batches and from which one
on an epoch is gone through, its samples are the same, bit for bit."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor

from netspec.data.batches import Batch, Batches
from netspec.data.caching import keep
from netspec.data.dataset import Dataset
from netspec.data.loading import load
from netspec.planning import Plan
from tests.data.pictures import masked, photos, planned, same

HEIGHT, WIDTH = 12, 10
CACHES = ("memory", "disk", "none")


@pytest.fixture
def ways(request: pytest.FixtureRequest) -> int:
    found: int = request.config.getoption("--ways")
    return found


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETSPEC_CACHE", str(tmp_path / "cache"))


def test_the_way_does_not_matter(tmp_path: Path, ways: int) -> None:
    random = Random("ways")
    for number in range(ways):
        root = tmp_path / str(number)
        count = random.randint(5, 12)
        one = (random.randint(16, 30), random.randint(16, 30))
        alike = random.random() < 0.4
        sizes = [
            one if alike else (random.randint(16, 40), random.randint(16, 40)) for _ in range(count)
        ]
        photos(root, sizes, seed=number)
        masks = random.random() < 0.4
        data: dict[str, Any] = {"augment": _augment(random, masks), "evaluate": _evaluate(random)}
        if random.random() < 0.7:
            data["preprocess"] = [{"Normalize": {"mean": [0.4], "std": [0.3]}}]
        if random.random() < 0.3 and not masks:
            data["split"] = {"validation": 0.3}
        channels = random.choice([1, 3])
        try:
            _compare(random, root, channels, data, masks)
        except Exception as error:
            error.add_note(f"draw {number}: {sizes}, {data}, masks: {masks}")
            raise


def _compare(random: Random, root: Path, channels: int, data: Any, masks: bool) -> None:
    training = random.random() < 0.7
    seed, epoch, size = random.randint(0, 2**63 - 1), random.randint(0, 3), random.randint(2, 5)

    def gone(cache: str, workers: int, size: int, start: int = 0) -> list[Batch]:
        plan = planned(root, [channels, HEIGHT, WIDTH], **data, cache=cache, workers=workers)
        part = keep(plan, _dataset(plan, masks)).parts["train"]
        batches = Batches(
            plan, part, torch.device("cpu"),
            batch_size=size, training=training, shuffle=training, seed=seed,
        )  # fmt: skip
        if workers:  # that have gone through another epoch, and left one in the middle
            list(batches.epoch(epoch + 1))
            next(batches.epoch(epoch + 2))
        return list(batches.epoch(epoch, start))

    whole = gone("memory", 0, size)
    assert whole[0].inputs.shape[1:] == (channels, HEIGHT, WIDTH)
    for cache in CACHES:
        assert same(gone(cache, 0, size), whole), cache
    assert same(gone("none", 2, size), whole), "workers"
    start = random.randint(0, len(whole))
    assert same(gone(random.choice(CACHES), 0, size, start), whole[start:]), "resumed"
    assert same(gone("none", 2, size, start), whole[start:]), "resumed by workers"

    other = gone(random.choice(CACHES), 0, random.randint(2, 12))
    for field in ("inputs", "targets"):
        one, two = (torch.cat([getattr(each, field) for each in way]) for way in (whole, other))
        both = min(len(one), len(two))  # a last training batch of one is dropped
        assert both >= len(one) - 1
        assert torch.equal(one[:both], two[:both]), f"{field} in other batches"


def _dataset(plan: Plan, masks: bool) -> Dataset:
    return masked(plan) if masks else load(plan)


def _augment(random: Random, masks: bool) -> list[Any]:
    size = [HEIGHT, WIDTH]
    anywhere: list[Any] = [
        "RandomHorizontalFlip",
        {"RandomVerticalFlip": {"p": 0.3}},
        {"ColorJitter": {"brightness": 0.4, "hue": 0.1}},
        {"RandomRotation": {"degrees": 20}},
        {"RandomAffine": {"degrees": 0, "translate": [0.2, 0.1]}},
        {"RandomErasing": {"p": 0.7}},
        {"RandomErasing": {"value": "random"}},
        {"RandomApply": {"transforms": ["RandomHorizontalFlip", {"GaussianNoise": {}}]}},
    ]
    anywhere += [] if masks else ["RandAugment", {"RandomChoice": {"transforms": ["AugMix"]}}]
    sizings: list[list[Any]] = [
        [{"RandomResizedCrop": {"size": size}}],
        [{"RandomCrop": {"size": size, "pad_if_needed": True, "fill": 0.5}}],
        [{"RandomCrop": {"size": size, "padding": [2, 1], "pad_if_needed": True}}],
        [{"Resize": {"size": [16, 18]}}, {"RandomCrop": {"size": size, "padding": 4}}],
        [{"CenterCrop": {"size": [20, 40]}}, {"RandomCrop": {"size": size}}],
        [
            {"Resize": {"size": 15}},
            {"RandomCrop": {"size": size, "padding": 3, "padding_mode": "reflect"}},
        ],
        [{"Resize": {"size": 16}}, {"CenterCrop": {"size": size}}],
    ]
    sizing = random.choice(sizings)
    before = random.sample([*anywhere, "RandomZoomOut"], random.randint(0, 2))
    behind = random.sample([*anywhere, "RandomPerspective"], random.randint(0, 2))
    chain: list[Any] = [*before, *sizing, *behind]
    return chain


def _evaluate(random: Random) -> list[Any]:
    size = [HEIGHT, WIDTH]
    ways: list[list[Any]] = [
        [{"Resize": {"size": size}}],
        [{"Resize": {"size": 14}}, {"CenterCrop": {"size": size}}],
        [{"Resize": {"size": 20}}, {"CenterCrop": {"size": 16}}, {"Resize": {"size": size}}],
    ]
    return random.choice(ways)


def test_tensors_in_other_batches_are_the_same(tmp_path: Path) -> None:
    """Images that lie in memory from the start go the way of all others."""
    photos(tmp_path, [(14, 16)] * 9, seed=1)
    augment = [
        {"Resize": {"size": [14, 16]}},
        {"RandomCrop": {"size": 12, "padding": 2}},
        "RandomHorizontalFlip",
    ]
    resize = [{"Resize": {"size": [12, 12]}}]
    plan = planned(tmp_path, [3, 12, 12], augment=augment, evaluate=resize)
    part = load(plan).parts["train"]
    tensors = part.gather(torch.arange(len(part)))
    assert isinstance(tensors[0], list) and isinstance(tensors[1], Tensor)
    whole = type(part)(torch.stack(tensors[0]), tensors[1])
    cpu = torch.device("cpu")
    assert same(
        Batches(plan, part, cpu, batch_size=4, training=True, shuffle=True).epoch(1),
        Batches(plan, whole, cpu, batch_size=4, training=True, shuffle=True).epoch(1),
    )
