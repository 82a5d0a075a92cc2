"""The types a parameter can have: each says what it accepts, to a person and as JSON Schema.

`problem(value)` and `schema()` state the same set; a test holds them against each other. Where
JSON Schema is looser than netspec (`3.0` as an integer, `.inf` as a number), `problem` decides.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Protocol

from netspec.shapes import LARGEST

# torch's tensors are float32: what is larger becomes infinite in them.
LARGEST_NUMBER = (2 - 2**-23) * 2.0**127

JsonSchema = dict[str, Any]


SHOWN = 80


def show(value: object) -> str:
    """A value as the user would write it, shortened."""
    match value:
        case None:
            text = "null"
        case bool():
            text = str(value).lower()
        case str():
            text = f"'{value[:SHOWN]}'"
        case list() | tuple():
            text = "[" + _few(map(show, value[:8]))
            text += ", …]" if len(value) > 8 else "]"
        case dict():
            text = "{" + _few(f"{key}: {show(item)}" for key, item in value.items()) + "}"
        case float() if not math.isfinite(value):
            text = str(value).replace("inf", ".inf").replace("nan", ".nan")
        case _:
            text = str(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def _few(items: Iterable[str]) -> str:
    """The items, as far as they are shown: the rest is not even looked at."""
    found: list[str] = []
    length = 0
    for item in items:
        found.append(item)
        length += len(item) + 2
        if length > SHOWN:
            break
    return ", ".join(found)


class Type(Protocol):
    @property
    def expected(self) -> str:
        """What it accepts, in the words that follow "must be"."""

    def accepts(self, value: object) -> bool: ...

    def core(self) -> JsonSchema:
        """The JSON Schema of a resolved value."""


EXPRESSION = r"^\$"


def as_written(core: JsonSchema) -> JsonSchema:
    """`core`, or an expression that stands for such a value; `$…` is checked once resolved.

    Most keywords of JSON Schema bind one type alone, so that where no string fits, `pattern`
    admits expressions without a branch: the check is faster and its errors exact.
    """
    if "$ref" in core:
        return core
    types = _types(core)
    if not types:
        return {"if": {"type": "string", "pattern": EXPRESSION}, "else": core}
    if "string" in types:
        return core
    return {**core, "type": [*types, "string"], "pattern": EXPRESSION}


def _types(core: JsonSchema) -> list[str]:
    """The types that a schema admits by name; none where it goes another way about it."""
    types: str | list[str] = core.get("type", [])
    return types if isinstance(types, list) else [types]


def schema_of(kind: Type) -> JsonSchema:
    """The JSON Schema of a value as written; `errorMessage` is what editors show."""
    core = kind.core()
    if "$ref" not in core:
        core = {**core, "errorMessage": f"must be {kind.expected}"}
    return as_written(core)


def problem(kind: Type, value: object) -> str | None:
    """Why `value` is none of `kind`'s, or None."""
    if kind.accepts(value):
        return None
    if isinstance(value, float) and value.is_integer() and kind.accepts(int(value)):
        return f"is the float {value}, but must be {kind.expected}"
    return f"is {show(value)}, but must be {expectation(kind.expected, value)}"


def expectation(expected: str, value: object) -> str:
    """What is expected, and where that was passed by `value`: the bound of every number."""
    if isinstance(value, int) and abs(value) > LARGEST:
        return f"{expected}, less than 2**31 from zero"
    if isinstance(value, float) and LARGEST_NUMBER < abs(value) < math.inf:
        return f"{expected} that float32 holds, at most {LARGEST_NUMBER:.1e} from zero"
    return expected


def canonical(kind: Type, value: Any) -> Any:
    """An accepted value as torch wants it, and always the same way: where a number is meant, `1`
    is the float 1.0, and one value for every dimension is written once."""
    if isinstance(kind, PerDimension):
        values = [canonical(kind.item, each) for each in spread(value, kind.rank)]
        return values[0] if values.count(values[0]) == kind.rank else values
    if isinstance(kind, OneOrMore):
        return [canonical(kind.item, each) for each in spread(value, 1)]
    if isinstance(kind, Either):
        return canonical(next(each for each in kind.kinds if each.accepts(value)), value)
    if isinstance(kind, Number):
        return float(value)
    if isinstance(kind, ListOf):
        return [canonical(kind.item, item) for item in value]
    if isinstance(kind, MappingOf):
        return {name: canonical(kind.item, item) for name, item in value.items()}
    return value


@dataclass(frozen=True, eq=False)
class Integer:
    """An integer; both bounds are inclusive. Those left out are what a dimension may come to:
    torch and the arithmetic of shapes take no larger one."""

    minimum: int = -LARGEST
    maximum: int = LARGEST

    @property
    def expected(self) -> str:
        if self.minimum == self.maximum:
            return str(self.minimum)
        return "an integer" + _range(
            None if self.minimum == -LARGEST else self.minimum,
            None if self.maximum == LARGEST else self.maximum,
        )

    def accepts(self, value: object) -> bool:
        return (
            isinstance(value, int)
            and not isinstance(value, bool)
            and self.minimum <= value <= self.maximum
        )

    def core(self) -> JsonSchema:
        return {"type": "integer", "minimum": self.minimum, "maximum": self.maximum}


@dataclass(frozen=True, eq=False)
class Number:
    """An integer or float that float32 holds; `above` and `below` are exclusive."""

    minimum: float | None = None
    maximum: float | None = None
    above: float | None = None
    below: float | None = None

    @property
    def expected(self) -> str:
        text = "a number" + _range(self.minimum, self.maximum)
        text += f" above {self.above:g}" if self.above is not None else ""
        text += f" and below {self.below:g}" if self.below is not None else ""
        return text

    def accepts(self, value: object) -> bool:
        return (
            isinstance(value, int | float)
            and not isinstance(value, bool)
            and abs(value) <= LARGEST_NUMBER  # no nan either
            and (self.minimum is None or value >= self.minimum)
            and (self.maximum is None or value <= self.maximum)
            and (self.above is None or value > self.above)
            and (self.below is None or value < self.below)
        )

    def core(self) -> JsonSchema:
        bounds: JsonSchema = {
            "minimum": self.minimum,
            "exclusiveMinimum": self.above,
            "maximum": self.maximum,
            "exclusiveMaximum": self.below,
        }
        bounds = {key: bound for key, bound in bounds.items() if bound is not None}
        if self.minimum is None and self.above is None:
            bounds["minimum"] = -LARGEST_NUMBER
        if self.maximum is None and self.below is None:
            bounds["maximum"] = LARGEST_NUMBER
        return {"type": "number", **bounds}


class Boolean:
    """`true` or `false`."""

    expected = "true or false"

    def accepts(self, value: object) -> bool:
        return isinstance(value, bool)

    def core(self) -> JsonSchema:
        return {"type": "boolean"}


@dataclass(frozen=True, eq=False)
class Text:
    """A string that is not empty."""

    expected: str = "a string"

    def accepts(self, value: object) -> bool:
        return isinstance(value, str) and bool(value)

    def core(self) -> JsonSchema:
        return {"type": "string", "minLength": 1}


class Null:
    """`null`."""

    expected = "null"

    def accepts(self, value: object) -> bool:
        return value is None

    def core(self) -> JsonSchema:
        return {"type": "null"}


class Choice:
    """One of a few words."""

    def __init__(self, *words: str) -> None:
        self.words = words

    @property
    def expected(self) -> str:
        return _or([f"'{word}'" for word in self.words])

    def accepts(self, value: object) -> bool:
        return isinstance(value, str) and value in self.words

    def core(self) -> JsonSchema:
        return {"enum": list(self.words)}


class ClassOf(Choice):
    """A class of torch.nn by its name, where torch takes the class and not a module."""


@dataclass(frozen=True, eq=False)
class ListOf:
    """A list of `least` to `most` items of one type."""

    item: Type
    least: int = 0
    most: int | None = None

    @property
    def expected(self) -> str:
        item = self.item.expected
        if self.least == self.most:
            return f"a list of {self.least}, each {item}"
        if self.most is None:
            count = f" of {self.least} or more" if self.least else ""
            return f"a list{count}, each {item}"
        return f"a list of {self.least} to {self.most}, each {item}"

    def accepts(self, value: object) -> bool:
        return (
            isinstance(value, list | tuple)
            and len(value) >= self.least
            and (self.most is None or len(value) <= self.most)
            and all(map(self.item.accepts, value))
        )

    def core(self) -> JsonSchema:
        bounds = {"minItems": self.least} if self.least else {}
        if self.most is not None:
            bounds["maxItems"] = self.most
        return {"type": "array", "items": schema_of(self.item), **bounds}


@dataclass(frozen=True, eq=False)
class MappingOf:
    """A mapping of names that the user chooses, in the order written, to values of one type."""

    names: str
    item: Type

    @property
    def expected(self) -> str:
        return f"a mapping of {self.names} to {self.item.expected}"

    def accepts(self, value: object) -> bool:
        return (
            isinstance(value, dict) and bool(value) and all(map(self.item.accepts, value.values()))
        )

    def core(self) -> JsonSchema:
        return {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": schema_of(self.item),
        }


NUMERIC = {"integer", "number"}


class Either:
    """Any one of several types."""

    def __init__(self, *kinds: Type) -> None:
        self.kinds = kinds

    @property
    def expected(self) -> str:
        return _or([kind.expected for kind in self.kinds])

    def accepts(self, value: object) -> bool:
        return any(kind.accepts(value) for kind in self.kinds)

    def core(self) -> JsonSchema:
        others = [kind for kind in self.kinds if not isinstance(kind, Null)]
        cores = [kind.core() for kind in self.kinds]
        if len(others) == 1 < len(self.kinds) and "type" not in others[0].core():
            return {"if": {"type": "null"}, "else": schema_of(others[0])}
        merged: JsonSchema = {"type": []}
        for core in cores:
            types = _types(core)
            # To JSON Schema an integer is a number too: the bounds of one would bind the other.
            if (
                not types
                or not set(types).isdisjoint(merged["type"])
                or {*types, *merged["type"]} >= NUMERIC
                or core.keys() & merged.keys() != {"type"}
            ):
                return {"anyOf": cores}
            merged = {**merged, **core, "type": [*merged["type"], *types]}
        return merged


class PerDimension(Either):
    """One value for every spatial dimension, or for both sides of each, or a list of `rank`;
    `spread` makes it the list."""

    def __init__(self, item: Type, rank: int) -> None:
        super().__init__(item, ListOf(item, rank, rank))
        self.item, self.rank = item, rank

    @property
    def expected(self) -> str:
        return f"{self.item.expected}, or a list of {self.rank}"


class OneOrMore(Either):
    """A list, or its only item."""

    def __init__(self, item: Type) -> None:
        super().__init__(item, ListOf(item, 1))
        self.item = item


def spread(value: Any, rank: int) -> tuple[Any, ...]:
    """`3` → `(3, 3)`, `[3, 5]` → `(3, 5)`."""
    return tuple(value) if isinstance(value, list | tuple) else (value,) * rank


class WordOr(Either):
    """One of a few words, or something else that is no string."""

    def __init__(self, word: Choice, other: Type) -> None:
        super().__init__(word, other)
        self.word, self.other = word, other

    def core(self) -> JsonSchema:
        word = {**self.word.core(), "errorMessage": f"must be {self.expected}"}
        other = {**self.other.core(), "errorMessage": f"must be {self.expected}"}
        return {"if": {"type": "string"}, "then": word, "else": other}


def optional(kind: Type) -> Either:
    return Either(kind, Null())


POSITIVE = Integer(1)
DEPTH = Integer(1, 1_000)  # of layers that one entry stacks
NATURAL = Integer(0)
INTEGER = Integer()
NUMBER = Number()
NONNEGATIVE = Number(0)
ABOVE_ZERO = Number(above=0)
PROBABILITY = Number(0, 1)
BOOLEAN = Boolean()
TEXT = Text()
PATH = Text("a path")


def _range(minimum: float | None, maximum: float | None) -> str:
    if minimum is not None and maximum is not None:
        return f" from {minimum:g} to {maximum:g}"
    if minimum is not None:
        return f" of at least {minimum:g}"
    return f" of at most {maximum:g}" if maximum is not None else ""


def _or(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " or " + parts[-1]
