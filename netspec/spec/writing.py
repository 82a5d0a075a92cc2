"""A `Spec` as plain data again, resolved; as YAML; and its digest."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import yaml

from netspec.catalogue import sections
from netspec.catalogue.component import Component
from netspec.catalogue.initializers import INITIALIZERS
from netspec.catalogue.layers import LAYERS
from netspec.catalogue.layers.structure import Branches, Container
from netspec.catalogue.sources import SOURCES
from netspec.catalogue.types import MappingOf
from netspec.shapes import Shape, Tensor
from netspec.spec.model import Entry, Expect, Freeze, InitRule, Named, Spec
from netspec.spec.scalars import FLOAT, INTEGER

Plain = dict[str, Any]


def resolved(spec: Spec, *, paths: bool = True) -> Plain:
    """The spec with `vars`, `--set`, blocks and Repeat applied: itself a valid spec.

    paths=False leaves out where its data lie.
    """
    data: Plain = {"netspec": 1, "name": spec.name}
    if spec.description:
        data["description"] = spec.description
    assert spec.input is not None
    data["input"] = _input(spec.input)
    data["model"] = _entries(spec.layers)
    if spec.init:
        data["init"] = [_rule(rule) for rule in spec.init]
    if spec.expect:
        data["expect"] = _expect(spec.expect)
    for name, component in (("data", sections.DATA), ("train", sections.TRAIN)):
        section = getattr(spec, name)
        if section is not None:
            data[name] = _section(section, component)
    if spec.exports:
        data["export"] = {"onnx": _section(spec.onnx, sections.ONNX)}
    if spec.data and not paths:
        data["data"]["source"] = _named(_without_paths(spec.data.source, SOURCES))
    escaped: Plain = _escaped(data)
    return escaped


def digest(spec: Spec) -> str:
    """SHA-256 of everything but description, `expect` and paths: it names a run."""
    text = json.dumps(_significant(spec), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def differences(one: Spec, other: Spec) -> list[str]:
    """Why their digests differ: `train.epochs is 4 and 5`, in the order of the text."""
    left, right = (dict(_leaves(_significant(spec))) for spec in (one, other))
    return [
        f"{key} is {left.get(key, 'absent')} and {right.get(key, 'absent')}"
        for key in {**left, **right}
        if left.get(key) != right.get(key)
    ]


def _significant(spec: Spec) -> Any:
    """All of it, its export as it is by default where it says nothing of it."""
    exported = replace(spec, exports=True).with_initializers(
        lambda named: _without_paths(named, INITIALIZERS)
    )
    if spec.data:
        source = _in_order(spec.data.source)
        exported = replace(exported, data=spec.data._replace(source=source))
    return _without(resolved(exported, paths=False), ("description", "expect"))


def _in_order(source: Named) -> Named:
    """Mappings whose order counts as lists, which are never sorted."""
    args = dict(source.args)
    for param in SOURCES[source.type].params:
        if isinstance(param.type, MappingOf) and param.name in args:
            args[param.name] = [{name: each} for name, each in args[param.name].items()]
    return replace(source, args=args)


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Each scalar with its dotted path; `- ReLU` is a scalar, so is an empty list or mapping."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, each in items:
        inside = f"{path}.{key}" if path else str(key)
        if isinstance(each, dict | list) and each:
            yield from _leaves(each, inside)
        else:
            yield inside, each


def to_yaml(data: Plain) -> str:
    """YAML 1.2 that `netspec` reads back as the same data."""
    text: str = yaml.dump(
        data,
        Dumper=_Dumper,
        sort_keys=False,
        default_flow_style=None,
        width=100,
        allow_unicode=True,
    )
    return text


class _Dumper(yaml.SafeDumper):
    """Quotes what YAML 1.2 would take for a number and YAML 1.1 would not."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


_NUMBER_STARTS = list("-+.0123456789")
_Dumper.add_implicit_resolver("tag:yaml.org,2002:float", FLOAT, _NUMBER_STARTS)
_Dumper.add_implicit_resolver("tag:yaml.org,2002:int", INTEGER, _NUMBER_STARTS)


def _input(input: Tensor) -> Any:
    shape = _shape(input.shape)
    return shape if input.dtype == "float32" else {"shape": shape, "dtype": input.dtype}


def _shape(shape: Shape) -> list[int | str]:
    return [dim if isinstance(dim, int) else str(dim) for dim in shape]


def _entries(entries: Iterable[Entry]) -> list[Any]:
    return [_entry(entry) for entry in entries if entry.is_module]


def _entry(entry: Entry) -> Any:
    layer = LAYERS[entry.type]
    args: Any = _plain(entry.args)
    if isinstance(layer, Container):
        args = _bodies(layer, entry, args)
    beside: Plain = {}
    if entry.name is not None:
        beside["name"] = entry.name
    if entry.expect:
        beside["expect"] = _expect(entry.expect)
    if entry.freeze:
        beside["freeze"] = _freeze(entry.freeze)
    if entry.init:
        beside["init"] = {key: _named(named) for key, named in entry.init}
    if not args and not beside and not isinstance(layer, Container):
        return entry.type
    return {entry.type: args, **beside}


def _bodies(layer: Container, entry: Entry, args: Plain) -> Any:
    bodies = {name: _entries(body) for name, body in entry.bodies.items()}
    if layer.bare:
        return bodies[""]
    if any(isinstance(param.type, Branches) for param in layer.params):
        return {"branches": list(bodies.values()), **args}
    return {**bodies, **args}


def _freeze(freeze: Freeze) -> Any:
    if freeze.until is not None:
        return {"until": freeze.until}
    return True if freeze.parameters is None else list(freeze.parameters)


def _expect(expect: Expect) -> Plain:
    found: Plain = {}
    if expect.output is not None:
        found["output"] = _shape(expect.output)
    if expect.parameters is not None:
        found["parameters"] = expect.parameters
    return found


def _rule(rule: InitRule) -> Plain:
    return {"match": list(rule.match), **{key: _named(named) for key, named in rule.parameters}}


def _named(named: Named) -> Any:
    if not named.args and not named.siblings:
        return named.type
    return {named.type: _plain(named.args), **_plain(named.siblings)}


def _section(values: Any, component: Component) -> Plain:
    """A section's keys that differ from their defaults."""
    found: Plain = {}
    for param in component.params:
        if param.name == "checkpoint":
            value: Any = {"monitor": values.monitor} if values.monitor else None
        elif param.name == "split":
            value = _section(values.split, sections.SPLIT) or None
        else:
            value = getattr(values, param.name)
        if param.required or value != param.default:
            found[param.name] = _plain(value)
    return found


def _plain(value: Any) -> Any:
    match value:
        case Named():
            return _named(value)
        case Mapping():
            return {key: _plain(each) for key, each in value.items()}
        case list() | tuple():
            return [_plain(each) for each in value]
    return value


def _without_paths(named: Named, entries: Mapping[str, Component]) -> Named:
    return replace(named, args=entries[named.type].without_paths(named.args))


def _without(value: Any, keys: tuple[str, ...]) -> Any:
    match value:
        case dict():
            return {key: _without(each, keys) for key, each in value.items() if key not in keys}
        case list():
            return [_without(each, keys) for each in value]
    return value


def _escaped(value: Any, key: str = "") -> Any:
    match value:
        case str() if key != "description":
            return value.replace("$", "$$")
        case dict():
            return {name: _escaped(each, name) for name, each in value.items()}
        case list():
            return [_escaped(each) for each in value]
    return value
