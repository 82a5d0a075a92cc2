"""Random applications of a layer: an input and the parameters written, sensible or not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from netspec import compiler
from netspec.catalogue.component import Refusal
from netspec.catalogue.layers import LAYERS
from netspec.catalogue.layers.layer import Call, Layer, Weights
from netspec.catalogue.layers.structure import Container
from netspec.catalogue.types import canonical, problem, spread
from netspec.shapes import AtLeast, Dim, Tensor
from netspec.spec.model import Named
from tests.soundness.drawing import draw

# A Pretrained's shape is known to torch alone: the check says so, and goes on from its `expect`.
APPLIED = [
    layer
    for layer in LAYERS.values()
    if not isinstance(layer, Container) and layer.name != "Pretrained"
]

# What the type alone rarely draws so that the layer accepts it.
LIKELY = {
    "groups": [1, 1, 2, 3],
    "num_groups": [1, 2, 3],
    "out_channels": [2, 4, 6],
    "num_layers": [1, 2],
    "dim": [1, -1, 2, 0, -2],
    "start_dim": [1, 2, 0, -2],
    "end_dim": [-1, 2, 1, -2],
    "proj_size": [0, 1, 2],
    "num_embeddings": [3, 7],
    "kernel_size": [1, 2, 3],
    "dilation": [1, 1, 2],
    "nhead": [1, 2, 3],
    "num_heads": [1, 2, 3],
}
SIZES = (1, 2, 3, 4, 5, 6, 7, 9, 12)


@dataclass(frozen=True)
class Case:
    layer: Layer
    args: dict[str, Any]
    input: Tensor

    def __str__(self) -> str:
        return f"{self.layer.name}: {self.args} on {self.input}"


@dataclass(frozen=True)
class Said:
    """What the static check says of a case that it accepts."""

    args: dict[str, Any]
    output: Tensor
    weights: Weights
    macs: Dim
    conditions: tuple[AtLeast, ...]


def by_name(layer: Layer) -> str:
    return layer.name


def say(case: Case) -> Said | Refusal:
    """The static check's word on one layer."""
    call = Call(case.input, dict(case.args))
    try:
        case.layer.check_layout(case.input)
        case.layer.resolve(call)
        output = case.layer.shape_of(call)
        weights = case.layer.weights(call)
    except Refusal as refusal:
        return refusal
    return Said(call.args, output, weights, case.layer.macs(call), tuple(call.conditions))


def cases(layer: Layer, count: int, seed: str = "") -> Iterator[Case]:
    """`count` cases, the same on every run."""
    random = Random(f"{layer.name} {seed}")
    for _ in range(count):
        shape = _shape(layer, random)
        args = drawn(layer, shape, random)
        if layer.name == "Fold" and random.random() < 0.8:
            shape = _folded(args, random)
        yield Case(layer, args, Tensor(shape, _dtype(layer, random)))


def _shape(layer: Layer, random: Random) -> tuple[int, ...]:
    ranks = [layout.count(",") + 1 for layout in layer.layouts] or [0, 1, 1, 2, 3, 3, 4]
    rank = random.choice(ranks) if random.random() < 0.95 else random.randint(0, 4)
    return tuple(random.choice(SIZES) for _ in range(rank))


def _folded(args: dict[str, Any], random: Random) -> tuple[int, ...]:
    """As many channels and windows as a Fold with these parameters takes, mostly."""
    kernel, size, stride, padding, dilation = (
        spread(args.get(name, default), 2)
        for name, default in (
            ("kernel_size", 1), ("output_size", 1), ("stride", 1), ("padding", 0), ("dilation", 1),
        )
    )  # fmt: skip
    windows = [
        (size[i] + 2 * padding[i] - dilation[i] * (kernel[i] - 1) - 1) // stride[i] + 1
        for i in (0, 1)
    ]
    return kernel[0] * kernel[1] * random.randint(1, 2), max(1, windows[0]) * max(1, windows[1])


def _dtype(layer: Layer, random: Random) -> str:
    return random.choice(layer.dtypes or ("float32", "int64"))


def drawn(layer: Layer, shape: tuple[int, ...], random: Random) -> dict[str, Any]:
    args = {}
    lacking = compiler.lacking(layer)
    for param in layer.params:
        if param.name in lacking:
            continue
        needed = param.required and param.name not in layer.inferred
        chance = 0.1 if param.name in layer.inferred else 0.5
        if not needed and random.random() >= chance:
            continue
        if param.name in layer.nested:
            inner = random.choice(list(layer.nested[param.name].values()))
            args[param.name] = Named(inner.name, drawn(inner, shape, random), ())
        else:
            args[param.name] = _value(layer, param.name, shape, random)
    return args


def _value(layer: Layer, name: str, shape: tuple[int, ...], random: Random) -> Any:
    param = layer.param(name)
    assert param is not None
    found = draw(param.type, random)
    if name in LIKELY and random.random() < 0.7:
        found = random.choice(LIKELY[name])
    if name == "dims" and random.random() < 0.9:
        found = [0, *random.sample(range(1, len(shape) + 1), len(shape))]
    if name in ("normalized_shape", "shape") and random.random() < 0.7:
        found = list(shape[-random.randint(1, 3) :]) or [1]
        random.shuffle(found)
    if name == "unflattened_size" and random.random() < 0.7:
        found = random.choice([[-1, 2], [3, -1], [1, -1, 1], [2, 2], [-1]])
    if problem(param.type, found) is not None:
        found = draw(param.type, random)
    return canonical(param.type, found)
