"""What is done to whole batches is what torchvision's transforms do sample by sample."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from netspec.data.augmentation import IGNORED, Augmentation, Mixing
from netspec.data.preprocessing import Preprocessing, scale
from netspec.data.randomness import Keys, keys
from netspec.planning import make_plan
from netspec.planning.pipeline import completed
from netspec.planning.plans import Pipeline
from netspec.spec.loading import loads
from netspec.spec.model import Named
from netspec.spec.writing import to_yaml

MANY = 4000


def pipeline(input: list[int], augment: list[Any], **steps: Any) -> Pipeline:
    """Of images of any size; what evaluates them does not matter."""
    evaluate = [{"Resize": {"size": input[1:]}}]
    data = {"source": {"ImageFolder": {"root": "."}}, "augment": augment, "evaluate": evaluate}
    spec = {"netspec": 1, "input": input, "model": ["Flatten"], "data": data | steps}
    found = make_plan(loads(to_yaml(spec))).pipeline
    assert found is not None
    return found


def images(count: int, height: int, width: int, channels: int = 3, seed: int = 0) -> Tensor:
    size = (count, channels, height, width)
    return torch.randint(
        0, 256, size, dtype=torch.uint8, generator=torch.Generator().manual_seed(seed)
    )


def drawn(count: int, seed: int = 0) -> Keys:
    return keys(seed, np.arange(count))


def augmented(augment: list[Any], given: Tensor, size: list[int], seed: int = 0) -> Tensor:
    way = Augmentation(pipeline([given.shape[1], *size], augment), training=True)
    return way(given, None, drawn(len(given), seed))[0]


def coordinates(count: int, height: int, width: int) -> Tensor:
    """Images whose pixels say their row and column, counted from 1."""
    rows = torch.arange(1, height + 1).view(1, height, 1).expand(1, height, width)
    columns = torch.arange(1, width + 1).view(1, 1, width).expand(1, height, width)
    one = torch.cat((rows, columns, torch.ones_like(rows))).to(torch.uint8)
    return one.expand(count, 3, height, width)


def even(counts: np.ndarray[Any, Any]) -> bool:
    """Whether a chi-square test at some 1 in 10,000 lets equal chances pass, and not too well."""
    expected, freedom = counts.sum() / counts.size, counts.size - 1
    found = float(((counts - expected) ** 2 / expected).sum())
    return abs(found - freedom) < 4 * (2 * freedom) ** 0.5 + 8


@pytest.mark.parametrize("p", [0.5, 0.2])
@pytest.mark.parametrize("name", ["RandomHorizontalFlip", "RandomVerticalFlip"])
def test_flips_come_as_often_as_they_should(name: str, p: float) -> None:
    given = coordinates(MANY, 2, 2)
    made = augmented([{name: {"p": p}}, {"RandomCrop": {"size": 2, "pad_if_needed": True}}],
                     given, [2, 2])  # fmt: skip
    whole = scale(given)
    flipped = torch.tensor([not torch.equal(x, y) for x, y in zip(made, whole, strict=True)])
    assert abs(float(flipped.float().mean()) - p) < 4 * (p * (1 - p) / MANY) ** 0.5
    theirs = getattr(v2, name)(p=1)(whole)
    assert torch.equal(made, torch.where(flipped.view(-1, 1, 1, 1), theirs, whole))


@pytest.mark.parametrize("name", ["RandomHorizontalFlip", "RandomVerticalFlip"])
def test_flips_without_chance_are_torchvisions(name: str) -> None:
    given = images(5, 6, 7)
    crop = {"RandomCrop": {"size": [6, 7], "pad_if_needed": True}}
    always = augmented([{name: {"p": 1}}, crop], given, [6, 7])
    assert torch.equal(always, getattr(v2, name)(p=1)(scale(given)))
    assert torch.equal(augmented([{name: {"p": 0}}, crop], given, [6, 7]), scale(given))


def test_crops_are_windows_of_the_padded_image_evenly_spread() -> None:
    given = coordinates(MANY, 5, 4)
    args = {"size": [4, 4], "padding": [1, 2], "pad_if_needed": True}
    made = (augmented([{"RandomCrop": args}], given, [4, 4]) * 255).round()
    padded = v2.functional.pad(given, [1, 2])
    places = [(top, left) for top in range(6) for left in range(3)]
    windows = {
        tuple(padded[0, :, t : t + 4, x : x + 4].flatten().tolist()): (t, x) for t, x in places
    }
    counts = np.zeros((6, 3))
    for each in made:
        counts[windows[tuple(each.int().flatten().tolist())]] += 1
    assert even(counts)


@pytest.mark.parametrize(
    "args",
    [
        {"size": [6, 7], "pad_if_needed": True},
        {"size": [10, 7], "padding": [0, 2], "pad_if_needed": True},
        {"size": [10, 9], "padding": [1, 2], "fill": 0.25, "pad_if_needed": True},
        {"size": [10, 9], "padding": [1, 2], "fill": [0.1, 0.2, 0.3], "pad_if_needed": True},
        {"size": [10, 9], "padding": [1, 2], "padding_mode": "edge", "pad_if_needed": True},
        {"size": [8, 11], "padding": [2, 0, 2, 2], "pad_if_needed": True},
    ],
    ids=str,
)
def test_crops_of_the_padded_image_s_own_size_are_torchvisions(args: dict[str, Any]) -> None:
    given = images(3, 6, 7)
    theirs = v2.RandomCrop(**args)
    assert torch.equal(augmented([{"RandomCrop": args}], given, args["size"]), theirs(scale(given)))


def rectangles(erased: Tensor) -> list[tuple[int, int, int, int]]:
    """Of masks [N, H, W]: top, left, height and width; all 0 where nothing is erased."""
    found = []
    for each in erased:
        rows, columns = each.any(1).nonzero(), each.any(0).nonzero()
        if not len(rows):
            found.append((0, 0, 0, 0))
            continue
        top, left = int(rows[0]), int(columns[0])
        height, width = len(rows), len(columns)
        assert bool(each[top : top + height, left : left + width].all())
        found.append((top, left, height, width))
    return found


def alike(one: list[Any], other: list[Any]) -> bool:
    """Whether the means and deviations of two samples of numbers agree within chance."""
    x, y = np.array(one, float), np.array(other, float)
    error = np.sqrt(x.var(0) / len(x) + y.var(0) / len(y)) + 1e-9
    close = np.abs(x.mean(0) - y.mean(0)) < 4.5 * error
    spread = np.abs(x.std(0) - y.std(0)) < 0.12 * (x.std(0) + y.std(0)) / 2 + 1e-9
    return bool(close.all() and spread.all())


def test_what_is_erased_is_distributed_as_torchvisions() -> None:
    size, args = [14, 11], {"p": 0.7, "scale": [0.05, 0.4], "ratio": [0.3, 3.3]}
    given = torch.full((MANY, 3, *size), 255, dtype=torch.uint8)
    crop = {"RandomCrop": {"size": size, "pad_if_needed": True}}
    made = augmented([{"RandomErasing": args}, crop], given, size)
    assert bool(((made == 0) | (made == 1)).all()) and torch.equal(made[:, 0], made[:, 2])
    theirs = v2.RandomErasing(**args)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        reference = torch.stack([theirs(each) for each in scale(given)])
    ours = rectangles(made[:, 0] == 0)
    assert alike(ours, rectangles(reference[:, 0] == 0))
    assert abs(sum(bool(height) for *_, height, _ in ours) / MANY - 0.7) < 0.05
    none = augmented([{"RandomErasing": {"p": 0}}, crop], given, size)
    assert torch.equal(none, scale(given))


def test_what_is_resized_is_distributed_as_torchvisions() -> None:
    """By the ends of what is seen of an image that says its rows and columns."""
    size, args = [9, 7], {"size": [4, 5], "scale": [0.1, 0.9], "ratio": [0.5, 2]}
    given = coordinates(MANY, *size)
    made = augmented([{"RandomResizedCrop": args}], given, [4, 5])
    theirs = v2.RandomResizedCrop(**args)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        reference = torch.stack([theirs(each) for each in scale(given)])
    ends = [
        [x[:, 0, (0, -1), 0].flatten(1).tolist(), x[:, 1, 0, (0, -1)].flatten(1).tolist()]
        for x in (made * 255, reference * 255)
    ]
    assert all(alike(ours, known) for ours, known in zip(*ends, strict=True))


@pytest.mark.parametrize("mode", ["bilinear", "bicubic", "nearest"])
def test_resized_crops_without_chance_are_torchvisions(mode: str) -> None:
    given = images(4, 12, 18)
    args = {"size": [8, 6], "scale": [1, 1], "ratio": [1.5, 1.5]}  # the whole image
    made = augmented([{"RandomResizedCrop": {**args, "interpolation": mode}}], given, [8, 6])
    theirs = v2.RandomResizedCrop(**args, interpolation=v2.InterpolationMode(mode))
    assert torch.equal(made, torch.stack([theirs(each) for each in scale(given)]))


def test_where_no_crop_fits_the_middle_is_taken_as_torchvision_does() -> None:
    for height, width, ratio in ((40, 4, [1, 1.1]), (4, 40, [0.9, 1]), (12, 12, [0.9, 1.1])):
        given = images(2, height, width)
        args = {"size": [5, 5], "scale": [2, 2], "ratio": ratio}
        made = augmented([{"RandomResizedCrop": args}], given, [5, 5])
        theirs = v2.RandomResizedCrop(**args)
        assert torch.equal(made, torch.stack([theirs(each) for each in scale(given)]))


def test_every_other_step_is_torchvisions_own_class_under_the_sample_s_key() -> None:
    augment = [
        {"ColorJitter": {"brightness": 0.4, "hue": 0.2}},
        {"RandomRotation": {"degrees": 30}},
    ]
    found = pipeline(
        [3, 9, 8], [{"Resize": {"size": [9, 8]}}, *augment],
        preprocess=[{"Normalize": {"mean": [0.5], "std": [0.25]}}],
    )  # fmt: skip
    given = images(4, 20, 30)
    made, _ = Augmentation(found, training=True)(given, None, drawn(4))
    theirs = [v2.ColorJitter(brightness=0.4, hue=0.2), v2.RandomRotation(30)]
    for image, key, ours in zip(given, drawn(4), made, strict=True):
        one = v2.Resize([9, 8])(scale(image))
        with torch.random.fork_rng(devices=[]):
            for number, each in enumerate(theirs, 1):
                torch.manual_seed(int(keys(int(key), number)[0]))
                one = each(one)
        assert torch.equal(ours, v2.Normalize([0.5], [0.25])(one))


def test_samples_do_not_depend_on_their_company() -> None:
    augment = ["RandomHorizontalFlip", {"RandomErasing": {}}, {"RandomRotation": {"degrees": 9}},
               {"RandomCrop": {"size": 8, "padding": 2, "pad_if_needed": True}}]  # fmt: skip
    way = Augmentation(pipeline([3, 8, 8], augment), training=True)
    given, all_keys = images(6, 8, 8), drawn(6)
    whole, _ = way(given, None, all_keys)
    for i in range(6):
        alone, _ = way(given[i : i + 1], None, all_keys[i : i + 1])
        assert torch.equal(alone[0], whole[i])
    listed, _ = way(list(given), None, all_keys)
    assert torch.equal(listed, whole)


def test_what_is_evaluated_is_what_is_exported() -> None:
    found = pipeline(
        [3, 8, 8],
        ["RandomHorizontalFlip", {"Resize": {"size": [8, 8]}}],
        evaluate=[{"Resize": {"size": 10}}, {"CenterCrop": {"size": 8}}],
        preprocess=[{"Normalize": {"mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.4]}}],
    )
    exported = Preprocessing(found)
    given = [images(1, 20, 30)[0], images(1, 17, 9, seed=1)[0], images(1, 8, 8, seed=2)[0]]
    made, _ = Augmentation(found, training=False)(given, None, drawn(3))
    assert torch.equal(made, torch.cat([exported(each[None]) for each in given]))
    whole = images(5, 20, 30)
    made, _ = Augmentation(found, training=False)(whole, None, drawn(5))
    assert torch.equal(made, exported(whole))


# Masks


MOVING: list[Any] = [
    "RandomHorizontalFlip",
    "RandomVerticalFlip",
    {"RandomCrop": {"size": [10, 9], "padding": 3, "pad_if_needed": True}},
    {"RandomRotation": {"degrees": 40}},
    {"RandomAffine": {"degrees": 10, "translate": [0.3, 0.3]}},
    {"Pad": {"padding": 2}},
    {"CenterCrop": {"size": [6, 5]}},
]
STILL: list[Any] = [{"ColorJitter": {"brightness": 0.5}}, {"RandomErasing": {"p": 1}}]


def same_place(masks: Tensor, pixels: Tensor) -> None:
    """Masks that hold an image's own pixels move as it does; outside of it they are ignored."""
    outside = pixels == 0
    assert torch.equal(masks[~outside], pixels[~outside])
    assert bool((masks[outside] == IGNORED).all())


@pytest.mark.parametrize("step", MOVING, ids=str)
def test_masks_move_with_their_images(step: Any) -> None:
    """Nearest neighbours of both; no pixel is 0."""
    size = [6, 5] if "CenterCrop" in step else [14, 13] if "Pad" in step else [10, 9]
    given = images(8, 10, 9, channels=1).clamp(1, 254)
    resized = [{"Resize": {"size": [10, 9]}}, step]
    way = Augmentation(pipeline([1, *size], resized), training=True)
    for pixels, masks in ((given, given), (list(given), list(given))):
        made, moved = way(pixels, masks, drawn(8))
        assert moved is not None
        assert (moved.dtype, tuple(moved.shape)) == (torch.int64, (8, *size))
        same_place(moved, (made.squeeze(1) * 255).round().to(torch.int64))


@pytest.mark.parametrize("step", STILL, ids=str)
def test_colours_leave_masks_alone(step: Any) -> None:
    given, masks = images(4, 10, 9), images(4, 10, 9, channels=1, seed=1)
    found = pipeline(
        [3, 10, 9],
        [{"Resize": {"size": [10, 9]}}, step],
        preprocess=[{"Normalize": {"mean": [0.5], "std": [0.5]}}],
    )
    made, moved = Augmentation(found, training=True)(given, masks, drawn(4))
    assert moved is not None and torch.equal(moved, masks.squeeze(1).to(torch.int64))
    assert not torch.equal(made, (scale(given) - 0.5) / 0.5)


def test_masks_are_resized_to_the_nearest_pixel_in_evaluation_and_in_crops() -> None:
    given, masks = images(3, 20, 30), images(3, 20, 30, channels=1, seed=2) % 4
    found = pipeline(
        [3, 8, 8],
        [{"RandomResizedCrop": {"size": 8, "scale": [1, 1], "ratio": [1.5, 1.5]}}],
        evaluate=[{"Resize": {"size": 10}}, {"CenterCrop": {"size": 8}}],
    )
    theirs = v2.Compose([v2.Resize(10), v2.CenterCrop(8)])
    _, moved = Augmentation(found, training=False)(given, masks, drawn(3))
    assert moved is not None
    expected = theirs(tv_tensors.Mask(masks)).as_subclass(Tensor)
    assert torch.equal(moved, expected.squeeze(1).to(torch.int64))
    _, moved = Augmentation(found, training=True)(given, masks, drawn(3))
    assert moved is not None
    nearest = v2.functional.resize(tv_tensors.Mask(masks), [8, 8]).as_subclass(Tensor)
    assert torch.equal(moved, nearest.squeeze(1).to(torch.int64))


# Mixing


@pytest.mark.parametrize("name", ["MixUp", "CutMix"])
def test_mixing_is_torchvisions_under_the_batch_s_key(name: str) -> None:
    step = completed(Named(name, {"alpha": 0.5}, ()))
    given, targets = scale(images(6, 8, 9)), torch.tensor([0, 1, 2, 0, 1, 2])
    before = torch.get_rng_state()
    for key in drawn(5):
        made, classes = Mixing([step], 4)(given, targets, np.array([key]))
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(int(keys(int(key), 0)[0]))
            wanted = getattr(v2, name)(alpha=0.5, num_classes=4)(given, targets)
        assert torch.equal(made, wanted[0]) and torch.equal(classes, wanted[1])
        assert torch.allclose(classes.sum(1), torch.ones(6))
    assert torch.equal(torch.get_rng_state(), before)
