"""Expressions laid out as ruff and black would: on one line, or an item a line."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass

WIDTH = 88
INDENT = "    "


@dataclass(frozen=True)
class Brackets:
    """A call, a tuple or a mapping: items between `opening` and `closing`.

    Each item is what stands before its value (`bias=`, `"conv1": `, or nothing) and the value.
    spread: an item a line even where one line would do.
    """

    opening: str
    items: tuple[tuple[str, Expression], ...]
    closing: str
    spread: bool = False


Expression = str | Brackets


def call(name: str, *positional: Expression, **named: Expression) -> Brackets:
    items = [*(("", value) for value in positional), *((f"{k}=", v) for k, v in named.items())]
    return Brackets(f"{name}(", tuple(items), ")")


def literal(value: object) -> Expression:
    """A value of a spec as Python writes it; lists are tuples, as torch wants them."""
    match value:
        case list() | tuple():
            items = tuple(("", literal(item)) for item in value)
            return Brackets("(", items, ",)" if len(items) == 1 else ")")
        case str():
            plain = value.isprintable() and not {'"', "\\"} & set(value)
            return f'"{value}"' if plain else repr(value)
        case float():
            mantissa, exponent, power = repr(value).partition("e")
            return mantissa + (f"e{int(power)}" if exponent else "")
    return repr(value)


def flat(expression: Expression) -> str:
    """All on one line."""
    if isinstance(expression, str):
        return expression
    items = ", ".join(before + flat(value) for before, value in expression.items)
    return expression.opening + items + expression.closing


def lines(expression: Expression, before: str = "", after: str = "", depth: int = 0) -> list[str]:
    """`before`, the expression and `after`, indented `depth` times; no line is wider than WIDTH
    where a bracket allows it."""
    margin = INDENT * depth
    line = f"{margin}{before}{flat(expression)}{after}"
    if isinstance(expression, str) or (_width(line) <= WIDTH and not _spread(expression)):
        return [line]
    found = [f"{margin}{before}{expression.opening}"]
    for name, value in expression.items:
        # As everywhere in Python, no comma follows the brackets that are a call's one argument.
        alone = len(expression.items) == 1 and not name and isinstance(value, Brackets)
        found += lines(value, name, "" if alone and not expression.spread else ",", depth + 1)
    return [*found, f"{margin}{expression.closing.lstrip(',')}{after}"]


def _spread(expression: Expression) -> bool:
    return isinstance(expression, Brackets) and (
        expression.spread or any(_spread(value) for _, value in expression.items)
    )


def _width(line: str) -> int:
    return sum(2 if unicodedata.east_asian_width(each) in "WF" else 1 for each in line)
