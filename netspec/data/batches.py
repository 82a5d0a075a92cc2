"""Batches of one part, the same for the same seed whatever came before and wherever they lie.

The order of an epoch follows from (seed, epoch) alone, a sample's augmentation from (seed, epoch,
sample): a run that goes on from a saved state sees what the uninterrupted one would have seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from netspec.catalogue.transforms import mixes
from netspec.data.augmentation import Augmentation, Mixing
from netspec.data.dataset import Part, Pictures, Rows, Statistics
from netspec.data.preparation import preparing
from netspec.data.randomness import Keys, generator, keys
from netspec.data.targets import one_hot
from netspec.planning import Plan

# What is drawn in an epoch beside each sample's augmentation, whose numbers count from 0.
ORDER, MIXING = -1, -2


@dataclass(frozen=True)
class Batch:
    """inputs: [N, …] as the network takes them; targets: [N, …]; on the batches' device."""

    inputs: Tensor
    targets: Tensor

    def __len__(self) -> int:
        return len(self.targets)


class Batches:
    """A part's batches. `training`: shuffled where asked, augmented, without a last batch of one
    (batch norms cannot learn from it)."""

    def __init__(
        self,
        plan: Plan,
        part: Part,
        device: torch.device,
        *,
        batch_size: int,
        statistics: Statistics | None = None,
        training: bool = False,
        shuffle: bool = False,
        seed: int = 0,
    ) -> None:
        self.plan, self.part, self.device = plan, part, device
        self.batch_size, self.shuffle, self.seed = batch_size, shuffle, seed
        self.target = plan.spec.data.target if plan.spec.data else None
        self.augmentation: Augmentation | None = None
        self.clean: Augmentation | None = None  # makes a sample its own target, where it is another
        self.mixing: Mixing | None = None
        self.preparation: nn.Module | None = None  # of what are no images
        if plan.pipeline and plan.pipeline.raw:
            self.augmentation = Augmentation(plan.pipeline, training=training)
            augmented = training and plan.pipeline.augment
            if augmented and self.target == "input":
                self.clean = Augmentation(plan.pipeline, training=False)
            mixers = [step for step in plan.pipeline.augment if mixes(step)]
            if training and mixers:
                classes = plan.output.shape[0]
                assert isinstance(classes, int)  # the static check has held it against the loss
                self.mixing = Mixing(mixers, classes)
        elif plan.pipeline:
            made = preparing(plan.pipeline, statistics)
            self.preparation = made and made.to(device)
        whole, rest = divmod(len(part), batch_size)
        self.count = whole + (rest > (1 if training else 0))

    def __len__(self) -> int:
        return self.count

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch, from the one with index `start`."""
        key = keys(self.seed, number)
        order = torch.arange(len(self.part))
        if self.shuffle:
            order = torch.randperm(len(self.part), generator=generator(keys(key, ORDER)))
        size = self.batch_size
        chosen = [order[index * size :][:size] for index in range(start, self.count)]
        samples = keys(key, order.numpy())
        for index, (inputs, targets) in enumerate(self.part.read(chosen), start):
            yield self._batch(inputs, targets, samples[index * size :][:size], key, index)

    def _batch(self, inputs: Rows, targets: Rows, samples: Keys, epoch: Keys, index: int) -> Batch:
        given, wanted = self._moved(inputs), self._moved(targets)
        made = given
        if self.augmentation is not None:
            masks = wanted if isinstance(self.part.targets, Pictures) else None
            made, moved = self.augmentation(given, masks, samples)
            wanted = wanted if moved is None else moved
        elif self.preparation is not None:
            made = self.preparation(given)
        if self.target == "input":
            wanted = made if self.clean is None else self.clean(given, None, samples)[0]
        assert isinstance(made, Tensor) and isinstance(wanted, Tensor)
        if self.plan.one_hot:
            wanted = one_hot(self.plan, wanted)
        if self.mixing is not None:
            made, wanted = self.mixing(made, wanted, keys(keys(epoch, MIXING), index))
        return Batch(made, wanted)

    def _moved(self, rows: Rows) -> Rows:
        """On the device, and laid out alike wherever they come from."""
        if isinstance(rows, Tensor):
            return rows.to(self.device, non_blocking=True)
        return [row.to(self.device, non_blocking=True).contiguous() for row in rows]
