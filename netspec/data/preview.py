"""A contact sheet: samples as the network sees them, before and after augmentation, with labels.

What `preprocess` did to the colours is undone and the result clamped to [0, 1]: every pixel of the
sheet is one of an image, of a mask's colour, or of the page.
"""

from __future__ import annotations

import colorsys
import math
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from netspec import files
from netspec.catalogue.sources import Classes
from netspec.catalogue.transforms import TRANSFORMS
from netspec.data.batches import Batches
from netspec.data.dataset import Dataset, Part, PartName
from netspec.data.summary import CPU, chosen, class_names, drawn, masked
from netspec.diagnostics import Code, InputError
from netspec.planning import Plan
from netspec.planning.plans import Pipeline

COLUMNS, ROWS = 8, 4
NUMBERS = 1 << 26  # that the network gets with all samples of a sheet; of large ones it shows fewer

# In pixels: the side up to which images are enlarged, the one to which they are reduced, the least
# and the most that a line of text has room for, and what lies between and around.
ENLARGED, REDUCED = 128, 160
NARROW, WIDE = 96, 900
GAP, NEAR, MARGIN = 12, 3, 16
LETTERS, LINE = 13, 17

FONTS = ("NotoSansCJK-Regular.ttc", "DejaVuSans.ttf", "Arial Unicode.ttf", "arial.ttf")
PAGE, INK, FAINT, GREY = (238, 238, 238), (24, 24, 24), (110, 110, 110), (160, 160, 160)
LEGEND = 24  # classes
SHARE = 0.5  # of a mask's colour
HATCH = 6  # pixels from one line to the next, where a mask is ignored

FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    ".png": ("PNG", {}),
    ".jpg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".jpeg": ("JPEG", {"quality": 95, "subsampling": 0}),
    ".webp": ("WEBP", {"lossless": True}),
}

Pixels = npt.NDArray[np.uint8]
Mask = npt.NDArray[np.int64]
Colour = tuple[int, int, int]
Font = ImageFont.FreeTypeFont | ImageFont.ImageFont


@dataclass(frozen=True)
class Sample:
    """images: uint8 [H, W, 3], as evaluated, and below it as augmented where it is; masks: int64
    [H, W] of each, or none; lines: what stands under them."""

    images: tuple[Pixels, ...]
    masks: tuple[Mask, ...]
    lines: tuple[str, ...]


def check(plan: Plan, path: Path) -> None:
    """Refuse, before anything is read, what no sheet can be made of, and where none can be written.

    Raises SpecError, InputError, SetupError.
    """
    document, pipeline = plan.spec.document, plan.pipeline
    if (suffix := path.suffix.lower()) not in FORMATS:
        raise InputError.of(
            Code.FILE,
            f"no image is written as '{suffix}'" if suffix else "this names no image file",
            file=str(path),
            remedy=f"let the name end in {', '.join(FORMATS)}",
        )
    files.check(path)
    if pipeline is not None and pipeline.raw is None:
        raise document.error(
            Code.DATA,
            f"there are no images to show: {pipeline.source.type} gives none",
            pipeline.source.path,
            "leave out --preview",
            key=True,
        )


def write(
    plan: Plan, dataset: Dataset, path: Path, part: PartName, *, seed: int, epoch: int
) -> None:
    """The sheet of one part as an image file, whole or not at all. Raises InputError where the data
    have no such part or a sample cannot be read, SetupError where `path` cannot be written."""
    check(plan, path)
    kind, options = FORMATS[path.suffix.lower()]
    stream = BytesIO()
    sheet(plan, dataset, part, seed=seed, epoch=epoch).save(stream, kind, **options)
    files.write(path, stream.getvalue())


def sheet(plan: Plan, dataset: Dataset, part: PartName, *, seed: int, epoch: int) -> Image.Image:
    """RGB: up to COLUMNS × ROWS samples of a part, which the seed draws."""
    pipeline, whole = plan.pipeline, dataset.parts[chosen(plan, dataset, part)]
    assert pipeline is not None
    steps = [step.type for step in pipeline.augment] if part == "train" else []
    samples = _samples(plan, dataset, whole, seed, epoch, augmented=bool(steps))
    heading = [f"{plan.name}: {len(samples):,} of {len(whole):,} {part} samples, seed {seed}"]
    if steps:
        heading[0] += f", epoch {epoch}"
        heading.append(f"above: as evaluated; below: {', '.join(steps)}")
    return _page(samples, heading, class_names(dataset) or ())


def _samples(
    plan: Plan, dataset: Dataset, whole: Part, seed: int, epoch: int, *, augmented: bool
) -> list[Sample]:
    assert plan.pipeline is not None and plan.spec.data is not None
    rows = drawn(len(whole), COLUMNS * ROWS, seed)
    # One sample tells how many numbers each has.
    one = next(_batches(plan, dataset, whole.subset(rows[:1]), seed, training=False).epoch(0))
    part = whole.subset(rows[: max(1, NUMBERS // one.inputs.numel())])
    ways = (False, True) if augmented else (False,)
    seen = [next(_batches(plan, dataset, part, seed, training=way).epoch(epoch)) for way in ways]
    images = [_pixels(restored(batch.inputs, plan.pipeline)) for batch in seen]
    targets = seen[-1].targets  # mixed, where the augmentation mixes samples
    masks: list[Mask] = []
    lines: list[list[str]] = [[] for _ in images[0]]
    if masked(plan, part):
        masks = [batch.targets.numpy() for batch in seen]
    elif plan.spec.data.target != "input":
        lines = [label(target, dataset) for target in targets]
    return [
        Sample(tuple(each[i] for each in images), tuple(each[i] for each in masks), tuple(below))
        for i, below in enumerate(lines)
    ]


def _batches(plan: Plan, dataset: Dataset, part: Part, seed: int, *, training: bool) -> Batches:
    return Batches(
        plan,
        part,
        CPU,
        batch_size=len(part),
        statistics=dataset.statistics,
        training=training,
        seed=seed,
    )


def restored(inputs: Tensor, pipeline: Pipeline) -> Tensor:
    """What the network gets, [N, C, H, W] floats, as images in [0, 1], not standardised."""
    for step in reversed(pipeline.preprocess):
        if TRANSFORMS[step.type].standardizes:
            mean, std = (
                torch.tensor(step.args[name], dtype=inputs.dtype).view(-1, 1, 1)
                for name in ("mean", "std")
            )
            inputs = inputs * std + mean
    return inputs.clamp(0, 1)


def _pixels(images: Tensor) -> Pixels:
    """Images [N, C, H, W] in [0, 1] as uint8 [N, H, W, 3]."""
    found = (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1)
    pixels: Pixels = found.expand(-1, -1, -1, 3).numpy()
    return pixels


def label(target: Tensor, dataset: Dataset) -> list[str]:
    """A target in words: lines, of which a mixture of two classes takes two."""
    names = class_names(dataset)
    if not target.is_floating_point():
        assert names is not None  # integers are classes
        known = ((0 <= index < len(names), index) for index in target.flatten().tolist())
        return [" ".join(names[index] if there else "ignored" for there, index in known)]
    if names is None or target.dim() != 1 or len(target) < len(names):
        shown = " ".join(f"{value:.3g}" for value in target.flatten()[:3].tolist())
        return [shown + " …" * (target.numel() > 3)]
    shares = list(zip(names, target.tolist(), strict=False))  # a network may have more outputs
    if not isinstance(dataset.target, Classes):
        return [", ".join(name for name, share in shares if share > 0.5) or "none"]
    mixed = sorted(shares, key=lambda each: -each[1])[:2]
    return [
        name if share > 0.995 else f"{name} {share:.2f}" for name, share in mixed if share > 0.005
    ]


def _page(samples: Sequence[Sample], heading: Sequence[str], names: Sequence[str]) -> Image.Image:
    """The heading, the samples in rows, and for masks a legend of the classes they have."""
    known = _legend(samples, names)
    below = (line for sample in samples for line in sample.lines)
    font = _font([*heading, *below, *(name for _, name in known)])
    height, width = samples[0].images[0].shape[:2]
    size = _fitted(width, height)
    column = max(size[0], NARROW)
    text = max(len(sample.lines) for sample in samples) * LINE
    row = len(samples[0].images) * (size[1] + NEAR) + text
    columns = min(COLUMNS, len(samples))
    rows = math.ceil(len(samples) / columns)
    room = columns * (column + GAP) - GAP
    room = max(room, *(min(WIDE, math.ceil(font.getlength(line))) for line in heading))
    legend = _flowed(known, room, font)
    top = MARGIN + len(heading) * LINE + GAP
    bottom = top + rows * (row + GAP)
    page = Image.new("RGB", (room + 2 * MARGIN, bottom + len(legend) * LINE + MARGIN - GAP), PAGE)
    draw = ImageDraw.Draw(page)
    for number, line in enumerate(heading):
        at = (MARGIN, MARGIN + number * LINE)
        draw.text(at, cut(line, room, font), FAINT if number else INK, font)
    for number, sample in enumerate(samples):
        left = MARGIN + number % columns * (column + GAP)
        y = top + number // columns * (row + GAP)
        for index, pixels in enumerate(sample.images):
            tile = _tile(pixels, size)
            if sample.masks:
                tile = _covered(tile, sample.masks[index], len(names))
            page.paste(Image.fromarray(tile), (left + (column - size[0]) // 2, y))
            y += size[1] + NEAR
        for line in sample.lines:
            draw.text((left + column / 2, y), cut(line, column, font), INK, font, anchor="ma")
            y += LINE
    for number, entries in enumerate(legend):
        y = bottom + number * LINE
        for left, shade, name in entries:
            if shade is not None:
                swatch = np.full((LETTERS, LETTERS, 3), shade, np.uint8)
                if shade == GREY:
                    swatch[_lines(LETTERS, LETTERS)] = INK
                page.paste(Image.fromarray(swatch), (MARGIN + left, y + 2))
            draw.text((MARGIN + left + LETTERS + 5, y), name, INK, font)
    return page


def _font(said: Sequence[str]) -> Font:
    """Pillow's own, which is the same everywhere, or for more than ASCII one of the system's."""
    if not all(line.replace("…", "").isascii() for line in said):
        for name in FONTS:
            with suppress(OSError):
                return ImageFont.truetype(name, LETTERS)
    return ImageFont.load_default(LETTERS)


def _fitted(width: int, height: int) -> tuple[int, int]:
    """A tile's width and height: a whole number of times the image's, unless that is too large."""
    longest = max(width, height)
    if longest <= REDUCED:
        times = max(1, ENLARGED // longest)
        return width * times, height * times
    return max(1, width * REDUCED // longest), max(1, height * REDUCED // longest)


def _tile(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """An image enlarged pixel by pixel, or reduced without the overshoot of sharper filters."""
    larger = size[0] >= pixels.shape[1]
    way = Image.Resampling.NEAREST if larger else Image.Resampling.HAMMING
    return np.asarray(Image.fromarray(pixels).resize(size, way))


def _covered(tile: Pixels, mask: Mask, count: int) -> Pixels:
    """A tile under its mask's colours; what is of no class is grey, with lines."""
    height, width = tile.shape[:2]
    rows, columns = (
        np.arange(height) * len(mask) // height,
        np.arange(width) * mask.shape[1] // width,
    )
    classes = mask[rows][:, columns]
    ignored = (classes < 0) | (classes >= count)
    palette = np.array([colour(index) for index in range(count)])
    over = palette[np.where(ignored, 0, classes)]
    over[ignored] = GREY
    mixed = tile * (1 - SHARE) + over * SHARE
    mixed[ignored & _lines(height, width)] = INK
    return mixed.round().astype(np.uint8)


def _lines(height: int, width: int) -> npt.NDArray[np.bool_]:
    lines: npt.NDArray[np.bool_] = np.add.outer(np.arange(height), np.arange(width)) % HATCH == 0
    return lines


def colour(index: int) -> Colour:
    """A class's: black for the first, which often is the background; then hues apart by the golden
    ratio, so that any number of them differ."""
    hue = (index * 0.618034 + 0.4) % 1
    red, green, blue = colorsys.hsv_to_rgb(hue, 0.9, 1 if index else 0)
    return round(red * 255), round(green * 255), round(blue * 255)


def _legend(samples: Sequence[Sample], names: Sequence[str]) -> list[tuple[Colour | None, str]]:
    """The classes that the masks have, and what stands for no class."""
    masks = [np.unique(mask) for sample in samples for mask in sample.masks]
    if not masks:
        return []
    there = np.unique(np.concatenate(masks)).tolist()
    known = [index for index in there if 0 <= index < len(names)]
    found: list[tuple[Colour | None, str]] = [(colour(i), names[i]) for i in known[:LEGEND]]
    if len(known) > LEGEND:
        found.append((None, f"… {len(known) - LEGEND} more"))
    if len(known) < len(there):
        found.append((GREY, "ignored"))
    return found


def _flowed(
    entries: Sequence[tuple[Colour | None, str]], room: int, font: Font
) -> list[list[tuple[int, Colour | None, str]]]:
    """The entries in lines, each with its distance from the left."""
    lines: list[list[tuple[int, Colour | None, str]]] = []
    left = room
    for shade, name in entries:
        name = cut(name, min(room, 2 * ENLARGED) - LETTERS - 5, font)
        width = LETTERS + 5 + math.ceil(font.getlength(name)) + MARGIN
        if not lines or left + width - MARGIN > room:
            lines.append([])
            left = 0
        lines[-1].append((left, shade, name))
        left += width
    return lines


def cut(line: str, room: float, font: Font) -> str:
    """A line that has room, its end cut off if need be; what cannot be drawn is a question mark."""
    whole, most = line, int(room)  # no letter is narrower than a pixel
    line = "".join(letter if letter.isprintable() else "?" for letter in whole[:most])
    if len(whole) <= most and font.getlength(line) <= room:
        return line
    while line and font.getlength(f"{line}…") > room:
        line = line[:-1]
    return f"{line}…"
