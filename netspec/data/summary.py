"""What a spec's data are: how many, of which classes, and the numbers that the network gets."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import chain
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from netspec.catalogue.sources import Classes
from netspec.data.batches import Batches
from netspec.data.dataset import Dataset, Part, PartName, Pictures
from netspec.data.reading.sources import counted, loss_of
from netspec.data.stored import Stored, chunks
from netspec.diagnostics import Code, Diagnostic, InputError
from netspec.planning import Plan
from netspec.spec.model import Split
from netspec.spec.writing import resolved

# Of how many samples, and of how many numbers in them, figures are taken. Float targets count whole
# up to WHOLE numbers.
SAMPLES, NUMBERS, WHOLE = 10_000, 1 << 24, 1 << 27
DETAILED = 1_000  # as many channels, features or targets have figures of their own
TOGETHER = 1 << 20  # numbers that are float64 at a time

CPU = torch.device("cpu")


class Spread(NamedTuple):
    """Of some numbers; the deviation is the population's."""

    least: float
    most: float
    mean: float
    deviation: float


class Figures(NamedTuple):
    """Of all the numbers in `samples` samples, and of those of each image channel, feature or
    target, where there are several."""

    samples: int
    whole: Spread
    each: tuple[Spread, ...] = ()


class Counts(NamedTuple):
    """How many labels there are of each class, and how many that the loss ignores, in the targets
    of `samples` samples: one in each, at each position or in each pixel."""

    samples: int
    classes: tuple[int, ...]
    ignored: int


class Sizes(NamedTuple):
    """The least and the most pixels of the source's images, by the headers of `samples` files."""

    samples: int
    width: tuple[int, int]
    height: tuple[int, int]


@dataclass(frozen=True)
class PartSummary:
    """origin: what made the part. images: None where the source gives none. shape, dtype: of a
    sample as the network gets it. targets: None where each sample is its own."""

    samples: int
    origin: Literal["source", "split"]
    images: Sizes | None
    shape: tuple[int, ...]
    dtype: str
    inputs: Figures
    targets: Counts | Figures | None


@dataclass(frozen=True)
class Summary:
    """source: as the spec writes it. classes: their names, numbers where they have none; None where
    targets are floats. masks: a target is a class in each pixel. split: with the seed it has.
    batch_size: None without `train`."""

    name: str
    source: str | Mapping[str, Any]
    split: Split
    target: Literal["input", "one_hot"] | None
    cache: str
    workers: int
    on_error: str
    batch_size: int | None
    classes: tuple[str, ...] | None
    masks: bool
    parts: Mapping[PartName, PartSummary]
    warnings: tuple[Diagnostic, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain data, all but the warnings; counts stand in the order of `classes`."""
        return {
            "name": self.name,
            "source": self.source,
            "split": self.split._asdict(),
            "target": self.target,
            "cache": self.cache,
            "workers": self.workers,
            "on_error": self.on_error,
            "batch_size": self.batch_size,
            "classes": self.classes,
            "masks": self.masks,
            "parts": {name: _plain(part) for name, part in self.parts.items()},
        }


def _plain(part: PartSummary) -> dict[str, Any]:
    return {
        "samples": part.samples,
        "origin": part.origin,
        "images": part.images and part.images._asdict(),
        "shape": list(part.shape),
        "dtype": part.dtype,
        "inputs": _plain_of(part.inputs),
        "targets": part.targets and _plain_of(part.targets),
    }


def _plain_of(found: Counts | Figures) -> dict[str, Any]:
    if isinstance(found, Counts):
        return found._asdict()
    each = [spread._asdict() for spread in found.each]
    return {"samples": found.samples, **found.whole._asdict(), "each": each}


def summarize(plan: Plan, dataset: Dataset, part: PartName | None = None) -> Summary:
    """The data of a plan, or one part of them.

    Labels are counted, all of them; other figures are of at most SAMPLES samples, which the run's
    seed draws, and of no more than have NUMBERS numbers. Raises InputError where there is no such
    part, or a sample cannot be read.
    """
    data = plan.spec.data
    assert data is not None  # it was loaded
    order: tuple[PartName, ...] = ("train", "validation", "test")
    names = [chosen(plan, dataset, part)] if part else [n for n in order if n in dataset.parts]
    seed = plan.spec.seed if data.split.seed is None else data.split.seed
    return Summary(
        name=plan.name,
        source=resolved(plan.spec)["data"]["source"],
        split=data.split._replace(seed=seed),
        target=data.target,
        cache=data.cache,
        workers=data.workers,
        on_error=data.on_error,
        batch_size=plan.training.batch_size if plan.training else None,
        classes=class_names(dataset),
        masks=masked(plan, dataset.parts[names[0]]),
        parts={name: _summary(plan, dataset, name) for name in names},
        warnings=(*plan.warnings, *dataset.warnings),
    )


def chosen(plan: Plan, dataset: Dataset, part: PartName) -> PartName:
    """`part`, which the data have. Raises InputError."""
    if part not in dataset.parts:
        raise InputError.of(
            Code.DATA,
            f"the data have no {part} part, but {', '.join(dataset.parts)}",
            file=plan.spec.document.source.name,
        )
    return part


def class_names(dataset: Dataset) -> tuple[str, ...] | None:
    """The classes by name, or by number where they have no names; None where there are none."""
    target = dataset.target
    if dataset.classes is None and isinstance(target, Classes) and target.count is not None:
        return tuple(map(str, range(target.count)))
    return dataset.classes


def masked(plan: Plan, part: Part) -> bool:
    """Whether its targets are a class in each pixel."""
    targets = part.targets
    if plan.spec.data is None or plan.spec.data.target == "input":
        return False
    return isinstance(targets, Pictures) or (targets.dtype == torch.int64 and targets.dim() == 3)


def drawn(count: int, most: int, seed: int) -> Tensor:
    """At most `most` of `count` rows, int64, in an order as random as they are."""
    rows = random.Random(seed).sample(range(count), min(count, most))
    return torch.tensor(rows, dtype=torch.int64)


def _summary(plan: Plan, dataset: Dataset, name: PartName) -> PartSummary:
    data, part = plan.spec.data, dataset.parts[name]
    assert data is not None and plan.pipeline is not None
    rows = drawn(len(part), SAMPLES, plan.spec.seed)
    # One sample tells how many numbers each has.
    inputs, targets = _seen(plan, dataset, part.subset(rows[:1]))
    rows = rows[: max(1, NUMBERS // inputs.numel())]
    inputs, targets = _seen(plan, dataset, part.subset(rows))
    images = _sizes(part, plan.spec.seed) if plan.pipeline.raw else None
    return PartSummary(
        samples=len(part),
        origin="split" if name != "train" and getattr(data.split, name) else "source",
        images=images,
        shape=tuple(inputs.shape[1:]),
        dtype=str(inputs.dtype).removeprefix("torch."),
        inputs=figures(inputs, detailed=images is not None or inputs.dim() == 2),
        targets=_targets(plan, dataset, part, targets),
    )


def _seen(plan: Plan, dataset: Dataset, part: Part) -> tuple[Tensor, Tensor]:
    """A part's samples as the network gets them in evaluation, and their targets."""
    size = plan.training.batch_size if plan.training else 32
    made = Batches(plan, part, CPU, batch_size=size, statistics=dataset.statistics)
    batches = list(made.epoch(0))
    return torch.cat([each.inputs for each in batches]), torch.cat([b.targets for b in batches])


def _sizes(part: Part, seed: int) -> Sizes:
    inputs = part.inputs
    if isinstance(inputs, Pictures):
        rows = drawn(len(part), SAMPLES, seed).tolist()
        widths, heights = zip(*map(inputs.size, rows), strict=True)
        return Sizes(len(rows), (min(widths), max(widths)), (min(heights), max(heights)))
    height, width = inputs.shape[-2:]
    return Sizes(len(part), (width, width), (height, height))


def _targets(plan: Plan, dataset: Dataset, part: Part, seen: Tensor) -> Counts | Figures | None:
    data, classes = plan.spec.data, class_names(dataset)
    whole = seen if isinstance(part.targets, Pictures) else part.targets
    if classes is not None and not whole.is_floating_point():
        return _counts(whole, len(classes), loss_of(plan)[1])
    if data is not None and data.target == "input":
        return None
    return figures(seen if math.prod(whole.shape) > WHOLE else whole[:], detailed=whole.dim() == 2)


def _counts(labels: Tensor | Stored, classes: int, loss: Mapping[str, Any]) -> Counts:
    found = torch.zeros(classes, dtype=torch.int64)
    pieces = (torch.split(chunk.flatten(), TOGETHER) for chunk in chunks(labels))
    for piece in chain.from_iterable(pieces):
        kept = counted(piece, loss)
        found += torch.bincount(kept[(kept >= 0) & (kept < classes)], minlength=classes)
    return Counts(len(labels), tuple(found.tolist()), math.prod(labels.shape) - int(found.sum()))


def figures(rows: Tensor, *, detailed: bool = False) -> Figures:
    """Of numbers [N, …]; `detailed`: of each index of the first dimension of a sample too."""
    width = rows.shape[1] if detailed and rows.shape[1] <= DETAILED else 1
    piece = max(1, TOGETHER * len(rows) // rows.numel())
    pieces = torch.split(rows.reshape(len(rows), width, -1), piece)
    numbers = rows.numel() // width
    least = torch.stack([each.amin((0, 2)) for each in pieces]).amin(0).tolist()
    most = torch.stack([each.amax((0, 2)) for each in pieces]).amax(0).tolist()
    mean = sum((each.double().sum((0, 2)) for each in pieces), torch.zeros(())) / numbers
    apart = ((each.double() - mean[:, None]).square().sum((0, 2)) for each in pieces)
    variance = sum(apart, torch.zeros(())) / numbers
    each = tuple(map(Spread, least, most, mean.tolist(), variance.sqrt().tolist()))
    whole = (variance + (mean - mean.mean()).square()).mean().sqrt()
    together = Spread(min(least), max(most), float(mean.mean()), float(whole))
    return Figures(len(rows), together, each if width > 1 else ())
