"""`$name`, `$(…)` and `$$`: evaluation without code, attributes or imports."""

from __future__ import annotations

import ast
import keyword
import math
import operator
import re
from collections.abc import Callable, Mapping
from typing import Any

from netspec.catalogue.component import Refusal
from netspec.diagnostics import suggestion

MAX_LENGTH = 500
MAX_TEXT = 1_000
LARGEST = 2**63

Scope = Mapping[str, Any]

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
FUNCTIONS: dict[str, Callable[..., Any]] = {
    "min": min,
    "max": max,
    "abs": abs,
    "round": round,
    "int": int,
}
CONSTANTS = {"true": True, "false": False}
BINARY: dict[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}
COMPARISONS: dict[type[ast.cmpop], Callable[[Any, Any], Any]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}


class DoubtfulName(Refusal):
    """A name whose value has a finding already: no other is needed."""


# The value of such a name in a scope.
DOUBTFUL: Any = object()


def name_problem(name: str) -> str | None:
    """Why `name` cannot be a variable's, or None."""
    if not NAME.fullmatch(name):
        return f"'{name}' is not a name: letters, digits and _, no digit first"
    if keyword.iskeyword(name) or name in CONSTANTS or name in FUNCTIONS:
        return f"'{name}' is a word of expressions and cannot be a name"
    return None


def substitute(text: str, scope: Scope) -> Any:
    """The value of a scalar's text: an expression alone keeps its type, inside text it is pasted.

    Raises Refusal.
    """
    if "$" not in text:
        return text
    parts: list[str] = []
    position = length = 0
    while (dollar := text.find("$", position)) >= 0:
        if dollar > position:
            parts.append(text[position:dollar])
        value, position = _one(text, dollar, scope)
        if dollar == 0 and position == len(text):
            return value
        parts.append(_pasted(value))
        length += len(parts[-1])
        if length > MAX_TEXT:
            break
    parts.append(text[position:])
    return _bounded("".join(parts))


def _one(text: str, dollar: int, scope: Scope) -> tuple[Any, int]:
    """The value of what begins at a dollar, and where it ends."""
    following = text[dollar + 1 : dollar + 2]
    if following == "$":
        return "$", dollar + 2
    if following == "(":
        end = _closing(text, dollar + 1)
        return evaluate(text[dollar + 2 : end], scope), end + 1
    if following == "{":
        raise Refusal(
            f"'{text}': `${{…}}` is no part of the language", "write $name or $(expression)"
        )
    found = NAME.match(text, dollar + 1)
    if not found:
        raise Refusal(f"'{text}': a $ stands alone", "a dollar sign is written $$")
    return _look_up(found.group(), scope), found.end()


def _closing(text: str, opening: int) -> int:
    depth, quote = 0, None
    for index in range(opening, len(text)):
        character = text[index]
        if quote:
            quote = None if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "()":
            depth += 1 if character == "(" else -1
            if not depth:
                return index
    raise Refusal(
        f"'{text}': the $( is never closed",
        "inside {…} or […] an expression with a comma needs quotes around it",
    )


def evaluate(text: str, scope: Scope) -> Any:
    """The value of an expression. Raises Refusal."""
    if len(text) > MAX_LENGTH:
        raise Refusal(f"an expression has at most {MAX_LENGTH} characters")
    try:
        tree = ast.parse(text.strip(), mode="eval")
        return _bounded(_value(tree.body, scope))
    except (SyntaxError, RecursionError, MemoryError):
        raise Refusal(f"'{text}' is not an expression") from None
    except ZeroDivisionError:
        raise Refusal(f"'{text}' divides by zero") from None
    except (TypeError, ValueError, OverflowError) as error:
        raise Refusal(f"'{text}': {error}") from None


def _value(node: ast.expr, scope: Scope) -> Any:
    match node:
        case ast.Constant(value=bool() | int() | float() | str()):
            return _bounded(node.value)
        case ast.Name(id=name):
            return CONSTANTS[name] if name in CONSTANTS else _look_up(name, scope)
        case ast.BinOp(left=left, op=op, right=right) if type(op) in BINARY:
            a, b = _value(left, scope), _value(right, scope)
            return _bounded(_binary(op, a, b))
        case ast.UnaryOp(op=ast.Not(), operand=operand):
            return not _value(operand, scope)
        case ast.UnaryOp(op=ast.USub() | ast.UAdd() as op, operand=operand):
            number = _number(_value(operand, scope))
            return -number if isinstance(op, ast.USub) else number
        case ast.BoolOp(op=op, values=values):
            found: Any = None
            for each in values:
                found = _value(each, scope)
                if bool(found) is isinstance(op, ast.Or):
                    break
            return found
        case ast.Compare(left=left, ops=ops, comparators=others) if all(
            type(op) in COMPARISONS for op in ops
        ):
            a = _value(left, scope)
            for comparison, other in zip(ops, others, strict=True):
                b = _value(other, scope)
                if not COMPARISONS[type(comparison)](a, b):
                    return False
                a = b
            return True
        case ast.IfExp(test=test, body=body, orelse=orelse):
            return _value(body if _value(test, scope) else orelse, scope)
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in FUNCTIONS:
            return _bounded(FUNCTIONS[name](*(_number(_value(arg, scope)) for arg in args)))
    raise Refusal(
        f"'{ast.unparse(node)}' is not allowed in an expression",
        "names, numbers, strings, + - * // / % **, comparisons, and/or/not, "
        f"`x if c else y` and {' '.join(FUNCTIONS)} are",
    )


def _binary(op: ast.operator, a: Any, b: Any) -> Any:
    if isinstance(a, str) and isinstance(b, str) and isinstance(op, ast.Add):
        return a + b
    a, b = _number(a), _number(b)
    if isinstance(op, ast.Pow) and (abs(b) > 64 or abs(a) > LARGEST):
        raise Refusal(f"{a} ** {b} is too large")
    return BINARY[type(op)](a, b)


def _number(value: Any) -> Any:
    if not isinstance(value, int | float):
        raise Refusal(f"{value!r} is not a number")
    return value


def _bounded(value: Any) -> Any:
    if isinstance(value, complex):
        raise Refusal(f"{value} is not a real number")
    if isinstance(value, float) and not math.isfinite(value):
        raise Refusal(f"the value {value} is not finite")
    if isinstance(value, int) and abs(value) >= LARGEST:
        raise Refusal("the value does not fit 64 bits")
    if isinstance(value, str) and len(value) > MAX_TEXT:
        raise Refusal(f"the text is longer than {MAX_TEXT:,} characters")
    return value


def _look_up(name: str, scope: Scope) -> Any:
    if name in scope:
        if scope[name] is DOUBTFUL:
            raise DoubtfulName(f"${name} is in doubt")
        return scope[name]
    raise Refusal(
        f"${name} is not defined",
        lambda: (
            suggestion(name, scope)
            or (f"known here: {', '.join(scope)}" if scope else "no names are known here")
        ),
    )


def _pasted(value: Any) -> str:
    if isinstance(value, list | dict) or value is None:
        raise Refusal(f"{value!r} cannot be pasted into text")
    return str(value).lower() if isinstance(value, bool) else str(value)
