"""What may stand beside a layer's type: `expect`, `freeze`, `init`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from netspec.catalogue import sections
from netspec.diagnostics import Code
from netspec.shapes import Dim, Shape, parse
from netspec.spec.binding import Binder
from netspec.spec.document import Route
from netspec.spec.model import Expect, Freeze, Named


def expect(value: Any, path: Route, binder: Binder) -> Expect | None:
    """A shape, or `{output, parameters}`."""
    bound = binder.bind(sections.WHAT_COMES_OUT, value, path)
    args = sections.EXPECT.complete(bound if isinstance(bound, dict) else {"output": bound})
    where = (*path, "output") if isinstance(bound, dict) else path
    shape = dimensions(args["output"], where, binder)
    return None if binder.findings.within(path) else Expect(path, shape, args["parameters"])


def dimensions(value: Sequence[Any] | None, path: Route, binder: Binder) -> Shape | None:
    """`[3, H, (W+1)//2]` as a shape, or None where findings stand against it."""
    shape: list[Dim] = []
    for index, dim in enumerate(value or ()):
        where = (*path, index)
        if isinstance(dim, str):
            try:
                parsed = parse(dim)
            except ValueError as error:
                binder.report(Code.VALUE, str(error), where, "a number, or a name such as H")
                continue
            if isinstance(parsed, int) and parsed < 1:
                binder.report(
                    Code.VALUE, f"{dim} is {parsed}, but a dimension is at least 1", where
                )
            shape.append(parsed)
        else:
            shape.append(dim)
    return None if value is None or binder.findings.within(path) else tuple(shape)


def freeze(value: Any, path: Route, binder: Binder) -> Freeze | None:
    bound = binder.bind(sections.FREEZE, value, path)
    if binder.findings.within(path):
        return None
    match bound:
        case True:
            return Freeze(path)
        case list():
            return Freeze(path, parameters=tuple(bound))
        case dict():
            return Freeze(path, until=bound["until"])
    return None


def initializers(value: Any, path: Route, binder: Binder) -> tuple[tuple[str, Named], ...]:
    """`{weight: xavier_uniform_, …}`, less what `match` is."""
    if not isinstance(value, dict):
        return ()
    found = (
        (key, binder.bind(sections.INITIALIZER, item, (*path, key)))
        for key, item in value.items()
        if key != "match"
    )
    return tuple((key, named) for key, named in found if named is not None)
