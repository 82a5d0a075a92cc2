"""What an emitted file defines and imports itself: found by name, copied as text, never run."""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from importlib import resources

from netspec.emit.layout import INDENT, WIDTH

COPIED = ("modules.py", "emit/torchvision_ops.py")
IMPORTS = """
import torch
import torchvision
from collections import OrderedDict
from torch import nn
"""


@dataclass(frozen=True, order=True)
class Import:
    """`import module`, or `from module import name`."""

    module: str
    name: str | None = None


@dataclass(frozen=True)
class Definition:
    """A class or function of netspec's, the names that its text uses, and what it imports."""

    text: str
    uses: frozenset[str]
    imports: frozenset[Import]


@dataclass(frozen=True)
class Needs:
    """The imports at the head of a file, and the definitions that it has to hold."""

    imports: frozenset[Import]
    definitions: tuple[Definition, ...]

    @property
    def packages(self) -> list[str]:
        """What has to be installed."""
        inside = (each for definition in self.definitions for each in definition.imports)
        modules = {each.module for each in (*self.imports, *inside)}
        return sorted({_package(each) for each in modules if not _standard(each)})


def needs(code: str, modules: Iterable[str] = ()) -> Needs:
    """What the names in `code` stand for, and what those need in turn, in the files' own order.

    modules: those whose classes `code` names in full.
    """
    imports, definitions = _known()
    names, todo = set[str](), set(_names(ast.parse(code)))
    while todo:
        name = todo.pop()
        names.add(name)
        if name in definitions:
            todo |= definitions[name].uses - names
    return Needs(
        frozenset(
            [*(found for name, found in imports.items() if name in names), *map(Import, modules)]
        ),
        tuple(found for name, found in definitions.items() if name in names),
    )


def statements(imports: Iterable[Import]) -> str:
    """The imports sorted as isort would: the standard library first."""
    sections: dict[bool, list[str]] = {True: [], False: []}
    modules = {each.module for each in imports}
    plain = sorted(each.module for each in imports if each.name is None)
    for module in plain:
        sections[_standard(module)].append(f"import {module}")
    for module in sorted(modules):
        names = [each.name for each in imports if each.module == module and each.name]
        if names:
            listed = ", ".join(sorted(names, key=lambda name: (not name[0].isupper(), name)))
            sections[_standard(module)].append(f"from {module} import {listed}")
    return "\n\n".join("\n".join(section) for section in sections.values() if section)


def _package(module: str) -> str:
    return module.partition(".")[0]


def _standard(module: str) -> bool:
    return _package(module) in sys.stdlib_module_names


@cache
def _known() -> tuple[dict[str, Import], dict[str, Definition]]:
    """Every import and definition of the copied files, by name."""
    imports: dict[str, Import] = dict(_imports(ast.parse(IMPORTS).body))
    definitions: dict[str, Definition] = {}
    for file in COPIED:
        source = resources.files("netspec").joinpath(file).read_text(encoding="utf-8")
        tree = ast.parse(source)
        imports |= dict(_imports(tree.body))
        for node in tree.body:
            if isinstance(node, ast.ClassDef | ast.FunctionDef):
                definitions[node.name] = Definition(
                    _text(source, node),
                    frozenset(_names(node)),
                    frozenset(found for _, found in _imports(ast.walk(node))),
                )
    return imports, definitions


def _imports(nodes: Iterable[ast.AST]) -> Iterator[tuple[str, Import]]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from ((alias.name, Import(alias.name)) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((alias.name, Import(node.module, alias.name)) for alias in node.names)


def _names(node: ast.AST) -> Iterator[str]:
    return (each.id for each in ast.walk(node) if isinstance(each, ast.Name))


def _text(source: str, node: ast.ClassDef | ast.FunctionDef) -> str:
    """The definition as it stands, without the comments for type checkers, and no wider than an
    emitted file."""
    first = min([node.lineno, *(decorator.lineno for decorator in node.decorator_list)])
    rows = source.splitlines()
    starts = {each.lineno for each in ast.walk(node) if isinstance(each, ast.stmt)}
    prose = {
        row
        for each in ast.walk(node)
        if isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant)
        for row in range(each.lineno, (each.end_lineno or each.lineno) + 1)
    }
    found: list[str] = []
    for number in range(first, (node.end_lineno or first) + 1):
        row = re.sub(r"  # type: ignore\S*$", "", rows[number - 1])
        long = len(row) > WIDTH and number in starts - prose
        found += _broken(row) if long else [row]
    return "\n".join(found)


def _broken(row: str) -> list[str]:
    """A line broken at its last pair of brackets, as ruff does."""
    end = max(map(row.rfind, ")]}"))
    depth, start = 1, end
    while depth:
        start -= 1
        depth += (row[start] in ")]}") - (row[start] in "([{")
    margin = row[: len(row) - len(row.lstrip())]
    return [row[: start + 1], margin + INDENT + row[start + 1 : end], margin + row[end:]]
