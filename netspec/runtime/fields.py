"""Plain data from untrusted JSON, taken field by field; what is wrong is a ValueError."""

from __future__ import annotations

import ast
import math
import re
from typing import TypeVar

from netspec.shapes import Dim, Shape, parse

MAX_DIMENSIONS = 16
MAX_SIZE = 1 << 40
MAX_TERMS = 1_000
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")  # what a terminal obeys or chokes on

T = TypeVar("T")


class Fields:
    """A JSON object and where it stands; each method raises ValueError on what it finds wrong."""

    def __init__(self, found: object, where: str) -> None:
        if not isinstance(found, dict):
            raise ValueError(f"{where} is no mapping")
        self.found: dict[str, object] = found

    def get(self, key: str) -> object:
        if key not in self.found:
            raise ValueError(f"'{key}' is missing")
        return self.found[key]

    def want(self, key: str, kind: type[T], what: str) -> T:
        value = self.get(key)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ValueError(f"'{key}' is not {what}")
        return value

    def inner(self, key: str) -> Fields:
        return Fields(self.get(key), f"'{key}'")

    def text(self, key: str) -> str:
        return text(self.get(key), f"'{key}'")

    def one_of(self, key: str, known: tuple[str, ...]) -> str:
        value = self.get(key)
        if value not in known:
            raise ValueError(f"'{key}' is none of {', '.join(known)}")
        return str(value)

    def items(self, key: str, most: int) -> list[object]:
        value: list[object] = self.want(key, list, "a list")
        if len(value) > most:
            raise ValueError(f"'{key}' has more than {most} entries")
        return value

    def whole(self, key: str) -> int:
        value = self.want(key, int, "a whole number")
        if not 1 <= value <= MAX_SIZE:
            raise ValueError(f"'{key}' lies outside 1 to 2**40")
        return value

    def number(self, key: str) -> float:
        value = self.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise ValueError(f"'{key}' is not a number")
        if not 0 <= value <= 1e6 or not math.isfinite(value):
            raise ValueError(f"'{key}' lies outside 0 to a million")
        return float(value)

    def real(self, key: str) -> float:
        value = self.get(key)
        if isinstance(value, bool) or not isinstance(value, float) or not math.isfinite(value):
            raise ValueError(f"'{key}' is not a finite number")
        return value

    def truth(self, key: str) -> bool:
        value = self.get(key)
        if not isinstance(value, bool):
            raise ValueError(f"'{key}' is neither true nor false")
        return value

    def sizes(self, key: str) -> tuple[int, ...]:
        """A shape of numbers alone, none of them 0."""
        found = self.shape(key)
        sizes = tuple(size for size in found if isinstance(size, int) and size > 0)
        if len(sizes) != len(found):
            raise ValueError(f"'{key}' is no list of sizes")
        return sizes

    def shape(self, key: str) -> Shape:
        return tuple(dim(each, key) for each in self.items(key, MAX_DIMENSIONS))


def text(value: object, what: str) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{what} is not a text")
    if len(value) > 1000 or _CONTROL.search(value):
        raise ValueError(f"{what} is too long or holds control characters")
    return value


def dim(value: object, where: str) -> Dim:
    if isinstance(value, str):
        if _terms(value) > MAX_TERMS:
            raise ValueError(f"a dimension of '{where}' has more than {MAX_TERMS} terms")
        return parse(value)
    if type(value) is not int or not 0 <= value <= MAX_SIZE:
        raise ValueError(f"a dimension of '{where}' is neither a size nor a text")
    return value


def _terms(text: str) -> int:
    """At most how many terms a dimension has when multiplied out: `(a + b)*(c + d)*…` explodes."""

    def count(node: ast.AST) -> int:
        match node:
            case ast.BinOp(left=left, op=ast.Add() | ast.Sub(), right=right):
                return count(left) + count(right)
            case ast.BinOp(left=left, op=ast.Mult(), right=right):
                return count(left) * count(right)
            case ast.BinOp(left=left):
                return count(left)
        return 1

    try:
        return count(ast.parse(text[:200].strip(), mode="eval").body)
    except (SyntaxError, MemoryError):
        return 1  # `parse` says what is wrong
