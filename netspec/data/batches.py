"""Batches of one part, the same for the same seed whatever came before.

The order of an epoch and the random augmentation of a batch follow from (seed, epoch, batch)
alone: a run that goes on from a saved state sees what the uninterrupted one would have seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from netspec.data.dataset import Part, Pictures, Statistics
from netspec.data.preparation import preparing
from netspec.data.preprocessing import augmentation, scale
from netspec.planning import Plan


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
        self.part, self.device = part, device
        self.batch_size, self.shuffle, self.seed = batch_size, shuffle, seed
        self.preprocessing: nn.Module | None = None
        self.augmentation: nn.Module | None = None
        if plan.pipeline:
            made = preparing(plan.pipeline, statistics)
            self.preprocessing = made and made.to(device)
            if training and plan.pipeline.augment:
                self.augmentation = augmentation(plan.pipeline)
        whole, rest = divmod(len(part), batch_size)
        self.count = whole + (rest > (1 if training else 0))

    def __len__(self) -> int:
        return self.count

    def epoch(self, number: int, start: int = 0) -> Iterator[Batch]:
        """The batches of one epoch, from the one with index `start`."""
        order = torch.arange(len(self.part))
        if self.shuffle:
            order = torch.randperm(len(self.part), generator=self._generator(number, -1))
        for index in range(start, self.count):
            chosen = order[index * self.batch_size :][: self.batch_size]
            yield self._batch(chosen, number, index)

    def _batch(self, chosen: Tensor, epoch: int, index: int) -> Batch:
        targets = self.part.labels[chosen].to(self.device, non_blocking=True)
        inputs = self.part.inputs
        if self.augmentation is not None:
            samples = [scale(inputs[i]) for i in chosen.tolist()]
            with torch.random.fork_rng(devices=[]):
                torch.set_rng_state(self._generator(epoch, index).get_state())
                made = torch.stack([self.augmentation(sample) for sample in samples])
            return Batch(made.to(self.device, non_blocking=True), targets)
        if isinstance(inputs, Pictures):
            assert self.preprocessing is not None
            images = (inputs[i].unsqueeze(0).to(self.device) for i in chosen.tolist())
            return Batch(torch.cat([self.preprocessing(image) for image in images]), targets)
        rows = inputs[chosen].to(self.device, non_blocking=True)
        return Batch(self.preprocessing(rows) if self.preprocessing else rows, targets)

    def _generator(self, epoch: int, index: int) -> torch.Generator:
        # Fibonacci hashing spreads neighbouring (seed, epoch, batch) over the 64-bit seeds.
        mixed = (self.seed * 0x9E3779B97F4A7C15 + epoch * 0xC2B2AE3D27D4EB4F + index + 1) % 2**63
        return torch.Generator().manual_seed(mixed)
