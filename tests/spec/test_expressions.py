"""`$name`, `$(…)` and `$$`."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netspec.catalogue.component import Refusal
from netspec.spec.expressions import (
    DOUBTFUL,
    DoubtfulName,
    evaluate,
    name_problem,
    substitute,
)

SCOPE = {"width": 32, "rate": 0.5, "deep": True, "act": "ReLU", "sizes": [1, 2]}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("$width", 32),
        ("$(width)", 32),
        ("$(width * 2)", 64),
        ("$(width / 2)", 16.0),
        ("$(width // 3)", 10),
        ("$(-width % 5)", 3),
        ("$(2 ** 10)", 1024),
        ("$(2 ** -1)", 0.5),
        ("$(min(width, 4) + max(1, 2) + abs(-1))", 7),
        ("$(round(rate * 3))", 2),
        ("$(round(0.123, 1))", 0.1),
        ("$(int(rate * 5))", 2),
        ("$(width > 3 and not deep)", False),
        ("$(width if deep else 3)", 32),
        ("$(1 < width < 10)", False),
        ("$(act == 'ReLU')", True),
        ("$('a' + \"b)\")", "ab)"),
        ("$(true)", True),
        ("$(False or 3)", 3),
        ("$sizes", [1, 2]),
        ("conv$width", "conv32"),
        ("a $width b $(width + 1) c", "a 32 b 33 c"),
        ("is $deep", "is true"),
        ("$$width", "$width"),
        ("$$", "$"),
        ("cost: 5$$", "cost: 5$"),
        ("plain", "plain"),
        ("$width.pt", "32.pt"),
    ],
)
def test_values(text: str, value: Any) -> None:
    found = substitute(text, SCOPE)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("${width}", "no part of the language"),
        ("$", "a $ stands alone"),
        ("5 $", "a $ stands alone"),
        ("$1", "a $ stands alone"),
        ("$(width", "never closed"),
        ("$widht", "$widht is not defined"),
        ("$(act * 2)", "'ReLU' is not a number"),
        ("$(act < 3)", "not supported"),
        ("$(sizes + 1)", "is not a number"),
        ("a$sizes", "cannot be pasted into text"),
        ("$(1 / 0)", "divides by zero"),
        ("$(0 ** -1)", "divides by zero"),
        ("$((-8) ** 0.5)", "not a real number"),
        ("$(1e308 * 10)", "not finite"),
        ("$(9e999)", "not finite"),
        ("$(2 ** 63)", "does not fit 64 bits"),
        ("$(9 ** 9 ** 9)", "too large"),
        ("$(round(1, 2, 3))", "takes"),
        ("$(min())", "min"),
        ("$(1; 2)", "is not an expression"),
        ("$(" + "1+" * 300 + "1)", "at most 500 characters"),
        ("$(" + "(" * 240 + "1" + ")" * 240 + ")", "is not an expression"),
        ("$(" + "-" * 480 + "1)", ""),
    ],
)
def test_mistakes(text: str, words: str) -> None:
    if words:
        with pytest.raises(Refusal) as caught:
            substitute(text, SCOPE)
        assert words in caught.value.message
    else:
        assert substitute(text, SCOPE) == 1


@pytest.mark.parametrize(
    "code",
    [
        "width.real", "().__class__", "__import__('os')", "open('x')", "eval('1')", "print(1)",
        "[1]", "(1, 2)", "{1: 2}", "{1}", "sizes[0]", "[x for x in sizes]", "lambda: 1",
        "(x := 3)", "f'{width}'", "...", "None", "1j", "b'x'", "width @ 2", "width << 2",
        "width | 1", "~width", "width in sizes", "width is 3", "min(*sizes)", "min(a=1)",
        "int.real", "min",
    ],
)  # fmt: skip
def test_nothing_else_is_allowed(code: str) -> None:
    with pytest.raises(Refusal):
        evaluate(code, SCOPE)


def test_text_cannot_grow_without_bound() -> None:
    scope: dict[str, Any] = {"a": "x" * 9000}
    with pytest.raises(Refusal, match="longer than"):
        evaluate("a + a", scope)


def test_a_misspelt_name_is_suggested() -> None:
    with pytest.raises(Refusal) as caught:
        substitute("$(widht * 2)", SCOPE)
    assert callable(caught.value.remedy)
    assert caught.value.remedy() == "did you mean 'width'?"


def test_a_name_in_doubt_says_so() -> None:
    with pytest.raises(DoubtfulName):
        substitute("$(a + 1)", {"a": DOUBTFUL})


@pytest.mark.parametrize("name", ["a", "A1", "_x", "width_2"])
def test_names(name: str) -> None:
    assert name_problem(name) is None


@pytest.mark.parametrize("name", ["", "1a", "a-b", "a.b", "for", "None", "true", "min", "é", "a "])
def test_what_is_no_name(name: str) -> None:
    assert name_problem(name) is not None


numbers = st.integers(-99, 99)


@given(numbers, numbers, st.sampled_from(["+", "-", "*", "//", "%", "<", "==", ">="]))
def test_arithmetic_is_python_s(a: int, b: int, operator: str) -> None:
    code = f"({a}) {operator} ({b})"
    if b == 0 and operator in ("//", "%"):
        with pytest.raises(Refusal, match="divides by zero"):
            evaluate(code, {})
    else:
        assert evaluate(code, {}) == eval(code)


@given(st.text(max_size=60))
def test_any_text_has_a_value_or_a_reason(text: str) -> None:
    for written in (text, f"$({text})", f"${text}"):
        try:
            substitute(written, SCOPE)
        except Refusal as error:
            assert error.message
