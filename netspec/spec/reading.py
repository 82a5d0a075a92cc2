"""YAML 1.2 with a place for every node, within bounds.

The events of libyaml are read one by one, so that a bound is met while counting, never after: an
alias or a merge key costs the size of what it stands for, and nesting never recurses into the
parser.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn

import yaml

from netspec.diagnostics import Code, SpecError
from netspec.spec.document import MAX_DEPTH, MAX_VALUES, Document, Mark, Node, Source, error_at
from netspec.spec.scalars import scalar

MAX_BYTES = 2 * 2**20

Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def read(path: Path) -> Document:
    """Read a spec file. Raises SpecError where it is no readable YAML 1.2 mapping."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SpecError.of(
            Code.FILE, f"cannot be read: {error.strerror or error}", file=str(path)
        ) from None
    if len(content) > MAX_BYTES:
        raise SpecError.of(
            Code.LIMIT, f"is larger than {MAX_BYTES // 2**20} MiB, a spec's limit", file=str(path)
        )
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpecError.of(
            Code.YAML, f"is not UTF-8: {error.reason} at byte {error.start}", file=str(path)
        ) from None
    return parse(text, str(path))


def parse(text: str, name: str = "<spec>") -> Document:
    """Parse a spec's text. Raises SpecError, as `read` does."""
    source = Source(name, text)
    root = _Builder(source).build()
    if not isinstance(root.value, dict):
        raise error_at(source, root.mark, Code.YAML, "a spec is a mapping with `netspec: 1`")
    return Document(root, source)


def parse_value(text: str, name: str) -> Node:
    """Parse one YAML value, as `--set` takes it. Raises SpecError."""
    if not text.strip():
        source = Source(name, text)
        raise error_at(source, (0, 0, 0, 0), Code.YAML, "a value is missing", "write null for none")
    return _Builder(Source(name, text)).build()


@dataclass
class _Open:
    """A collection whose end has not been read yet."""

    mapping: bool
    mark: Mark
    anchor: str | None
    keys: dict[str, Mark] = field(default_factory=dict)
    children: dict[str | int, Node] = field(default_factory=dict)
    merges: list[tuple[Mark, Node]] = field(default_factory=list)
    key: tuple[str, Mark] | None = None


class _Builder:
    """One pass over the parser's events."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.anchors: dict[str, Node] = {}
        self.open: list[_Open] = []
        self.root: Node | None = None
        self.nodes = 0

    def build(self) -> Node:
        try:
            for event in yaml.parse(self.source.text, Loader=Loader):
                self._take(event)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            where = (mark.line, mark.column, mark.line, mark.column) if mark else (0, 0, 0, 0)
            raise error_at(self.source, where, Code.YAML, *_yaml_problem(error)) from None
        except yaml.YAMLError as error:
            before = self._before(getattr(error, "position", 0) or 0)
            line, column = before.count("\n"), len(before) - before.rfind("\n") - 1
            raise error_at(
                self.source,
                (line, column, line, column + 1),
                Code.YAML,
                f"not YAML: {getattr(error, 'reason', error)}",
            ) from None
        except UnicodeEncodeError as error:
            raise error_at(
                self.source, (0, 0, 0, 0), Code.YAML, f"not Unicode text: {error.reason}"
            ) from None
        if self.root is None:
            raise error_at(self.source, (0, 0, 0, 0), Code.YAML, "the file is empty")
        return self.root

    def _before(self, position: int) -> str:
        """The text before a reader's error; libyaml counts bytes."""
        if Loader is yaml.SafeLoader:
            return self.source.text[:position]
        return self.source.text.encode()[:position].decode(errors="ignore")

    def _take(self, event: yaml.Event) -> None:
        mark = _mark(event)
        match event:
            case yaml.DocumentStartEvent() if self.root is not None:
                self._fail(mark, "a second YAML document begins here", "one spec is one file")
            case yaml.ScalarEvent():
                self._tag(event, mark)
                if self._is_key():
                    self._key(event.value, mark)
                    return
                try:
                    value = scalar(event.value) if event.implicit[0] else event.value
                except ValueError as error:
                    self._fail(mark, str(error))
                self._add(Node(value, mark, self.source), event.anchor)
            case yaml.AliasEvent():
                if event.anchor not in self.anchors:
                    self._fail(mark, f"alias *{event.anchor} names no finished anchor")
                if self._is_key():
                    self._fail(mark, "a key must be a plain word, not an alias")
                self._add(self.anchors[event.anchor], None, mark)
            case yaml.CollectionStartEvent():
                self._tag(event, mark)
                if self._is_key():
                    self._fail(mark, "a key must be a plain word, not a list or mapping")
                if len(self.open) >= MAX_DEPTH:
                    self._limit(mark, f"nesting deeper than {MAX_DEPTH} levels")
                mapping = isinstance(event, yaml.MappingStartEvent)
                self.open.append(_Open(mapping, mark, event.anchor))
            case yaml.CollectionEndEvent():
                self._close(mark)

    def _is_key(self) -> bool:
        return bool(self.open) and self.open[-1].mapping and self.open[-1].key is None

    def _key(self, key: str, mark: Mark) -> None:
        above = self.open[-1]
        if key in above.keys or (key == "<<" and above.merges):
            first = self.source.place(above.keys.get(key) or above.merges[0][0])
            self._fail(
                mark,
                f"the key '{key}' stands twice in one mapping, first in line {first.line}",
                "remove one of the two",
            )
        if key != "<<":
            above.keys[key] = mark
        above.key = (key, mark)

    def _add(self, node: Node, anchor: str | None, alias: Mark | None = None) -> None:
        if anchor:
            self.anchors[anchor] = node
        if not self.open:
            self.root = node
            return
        self._count(alias or node.mark, node.size)
        above = self.open[-1]
        if len(self.open) + node.depth > MAX_DEPTH:
            self._limit(alias or node.mark, f"nesting deeper than {MAX_DEPTH} levels")
        if not above.mapping:
            above.children[len(above.children)] = node
            return
        assert above.key is not None
        (key, mark), above.key = above.key, None
        if key == "<<":
            above.merges.append((mark, node))
        else:
            above.children[key] = node

    def _close(self, end: Mark) -> None:
        done = self.open.pop()
        for mark, merged in done.merges:
            self._merge(done, mark, merged)
        children, mark = done.children, (*done.mark[:2], *end[2:])
        value: Any = (
            {key: child.value for key, child in children.items()}
            if done.mapping
            else [child.value for child in children.values()]
        )
        size = 1 + sum(child.size for child in children.values())
        depth = 1 + max((child.depth for child in children.values()), default=0)
        # What is inside was counted as it came; only the collection itself is new.
        self.nodes -= size - 1
        self._add(Node(value, mark, self.source, size, depth, done.keys, children), done.anchor)

    def _merge(self, into: _Open, mark: Mark, merged: Node) -> None:
        parts = merged.children.values() if isinstance(merged.value, list) else [merged]
        for part in parts:
            if not isinstance(part.value, dict):
                self._fail(mark, "<< merges a mapping, or a list of them")
            for key, child in part.children.items():
                if key not in into.children:
                    self._count(mark, child.size)
                    into.children[key] = child
                    into.keys[str(key)] = part.keys[str(key)]

    def _count(self, mark: Mark, size: int) -> None:
        self.nodes += size
        if self.nodes > MAX_VALUES:
            self._limit(mark, f"with its aliases the spec has more than {MAX_VALUES:,} values")

    def _tag(self, event: Any, mark: Mark) -> None:
        if event.tag is not None:
            self._fail(mark, f"the tag {event.tag} is not allowed: a spec holds plain values")

    def _limit(self, mark: Mark, message: str) -> NoReturn:
        raise error_at(self.source, mark, Code.LIMIT, message, "split it, or use Repeat")

    def _fail(self, mark: Mark, message: str, remedy: str | None = None) -> NoReturn:
        raise error_at(self.source, mark, Code.YAML, message, remedy)


def _mark(event: yaml.Event) -> Mark:
    start, end = event.start_mark, event.end_mark
    assert start is not None and end is not None  # a parser's events all have marks
    return (start.line, start.column, end.line, end.column)


def _yaml_problem(error: yaml.MarkedYAMLError) -> tuple[str, str | None]:
    problem = str(error.problem or error.context or "not YAML")
    if "mapping values are not allowed" in problem:
        return problem, (
            "a bare word takes nothing below it: write `- BatchNorm2d:` with a colon, "
            "and quote text that holds ': '"
        )
    if "did not find expected" in problem or "could not find expected" in problem:
        return problem, (
            "look for an unclosed bracket or quote, a wrong indentation, or a $(…) with a comma, "
            "': ' or ' #' that needs quotes"
        )
    if "cannot start any token" in problem:
        return problem, "indent with spaces, and quote text that begins with a special character"
    return problem, None
