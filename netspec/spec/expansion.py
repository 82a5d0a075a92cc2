"""Layer entries as written → resolved ones: blocks, Repeat, `when` and expressions are gone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NoReturn

from netspec.catalogue.component import Component
from netspec.catalogue.layers import LAYERS
from netspec.catalogue.layers.elementwise import IDENTITY
from netspec.catalogue.layers.structure import REPEAT, SEQUENTIAL, Branches, Container, Layers
from netspec.catalogue.types import BOOLEAN, NATURAL, TEXT
from netspec.diagnostics import Code, suggestion
from netspec.spec import module_names, siblings
from netspec.spec.binding import Binder
from netspec.spec.document import MAX_VALUES, Route
from netspec.spec.expressions import name_problem
from netspec.spec.findings import Findings
from netspec.spec.model import Entry
from netspec.spec.schema import COMPONENTS, SIBLINGS

MAX_LAYERS = 10_000
MAX_NESTING = 64  # lists within lists, blocks included: some ten calls of Python's stack for each


BESIDE = ", ".join(SIBLINGS)


class TooMany(Exception):
    """The expanded spec passes a bound; the finding is made."""


def _parameter_meant(key: str, params: Iterable[str]) -> str:
    return suggestion(key, params) or f"its parameters are {', '.join(params)}"


@dataclass
class Expansion:
    """Expands lists of layers of one document."""

    findings: Findings
    blocks: Mapping[str, Any]
    vars: Mapping[str, Any]
    count: int = 0
    values: int = 0
    depth: int = 0
    calls: list[str] = field(default_factory=list)

    def layers(self, value: Any, path: Route, binder: Binder) -> tuple[Entry, ...]:
        """The entries of one list, as they become the children of one module.

        Raises TooMany.
        """
        entries = tuple(self._list(value, path, binder))
        self._check_names(entries, binder)
        return entries

    def _list(self, value: Any, path: Route, binder: Binder) -> Iterator[Entry]:
        if not isinstance(value, list):
            yield Entry(IDENTITY.name, {}, path, broken=True)
            return
        self.depth += 1
        if self.depth > MAX_NESTING:
            self._pass(f"layers nest deeper than {MAX_NESTING} levels", path, binder)
        for index, item in enumerate(value):
            yield from self._entry(item, (*path, index), binder)
        self.depth -= 1

    def _entry(self, item: Any, path: Route, binder: Binder) -> Iterator[Entry]:
        self._tick(path, binder)
        if isinstance(item, str):
            item = {item: None}
        if not isinstance(item, dict):
            yield Entry(IDENTITY.name, {}, path, broken=True)
            return
        if "when" in item and not self._kept(item["when"], (*path, "when"), binder):
            return
        names = [key for key in item if key not in SIBLINGS]
        if len(names) != 1:
            if names or not self.findings.at(path):
                self._report_names(names, path, binder)
            yield Entry(IDENTITY.name, {}, path, broken=True)
            return
        name = names[0]
        if name == REPEAT.name:
            yield from self._repeat(item, path, binder)
        elif name in LAYERS:
            yield self._layer(name, item, path, binder)
        else:
            yield self._call(name, item, path, binder)

    def _tick(self, path: Route, binder: Binder) -> None:
        self.count += 1
        if self.count > MAX_LAYERS:
            self._pass(f"the spec expands to more than {MAX_LAYERS:,} layers", path, binder)

    def _hold(self, count: int, path: Route, binder: Binder) -> None:
        """Count values that stand in the spec once more for each copy."""
        self.values += count
        if self.values > MAX_VALUES:
            self._pass(f"the spec expands to more than {MAX_VALUES:,} values", path, binder)

    def _pass(self, message: str, path: Route, binder: Binder) -> NoReturn:
        binder.report(Code.LIMIT, message, path, "lower `times`, or the depth of the blocks")
        raise TooMany

    def _kept(self, value: Any, path: Route, binder: Binder) -> bool:
        return binder.bind(BOOLEAN, value, path) is not False

    def _report_names(self, names: list[str], path: Route, binder: Binder) -> None:
        layers = [name for name in names if name in COMPONENTS or name in self.blocks]
        if len(layers) == 1:
            for name in names:
                if name not in layers:
                    binder.report(
                        Code.UNKNOWN_KEY,
                        f"a layer entry has no key '{name}'",
                        (*path, name),
                        suggestion(name, SIBLINGS) or f"beside {layers[0]} may stand {BESIDE}",
                        key=True,
                    )
        elif names:
            binder.report(
                Code.ENTRY,
                f"one entry names {len(names)} layers: {', '.join(names)}",
                (*path, names[1]),
                "begin each with its own `-`",
                key=True,
            )
        else:
            binder.report(
                Code.ENTRY,
                "the entry names no layer",
                path,
                f"{BESIDE} stand beside a layer's name",
            )

    def _repeat(self, item: dict[str, Any], path: Route, binder: Binder) -> Iterator[Entry]:
        where = (*path, REPEAT.name)
        for key in item:
            if key not in (REPEAT.name, "when", "expect"):
                binder.report(
                    Code.ENTRY,
                    f"Repeat takes no '{key}': its copies are spliced into the list around it",
                    (*path, key),
                    "put it on a layer of the body, or wrap the body in `Sequential`",
                    key=True,
                )
        yield from self._copies(item[REPEAT.name], where, binder)
        if "expect" in item:
            beside = (*path, "expect")
            expect = siblings.expect(item["expect"], beside, binder)
            if expect and expect.parameters is not None:
                binder.report(
                    Code.ENTRY,
                    "Repeat has no parameters of its own to count: its copies are spliced into "
                    "the list around it",
                    (*beside, "parameters"),
                    "wrap it in `Sequential`, and write the `expect` beside that",
                    key=True,
                )
            yield Entry(REPEAT.name, {}, path, expect=expect, via=binder.via)

    def _copies(self, args: Any, where: Route, binder: Binder) -> Iterator[Entry]:
        misspelt = not isinstance(args, dict) or any(key not in args for key in REPEAT.required)
        if misspelt or self.findings.at(where):
            yield Entry(IDENTITY.name, {}, where, broken=True)
            return
        times = binder.bind(NATURAL, args["times"], (*where, "times"))
        index = binder.bind(TEXT, args["index"], (*where, "index")) if "index" in args else None
        if index is not None and (wrong := name_problem(index)):
            binder.report(Code.NAME, wrong, (*where, "index"))
        if any(self.findings.at((*where, key)) for key in args):
            yield Entry(IDENTITY.name, {}, where, broken=True)
            return
        for number in range(times):
            self._tick(where, binder)
            scope = {**binder.scope, index: number} if index is not None else binder.scope
            inner = Binder(self.findings, scope, binder.via)
            yield from self._list(args["body"], (*where, "body"), inner)

    def _layer(self, name: str, item: dict[str, Any], path: Route, binder: Binder) -> Entry:
        layer, where = COMPONENTS[name], (*path, name)
        self._hold(self._size(name, path, layer), path, binder)
        value = item[name]
        bodies: dict[str, tuple[Entry, ...]] = {}
        if isinstance(layer, Container):
            bodies = self._bodies(layer, value, where, binder)
            own = {param.name for param in layer.options}
            value = (
                {key: each for key, each in value.items() if key in own}
                if isinstance(value, dict)
                else {}
            )
        args = binder.args(layer, value, where)
        return self._with_siblings(name, args, item, path, binder, bodies)

    def _size(self, name: str, path: Route, layer: Component) -> int:
        """How many values an entry holds, without the layers in it."""
        entry = self.findings.document.node(path)
        if not isinstance(layer, Container) or name not in entry.children:
            return entry.size
        options = {param.name for param in layer.options}
        beside = (child for key, child in entry.children.items() if key != name)
        inside = (c for key, c in entry.children[name].children.items() if key in options)
        return 2 + sum(child.size for child in (*beside, *inside))

    def _bodies(
        self, layer: Container, value: Any, where: Route, binder: Binder
    ) -> dict[str, tuple[Entry, ...]]:
        if layer.bare:
            return {"": self.layers(value, where, binder)}
        found: dict[str, tuple[Entry, ...]] = {}
        value = value if isinstance(value, dict) else {}
        for param in layer.params:
            written = value.get(param.name, param.default)
            if isinstance(param.type, Layers):
                found[param.name] = self.layers(written, (*where, param.name), binder)
            elif isinstance(param.type, Branches) and isinstance(written, list):
                for index, branch in enumerate(written):
                    path = (*where, param.name, index)
                    found[str(index)] = self.layers(branch, path, binder)
        return found

    def _call(self, name: str, item: dict[str, Any], path: Route, binder: Binder) -> Entry:
        """A block, which becomes one nested group."""
        block, where = self.blocks.get(name), (*path, name)
        if not isinstance(block, dict):
            doubtful = self.findings.at(("blocks",)) or name in self.blocks
            if name[:1].islower() and not doubtful and not self.findings.within(where):
                binder.report(
                    Code.UNKNOWN_LAYER,
                    f"there is no block '{name}'",
                    where,
                    lambda: suggestion(name, [*self.blocks, *COMPONENTS]),
                    key=True,
                )
            return Entry(IDENTITY.name, {}, path, broken=True)
        if name in self.calls:
            cycle = " → ".join([*self.calls[self.calls.index(name) :], name])
            binder.report(
                Code.BLOCK, f"blocks call each other in a cycle: {cycle}", where, key=True
            )
            return Entry(IDENTITY.name, {}, path, broken=True)
        scope = (
            None
            if self.findings.at(where)
            else self._arguments(name, block, item[name] or {}, where, binder)
        )
        if scope is None:
            return Entry(IDENTITY.name, {}, path, broken=True)
        inner = Binder(self.findings, scope, (*binder.via, path))
        self.calls.append(name)
        body = self.layers(block.get("body"), ("blocks", name, "body"), inner)
        self.calls.pop()
        return self._with_siblings(SEQUENTIAL.name, {}, item, path, binder, {"": body})

    def _arguments(
        self, name: str, block: Any, written: Any, where: Route, binder: Binder
    ) -> dict[str, Any] | None:
        params = block.get("params") or {}
        if not isinstance(params, dict):
            return None
        self._hold(len(params) + self.findings.document.node(where).size, where, binder)
        written = written if isinstance(written, dict) else {}
        for key in written:
            if key not in params:
                binder.report(
                    Code.UNKNOWN_PARAMETER,
                    f"the block {name} has no parameter '{key}'",
                    (*where, key),
                    partial(_parameter_meant, key, params),
                    key=True,
                )
        scope = dict(self.vars)
        for key, default in params.items():
            at = ("blocks", name, "params", key)
            if wrong := name_problem(key):
                binder.report(Code.NAME, wrong, at, key=True)
            elif key in written:
                scope[key] = binder.value(written[key], (*where, key))
            elif default is None:
                binder.report(
                    Code.MISSING_PARAMETER, f"the block {name} needs {key}", where, key=True
                )
                return None
            else:
                scope[key] = Binder(self.findings, scope).value(default, at)
        return scope

    def _with_siblings(
        self,
        kind: str,
        args: dict[str, Any],
        item: dict[str, Any],
        path: Route,
        binder: Binder,
        bodies: dict[str, tuple[Entry, ...]],
    ) -> Entry:
        name = binder.bind(TEXT, item["name"], (*path, "name")) if "name" in item else None
        if name is not None and (wrong := module_names.problem(name)):
            binder.report(Code.NAME, wrong, (*path, "name"))
        return Entry(
            kind,
            args,
            path,
            name=name,
            expect=siblings.expect(item["expect"], (*path, "expect"), binder)
            if "expect" in item
            else None,
            freeze=siblings.freeze(item["freeze"], (*path, "freeze"), binder)
            if "freeze" in item
            else None,
            init=siblings.initializers(item.get("init"), (*path, "init"), binder),
            bodies=bodies,
            broken=self._broken(item, path, args, bodies),
            via=binder.via,
        )

    def _broken(
        self, item: dict[str, Any], path: Route, args: Mapping[str, Any], bodies: Mapping[str, Any]
    ) -> bool:
        """Whether findings stand against the entry itself; those in its bodies are theirs."""
        if not bodies:
            return self.findings.within(path)
        names = [key for key in item if key not in SIBLINGS]
        own = [path, *((*path, name) for name in names)]
        options = [(*path, name, arg) for name in names for arg in args]
        beside = [(*path, key) for key in item if key in SIBLINGS]
        return any(map(self.findings.at, own)) or any(
            map(self.findings.within, [*options, *beside])
        )

    def _check_names(self, entries: tuple[Entry, ...], binder: Binder) -> None:
        seen: set[str] = set()
        for entry in entries:
            if entry.name is not None and entry.name in seen:
                binder.report(
                    Code.NAME,
                    f"the name '{entry.name}' stands twice in one list of layers",
                    (*entry.path, "name"),
                    "use the index of the Repeat: `name: conv$i`",
                )
            seen.add(entry.name or "")
