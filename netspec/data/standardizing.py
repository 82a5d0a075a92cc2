"""Samples of mean 0 and deviation 1 in each feature or channel."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from netspec.catalogue.component import Refusal
from netspec.data.dataset import Statistics
from netspec.data.preparation import Prepared
from netspec.data.stored import Stored, chunks

LEAST_STEPS = 64  # of float32, in a deviation: with fewer, rounding is much of what is left


class Standardized(Prepared):
    """float32 samples [N, C, …] less the mean, by the population's deviation, of each of C."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: Tensor, deviation: Tensor) -> None:
        """mean, deviation: float32 [C, 1, …], of a sample's rank."""
        super().__init__()
        self.register_buffer("mean", mean)
        self.register_buffer("deviation", deviation)

    def forward(self, x: Tensor) -> Tensor:
        return (x - self.mean) / self.deviation

    @classmethod
    def learn(cls, stated: Any, inputs: Tensor | Stored) -> Statistics:
        """In one pass, by the update of Chan, Golub and LeVeque, "Updating formulae and a pairwise
        algorithm for computing sample variances" (1979); a constant's deviation is said to be 1.
        Raises Refusal where float32 holds too little of a deviation."""
        size = stated.statistics["mean"]
        count, mean, squares = 0, np.zeros(size), np.zeros(size)
        low, high = np.full(size, np.inf), np.full(size, -np.inf)
        for chunk in chunks(inputs):
            values = chunk.transpose(0, 1).flatten(1).double().numpy()
            total = count + values.shape[1]
            own = values.mean(1)
            apart = own - mean
            mean += apart * (values.shape[1] / total)
            squares += np.square(values - own[:, None]).sum(1)
            squares += np.square(apart) * (count * values.shape[1] / total)
            low, high = np.minimum(low, values.min(1)), np.maximum(high, values.max(1))
            count = total
        constant = low == high
        deviation = np.where(constant, 1, np.sqrt(squares / count))
        mean = np.where(constant, low, mean)
        lost = ~constant & (deviation < LEAST_STEPS * np.spacing(np.abs(mean).astype(np.float32)))
        if lost.any():
            at = int(lost.argmax())
            raise Refusal(
                f"number {at} of the first dimension deviates by {deviation[at]:.3g} from "
                f"{mean[at]:.6g}, of which 32 bits hold little",
                "subtract a constant before you store it",
                "standardize",
            )
        return {"mean": mean.tolist(), "deviation": deviation.tolist()}

    @classmethod
    def made(cls, stated: Any, statistics: Statistics) -> Self:
        shape = (-1, *[1] * (len(stated.shape) - 1))
        mean, deviation = (
            torch.tensor(statistics[name], dtype=torch.float32).view(shape)
            for name in ("mean", "deviation")
        )
        return cls(mean, deviation)
