"""The JSON Schema: valid, current, and of one mind with the catalogue's types."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from netspec.catalogue import sections
from netspec.catalogue.component import Component, OneOf, Param, Section
from netspec.catalogue.initializers import INITIALIZERS
from netspec.catalogue.layers import LAYERS
from netspec.catalogue.layers.structure import REPEAT, Branches, Layers
from netspec.catalogue.losses import LOSSES
from netspec.catalogue.metrics import METRICS
from netspec.catalogue.optimizers import OPTIMIZERS
from netspec.catalogue.schedulers import SCHEDULERS
from netspec.catalogue.sources import SOURCES
from netspec.catalogue.transforms import TRANSFORMS
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
    problem,
    schema_of,
)
from netspec.spec.schema import netspec_schema, schema_text

ROOT = Path(__file__).parents[2]
TABLES = (
    LAYERS, LOSSES, METRICS, OPTIMIZERS, SCHEDULERS, SOURCES, TRANSFORMS, INITIALIZERS,
    {"Repeat": REPEAT},
    {each.name: each for each in (sections.INPUT, sections.EXPECT, sections.UNTIL, sections.SPLIT,
                                  sections.DATA, sections.CHECKPOINT, sections.TRAIN,
                                  sections.ONNX, sections.EXPORT)},
)  # fmt: skip
ENTRIES: list[Component] = [entry for table in TABLES for entry in table.values()]
REFERRING = (OneOf, Section, Layers, Branches)

NASTY: list[Any] = [
    None, True, False, 0, 1, -1, 2, 3, 5, 100, 2**31, 2**63 - 1, -(2**63),
    0.0, -0.0, 0.5, 1.0, 3.0, -3.0, 1.5, 1e-300, 1e300, math.inf, -math.inf, math.nan,
    "", "a", "1", "true", "null", "same", "valid", "zeros", "mean", "none", "None", "yes", "é",
    [], [1], [1, 1], [1, 2, 3], [0, 0], [-1, 2], [1, 2, 3, 4], [1] * 20, [1.0, 2.0], [0.5, 0.5],
    [None], [None, 3], [True, True], ["a"], ["a", 1], [""], [[1]], [[1, 1], [1, 1]], [[]],
    [math.nan, 1], [0.1, 0.2], [3, 1.5],
    {}, {"a": 1}, {"1": 1}, [{}],
]  # fmt: skip


def params() -> Iterator[tuple[str, Param]]:
    for entry in ENTRIES:
        for param in entry.params:
            yield f"{entry.name}.{param.name}", param


def refers(kind: Type) -> bool:
    """Whether its schema refers to a definition, or names components: checked as a whole spec."""
    inner = kind.kinds if isinstance(kind, Either) else [kind]
    inner = [each.item if isinstance(each, ListOf) else each for each in inner]
    return any(isinstance(each, REFERRING) for each in inner)


PLAIN = {str(param.type): param.type for _, param in params() if not refers(param.type)}


def looser(kind: Type, value: Any) -> bool:
    """What JSON Schema cannot tell apart: 3.0 from 3, and numbers that are not finite."""
    if isinstance(value, float):
        return value.is_integer() or not math.isfinite(value)
    return isinstance(value, list) and any(looser(kind, item) for item in value)


def fits(kind: Type, value: Any) -> bool:
    return Draft202012Validator(schema_of(kind)).is_valid(value)


@pytest.mark.parametrize("kind", PLAIN.values(), ids=lambda kind: kind.expected[:60])
def test_a_type_and_its_schema_accept_the_same(kind: Type) -> None:
    validator = Draft202012Validator(schema_of(kind))
    for value in NASTY:
        if problem(kind, value) is None:
            assert validator.is_valid(value), f"the schema refuses {value!r}"
        elif not looser(kind, value):
            assert not validator.is_valid(value), f"the schema admits {value!r}"


@pytest.mark.parametrize("kind", PLAIN.values(), ids=lambda kind: kind.expected[:60])
@pytest.mark.parametrize("text", ["$x", "$(a + 1)", "$$", "$"])
def test_an_expression_may_stand_for_any_value(kind: Type, text: str) -> None:
    assert fits(kind, text)


bounds = st.none() | st.integers(-3, 3)
simple: st.SearchStrategy[Type] = st.one_of(
    st.builds(Integer),
    st.builds(Integer, st.integers(-3, 3)),
    st.builds(Integer, st.integers(-3, 3), st.integers(-3, 3)),
    st.builds(Number, bounds, bounds, bounds, bounds),
    st.just(Boolean()),
    st.just(Text()),
    st.just(Null()),
    st.sampled_from([Choice("same", "valid"), Choice("a")]),
)
kinds = st.recursive(
    simple,
    lambda inner: st.one_of(
        st.builds(ListOf, inner, st.integers(0, 2), st.none() | st.integers(2, 4)),
        st.lists(inner, min_size=1, max_size=3).map(lambda several: Either(*several)),
    ),
    max_leaves=4,
)


@given(kinds, st.sampled_from(NASTY))
@example(Number(maximum=0, below=2), 1)
def test_types_combine_without_a_gap(kind: Type, value: Any) -> None:
    if problem(kind, value) is None:
        assert fits(kind, value)
    elif not looser(kind, value):
        assert not fits(kind, value)


@given(kinds, st.sampled_from(NASTY))
def test_a_problem_is_told_in_words(kind: Type, value: Any) -> None:
    told = problem(kind, value)
    assert told is None or (told.startswith("is ") and "must be" in told and len(told) < 2000)


@pytest.mark.parametrize(
    ("entry", "param"), [(name, param) for name, param in params() if not param.required]
)
def test_defaults_are_values_of_their_type(entry: str, param: Param) -> None:
    if isinstance(param.type, Section) or (param.default is None and refers(param.type)):
        return
    if (param.default is None and "monitor" in entry) or entry == "Repeat.index":
        return  # absent, not null
    value = list(param.default) if isinstance(param.default, tuple) else param.default
    assert problem(param.type, value) is None


def test_the_schema_is_one_of_draft_2020_12() -> None:
    Draft202012Validator.check_schema(netspec_schema())
    assert netspec_schema()["$schema"] == Draft202012Validator.META_SCHEMA["$id"]


def test_the_committed_schema_is_current() -> None:
    committed = (ROOT / "schemas" / "netspec.schema.json").read_text(encoding="utf-8")
    assert committed == schema_text(), "run `netspec schema` and commit what it writes"


def test_the_schema_says_something_of_every_entry() -> None:
    text = schema_text()
    assert json.loads(text) == json.loads(json.dumps(netspec_schema()))
    for table in TABLES[:8]:
        for name in table:
            assert f'"{name}"' in text


@pytest.mark.parametrize(
    "path", sorted((ROOT / "specs").glob("*.yaml")), ids=lambda path: path.stem
)
def test_shipped_specs_fit_the_schema(path: Path) -> None:
    from netspec.spec.reading import read

    assert Draft202012Validator(netspec_schema()).is_valid(read(path).data)
