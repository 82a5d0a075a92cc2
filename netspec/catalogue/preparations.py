"""What makes a source's raw samples the network's input by statistics that it learns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from netspec.shapes import Shape
from netspec.tables import Category, Column, Layout


@dataclass(frozen=True)
class Preparation:
    """What the exported graph does before the network, with statistics of the training part.

    `kind`, `shape`, `dtype`: one raw sample, as the graph takes it. `statistics`: what is learned,
    and how many numbers each is. `target`: `module:attribute` of the module that does it.
    """

    kind: Literal["table", "array"]
    shape: Shape
    dtype: Literal["float32", "float64"]
    statistics: Mapping[str, int]
    target: str

    def canonical(self) -> Any:
        """What makes it this preparation and no other, in plain types; statistics are learned, as
        weights are."""
        return [self.kind, str(self.shape), self.dtype]


@dataclass(frozen=True)
class Feature:
    """One column of a table, of which `categories` make one number each, and numbers one.

    `fill`: what stands for a missing value: `median` or `mean` of the others, a number, or a
    category; None: none may be missing.
    """

    name: str
    standardize: bool = False
    categories: tuple[Category, ...] | None = None
    fill: Category | None = None

    @property
    def width(self) -> int:
        return 1 if self.categories is None else len(self.categories)

    @property
    def column(self) -> Column:
        return Column(
            self.name, self.categories, self.fill is not None, bounded=not self.standardize
        )


@dataclass(frozen=True)
class Table(Preparation):
    """Of a row's columns, categories as their index and missing values as NaN: the numbers of all
    features in their order. `layout`: how a file that is predicted from is written."""

    features: tuple[Feature, ...]
    layout: Layout

    @classmethod
    def of(cls, features: tuple[Feature, ...], layout: Layout) -> Table:
        return cls(
            kind="table",
            shape=(len(features),),
            dtype="float64",
            statistics=dict.fromkeys(("fill", "mean", "deviation"), len(features)),
            target="netspec.data.tabular:PreparedTable",
            features=features,
            layout=layout,
        )

    @property
    def width(self) -> int:
        return sum(feature.width for feature in self.features)

    def canonical(self) -> Any:
        return [[each.name, each.standardize, each.categories, each.fill] for each in self.features]
