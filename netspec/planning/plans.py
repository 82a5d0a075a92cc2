"""The hub: a network with every parameter resolved and every shape known."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal, NamedTuple

from netspec.catalogue.layers import LAYERS
from netspec.catalogue.layers.layer import Weights
from netspec.catalogue.layers.structure import Container
from netspec.catalogue.preparations import Preparation
from netspec.catalogue.sources import Images, Sizes, Target, Unknown
from netspec.catalogue.transforms import Image
from netspec.diagnostics import Diagnostic
from netspec.shapes import Dim, Tensor, numel
from netspec.spec.model import Entry, Named, Spec

BYTES = {"float32": 4, "int64": 8}


@dataclass(frozen=True)
class Node:
    """One module of the tree. `name` is its dotted key in the `state_dict`; the root's is ""."""

    name: str
    type: str
    args: Mapping[str, Any]
    input: Tensor
    output: Tensor
    weights: Weights = field(default_factory=dict)
    own_macs: Dim = 0
    children: tuple[Node, ...] = ()
    entry: Entry | None = None

    @property
    def label(self) -> str:
        """Its name in its parent."""
        return self.name.rpartition(".")[2]

    @cached_property
    def parameters(self) -> int:
        """How many parameters it and all below it have."""
        own = sum(math.prod(shape) for shape in self.weights.values())
        return own + sum(child.parameters for child in self.children)

    @cached_property
    def opaque(self) -> bool:
        """Whether torch alone knows the shape and counts of it or of something below it."""
        return LAYERS[self.type].opaque or any(child.opaque for child in self.children)

    @cached_property
    def macs(self) -> Dim:
        """Multiply-accumulates for one sample, it and all below it."""
        total: Dim = self.own_macs
        for child in self.children:
            total = total + child.macs
        return total

    @property
    def memory(self) -> Dim:
        """Bytes of its output for one sample."""
        return numel(self.output.shape) * BYTES[self.output.dtype]

    @property
    def last(self) -> Node | None:
        """The layer that makes the output's values; None where they are the input's."""
        layer = LAYERS[self.type]
        if isinstance(layer, Container) and layer.bare:
            return next((last for child in reversed(self.children) if (last := child.last)), None)
        return None if layer.values == "as input" else self

    def walk(self) -> Iterator[Node]:
        """It and all below it, in order of execution."""
        yield self
        for child in self.children:
            yield from child.walk()

    def canonical(self) -> dict[str, Any]:
        """What makes it this network and no other."""
        return {
            "name": self.label,
            "type": self.type,
            "args": LAYERS[self.type].said(self.args),
            "output": str(self.output),
            "children": [child.canonical() for child in self.children],
        }


class Initialization(NamedTuple):
    """One parameter of the `state_dict`, and the initializer that wins for it."""

    key: str
    initializer: Named


class Freezing(NamedTuple):
    """A module whose parameters (None: all, and its statistics) do not learn before `until`."""

    module: str
    parameters: tuple[str, ...] | None
    until: int | None


@dataclass(frozen=True)
class Pipeline:
    """What happens to a sample between its source and the network, and what its target is.

    `raw`: the source's images in the input's number of channels; `preparation`: how its other raw
    samples become the input. Both are None where samples come in the input's own shape. `labels`:
    the targets that the source brings; `target`: what the network learns, which `data.target` may
    make of them or of the sample. `sizes`: how many samples each part has after the split.
    """

    source: Named
    images: Images | None
    raw: Image | None
    augment: tuple[Named, ...]
    evaluate: tuple[Named, ...]
    preprocess: tuple[Named, ...]
    target: Target
    sizes: Sizes | None
    preparation: Preparation | None = None
    labels: Target = field(default_factory=Unknown)

    @property
    def parts(self) -> frozenset[str] | None:
        """The parts there are after the split; None where only the data knows."""
        return None if self.sizes is None else frozenset(self.sizes)

    @property
    def samples(self) -> dict[str, int] | None:
        """How many samples each of them has; None where only the data knows."""
        known = {name: size for name, size in (self.sizes or {}).items() if size is not None}
        return known if self.sizes is not None and len(known) == len(self.sizes) else None

    def canonical(self) -> list[Any]:
        steps = (*self.evaluate, *self.preprocess)
        learned = [self.preparation.canonical()] if self.preparation else []
        return [str(self.raw), *([step.type, dict(step.args)] for step in steps), *learned]


class Scheduling(NamedTuple):
    """A scheduler, and what one step of it counts."""

    scheduler: Named
    interval: Literal["epoch", "step"]


class Monitoring(NamedTuple):
    """What says which epoch is the best: `loss` or a metric, of the validation part.

    `rising`: more is better. `written`: the spec names it.
    """

    name: str
    rising: bool
    written: bool


@dataclass(frozen=True)
class Training:
    """How the network learns: either `epochs` or `steps` is given, and every component has all its
    parameters but those that only the run's length decides."""

    epochs: int | None
    steps: int | None
    batch_size: int
    seed: int
    shuffle: bool
    clip_grad_norm: float | None
    loss: Named
    optimizer: Named
    schedule: Scheduling | None
    metrics: tuple[Named, ...]
    monitor: Monitoring


@dataclass(frozen=True)
class Plan:
    """`least`: the smallest value of each named dimension from which all shapes hold.
    `warnings`: what the check found legal and probably not meant."""

    spec: Spec
    root: Node
    least: Mapping[str, int]
    initialization: tuple[Initialization, ...]
    freezing: tuple[Freezing, ...]
    pipeline: Pipeline | None
    training: Training | None = None
    warnings: tuple[Diagnostic, ...] = ()

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def input(self) -> Tensor:
        return self.root.input

    @property
    def output(self) -> Tensor:
        return self.root.output

    @property
    def parameters(self) -> int:
        return self.root.parameters

    @property
    def one_hot(self) -> bool:
        """Whether the loss gets floats that are made of class indices."""
        data = self.spec.data
        return self.training is not None and data is not None and data.target == "one_hot"

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical form: names, types, parameters, shapes, preprocessing."""
        import hashlib  # the check alone needs no digest, and has no time to spare

        canonical = {
            "input": str(self.input),
            "network": self.root.canonical(),
            "preprocessing": self.pipeline.canonical() if self.pipeline else None,
        }
        text = json.dumps(canonical, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()
