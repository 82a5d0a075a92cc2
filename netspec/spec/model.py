"""What a spec says, resolved: no `$`, no blocks, no Repeat, every value of its type."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

from netspec.catalogue.layers.structure import REPEAT
from netspec.shapes import Shape, Tensor
from netspec.spec.document import Document, Route

Args = Mapping[str, Any]


@dataclass(frozen=True)
class Named:
    """A component by its class's name. `args` are those written; siblings stand apart."""

    type: str
    args: Args
    path: Route
    siblings: Args = field(default_factory=dict)


class Expect(NamedTuple):
    """What the author believes, and where that stands."""

    path: Route
    output: Shape | None = None
    parameters: int | None = None


class Freeze(NamedTuple):
    """Which parameters do not learn: all (None), or those named; `until`: before that epoch."""

    path: Route
    parameters: tuple[str, ...] | None = None
    until: int | None = None


@dataclass(frozen=True)
class Entry:
    """One layer as written, resolved.

    bodies: the lists of layers of a container, by child name; `Sequential` has one, named "".
    broken: findings stand against it already, so that its output is not known.
    via: the places of the block calls that it came through, outermost first.

    An `expect` beside a Repeat stands as an entry of its own behind the copies; it is no module.
    """

    type: str
    args: Args
    path: Route
    name: str | None = None
    expect: Expect | None = None
    freeze: Freeze | None = None
    init: tuple[tuple[str, Named], ...] = ()
    bodies: Mapping[str, tuple[Entry, ...]] = field(default_factory=dict)
    broken: bool = False
    via: tuple[Route, ...] = ()

    @property
    def is_module(self) -> bool:
        return self.type != REPEAT.name


class InitRule(NamedTuple):
    """An entry of `init`: parameters by name for the modules that match, the last rule winning."""

    match: tuple[str, ...]
    parameters: tuple[tuple[str, Named], ...]
    path: Route


class Split(NamedTuple):
    """`data.split`: the shares held out of the train part, where the source brings no such part.

    `stratify` and `seed` None leave the choice to the data and to `train`; `group`: a column.
    """

    validation: float
    test: float
    shuffle: bool
    stratify: bool | None
    group: str | None
    seed: int | None


class Data(NamedTuple):
    """`data`: where samples come from, what happens to them, and how they are read.

    `target` None: the source's own.
    """

    source: Named
    target: Literal["input", "one_hot"] | None
    split: Split
    augment: tuple[Named, ...]
    evaluate: tuple[Named, ...]
    preprocess: tuple[Named, ...]
    cache: Literal["auto", "memory", "disk", "none"]
    workers: int
    on_error: Literal["raise", "skip"]


class Train(NamedTuple):
    """`train`: either `epochs` or `steps` is given."""

    epochs: int | None
    steps: int | None
    batch_size: int
    seed: int
    shuffle: bool
    loss: Named
    optimizer: Named
    scheduler: Named | None
    metrics: tuple[Named, ...]
    clip_grad_norm: float | None
    monitor: str | None


class Onnx(NamedTuple):
    """`export.onnx`: `opset` and `preprocess` None leave the choice to netspec."""

    precision: Literal["float32"]
    opset: int | None
    output: Literal["none", "softmax", "sigmoid"]
    preprocess: bool | None


@dataclass(frozen=True)
class Spec:
    """`folder`: the spec file's, below which `init` may name tensor files.

    `exports`: there is a section `export`, so that the network has to be one that can be exported.
    """

    name: str
    description: str
    input: Tensor | None
    layers: tuple[Entry, ...]
    init: tuple[InitRule, ...]
    expect: Expect | None
    data: Data | None
    train: Train | None
    onnx: Onnx
    exports: bool
    document: Document
    folder: Path

    def with_initializers(self, change: Callable[[Named], Named]) -> Spec:
        """The spec with each initializer, of rules and of layers, changed."""

        def all_of(named: Iterable[tuple[str, Named]]) -> tuple[tuple[str, Named], ...]:
            return tuple((parameter, change(each)) for parameter, each in named)

        def entry(each: Entry) -> Entry:
            bodies = {name: tuple(map(entry, body)) for name, body in each.bodies.items()}
            return replace(each, init=all_of(each.init), bodies=bodies)

        rules = (rule._replace(parameters=all_of(rule.parameters)) for rule in self.init)
        return replace(self, layers=tuple(map(entry, self.layers)), init=tuple(rules))

    @property
    def seed(self) -> int:
        return self.train.seed if self.train else 0
