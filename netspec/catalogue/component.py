"""What every catalogue entry is: a class of torch or torchvision, stated without importing it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from netspec.catalogue.types import PATH, Either, JsonSchema, Type, as_written, schema_of
from netspec.diagnostics import Remedy


class _Required:
    def __repr__(self) -> str:
        return "required"


REQUIRED: Any = _Required()


@dataclass(frozen=True, eq=False)
class Param:
    """One parameter: its name and default are the torch class's own.

    recent: the oldest supported torch lacks it, so that it is passed on only where it says
        something else than the default.
    """

    name: str
    type: Type
    default: Any = REQUIRED
    doc: str = ""
    recent: bool = False

    @property
    def required(self) -> bool:
        return self.default is REQUIRED

    def schema(self) -> JsonSchema:
        schema = dict(schema_of(self.type))
        if self.doc:
            schema["description"] = self.doc
        if not self.required:
            schema["default"] = self.default
        return schema


class Refusal(Exception):
    """A rule says no: why, about which parameter (None: the entry as a whole), and what to do.

    `within`: the way to a place within the parameter's value. `about`: the nested component that
    it is about, as the spec names it; None: the entry itself.
    """

    def __init__(
        self,
        message: str,
        remedy: Remedy = None,
        param: str | None = None,
        within: tuple[str | int, ...] = (),
    ) -> None:
        super().__init__(message)
        self.message, self.remedy, self.param, self.within = message, remedy, param, within
        self.about: Any = None


def _no_check(args: dict[str, Any]) -> None:
    """Most parameters may be combined freely."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Component:
    """A class that a spec may name, its parameters, and where to find it.

    `target` is `module:attribute`; only a torch room resolves it. A section of the spec, which
    names no class, has `key`s instead of parameters. `check` refuses combinations of parameters
    that each alone are fine.
    """

    name: str
    params: tuple[Param, ...] = ()
    target: str = ""
    doc: str = ""
    check: Callable[[dict[str, Any]], None] = _no_check

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}>"

    @property
    def members(self) -> str:
        return "parameter" if self.target else "key"

    def param(self, name: str) -> Param | None:
        return next((param for param in self.params if param.name == name), None)

    @property
    def required(self) -> tuple[str, ...]:
        return tuple(param.name for param in self.params if param.required)

    def complete(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """`args` with every default filled in, a section's own too, in the signature's order."""
        return {
            param.name: param.type.component.complete(args.get(param.name) or {})
            if isinstance(param.type, Section)
            else args.get(param.name, param.default)
            for param in self.params
            if param.name in args or not param.required
        }

    def without_paths(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """`args` without what says where files lie."""
        kinds = {param.name: param.type for param in self.params}
        return {
            name: value
            for name, value in args.items()
            if PATH not in (kind.kinds if isinstance(kind := kinds[name], Either) else (kind,))
        }

    def said(self, args: Mapping[str, Any]) -> dict[str, Any]:
        """`args` without what every torch does that lacks the recent parameters."""
        silent = {param.name: param.default for param in self.params if param.recent}
        return {
            name: value
            for name, value in args.items()
            if name not in silent or value != silent[name]
        }

    def schema(self) -> JsonSchema:
        """The schema of what follows the name: the mapping of its parameters."""
        schema: JsonSchema = {
            "title": self.name,
            "type": "object" if self.required else ["object", "null"],
            "additionalProperties": False,
            "properties": {param.name: param.schema() for param in self.params},
            "errorMessage": f"must be a mapping of {self.name}'s {self.members}s",
        }
        if self.target:
            schema["x-class"] = True
        if self.doc:
            schema["description"] = self.doc
        if self.required:
            schema["required"] = list(self.required)
        return schema


class OneOf:
    """A component of one kind: `Name`, or `{Name: {parameter: value}}` with siblings beside it."""

    def __init__(self, kind: str, entries: Mapping[str, Component], *siblings: Param) -> None:
        self.kind, self.entries, self.siblings = kind, entries, siblings

    @property
    def expected(self) -> str:
        article = "an" if self.kind[0] in "aeiou" else "a"
        return f"the name of {article} {self.kind}, or a mapping with that one key"

    def accepts(self, value: object) -> bool:
        """As written, or bound already to one of the entries."""
        return isinstance(value, str | dict) or getattr(value, "type", None) in self.entries

    def core(self) -> JsonSchema:
        return {"$ref": f"#/$defs/{self.kind}"}

    def definition(self) -> JsonSchema:
        """What `schema` refers to."""
        return {
            "if": {"type": "string"},
            "then": as_written(
                {
                    "enum": [name for name, entry in self.entries.items() if not entry.required],
                    "title": self.kind,
                    "x-names": True,
                }
            ),
            "else": {
                "title": self.kind,
                "type": "object",
                "minProperties": 1,
                "maxProperties": 1 + len(self.siblings),
                "additionalProperties": False,
                "properties": {
                    **{name: entry.schema() for name, entry in self.entries.items()},
                    **{param.name: param.schema() for param in self.siblings},
                },
                "x-names": True,
                "errorMessage": f"must be {self.expected}",
            },
        }


@dataclass(frozen=True, eq=False)
class Section:
    """A mapping with a fixed set of keys: its parameters."""

    component: Component

    @property
    def expected(self) -> str:
        return f"a mapping of {self.component.name}'s keys"

    def accepts(self, value: object) -> bool:
        return isinstance(value, dict) or (value is None and not self.component.required)

    def core(self) -> JsonSchema:
        return self.component.schema()
