"""A spec's text as data, with a place for every path into it, and `--set` applied to it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from netspec.diagnostics import Code, Diagnostic, Place, Remedy, SpecError, shortened, spoken

MAX_VALUES = 40_000  # of a spec as written, and once more as expanded: a second of checking
MAX_DEPTH = 100  # half of what Python's own stack, 1,000 calls, lets the schema's check descend

Route = tuple[str | int, ...]

DIGITS = re.compile(r"[0-9]{1,9}")


@dataclass(frozen=True)
class Source:
    """A text and what to call it in a report: a file, or `--set KEY`."""

    name: str
    text: str

    @cached_property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    def place(self, mark: Mark) -> Place:
        line, column, end_line, end_column = mark
        text = self.lines[line] if line < len(self.lines) else ""
        end = end_column if end_line == line else len(text)
        return Place(self.name, line + 1, column + 1, max(end, column + 1) + 1, text)


Mark = tuple[int, int, int, int]  # line, column, end line, end column, from 0


@dataclass(slots=True)
class Node:
    """A value, its place, and the places of what it holds. Shared, never copied, by aliases."""

    value: Any
    mark: Mark
    source: Source
    size: int = 1
    depth: int = 1
    keys: dict[str, Mark] = field(default_factory=dict)
    children: dict[str | int, Node] = field(default_factory=dict)


@dataclass(frozen=True)
class Document:
    """A spec's text as plain data, with a place for every path into it."""

    root: Node
    source: Source

    @property
    def data(self) -> Any:
        return self.root.value

    def node(self, path: Route) -> Node:
        """The node at `path`, or the nearest above it."""
        found = self.root
        for step in path:
            if step not in found.children:
                break
            found = found.children[step]
        return found

    def place(self, path: Route, *, key: bool = False) -> Place:
        """Where the value at `path` stands, or its key; the nearest place above what is absent."""
        if path:
            above = self.node(path[:-1])
            if path[-1] in above.keys and (key or path[-1] not in above.children):
                return above.source.place(above.keys[str(path[-1])])
        found = self.node(path)
        return found.source.place(found.mark)

    def error(
        self,
        code: Code,
        message: str,
        route: Route,
        remedy: Remedy = None,
        *,
        key: bool = False,
    ) -> SpecError:
        """One finding at the value at `route`, or at its key: what only a run can know."""
        return SpecError([Diagnostic(code, message, self.place(route, key=key), spoken(remedy))])


def override(document: Document, settings: Sequence[tuple[str, Node]]) -> Document:
    """The document with each `key.path` replaced by a value. Raises SpecError."""
    root = document.root
    for key, node in settings:
        steps = tuple(int(step) if DIGITS.fullmatch(step) else step for step in key.split("."))
        if len(steps) + node.depth > MAX_DEPTH:
            raise error_at(
                node.source, node.mark, Code.LIMIT, f"nesting deeper than {MAX_DEPTH} levels"
            )
        root = _replace(root, steps, node, key)
    return Document(root, document.source)


def _replace(at: Node, steps: Route, new: Node, key: str, done: Route = ()) -> Node:
    if not steps:
        return new
    step, here = steps[0], ".".join(map(str, done)) or "the spec"
    children = dict(at.children)
    if isinstance(at.value, list):
        if not isinstance(step, int) or step >= len(at.value):
            raise error_at(
                new.source,
                new.mark,
                Code.SET,
                f"'{key}': {here} is a list of {len(at.value)}, which has no item '{step}'",
                "items count from 0",
            )
        children[step] = _replace(children[step], steps[1:], new, key, (*done, step))
        value: Any = [children[index].value for index in range(len(at.value))]
        return Node(value, at.mark, at.source, at.size, at.depth, at.keys, children)
    if not isinstance(at.value, dict | None) or (
        done[:1] in (("vars",), ("blocks",)) and (step not in children)
    ):
        raise error_at(
            new.source,
            new.mark,
            Code.SET,
            f"'{key}': {here} has no '{step}' to set",
            f"{here} holds {', '.join(map(str, children)) or at.value}",
        )
    step = str(step)
    below = children.get(step) or Node(None, new.mark, new.source)
    children[step] = _replace(below, steps[1:], new, key, (*done, step))
    value = {name: child.value for name, child in children.items()}
    return Node(value, at.mark, at.source, at.size, at.depth, at.keys, children)


def error_at(
    source: Source, mark: Mark, code: Code, message: str, remedy: str | None = None
) -> SpecError:
    return SpecError([Diagnostic(code, shortened(message), source.place(mark), remedy)])
