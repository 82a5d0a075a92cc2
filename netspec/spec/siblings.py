"""What may stand beside a layer's type: `expect`, `freeze`, `init`."""

from __future__ import annotations

from typing import Any

from netspec.catalogue import sections
from netspec.diagnostics import Code
from netspec.shapes import Shape, parse
from netspec.spec.binding import Binder
from netspec.spec.document import Route
from netspec.spec.model import Expect, Freeze, Named


def expect(value: Any, path: Route, binder: Binder) -> Expect | None:
    """A shape, or `{output, parameters}`."""
    if isinstance(value, list):
        return Expect(path, dimensions(value, path, binder))
    if not isinstance(value, dict):
        return None
    args = binder.args(sections.EXPECT, value, path)
    output = value.get("output")
    shape = dimensions(output, (*path, "output"), binder) if isinstance(output, list) else None
    return None if binder.findings.within(path) else Expect(path, shape, args.get("parameters"))


def dimensions(value: list[Any], path: Route, binder: Binder) -> Shape | None:
    """`[3, H, (W+1)//2]` as a shape, or None where findings stand against it."""
    shape = []
    for index, item in enumerate(value):
        where = (*path, index)
        dim = binder.bind(sections.DIMENSION, item, where)
        if isinstance(dim, str):
            try:
                dim = parse(dim)
            except ValueError as error:
                binder.report(Code.VALUE, str(error), where, "a number, or a name such as H")
            if isinstance(dim, int) and dim < 1 and isinstance(item, str):
                binder.report(Code.VALUE, f"{item} is {dim}, but a dimension is at least 1", where)
        shape.append(dim)
    return None if binder.findings.within(path) else tuple(shape)


def freeze(value: Any, path: Route, binder: Binder) -> Freeze | None:
    bound = binder.bind(sections.FREEZE, value, path)
    match bound:
        case True:
            return Freeze(path)
        case list():
            return Freeze(path, parameters=tuple(bound))
        case dict():
            return Freeze(path, until=bound.get("until"))
    return None


def initializers(value: Any, path: Route, binder: Binder) -> tuple[tuple[str, Named], ...]:
    """`{weight: xavier_uniform_, …}`, less what `match` is."""
    if not isinstance(value, dict):
        return ()
    found = (
        (key, binder.named(sections.INITIALIZER, item, (*path, key)))
        for key, item in value.items()
        if key != "match"
    )
    return tuple((key, named) for key, named in found if named is not None)
