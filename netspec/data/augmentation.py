"""What happens to samples between their source and the network, on whole batches.

Steps that draw nothing work on all samples of one size at once; so do the random ones that the
catalogue calls `batched`, which draw for each sample by its key. Every other random step is
torchvision's own class, which draws once a call: it is called for each sample under torch's default
generator, seeded by the sample's key. Where images differ in size, each is worked on by itself
until they agree.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor
from torchvision import tv_tensors
from torchvision.transforms import v2

from netspec.catalogue.transforms import TRANSFORMS, mixes, pair, settled
from netspec.catalogue.transforms import masks as masks_of
from netspec.catalogue.transforms.geometry import edges
from netspec.compiler import resolve
from netspec.data.dataset import Rows
from netspec.data.preprocessing import arguments, deployed, drawn, scale
from netspec.data.randomness import Integers, Keys, integers, keys, uniform
from netspec.planning.plans import Pipeline
from netspec.spec.model import Named

IGNORED = 255  # what a mask holds where there is no image, and no class


class Samples(NamedTuple):
    """Samples of one size: images [N, C, H, W], 8-bit or floats in [0, 1] (but for what a step has
    made of them), masks uint8 [N, 1, H, W], and a key for each sample."""

    images: Tensor
    masks: Tensor | None
    keys: Keys

    @property
    def floats(self) -> Tensor:
        return self.images if self.images.is_floating_point() else scale(self.images)


# Takes samples, and for each the key of what this step draws.
Step = Callable[[Samples, Keys], Iterable[Samples]]


class Augmentation:
    """8-bit images, and masks with them, → what the network takes: `augment` in training, else
    `evaluate`, then `preprocess`."""

    def __init__(self, pipeline: Pipeline, *, training: bool) -> None:
        first = pipeline.augment if training and pipeline.augment else pipeline.evaluate
        written = (*(step for step in first if not mixes(step)), *pipeline.preprocess)
        self.steps = [_step(step) for step in written]

    def __call__(
        self, images: Rows, masks: Rows | None, keys_: Keys
    ) -> tuple[Tensor, Tensor | None]:
        """Images uint8 [N, C, H, W], or of many sizes; a key for each. Masks come out int64
        [N, H, W]."""
        groups = list(_grouped(images, masks, keys_))
        for number, step in enumerate(self.steps):
            made = [each for group in groups for each in step(group, keys(group.keys, number))]
            groups = list(_joined(made))
        (group,) = groups  # the static check has seen that sizes agree in the end
        found = None if group.masks is None else group.masks.squeeze(1).to(torch.int64)
        return group.floats, found


class Mixing:
    """`MixUp` and `CutMix`: inputs [N, …] and class indices [N] → inputs, and the probabilities
    [N, C] of the classes."""

    def __init__(self, steps: Sequence[Named], classes: int) -> None:
        self.steps = [drawn(step, classes=classes) for step in steps]

    def __call__(self, inputs: Tensor, targets: Tensor, key: Keys) -> tuple[Tensor, Tensor]:
        with _own_generator(inputs.device):
            for number, step in enumerate(self.steps):
                _seed(keys(key, number), inputs.device)
                inputs, targets = step(inputs, targets)
        return inputs, targets


def _grouped(images: Rows, masks: Rows | None, keys_: Keys) -> Iterator[Samples]:
    if isinstance(images, Tensor) and not isinstance(masks, list):
        yield Samples(images, masks, keys_)
        return
    for i, image in enumerate(images):
        yield Samples(
            image.unsqueeze(0), None if masks is None else masks[i].unsqueeze(0), keys_[i : i + 1]
        )


def _joined(groups: list[Samples]) -> Iterator[Samples]:
    """In one group, where all sizes agree."""
    images = [group.images for group in groups]
    masks = [group.masks for group in groups if group.masks is not None]
    if len(groups) == 1 or any(
        len({each.shape[1:] for each in those}) > 1 for those in (images, masks)
    ):
        yield from groups
        return
    yield Samples(
        torch.cat(images),
        torch.cat(masks) if masks else None,
        np.concatenate([group.keys for group in groups]),
    )


def _step(step: Named) -> Step:
    if settled(step):
        return _fixed(step)
    batched = TRANSFORMS[step.type].batched
    made: Step = resolve(batched)(step) if batched else _each(step)
    return made


def _fixed(step: Named) -> Step:
    """A step that draws nothing, by the module that is exported; torchvision's own moves masks."""
    module = deployed(step)
    twin: Any = drawn(step, around=0) if masks_of(step) == "move" else None

    def apply(samples: Samples, keys_: Keys) -> Iterator[Samples]:
        masks = samples.masks
        if masks is not None and twin is not None:
            mask = _turned(masks)
            masks = _turned(twin.transform(mask, twin.make_params([mask])))
        yield Samples(module(samples.floats), masks, samples.keys)

    return apply


def _each(step: Named) -> Step:
    """torchvision's own class, once for each sample."""
    made = drawn(step, around=0)

    def apply(samples: Samples, keys_: Keys) -> Iterator[Samples]:
        images, device = samples.floats, samples.images.device
        with _own_generator(device), warnings.catch_warnings():
            # Some say that masks pass through them, as they are meant to.
            warnings.simplefilter("ignore", UserWarning)
            for i, image in enumerate(images):
                key = samples.keys[i : i + 1]
                _seed(keys_[i : i + 1], device)
                if samples.masks is None:
                    yield Samples(made(image).unsqueeze(0), None, key)
                    continue
                moved, mask = made(tv_tensors.Image(image), _turned(samples.masks[i]))
                yield Samples(
                    moved.as_subclass(Tensor).unsqueeze(0), _turned(mask).unsqueeze(0), key
                )

    return apply


def _turned(masks: Tensor) -> Tensor:
    """Masks as torchvision knows them, and back: what it fills with 0 has to become IGNORED."""
    known = isinstance(masks, tv_tensors.Mask)
    turned: Tensor = IGNORED - masks.as_subclass(Tensor)
    return turned if known else torch.as_tensor(turned).as_subclass(tv_tensors.Mask)


@contextmanager
def _own_generator(device: torch.device) -> Iterator[None]:
    """torch's default generators, as they were afterwards."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        yield


def _seed(key: Keys, device: torch.device) -> None:
    # The CPU's generator alone: torch.manual_seed takes a hundred times as long.
    torch.default_generator.manual_seed(int(key[0]))
    if device.type == "cuda":
        torch.cuda.default_generators[device.index].manual_seed(int(key[0]))


def random_crop(step: Named) -> Step:
    args = arguments(step)
    height, width = pair(args["size"])
    fill, mode = args["fill"], args["padding_mode"]

    def apply(samples: Samples, keys_: Keys) -> Iterator[Samples]:
        images, masks = samples.images, samples.masks
        left, top, right, bottom = _paddings(args, *images.shape[-2:])
        if any((left, top, right, bottom)):
            sides = [left, top, right, bottom]
            if fill != 0:  # a share of white, which 8 bits may not hold
                images = samples.floats
            images = v2.functional.pad(images, sides, fill, mode)
            if masks is not None:
                masks = v2.functional.pad(tv_tensors.Mask(masks), sides, IGNORED, mode)
                masks = masks.as_subclass(Tensor)
        rows = integers(keys_, 0, images.shape[-2] - height + 1)
        columns = integers(keys_, 1, images.shape[-1] - width + 1)
        yield Samples(
            _windows(images, rows, columns, height, width),
            None if masks is None else _windows(masks, rows, columns, height, width),
            samples.keys,
        )

    return apply


def _paddings(args: dict[str, Any], height: int, width: int) -> tuple[int, int, int, int]:
    """Left, top, right and bottom, as torchvision's RandomCrop has them: what lacks of the size is
    added on both sides."""
    left, top, right, bottom = edges(args["padding"] or 0)
    if args["pad_if_needed"]:
        wanted = pair(args["size"])
        more_rows = max(0, wanted[0] - height - top - bottom)
        more_columns = max(0, wanted[1] - width - left - right)
        left, right = left + more_columns, right + more_columns
        top, bottom = top + more_rows, bottom + more_rows
    return left, top, right, bottom


def _windows(x: Tensor, rows: Any, columns: Any, height: int, width: int) -> Tensor:
    """Of each image in [N, C, H, W] the window [C, height, width] at its row and column.

    Each row of a window is `width` numbers on end, so they are chosen among all such runs.
    """
    count, channels, full_height, full_width = x.shape
    starts = (np.arange(count) * channels * full_height + rows) * full_width + columns
    starts = starts[:, None] + np.arange(channels) * (full_height * full_width)
    starts = starts[:, :, None] + np.arange(height) * full_width
    chosen = torch.from_numpy(starts.reshape(-1)).to(x.device)
    runs = x.contiguous().view(-1).unfold(0, width, 1)
    return runs.index_select(0, chosen).view(count, channels, height, width)


def _random_flip(dim: int) -> Callable[[Named], Step]:
    def made(step: Named) -> Step:
        p = step.args["p"]

        def apply(samples: Samples, keys_: Keys) -> Iterator[Samples]:
            flipped = uniform(keys_, 0) < p
            chosen = np.arange(len(flipped)) + len(flipped) * flipped
            rows = torch.from_numpy(chosen).to(samples.images.device)

            def flip(x: Tensor) -> Tensor:
                return torch.cat((x, x.flip(dim))).index_select(0, rows)

            masks = None if samples.masks is None else flip(samples.masks)
            yield Samples(flip(samples.images), masks, samples.keys)

        return apply

    return made


random_horizontal_flip, random_vertical_flip = _random_flip(-1), _random_flip(-2)


def random_erasing(step: Named) -> Step:
    args = arguments(step)
    value = args.get("value", 0)
    if isinstance(value, str):  # noise
        return _each(step)
    values = list(value) if isinstance(value, list | tuple) else [value]

    def apply(samples: Samples, keys_: Keys) -> Iterator[Samples]:
        height, width = samples.images.shape[-2:]
        heights, widths = _rectangles(keys_, height * width, args["scale"], args["ratio"])
        found, chosen = _first((heights < height) & (widths < width))
        heights, widths = heights[chosen], widths[chosen]
        tops = integers(keys_, AFTER, np.maximum(height - heights + 1, 1))
        lefts = integers(keys_, AFTER + 1, np.maximum(width - widths + 1, 1))
        heights = heights * (found & (uniform(keys_, AFTER + 2) < args["p"]))
        rows, columns = np.arange(height) - tops[:, None], np.arange(width) - lefts[:, None]
        inside = ((rows >= 0) & (rows < heights[:, None]))[:, None, :, None] & (
            (columns >= 0) & (columns < widths[:, None])
        )[:, None, None, :]
        images = samples.floats if any(values) else samples.images
        fill = torch.tensor(values, dtype=images.dtype, device=images.device).view(-1, 1, 1)
        erased = torch.where(torch.from_numpy(inside).to(images.device), fill, images)
        yield samples._replace(images=erased)

    return apply


def random_resized_crop(step: Named) -> Step:
    args = arguments(step)
    size = list(pair(args["size"]))
    low, high = args["ratio"]

    def apply(samples: Samples, keys_: Keys) -> Iterator[Samples]:
        height, width = samples.images.shape[-2:]
        widths, heights = _rectangles(keys_, height * width, args["scale"], args["ratio"])
        fits = (widths > 0) & (widths <= width) & (heights > 0) & (heights <= height)
        found, chosen = _first(fits)
        heights, widths = heights[chosen], widths[chosen]
        tops = integers(keys_, AFTER, np.maximum(height - heights + 1, 1))
        lefts = integers(keys_, AFTER + 1, np.maximum(width - widths + 1, 1))
        # Where no try has fitted, the middle, as much of it as the ratio admits.
        high_ = height if width / height >= low else round(width / low)
        wide_ = width if width / height <= high else round(height * high)
        middle = [(height - high_) // 2, (width - wide_) // 2, high_, wide_]
        boxes = np.where(found, (tops, lefts, heights, widths), np.array(middle)[:, None])
        images, masks = [], []
        for i, (top, left, tall, wide) in enumerate(boxes.T.tolist()):
            window = (slice(i, i + 1), ..., slice(top, top + tall), slice(left, left + wide))
            cut = samples._replace(images=samples.images[window]).floats
            images.append(
                v2.functional.resize(cut, size, args["interpolation"], antialias=args["antialias"])
            )
            if samples.masks is not None:
                mask = tv_tensors.Mask(samples.masks[window])
                masks.append(v2.functional.resize(mask, size).as_subclass(Tensor))
        yield Samples(torch.cat(images), torch.cat(masks) if masks else None, samples.keys)

    return apply


TRIES = 10  # as torchvision's
AFTER = 2 * TRIES  # the number of what is drawn next


def _rectangles(
    keys_: Keys, area: int, scale: Sequence[float], ratio: Sequence[float]
) -> tuple[Integers, Integers]:
    """For each sample the sides [N, TRIES] of rectangles that have a share in `scale` of the area,
    evenly drawn, and for the first side divided by the second a ratio whose logarithm is."""
    tries, seeds = np.arange(TRIES), keys_[:, None]
    areas = area * (scale[0] + (scale[1] - scale[0]) * uniform(seeds, 2 * tries))
    low, high = np.log(ratio)
    ratios = np.exp(low + (high - low) * uniform(seeds, 2 * tries + 1))
    first, second = np.rint(np.sqrt(areas * ratios)), np.rint(np.sqrt(areas / ratios))
    return first.astype(np.int64), second.astype(np.int64)


def _first(fits: npt.NDArray[np.bool_]) -> tuple[npt.NDArray[np.bool_], Any]:
    """Whether any try of each sample fits, and the index of the first that does."""
    return np.asarray(fits.any(1)), (np.arange(len(fits)), fits.argmax(1))
