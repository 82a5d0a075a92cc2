"""A table's rows as the network takes them: filled, standardised and one-hot."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from netspec.catalogue.component import Refusal
from netspec.catalogue.preparations import Feature, Table
from netspec.catalogue.sources import tables as catalogue
from netspec.data.dataset import Statistics
from netspec.data.preparation import Prepared
from netspec.data.stored import Stored, chunks
from netspec.tables import name_of

Array = npt.NDArray[Any]


class PreparedTable(Prepared):
    """[N, columns] float64, NaN where a value is missing → [N, width] float32.

    Filled, standardised as (x - mean) / deviation, and categories as one-hot, in float64: the
    exported graph computes the same.
    """

    fill: Tensor
    mean: Tensor
    deviation: Tensor
    column: Tensor
    code: Tensor

    def __init__(self, stated: Table, statistics: Statistics) -> None:
        super().__init__()
        features = stated.features
        # Of each number that the network takes: its column, and its category or -1.
        places = [
            (index, -1 if feature.categories is None else code)
            for index, feature in enumerate(features)
            for code in range(feature.width)
        ]
        self.register_buffer("column", torch.tensor([index for index, _ in places]))
        self.register_buffer("code", torch.tensor([code for _, code in places]).double())
        self.register_buffer("fill", torch.tensor(statistics["fill"], dtype=torch.float64))
        for name, without in (("mean", 0.0), ("deviation", 1.0)):
            learned = zip(statistics[name], features, strict=True)
            used = [value if feature.standardize else without for value, feature in learned]
            numbers = torch.tensor(used, dtype=torch.float64)
            self.register_buffer(name, numbers[self.column])

    def forward(self, rows: Tensor) -> Tensor:
        filled = torch.where(rows.isnan(), self.fill, rows).index_select(1, self.column)
        numbers = (filled - self.mean) / self.deviation
        chosen = (filled == self.code).to(torch.float64)
        return torch.where(self.code < 0, numbers, chosen).to(torch.float32)

    @classmethod
    def made(cls, stated: Table, statistics: Statistics) -> Self:
        return cls(stated, statistics)

    @classmethod
    def learn(cls, stated: Table, inputs: Tensor | Stored) -> Statistics:
        """`fill`: what stands for a column's missing values; `mean` and `deviation`: of the filled
        column, the population's, 1 where it is constant. Columns that are categories have 0 and 1.
        """
        learned = [
            _measure(feature, _column(inputs, index))
            for index, feature in enumerate(stated.features)
        ]
        names = ("fill", "mean", "deviation")
        return dict(zip(names, map(list, zip(*learned, strict=True)), strict=True))


def _column(inputs: Tensor | Stored, index: int) -> Array:
    """A copy of a column [N]."""
    column = np.empty(len(inputs))
    start = 0
    for rows in chunks(inputs):
        column[start : start + len(rows)] = rows[:, index]
        start += len(rows)
    return column


def _measure(feature: Feature, values: Array) -> tuple[float, float, float]:
    """What fills a column [N], its mean and its deviation; the array is sorted in place."""
    values.sort()  # NaN last; and no sum depends on the order of the rows
    present = values[: len(values) - np.count_nonzero(np.isnan(values))]
    fill = 0.0
    if feature.fill in catalogue.MEASURES and feature.categories is None:
        if not len(present):
            raise Refusal(
                f"column '{feature.name}' has no value in the train part to take the "
                f"{feature.fill} of",
                "fill it with a number",
                "features",
                (feature.name,),
            )
        fill = float(np.median(present) if feature.fill == "median" else np.mean(present))
    elif feature.fill is not None:
        codes = feature.column.codes
        fill = float(feature.fill) if codes is None else feature.column.value(name_of(feature.fill))
    if feature.categories is not None:
        return fill, 0.0, 1.0
    values[len(present) :] = fill
    values.sort()
    if values[0] == values[-1]:
        return fill, float(values[0]), 1.0
    with np.errstate(over="ignore", invalid="ignore"):
        mean, deviation = float(np.mean(values)), float(np.std(values))
    if not np.isfinite(mean) or not 0 < deviation < np.inf:
        raise Refusal(
            f"column '{feature.name}' has values from {values[0]:g} to {values[-1]:g}, whose "
            "deviation float64 does not hold",
            "scale them",
            "features",
            (feature.name,),
        )
    return fill, mean, deviation
