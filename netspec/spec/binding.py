"""Written values to typed ones: expressions evaluated, then checked against the catalogue."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netspec.catalogue.component import Component, OneOf, Section
from netspec.catalogue.types import Either, ListOf, Type, canonical, problem
from netspec.diagnostics import Code, Remedy
from netspec.spec.document import Route
from netspec.spec.expressions import (
    DOUBTFUL,
    DoubtfulName,
    ExpressionError,
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

    def resolve(self, value: Any, path: Route) -> Any:
        """`value` with every expression in it evaluated."""
        match value:
            case str() if "$" in value:
                try:
                    return substitute(value, self.scope)
                except DoubtfulName:
                    self.findings.doubt(path)
                    return None
                except ExpressionError as error:
                    self.report(Code.EXPRESSION, error.message, path, error.remedy)
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
        if isinstance(kind, Either):
            kind = self._alternative(kind, value)
        if isinstance(kind, OneOf):
            return self.named(kind, value, path)
        if isinstance(kind, Section):
            return self.args(kind.component, value, path)
        if isinstance(kind, ListOf) and isinstance(kind.item, OneOf) and isinstance(value, list):
            return tuple(self.bind(kind.item, item, (*path, i)) for i, item in enumerate(value))
        before = self.findings.within(path)
        resolved = self.resolve(value, path)
        if not before and not self.findings.within(path):
            self._check(kind, resolved, value, path)
        return canonical(kind, resolved) if kind.accepts(resolved) else resolved

    def _alternative(self, kind: Either, value: Any) -> Type:
        """The component or section among a type's alternatives, where one is written."""
        for each in kind.kinds:
            compound = isinstance(each, OneOf) or (
                isinstance(each, Section) and isinstance(value, dict)
            )
            if compound and value is not None:
                return each
        return kind

    def _check(self, kind: Type, resolved: Any, written: Any, path: Route) -> None:
        wrong = problem(kind, resolved)
        if not wrong:
            return
        label = next((step for step in reversed(path) if isinstance(step, str)), "the value")
        remedy = None
        if isinstance(resolved, float) and isinstance(written, str):
            remedy = "`//` divides to an integer, `/` to a float"
        source = f" (from {written})" if isinstance(written, str) and "$" in written else ""
        self.report(Code.VALUE, f"{label}{source} {wrong}", path, remedy)

    def args(self, component: Component, value: Any, path: Route) -> dict[str, Any]:
        """The parameters written in a mapping, each bound to its type."""
        if not isinstance(value, Mapping):
            value = {}
        return {
            param.name: self.bind(param.type, value[param.name], (*path, param.name))
            for param in component.params
            if param.name in value
        }

    def named(self, kind: OneOf, value: Any, path: Route) -> Named | None:
        """A component by its name, or None where findings stand against it."""
        if isinstance(value, str):
            value = self.resolve(value, path)
        written = {value: None} if isinstance(value, str) else value
        if not isinstance(written, dict):
            if not self.findings.within(path):
                self.report(Code.ENTRY, f"{kind.expected} is wanted here", path)
            return None
        siblings = {param.name: param for param in kind.siblings}
        names = [name for name in written if name not in siblings]
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
