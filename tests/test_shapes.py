"""Laws of the arithmetic of dimensions."""

from __future__ import annotations

import operator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netspec.shapes import AtLeast, Dim, Expr, at, divisible, least_values, name, names, parse, show

NAMES = ("H", "W", "T")
values = st.fixed_dictionaries({each: st.integers(1, 60) for each in NAMES})
leaves = st.one_of(st.sampled_from(NAMES).map(name), st.integers(-9, 20))


def _combined(inner: st.SearchStrategy[Dim]) -> st.SearchStrategy[Dim]:
    return st.one_of(
        st.builds(operator.add, inner, inner),
        st.builds(operator.sub, inner, inner),
        st.builds(operator.mul, inner, st.one_of(inner, st.integers(-4, 6))),
        st.builds(operator.floordiv, inner, st.integers(1, 6)),
    )


polynomials = st.recursive(
    leaves,
    lambda inner: st.builds(operator.add, inner, inner) | st.builds(operator.mul, inner, inner),
    max_leaves=5,
)
dims = st.recursive(leaves, _combined, max_leaves=5)


@given(dims, dims, values)
def test_arithmetic_agrees_with_that_of_numbers(a: Dim, b: Dim, there: dict[str, int]) -> None:
    assert at(a + b, there) == at(a, there) + at(b, there)
    assert at(a - b, there) == at(a, there) - at(b, there)
    assert at(a * b, there) == at(a, there) * at(b, there)


@given(dims, st.integers(1, 12), values)
def test_floor_division_agrees_with_that_of_numbers(a: Dim, by: int, there: dict[str, int]) -> None:
    assert at(a // by, there) == at(a, there) // by


@given(dims, dims, dims)
def test_equal_forms_are_equal(a: Dim, b: Dim, c: Dim) -> None:
    assert a + b == b + a
    assert a * b == b * a
    assert (a + b) + c == a + (b + c)
    assert a * (b + c) == a * b + a * c
    assert a - a == 0
    assert hash(a + b) == hash(b + a)


@given(dims, st.integers(1, 6))
def test_multiples_come_out(a: Dim, by: int) -> None:
    assert a * by // by == a
    assert (a * by + 1) // by == a + 1 // by


@given(polynomials, st.integers(1, 6), st.integers(1, 6), st.integers(-9, 9))
def test_divisions_join(a: Dim, by: int, times: int, more: int) -> None:
    """Layers that halve one after the other say the same as one that does it at once."""
    assert a // by // times == a // (by * times)
    assert (a // by + more) // times == (a + more * by) // (by * times)


@given(dims)
def test_text_is_read_back(a: Dim) -> None:
    if len(str(a)) <= 200:
        assert parse(str(a)) == a


@given(dims, st.integers(1, 6), values)
def test_what_is_divisible_leaves_no_rest(a: Dim, by: int, there: dict[str, int]) -> None:
    if divisible(a, by):
        assert at(a, there) % by == 0


@given(dims)
def test_what_is_monotone_never_falls(a: Dim) -> None:
    if not isinstance(a, Expr) or not a.monotone:
        return
    for each in a.names:
        at_each = [a.at({**dict.fromkeys(NAMES, 5), each: size}) for size in range(1, 30)]
        assert at_each == sorted(at_each)


conditions = st.builds(AtLeast, dims, st.integers(-5, 200)).filter(
    lambda each: isinstance(each.dim, Expr) and each.dim.monotone
)


@given(st.lists(conditions, max_size=4), st.dictionaries(st.sampled_from(NAMES), st.integers(0, 9)))
def test_conditions_hold_from_the_least_values_up(
    found: list[AtLeast], more: dict[str, int]
) -> None:
    least = least_values(found, NAMES)
    above = {each: low + more.get(each, 0) for each, low in least.items()}
    for condition in found:
        assert condition.dim.at(least) >= condition.least
        assert condition.dim.at(above) >= condition.least


@given(conditions)
def test_the_least_value_of_one_name_is_the_least(found: AtLeast) -> None:
    if len(found.dim.names) == 1:
        (only,) = found.dim.names
        low = least_values([found], found.dim.names)[only]
        assert low == 1 or found.dim.at({only: low - 1}) < found.least


def test_a_least_value_may_be_large() -> None:
    far = name("H") // 2**41
    assert isinstance(far, Expr)
    assert least_values([AtLeast(far, 1)], "H") == {"H": 2**41}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("4*H", "4*H"),
        ("H*4", "4*H"),
        ("(H + 1)//2", "(H + 1)//2"),
        ("H//2//2", "H//4"),
        ("2*H//2", "H"),
        ("2*(H//2)", "2*(H//2)"),
        ("H + W - H", "W"),
        ("3 - H", "-H + 3"),
        ("0 - H//2", "-(H//2)"),
        ("-H", "-H"),
        ("7 // 2", "3"),
        ("H*W*2 + 1", "2*H*W + 1"),
    ],
)
def test_canonical_text(text: str, shown: str) -> None:
    assert str(parse(text)) == shown


@pytest.mark.parametrize(
    "text",
    ["", "H-", "H/2", "H**2", "H.x", "f(H)", "H//0", "H//W", "True", "1.5", "'H'", "[H]", "H;W",
     "H" * 201, "(" * 100 + "H" + ")" * 100, "lambda", "H if W else T", "--" * 90 + "."],
)  # fmt: skip
def test_what_is_no_dimension(text: str) -> None:
    with pytest.raises(ValueError):
        parse(text)


def test_a_product_of_sums_is_bounded() -> None:
    with pytest.raises(ValueError, match="too many terms"):
        parse(
            "*".join(f"({a}+{b})" for a, b in zip("abcdefghijklmn", "ABCDEFGHIJKLMN", strict=True))
        )


def test_names_and_text_of_a_shape() -> None:
    shape = (3, parse("2*H"), parse("W//2"))
    assert names(shape) == {"H", "W"}
    assert show(shape) == "[3, 2*H, W//2]"
