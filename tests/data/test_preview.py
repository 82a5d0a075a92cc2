"""A contact sheet shows the pixels there are, and the same ones for the same seed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image, ImageFont
from torch import Tensor

from netspec.catalogue.sources import Classes, Target, Values
from netspec.data import preview
from netspec.data.dataset import Dataset, Part
from netspec.data.preview import (
    COLUMNS,
    ENLARGED,
    GAP,
    GREY,
    INK,
    LINE,
    MARGIN,
    NARROW,
    NEAR,
    REDUCED,
    ROWS,
    colour,
    cut,
    label,
    restored,
    sheet,
)
from netspec.data.summary import drawn
from netspec.planning import Plan, make_plan
from netspec.spec.loading import loads

SPEC = """\
netspec: 1
name: net
input: [CHANNELS, HEIGHT, WIDTH]
model: [Flatten]
data:
  source: {ImageFolder: {root: 'ROOT'}}
  augment: AUGMENT
  evaluate: [Resize: {size: [HEIGHT, WIDTH]}]
  preprocess: [Normalize: {mean: [0.2], std: [0.1]}]
"""
NAMES = ("ant", "bee", "cat")


def planned(channels: int, height: int, width: int, step: str | None = None) -> Plan:
    augment = f"[Resize: {{size: [{height}, {width}]}}, {step}]" if step else "[]"
    values = {"CHANNELS": channels, "HEIGHT": height, "WIDTH": width, "AUGMENT": augment}
    text = SPEC
    for name, value in values.items():
        text = text.replace(name, str(value))
    return make_plan(loads(text))


def noise(count: int, *shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(count)
    return torch.randint(0, 256, (count, *shape), dtype=torch.uint8, generator=generator)


def made(images: Tensor, targets: Tensor | None = None, target: Target | None = None) -> Dataset:
    labels = torch.arange(len(images)) % 3 if targets is None else targets
    return Dataset({"train": Part(images, labels)}, target or Classes(3, NAMES), NAMES)


def tile(page: Image.Image, at: int, size: tuple[int, int], ways: int, way: int = 0) -> Tensor:
    """The pixels [height, width, 3] of a sample's image, with a label of one line below it."""
    width, height = size
    column = max(width, NARROW)
    left = MARGIN + at % COLUMNS * (column + GAP) + (column - width) // 2
    row = ways * (height + NEAR) + LINE + GAP
    top = MARGIN + LINE * ways + GAP + at // COLUMNS * row + way * (height + NEAR)
    return torch.tensor(np.asarray(page.crop((left, top, left + width, top + height))))


@pytest.mark.parametrize(
    ("channels", "height", "width", "count", "times"),
    [(1, 8, 8, 40, 16), (3, 20, 13, 40, 6), (3, 100, 128, 5, 1), (1, 1, 150, 9, 1)],
)
def test_without_augmentation_the_pixels_are_the_originals(
    channels: int, height: int, width: int, count: int, times: int
) -> None:
    images = noise(count, channels, height, width)
    page = sheet(planned(channels, height, width), made(images), "train", seed=3, epoch=0)
    rows = drawn(count, COLUMNS * ROWS, 3)
    assert len(rows) == min(count, 32)
    for at, row in enumerate(rows.tolist()):
        found = tile(page, at, (width * times, height * times), 1)
        original = images[row].permute(1, 2, 0).expand(-1, -1, 3)
        enlarged = original.repeat_interleave(times, 0).repeat_interleave(times, 1)
        assert torch.equal(found, enlarged)


def test_below_each_image_is_what_augmentation_makes_of_it() -> None:
    plan = planned(3, 16, 16, "RandomHorizontalFlip: {p: 1.0}")
    page = sheet(plan, made(noise(32, 3, 16, 16)), "train", seed=0, epoch=0)
    size = (ENLARGED, ENLARGED)
    for at in range(32):
        assert torch.equal(tile(page, at, size, 2).flip(1), tile(page, at, size, 2, 1))


def test_other_parts_are_not_augmented() -> None:
    plan = planned(3, 16, 16, "RandomHorizontalFlip: {p: 1.0}")
    whole = made(noise(32, 3, 16, 16))
    dataset = Dataset({**whole.parts, "test": whole.parts["train"]}, whole.target, whole.classes)
    flipped = sheet(plan, dataset, "train", seed=0, epoch=0)
    plain = sheet(plan, dataset, "test", seed=0, epoch=0)
    assert plain.height < flipped.height
    size = (ENLARGED, ENLARGED)
    assert all(
        torch.equal(tile(plain, at, size, 1), tile(flipped, at, size, 2)) for at in range(32)
    )


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".webp", ".PNG"])
def test_the_same_seed_and_epoch_give_the_same_file(tmp_path: Path, suffix: str) -> None:
    plan = planned(3, 16, 16, "RandomCrop: {size: 16, padding: 4}")
    dataset = made(noise(40, 3, 16, 16))

    def written(seed: int, epoch: int) -> bytes:
        path = tmp_path / f"sheet{suffix}"
        preview.write(plan, dataset, path, "train", seed=seed, epoch=epoch)
        with Image.open(path) as image:
            assert (image.mode, *image.size) == ("RGB", 1140, 1230)
        return path.read_bytes()

    assert written(1, 2) == written(1, 2)
    assert len({written(1, 2), written(1, 3), written(2, 2)}) == 3


def test_no_pixel_is_beyond_black_and_white() -> None:
    plan = planned(1, 8, 8)
    assert plan.pipeline is not None
    inputs = torch.linspace(-1e9, 1e9, 64).reshape(1, 1, 8, 8)
    found = restored(inputs, plan.pipeline)
    assert (float(found.min()), float(found.max())) == (0, 1)

    plan = planned(1, 8, 8, "RandomCrop: {size: 8, padding: 4, fill: 7}")
    black = made(torch.zeros((4, 1, 8, 8), dtype=torch.uint8))
    page = sheet(plan, black, "train", seed=0, epoch=0)
    below = torch.stack([tile(page, at, (ENLARGED, ENLARGED), 2, 1) for at in range(4)])
    assert below.unique().tolist() == [0, 255]


def test_large_images_are_reduced_as_a_whole() -> None:
    images = torch.zeros((3, 3, 400, 300), dtype=torch.uint8)
    images[:, 0] = 200
    page = sheet(planned(3, 400, 300), made(images), "train", seed=0, epoch=0)
    found = tile(page, 1, (300 * REDUCED // 400, REDUCED), 1)
    assert torch.equal(found, torch.tensor([200, 0, 0], dtype=torch.uint8).expand_as(found))


def test_masks_lie_over_their_images() -> None:
    images, masks = noise(9, 3, 32, 32), torch.zeros((9, 32, 32), dtype=torch.int64)
    masks[:, 8:, 4:] = 1
    masks[:, 20:] = 255
    page = sheet(planned(3, 32, 32), made(images, masks), "train", seed=0, epoch=0)
    first = images[drawn(9, 32, 0)[0]].permute(1, 2, 0).numpy().astype(float)
    found = tile(page, 0, (ENLARGED, ENLARGED), 1).numpy()[::4, ::4]

    def mixed(rows: slice, columns: slice, over: tuple[int, int, int]) -> npt.NDArray[np.uint8]:
        return ((first[rows, columns] + over) / 2).round().astype(np.uint8)

    assert (found[:8] == mixed(slice(8), slice(None), colour(0))).all()
    assert (found[8:20, 4:] == mixed(slice(8, 20), slice(4, None), colour(1))).all()
    below = found[20:]
    grey = (below == mixed(slice(20, None), slice(None), GREY)).all(-1)
    lines = (below == INK).all(-1)
    assert (grey | lines).all() and grey.any() and lines.any()
    assert len({colour(index) for index in range(500)}) == 500
    # The legend names the classes that are there, and what is ignored.
    for shade in (colour(0), colour(1), GREY):
        assert (np.asarray(page)[-40:] == shade).all(-1).sum() > 100
    assert not (np.asarray(page)[-40:] == colour(2)).all(-1).any()


LABELS: dict[str, tuple[Tensor, Target, tuple[str, ...] | None, list[str]]] = {
    "a class": (torch.tensor(2), Classes(3, NAMES), NAMES, ["cat"]),
    "a class by number": (torch.tensor(2), Classes(3), None, ["2"]),
    "no class": (torch.tensor(-100), Classes(3, NAMES), NAMES, ["ignored"]),
    "classes": (torch.tensor([2, 0, 9]), Classes(3, NAMES, (3,)), NAMES, ["cat ant ignored"]),
    "a mixture": (
        torch.tensor([0.3, 0.0, 0.7]),
        Classes(3, NAMES),
        NAMES,
        ["cat 0.70", "ant 0.30"],
    ),
    "more outputs": (torch.tensor([0.0, 1.0, 0.0, 0.0]), Classes(3, NAMES), NAMES, ["bee"]),
    "no mixture": (torch.tensor([0.0, 1.0, 0.0]), Classes(3, NAMES), NAMES, ["bee"]),
    "one class of one": (torch.tensor([1.0]), Classes(1, ("ant",)), ("ant",), ["ant"]),
    "a number": (torch.tensor([0.25]), Values((1,)), None, ["0.25"]),
    "numbers": (torch.arange(5) / 4, Values((5,)), None, ["0 0.25 0.5 …"]),
    "several labels": (torch.tensor([1.0, 0.0, 1.0]), Values((3,), True), NAMES, ["ant, cat"]),
    "no label": (torch.zeros(3), Values((3,), True), NAMES, ["none"]),
}


@pytest.mark.parametrize("case", LABELS)
def test_a_label_says_the_target(case: str) -> None:
    target, kind, names, words = LABELS[case]
    assert label(target, Dataset({}, kind, names)) == words


@pytest.mark.parametrize("line", ["short", "a long name " * 20, "w" * 100_000, "a\nb\x1b[1m", ""])
def test_a_line_has_room(line: str) -> None:
    font = ImageFont.load_default(13)
    found = cut(line, 96, font)
    assert font.getlength(found) <= 96 and found.isprintable()
    assert found == line or "?" in found or found.endswith("…")


def test_names_of_any_letters_are_drawn(tmp_path: Path) -> None:
    """Whatever fonts there are."""
    names = ("äöü", "日本", "\udce9\n")
    images = noise(3, 3, 8, 8)
    dataset = Dataset({"train": Part(images, torch.arange(3))}, Classes(3, names), names)
    preview.write(planned(3, 8, 8), dataset, tmp_path / "a.png", "train", seed=0, epoch=0)
    assert (tmp_path / "a.png").stat().st_size > 1000
