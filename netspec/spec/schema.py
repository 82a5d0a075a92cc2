"""The JSON Schema of a spec as written, made from the catalogue."""

from __future__ import annotations

import json
from collections import ChainMap
from collections.abc import Mapping
from functools import cache
from typing import Any

from netspec.catalogue import sections
from netspec.catalogue.component import Component
from netspec.catalogue.layers import LAYERS, attention
from netspec.catalogue.layers.structure import REPEAT
from netspec.catalogue.types import BOOLEAN, TEXT, JsonSchema, schema_of

SIBLINGS = ("name", "expect", "freeze", "init", "when")
BLOCK_NAME = r"^[a-z_][A-Za-z0-9_]*$"
BLOCK_CALL = rf"^(?!({'|'.join(SIBLINGS)})$)[a-z_][A-Za-z0-9_]*$"
NAME = r"^[A-Za-z0-9][A-Za-z0-9_.-]*$"

# A view of both, so that layers which other packages bring are seen.
COMPONENTS: Mapping[str, Component] = ChainMap[str, Any]({REPEAT.name: REPEAT}, LAYERS)


def _object(title: str, properties: JsonSchema, **keywords: Any) -> JsonSchema:
    return {
        "title": title,
        "type": "object",
        "additionalProperties": False,
        "properties": properties,
        "errorMessage": f"must be a mapping of {title}'s keys",
        **keywords,
    }


def _init(**keywords: Any) -> JsonSchema:
    return {
        "type": "object",
        "minProperties": 1,
        "additionalProperties": schema_of(sections.INITIALIZER),
        "errorMessage": "must be a mapping of parameter names to initializers",
        **keywords,
    }


def _layer() -> JsonSchema:
    bare = [name for name, entry in COMPONENTS.items() if not entry.required]
    siblings = {
        "name": schema_of(TEXT),
        "expect": schema_of(sections.WHAT_COMES_OUT),
        "freeze": schema_of(sections.FREEZE),
        "init": _init(),
        "when": schema_of(BOOLEAN),
    }
    return {
        "if": {"type": "string"},
        "then": {
            "anyOf": [{"enum": bare}, {"pattern": BLOCK_NAME}],
            "title": "layer",
            "x-names": True,
        },
        "else": {
            "title": "layer",
            "type": "object",
            "minProperties": 1,
            "additionalProperties": False,
            "properties": {
                **{name: entry.schema() for name, entry in COMPONENTS.items()},
                **siblings,
            },
            "patternProperties": {
                BLOCK_CALL: {
                    "type": ["object", "null"],
                    "x-call": True,
                    "errorMessage": "must be a mapping of the block's parameters",
                }
            },
            "x-names": True,
            "errorMessage": "must be a layer's name, or a mapping with that one key",
        },
    }


def _block() -> JsonSchema:
    return _object(
        "block",
        {
            "params": {
                "type": ["object", "null"],
                "errorMessage": "must be a mapping of names to defaults, such as {units: 64}, "
                "or {units: } where there is none",
            },
            "body": {"$ref": "#/$defs/layers"},
        },
        required=["body"],
    )


@cache
def netspec_schema() -> JsonSchema:
    """The schema of `schemas/netspec.schema.json`, JSON Schema draft 2020-12."""
    properties = {
        "netspec": {
            "const": 1,
            "description": "language version",
            "errorMessage": "must be 1, the language's version",
        },
        "name": {
            "type": "string",
            "pattern": NAME,
            "description": "default: the file's stem",
            "errorMessage": "must be letters, digits, '_', '.' and '-', the first no sign",
        },
        "description": {"type": "string", "errorMessage": "must be a string"},
        "vars": {
            "type": ["object", "null"],
            "description": "values used below as $name",
            "errorMessage": "must be a mapping of names to values",
        },
        "input": schema_of(sections.WHAT_COMES_IN),
        "blocks": {
            "type": ["object", "null"],
            "additionalProperties": {"$ref": "#/$defs/block"},
            "errorMessage": "must be a mapping of names to blocks",
        },
        "model": {"$ref": "#/$defs/layers"},
        "init": {
            "type": "array",
            "items": _init(
                required=["match"],
                minProperties=2,
                title="init rule",
                properties={"match": schema_of(sections.PATTERN)},
            ),
            "errorMessage": "must be a list of rules",
        },
        "expect": sections.EXPECT.schema(),
        "data": sections.DATA.schema(),
        "train": sections.TRAIN.schema(),
        "export": sections.EXPORT.schema(),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "description": "A neural network, its data, training and export, in one YAML file.",
        **_object("the spec", properties, required=["netspec", "input", "model"]),
        "errorMessage": "must be a mapping with `netspec: 1`",
        "$defs": {
            "layers": {
                "type": "array",
                "items": {"$ref": "#/$defs/layer"},
                "errorMessage": "must be a list of layers",
            },
            "branches": {
                "type": "array",
                "minItems": 1,
                "items": {"$ref": "#/$defs/layers"},
                "errorMessage": "must be a list of lists of layers",
            },
            "layer": _layer(),
            "block": _block(),
            **{kind.kind: kind.definition() for kind in (*sections.KINDS, *attention.NESTED)},
        },
    }


def schema_text() -> str:
    return json.dumps(netspec_schema(), indent=2, ensure_ascii=False) + "\n"
