"""Written values to typed ones: expressions evaluated, then checked against the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netspec.catalogue.component import Component, OneOf, Refusal, Section
from netspec.catalogue.types import (
    Either,
    ListOf,
    MappingOf,
    PerDimension,
    Type,
    canonical,
    problem,
)
from netspec.diagnostics import Code, Remedy
from netspec.spec import checking
from netspec.spec.document import Route
from netspec.spec.expressions import (
    DOUBTFUL,
    DoubtfulName,
    Scope,
    substitute,
)
from netspec.spec.findings import Findings
from netspec.spec.model import Named

MAX_TAKEN = 1_000  # values that a var or a block's parameter takes in from others


def _taken(written: Any, resolved: Any) -> int:
    """How many values of a list or mapping come from the lists and mappings that it names."""
    if isinstance(written, str):
        return _size(resolved) if isinstance(resolved, list | dict) else 0
    if isinstance(written, list):
        return sum(map(_taken, written, resolved))
    if isinstance(written, dict):
        return sum(_taken(each, resolved[key]) for key, each in written.items())
    return 0


def _size(value: Any) -> int:
    if not isinstance(value, list | dict):
        return 1
    return 1 + sum(map(_size, value.values() if isinstance(value, dict) else value))


class Binder:
    """Resolves values in one scope; what is wrong goes to the findings, and None comes back."""

    def __init__(self, findings: Findings, scope: Scope, via: tuple[Route, ...] = ()) -> None:
        self.findings, self.scope, self.via = findings, scope, via

    def is_expression(self, value: Any) -> bool:
        return isinstance(value, str) and "$" in value

    def resolve(self, value: Any, path: Route) -> Any:
        """`value` with every expression in it evaluated."""
        match value:
            case str() if self.is_expression(value):
                try:
                    return substitute(value, self.scope)
                except DoubtfulName:
                    self.findings.doubt(path)
                    return None
                except Refusal as refusal:
                    self.report(Code.EXPRESSION, refusal.message, path, refusal.remedy)
                    return None
            case list():
                return [self.resolve(item, (*path, i)) for i, item in enumerate(value)]
            case dict():
                return {key: self.resolve(item, (*path, key)) for key, item in value.items()}
        return value

    def value(self, written: Any, path: Route) -> Any:
        """As `resolve`, for a name of a scope: DOUBTFUL where findings stand against it."""
        resolved = self.resolve(written, path)
        within = self.findings.within(path)
        if (
            isinstance(written, list | dict)
            and not within
            and _taken(written, resolved) > MAX_TAKEN
        ):
            self.report(
                Code.LIMIT,
                f"it takes in more than {MAX_TAKEN:,} values of other names",
                path,
                "write lists of numbers out",
            )
        return DOUBTFUL if self.findings.within(path) else resolved

    def bind(self, kind: Type, value: Any, path: Route) -> Any:
        """`value` as `kind` has it: Named for a component, a dict for a section."""
        if self.is_expression(value) and _structured(kind):
            return self._from_expression(kind, value, path)
        if isinstance(kind, Either):
            kind = _alternative(kind, value)
        match kind:
            case OneOf():
                return self._named(kind, value, path)
            case Section() if kind.accepts(value):
                return self.args(kind.component, value, path)
            case ListOf() if isinstance(value, list):
                return self._list(kind, value, path)
            case MappingOf() if isinstance(value, dict):
                return {
                    name: self.bind(kind.item, item, (*path, name)) for name, item in value.items()
                }
        before = self.findings.within(path)
        resolved = self.resolve(value, path)
        if not before and not self.findings.within(path):
            self._check(kind, resolved, value, path)
        return canonical(kind, resolved) if kind.accepts(resolved) else None

    def _from_expression(self, kind: Type, value: str, path: Route) -> Any:
        """A component, a section or a list of these that is not written out: the schema, which
        judges structure, has not seen it yet."""
        resolved = self.resolve(value, path)
        if self.findings.at(path):
            return None
        checking.check_value(kind, resolved, path, self.report)
        return _Resolved(self.findings, {}, self.via).bind(kind, resolved, path)

    def _list(self, kind: ListOf, value: list[Any], path: Route) -> Any:
        """Each item at its own place; how many there may be, the schema has judged."""
        items = [self.bind(kind.item, item, (*path, i)) for i, item in enumerate(value)]
        return tuple(items) if _structured(kind) else items

    def _check(self, kind: Type, resolved: Any, written: Any, path: Route) -> None:
        wrong = problem(kind, resolved)
        if not wrong:
            return
        remedy = None
        if isinstance(resolved, float) and isinstance(written, str):
            remedy = "`//` divides to an integer, `/` to a float"
        source = f" (from {written})" if self.is_expression(written) else ""
        self.report(Code.VALUE, f"{checking.label(path)}{source} {wrong}", path, remedy)

    def args(self, component: Component, value: Any, path: Route) -> dict[str, Any]:
        """The parameters written in a mapping, each bound to its type."""
        value = value if isinstance(value, Mapping) else {}
        return {
            param.name: self.bind(param.type, value[param.name], (*path, param.name))
            for param in component.params
            if param.name in value
        }

    def _named(self, kind: OneOf, value: Any, path: Route) -> Named | None:
        """A component by its name, or None where findings stand against it."""
        written = {value: None} if isinstance(value, str) else value
        siblings = {param.name: param for param in kind.siblings}
        names = (
            [name for name in written if name not in siblings] if isinstance(written, dict) else []
        )
        if len(names) != 1 or names[0] not in kind.entries:
            if not self.findings.within(path):
                self.report(Code.ENTRY, f"{kind.expected} is wanted here", path)
            return None
        name = names[0]
        args_path = (*path, name) if isinstance(value, dict) else path
        args = self.args(kind.entries[name], written[name], args_path)
        beside = {
            key: self.bind(param.type, written[key], (*path, key))
            for key, param in siblings.items()
            if key in written
        }
        return None if self.findings.within(path) else Named(name, args, args_path, beside)

    def report(
        self, code: Code, message: str, path: Route, remedy: Remedy = None, **where: Any
    ) -> None:
        self.findings.add(code, message, path, remedy, via=self.via, **where)


class _Resolved(Binder):
    """Binds what has come out of an expression, and holds no others: a dollar is a dollar."""

    def is_expression(self, value: Any) -> bool:
        return False


def _structured(kind: Type) -> bool:
    """Whether components or sections may stand in it."""
    match kind:
        case OneOf() | Section():
            return True
        case ListOf() | MappingOf():
            return _structured(kind.item)
        case Either():
            return any(map(_structured, kind.kinds))
    return False


def _alternative(kind: Either, value: Any) -> Type:
    """The one of a type's alternatives that has the form of what is written; or all of them."""
    match value:
        case dict():
            forms: tuple[type, ...] = (OneOf, Section, MappingOf)
        case list():
            forms = () if isinstance(kind, PerDimension) else (ListOf,)
        case str():
            forms = (OneOf,)
        case _:
            return kind
    fitting = [each for each in kind.kinds if isinstance(each, forms)]
    return fitting[0] if len(fitting) == 1 else kind
