"""Random values that a parameter's type accepts, small enough to run."""

from __future__ import annotations

from random import Random
from typing import Any

from netspec.catalogue.component import Component, OneOf
from netspec.catalogue.types import (
    Boolean,
    Choice,
    Either,
    Integer,
    ListOf,
    Null,
    Number,
    Text,
    Type,
)
from netspec.spec.model import Named

LARGEST = 6


def draw(kind: Type, random: Random) -> Any:
    """One value of `kind`; near its bounds as often as not."""
    match kind:
        case OneOf():
            name = random.choice(list(kind.entries))
            return Named(name, draw_args(kind.entries[name], random), ())
        case Choice():
            return random.choice(kind.words)
        case Either():
            return draw(random.choice(kind.kinds), random)
        case ListOf():
            most = kind.most if kind.most is not None else max(kind.least, 4)
            return [draw(kind.item, random) for _ in range(random.randint(kind.least, most))]
        case Integer():
            low = max(kind.minimum, -LARGEST)
            high = min(kind.maximum, low + 2 * LARGEST)
            return random.choice([low, random.randint(low, high), random.randint(low, high)])
        case Number():
            return _number(kind, random)
        case Boolean():
            return random.random() < 0.5
        case Text():
            return random.choice(["a", "weight", "layer.0"])
        case Null():
            return None
    return _sampled(kind)


def draw_args(component: Component, random: Random) -> dict[str, Any]:
    """What may be written of a component's parameters."""
    return {
        param.name: draw(param.type, random)
        for param in component.params
        if param.name in component.required or random.random() < 0.3
    }


def _number(kind: Number, random: Random) -> float:
    low = kind.minimum if kind.minimum is not None else kind.above
    high = kind.maximum if kind.maximum is not None else kind.below
    low = low if low is not None else -2.0
    high = high if high is not None else low + 4.0
    pool: list[Any] = [low, high, 0, 1, random.uniform(low, high), random.uniform(low, high)]
    return random.choice([value for value in pool if kind.accepts(value)])


def _sampled(kind: Type) -> Any:
    """A type that only the catalogue's own module knows: it accepts one of few values."""
    few: tuple[Any, ...] = (True, None, 1, "a", [], {})
    return next(value for value in few if kind.accepts(value))
