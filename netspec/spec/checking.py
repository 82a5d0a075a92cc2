"""The document against the JSON Schema, in a user's words."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, cast

from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from netspec.catalogue import sections
from netspec.catalogue.sources import SOURCES
from netspec.catalogue.types import Type, expectation, schema_of, show
from netspec.diagnostics import SHOWN, Code, suggestion
from netspec.spec.document import Document, Route
from netspec.spec.findings import Findings
from netspec.spec.schema import COMPONENTS, SIBLINGS, netspec_schema

Report = Callable[..., None]  # `Findings.add`, or `Binder.report`, which adds the calls


@cache
def _validator() -> Draft202012Validator:
    return Draft202012Validator(netspec_schema())


def refresh() -> None:
    """Take in layers that were added to the catalogue."""
    netspec_schema.cache_clear()
    _validator.cache_clear()


def check(findings: Findings) -> None:
    """Report everything that the schema says against the document."""
    for error in _validator().iter_errors(findings.document.data):
        if not _beside_a_layer(error, findings.document):
            _report(error, (), findings.add)


def check_value(kind: Type, value: Any, route: Route, report: Report) -> None:
    """As `check`, of one value: what came out of an expression, as if it were written there."""
    for error in _validator().evolve(schema=schema_of(kind)).iter_errors(value):
        _report(error, route, report)


def _report(error: ValidationError, route: Route, report: Report) -> None:
    path: Route = (*route, *error.absolute_path)
    instance: Any = error.instance
    schema: dict[str, Any] = dict(cast(Any, error.schema))
    match error.validator:
        case "additionalProperties":
            for key in instance:
                if key not in schema["properties"] and not _is_block(key, schema):
                    _unknown(str(key), schema, path, report)
        case "required":
            missing = [key for key in schema["required"] if key not in instance]
            # A misspelt key is reported as such, once.
            extra = [key for key in instance if key not in schema["properties"]][:SHOWN]
            missing = [key for key in missing if not any(suggestion(e, [key]) for e in extra)]
            if missing:
                _missing(schema, missing, path, report)
        case "enum" | "anyOf" if schema.get("x-names") and isinstance(instance, str):
            _bare(instance, schema, path, report)
        case "type" if instance is None and "required" in schema:
            _missing(schema, schema["required"], path, report)
        case "maxProperties":
            keys = ", ".join(instance)
            report(Code.ENTRY, f"one name is wanted here, not {keys}", path)
        case "minProperties" if not instance:
            report(Code.ENTRY, f"{label(path)} is empty", path)
        case "minProperties":  # of an init rule; one without `match` is reported as such
            if "match" in instance:
                report(Code.ENTRY, f"{label(path)} names no parameter to fill", path)
        case _:
            expected = schema.get("errorMessage", f"does not fit: {error.message}")
            report(
                Code.VALUE,
                f"{label(path)} is {show(instance)}, but {expectation(expected, instance)}",
                path,
                _value_remedy(instance),
            )


def _is_block(key: str, schema: dict[str, Any]) -> bool:
    return "patternProperties" in schema and key[:1].islower()


def _beside_a_layer(error: ValidationError, document: Document) -> bool:
    """Whether it takes a misspelt sibling for a block's call: expansion calls it what it is."""
    if error.validator != "type" or "x-call" not in cast(Any, error.schema):
        return False
    entry = document.node(tuple(error.absolute_path)[:-1]).value
    return any(key in COMPONENTS for key in entry)


def _unknown(key: str, schema: dict[str, Any], path: Route, report: Report) -> None:
    title, known = schema["title"], list(schema["properties"])
    if schema.get("x-names"):
        code = Code.UNKNOWN_LAYER if title == "layer" else Code.UNKNOWN_NAME
        message = f"there is no {title} '{key}'"
        known = [name for name in known if name[:1].isupper()] if title == "layer" else known
    elif "x-class" in schema:
        code, message = Code.UNKNOWN_PARAMETER, f"{title} has no parameter '{key}'"
        withheld = getattr(COMPONENTS.get(title) or SOURCES.get(title), "withheld", {})
        if key in withheld:
            message = f"{title}'s parameter '{key}' is not offered: {withheld[key]}"
    else:
        code, message = Code.UNKNOWN_KEY, f"{title} has no key '{key}'"
    listed = (
        f"its {'keys' if code is Code.UNKNOWN_KEY else 'parameters'} are {', '.join(known)}"
        if 0 < len(known) <= 16
        else None
    )
    left_out = _left_out(title, key) if schema.get("x-names") else None
    report(
        code,
        message,
        (*path, key),
        left_out or (lambda: suggestion(key, known) or listed),
        key=True,
    )


def _missing(schema: dict[str, Any], missing: list[str], path: Route, report: Report) -> None:
    title, names, parameter = schema["title"], " and ".join(missing), "x-class" in schema
    report(
        Code.MISSING_PARAMETER if parameter else Code.MISSING_KEY,
        f"{title} needs {names}",
        path,
        f"write `{title}: {{{', '.join(f'{name}: …' for name in missing)}}}`"
        if parameter
        else None,
        key=bool(path),
    )


def _bare(name: str, schema: dict[str, Any], path: Route, report: Report) -> None:
    """A bare name that is unknown, or that needs parameters."""
    kind = schema["title"]
    entry = netspec_schema()["$defs"][kind]["else"]["properties"].get(name)
    if entry is not None and name not in SIBLINGS:
        _missing(entry, entry["required"], path, report)
        return
    known = [n for n in netspec_schema()["$defs"][kind]["else"]["properties"] if n not in SIBLINGS]
    report(
        Code.UNKNOWN_LAYER if kind == "layer" else Code.UNKNOWN_NAME,
        f"there is no {kind} '{name}'",
        path,
        _value_remedy(name) or _left_out(kind, name) or (lambda: suggestion(name, known)),
    )


def _left_out(kind: str, name: str) -> str | None:
    """Why a class that there is has no place in a spec."""
    return sections.LEFT_OUT.get(kind, {}).get(name)


def label(path: Route) -> str:
    """`kernel_size`, `kernel_size[1]`, `model[3]`: the value, for a person."""
    text = ""
    for step in reversed(path):
        if isinstance(step, str):
            return step + text
        text = f"[{step}]" + text
    return text or "the spec"


def _value_remedy(value: object) -> str | None:
    if isinstance(value, str) and value.startswith("$"):
        return "an expression cannot stand for it: write it out"
    if isinstance(value, str) and value.strip().lower() in ("yes", "no", "on", "off"):
        return "YAML 1.2 knows true and false; yes, no, on and off are strings"
    if isinstance(value, str) and value == "None":
        return "write null"
    if isinstance(value, str) and value.startswith("(") and value.endswith(")"):
        return "a list is written [3, 3]"
    return None
