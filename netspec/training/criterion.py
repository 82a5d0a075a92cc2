"""The loss of a batch, to learn from, and of any number of samples, however they were batched."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from netspec.catalogue.losses import Loss
from netspec.compiler import attribute


class Criterion(nn.Module):
    """A loss of the catalogue with all its arguments.

    A tally is a float64 tensor [2]: a sum, and what its mean divides it by. Tallies of batches
    add up to that of all their samples.
    """

    def __init__(self, entry: Loss, args: Mapping[str, Any]) -> None:
        super().__init__()
        made = {
            name: torch.tensor(value, dtype=torch.float32)
            if name in entry.tensors and value is not None
            else value
            for name, value in args.items()
        }
        self.mean_over, self.summed = entry.mean_over, args["reduction"] == "sum"
        self.ignored: int | None = args.get("ignore_index")
        self.batch: nn.Module = attribute(entry)(**made)
        self.each: nn.Module = attribute(entry)(**made | {"reduction": "none"})

    def forward(self, output: Tensor, target: Tensor) -> Tensor:
        """The batch's loss as torch gives it; 0 where no target of it counts, which teaches
        nothing (torch's mean of nothing is no number)."""
        if self.mean_over != "targets" or self.summed or target.is_floating_point():
            loss: Tensor = self.batch(output, target)
            return loss
        # `where` passes no gradient to what it leaves out: not even one that is no number.
        counts = self._divisor(output, target) > 0
        return torch.where(counts, self.batch(torch.where(counts, output, 0), target), 0)

    def account(self, output: Tensor, target: Tensor) -> Tensor:
        """The tally of a batch, summed in float64."""
        summed = self.each(output, target).double().sum()
        return torch.stack((summed, self._divisor(output, target)))

    def learned(self, loss: Tensor, output: Tensor, target: Tensor) -> Tensor:
        """The tally of a batch whose `loss` is known: no more precise than it, and at no cost."""
        divisor = self._divisor(output, target)
        return torch.stack((loss.detach().double() * divisor, divisor))

    def figure(self, tally: Tensor) -> float:
        """The loss of all samples of a tally; no number where none of them counts."""
        return float(tally[0]) if self.summed else mean(tally)

    def _divisor(self, output: Tensor, target: Tensor) -> Tensor:
        """What torch's mean of this batch divides by; a sum counts as one."""
        if self.mean_over == "targets" and not self.summed and not target.is_floating_point():
            counts, weight = counted(target, self.ignored), self.batch.weight
            if weight is None:
                return counts.sum()
            assert isinstance(weight, Tensor)
            # No boolean indexing, which would wait for a GPU.
            return (weight.double()[(target * counts).long()] * counts).sum()
        match "sum" if self.summed else self.mean_over:
            case "sum":
                divisor = 1
            case "elements":
                divisor = output.numel()
            case "rows":
                divisor = output.shape[:-1].numel()
            case "samples":
                divisor = len(output)
            case "targets":  # probabilities of classes: all count, whatever the classes weigh
                divisor = output.numel() // output.shape[1]
        return torch.full((), divisor, dtype=torch.float64, device=output.device)


def counted(target: Tensor, ignored: int | None) -> Tensor:
    """1 where a class index counts, else 0, in float64."""
    return (
        torch.ones_like(target, dtype=torch.float64)
        if ignored is None
        else (target != ignored).double()
    )


def mean(tally: Tensor) -> float:
    """No number where nothing was counted."""
    return float(tally[0] / tally[1])
