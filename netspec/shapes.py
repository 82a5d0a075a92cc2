"""Dimensions, numbers and names, and their arithmetic.

A dimension is an `int` or an `Expr`: a polynomial over names and floor divisions, in a canonical
form, so that two equal forms compare equal. Shape rules are written once with `+ - * //` and work
for both. Shapes leave the batch out.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple


@dataclass(frozen=True)
class Quotient:
    """`floor(of / by)`, irreducible: `of`'s coefficients and constant lie in [0, by)."""

    of: Expr
    by: int

    def __repr__(self) -> str:
        return self._form

    @cached_property
    def _form(self) -> str:
        return f"Quotient(of={self.of!r}, by={self.by!r})"

    def __str__(self) -> str:
        return f"({self.of})//{self.by}" if len(self.of.terms) > 1 else f"{self.of}//{self.by}"


Atom = str | Quotient
Monomial = tuple[Atom, ...]  # sorted by text; () is the constant's


@dataclass(frozen=True)
class Expr:
    """A sum of integer multiples of monomials; never a plain number (see `_expr`)."""

    terms: tuple[tuple[Monomial, int], ...]

    def __repr__(self) -> str:
        return self._form

    @cached_property
    def _form(self) -> str:
        return f"Expr(terms={self.terms!r})"

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:
        return hash(self.terms)

    @cached_property
    def size(self) -> int:
        """How many terms it has, those inside its floor divisions counted too."""
        inside = (atom for monomial, _ in self.terms for atom in monomial)
        return len(self.terms) + sum(a.of.size for a in inside if isinstance(a, Quotient))

    @cached_property
    def largest(self) -> int:
        """The largest of its numbers, without their signs."""
        inside = [
            atom for monomial, _ in self.terms for atom in monomial if isinstance(atom, Quotient)
        ]
        return max(
            *(abs(coefficient) for _, coefficient in self.terms),
            *(max(atom.by, atom.of.largest) for atom in inside),
            0,
        )

    @cached_property
    def names(self) -> frozenset[str]:
        found: set[str] = set()
        for monomial, _ in self.terms:
            for atom in monomial:
                found |= {atom} if isinstance(atom, str) else atom.of.names
        return frozenset(found)

    @cached_property
    def monotone(self) -> bool:
        """Whether it never falls as a name grows (sufficient: no negative coefficient)."""
        return all(
            coefficient >= 0 and all(isinstance(a, str) or a.of.monotone for a in monomial)
            for monomial, coefficient in self.terms
            if monomial
        )

    def at(self, values: Mapping[str, int]) -> int:
        """Its value where the names have these `values`."""
        total = 0
        for monomial, coefficient in self.terms:
            for atom in monomial:
                factor = values[atom] if isinstance(atom, str) else at(atom.of, values) // atom.by
                coefficient *= factor
            total += coefficient
        return total

    def __add__(self, other: Dim) -> Dim:
        terms = dict(self.terms)
        for monomial, coefficient in _terms(other):
            terms[monomial] = terms.get(monomial, 0) + coefficient
        return _expr(terms)

    __radd__ = __add__

    def __neg__(self) -> Dim:
        return _expr({monomial: -coefficient for monomial, coefficient in self.terms})

    def __sub__(self, other: Dim) -> Dim:
        return self + -other

    def __rsub__(self, other: Dim) -> Dim:
        return -self + other

    def __mul__(self, other: Dim) -> Dim:
        terms: dict[Monomial, int] = {}
        for left, a in self.terms:
            for right, b in _terms(other):
                monomial = tuple(sorted(left + right, key=str))
                terms[monomial] = terms.get(monomial, 0) + a * b
        return _expr(terms)

    __rmul__ = __mul__

    def __floordiv__(self, by: int) -> Dim:
        # floor((k*by*x + r) / by) = k*x + floor(r / by), term by term, so that what divides
        # comes out and what is left is the same however it was written.
        whole: dict[Monomial, int] = {}
        rest: dict[Monomial, int] = {}
        for monomial, coefficient in self.terms:
            whole[monomial], rest[monomial] = divmod(coefficient, by)
        left = _expr(rest)
        if isinstance(left, int):
            return _expr(whole)
        common = math.gcd(by, *(c for monomial, c in left.terms if monomial))
        if common > 1:  # (g*x + c)//(g*b) = (x + c//g)//b
            smaller = _expr({monomial: c // common for monomial, c in left.terms})
            return smaller // (by // common) + _expr(whole)
        for monomial, coefficient in left.terms:  # (x//a + r)//b = (x + a*r)//(a*b)
            match monomial, coefficient:
                case (Quotient() as inner,), 1:
                    rest.pop(monomial)
                    return (inner.of + _expr(rest) * inner.by) // (inner.by * by) + _expr(whole)
        return Expr((((Quotient(left, by),), 1),)) + _expr(whole)

    def __str__(self) -> str:
        return self._text

    @cached_property
    def _text(self) -> str:
        text = ""
        for monomial, coefficient in sorted(self.terms, key=lambda t: (not t[0], str(t[0]))):
            alone = len(monomial) == 1 and coefficient == 1
            factors = [
                str(atom) if alone or isinstance(atom, str) else f"({atom})" for atom in monomial
            ]
            if abs(coefficient) != 1 or not factors:
                factors.insert(0, str(abs(coefficient)))
            sign = "-" if coefficient < 0 else "+"
            text += f" {sign} " + "*".join(factors)
        return text[3:] if text.startswith(" +") else text[1:].replace("- ", "-", 1)


Dim = int | Expr
Shape = tuple[Dim, ...]


# What a shape may come to: beyond, no tensor is, and the arithmetic stays in milliseconds.
LARGEST = 2**31 - 1  # of a dimension, and of every number in a named one
MAX_ELEMENTS = 2**63 - 1
MAX_RANK = 16
MAX_TERMS = 100


def _terms(dim: Dim) -> tuple[tuple[Monomial, int], ...]:
    return dim.terms if isinstance(dim, Expr) else (((), dim),)


def _expr(terms: Mapping[Monomial, int]) -> Dim:
    left = {monomial: c for monomial, c in terms.items() if c}
    if not left:
        return 0
    if left.keys() == {()}:
        return left[()]
    return Expr(tuple(sorted(left.items(), key=lambda term: str(term[0]))))


def name(text: str) -> Expr:
    """The dimension that a name stands for."""
    return Expr((((text,), 1),))


def at(dim: Dim, values: Mapping[str, int]) -> int:
    return dim if isinstance(dim, int) else dim.at(values)


def names(shape: Iterable[Dim]) -> frozenset[str]:
    return frozenset().union(*(dim.names for dim in shape if isinstance(dim, Expr)))


def numel(shape: Iterable[Dim]) -> Dim:
    """The product of the dimensions; 1 for a scalar."""
    return math.prod(shape)


def divisible(dim: Dim, by: int) -> bool:
    """Whether `by` divides `dim` whatever its names stand for."""
    return all(coefficient % by == 0 for _, coefficient in _terms(dim))


def multiplies(shape: Iterable[Dim]) -> bool:
    """Whether the product of the dimensions stays small enough to write out."""
    return math.prod(len(_terms(dim)) for dim in shape) <= MAX_TERMS


def problem(shape: Shape) -> str | None:
    """Why no tensor has this shape, or why it can't be written out; None where one may have it."""
    if len(shape) > MAX_RANK:
        return f"has {len(shape)} dimensions, and {MAX_RANK} is the most"
    numbers = [dim if isinstance(dim, int) else dim.largest for dim in shape]
    if any(abs(number) > LARGEST for number in numbers):
        return "has a dimension of 2**31 or more"
    if math.prod(filter(None, numbers)) > MAX_ELEMENTS:
        return "has 2**63 elements or more"
    if any(isinstance(dim, Expr) and dim.size > MAX_TERMS for dim in shape) or not multiplies(
        shape
    ):
        return f"has dimensions whose product has more than {MAX_TERMS} terms"
    return None


def show(shape: Iterable[Dim]) -> str:
    return "[" + ", ".join(map(str, shape)) + "]"


def parse(text: str) -> Dim:
    """`4*H`, `(H + 1)//2`: a dimension as the language writes it.

    Raises ValueError on anything but names, whole numbers, `+ - * //` and parentheses, and on
    more than 200 characters.
    """
    if len(text) > 200:
        raise ValueError("a dimension has at most 200 characters")
    try:
        dim = _parse(ast.parse(text.strip(), mode="eval").body)
        if wrong := problem((dim,)):
            raise ValueError(f"'{text}' {wrong}")
        return dim
    except (SyntaxError, RecursionError, MemoryError, ZeroDivisionError):
        raise ValueError(f"'{text}' is not a dimension") from None


def _parse(node: ast.expr) -> Dim:
    match node:
        case ast.Constant(value=int(number)) if not isinstance(number, bool):
            return number
        case ast.Name(id=text):
            return name(text)
        case ast.BinOp(left=left, op=ast.Add(), right=right):
            return _parse(left) + _parse(right)
        case ast.BinOp(left=left, op=ast.Sub(), right=right):
            return _parse(left) - _parse(right)
        case ast.UnaryOp(op=ast.USub(), operand=operand):
            return -_parse(operand)
        case ast.BinOp(left=left, op=ast.Mult(), right=right):
            factors = _parse(left), _parse(right)
            if not multiplies(factors):
                raise ValueError(f"'{ast.unparse(node)}' has too many terms")
            return factors[0] * factors[1]
        case ast.BinOp(left=left, op=ast.FloorDiv(), right=ast.Constant(value=int(by))) if by > 0:
            return _parse(left) // by
    raise ValueError(
        f"'{ast.unparse(node)}' is not a dimension: names, whole numbers, + - * // are"
    )


@dataclass(frozen=True, slots=True)
class Tensor:
    """What flows between two layers: one sample's shape and its dtype."""

    shape: Shape
    dtype: str = "float32"

    def __str__(self) -> str:
        return show(self.shape) if self.dtype == "float32" else f"{show(self.shape)} {self.dtype}"


class AtLeast(NamedTuple):
    """A condition that a shape rule leaves behind where a name stands: `dim >= least`."""

    dim: Expr
    least: int


def least_values(conditions: Iterable[AtLeast], declared: Iterable[str]) -> dict[str, int]:
    """The least value of each name from which every condition holds.

    Conditions are monotone, so what holds once holds from there up; where one has several names
    they rise together.
    """
    values = dict.fromkeys(sorted(declared), 1)
    for condition in sorted(set(conditions), key=lambda c: len(c.dim.names)):
        if condition.dim.at(values) >= condition.least:
            continue
        low, high = 1, 2
        rising = condition.dim.names

        def holds(value: int, of: AtLeast = condition, rising: frozenset[str] = rising) -> bool:
            raised = {n: max(v, value) if n in rising else v for n, v in values.items()}
            return of.dim.at(raised) >= of.least

        while not holds(high):
            low, high = high, high * 2
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if holds(middle) else (middle + 1, high)
        values.update({n: max(values[n], low) for n in rising})
    return values
