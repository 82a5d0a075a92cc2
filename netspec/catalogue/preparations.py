"""What makes a source's raw samples the network's input by statistics that it learns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from netspec.shapes import Shape


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
