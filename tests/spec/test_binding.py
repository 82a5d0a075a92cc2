"""An expression may stand for a value: what comes of it is judged as if it were written there."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from netspec.catalogue import sections
from netspec.diagnostics import Diagnostic
from netspec.planning import check
from netspec.spec.document import Route
from netspec.spec.loading import interpret
from netspec.spec.model import Spec
from netspec.spec.reading import parse
from netspec.spec.schema import SIBLINGS
from netspec.spec.writing import resolved

IMAGES: Any = {
    "netspec": 1,
    "name": "whole",
    "description": "every section and every sibling",
    "input": {"shape": [1, 8, 8], "dtype": "float32"},
    "blocks": {
        "dense": {
            "params": {"units": 4, "bias": True},
            "body": [{"Linear": {"out_features": 3, "bias": False}}],
        }
    },
    "model": [
        {
            "Conv2d": {"out_channels": 2, "kernel_size": [3, 3], "padding": "same"},
            "name": "conv",
            "expect": {"output": [2, 8, 8], "parameters": 20},
            "freeze": {"until": 3},
            "init": {"weight": {"normal_": {"std": 0.5}}, "bias": "zeros_"},
            "when": True,
        },
        {"ReLU": {"inplace": False}, "expect": [2, 8, 8]},
        {
            "Residual": {
                "body": [{"Conv2d": {"out_channels": 2, "kernel_size": 1}, "freeze": ["bias"]}],
                "shortcut": [{"Identity": None}],
            }
        },
        {"Parallel": {"branches": [["ReLU"], []], "merge": "cat", "dim": 1}},
        {"Repeat": {"times": 2, "index": "i", "body": [{"ELU": {"alpha": 0.5}}]}},
        {"Sequential": ["Flatten"], "freeze": True},
        {"dense": {"units": 5, "bias": True}, "name": "head"},
    ],
    "init": [
        {"match": "Linear", "weight": "xavier_uniform_"}, {"match": ["Conv2d"], "bias": "ones_"},
    ],
    "expect": {"output": [3], "parameters": 794},
    "data": {
        "source": {"ImageFolder": {"root": "somewhere"}},
        "target": None,
        "split": {
            "validation": 0.2, "test": 0.1, "shuffle": False,
            "stratify": False, "group": None, "seed": 3,
        },
        "augment": [{"RandomResizedCrop": {"size": 8}}, "RandomHorizontalFlip"],
        "evaluate": [{"Resize": {"size": 9}}, {"CenterCrop": {"size": [8, 8]}}],
        "preprocess": [{"Normalize": {"mean": [0.5], "std": [0.5]}}],
        "cache": "memory",
        "workers": 1,
        "on_error": "skip",
    },
    "train": {
        "epochs": 2,
        "batch_size": 5,
        "seed": 1,
        "shuffle": True,
        "loss": {"CrossEntropyLoss": {"label_smoothing": 0.1, "weight": [1, 2, 3]}},
        "optimizer": {"SGD": {"lr": 0.1, "momentum": 0.5}},
        "scheduler": {
            "SequentialLR": {
                "schedulers": [{"LinearLR": {"total_iters": 1}}, "CosineAnnealingLR"],
                "milestones": [1],
            },
            "interval": "step",
        },
        "metrics": ["accuracy", {"top_k": {"k": 2}}],
        "clip_grad_norm": 1.0,
        "checkpoint": {"monitor": "validation_loss"},
    },
    "export": {
        "onnx": {"precision": "float32", "opset": 18, "output": "softmax", "preprocess": True},
    },
}  # fmt: skip
TOKENS: Any = {
    "netspec": 1,
    "input": [6, 4],
    "model": [
        {
            "TransformerEncoder": {
                "encoder_layer": {"TransformerEncoderLayer": {"nhead": 2, "dim_feedforward": 8}},
                "num_layers": 2,
                "norm": {"LayerNorm": {"eps": 0.1}},
            }
        },
        "Flatten",
    ],
    "data": {"source": {"Synthetic": {"samples": 20, "targets": [24]}}},
    "train": {"steps": 3, "loss": "MSELoss", "optimizer": {"Adam": {"lr": 0.1}}},
}
WHOLE = {"images": IMAGES, "tokens": TOKENS}
VALUES: list[Any] = [3, 2.5, True, "x", "$$x", [1, 2], {"a": 1}, None]
WRITTEN_OUT = "write it out"


def outcome(data: Any) -> tuple[Spec | None, list[Diagnostic]]:
    text = json.dumps(data)
    spec, findings = interpret(parse(text, "whole.yaml"), Path())
    plan = check(spec, findings) if spec is not None else None
    assert plan is not None or findings.errors, "passed over"
    return (None if findings.errors else spec), findings.errors


def places(value: Any, route: Route = ()) -> Iterator[Route]:
    """The route of every value in a spec but the spec itself."""
    if route:
        yield route
    keys = value if isinstance(value, dict) else range(len(value) if isinstance(value, list) else 0)
    for key in keys:
        yield from places(value[key], (*route, key))


def at(data: Any, route: Route) -> Any:
    for step in route:
        data = data[step]
    return data


def put(data: Any, route: Route, value: Any, **beside: Any) -> Any:
    found = {**copy.deepcopy(data), **beside}
    at(found, route[:-1])[route[-1]] = value
    return found


CASES = [
    pytest.param(data, route, id=f"{name}-{'.'.join(map(str, route))}")
    for name, data in WHOLE.items()
    for route in places(data)
]


def test_the_specs_fill_every_key_of_every_section() -> None:
    assert [outcome(data)[1] for data in WHOLE.values()] == [[], []]
    steps = {step for data in WHOLE.values() for route in places(data) for step in route}
    for component in (
        sections.INPUT, sections.EXPECT, sections.UNTIL, sections.SPLIT, sections.DATA,
        sections.CHECKPOINT, sections.TRAIN, sections.ONNX, sections.EXPORT,
    ):  # fmt: skip
        assert {param.name for param in component.params} <= steps
    assert set(SIBLINGS) <= steps


@pytest.mark.parametrize(("data", "route"), CASES)
def test_an_expression_is_judged_as_what_it_stands_for(data: Any, route: Route) -> None:
    """In every place, for every kind of value and for the very value of that place: the same spec
    as with the value written there, or a finding; a value that fits is refused only where it has
    to be written out."""
    for value in [*VALUES, at(data, route)]:
        found, findings = outcome(put(data, route, "$v", vars={"v": value}))
        wanted, _ = outcome(put(data, route, value))
        if route == ("description",):
            assert found is not None
            assert found.description == "$v"
        elif found is not None:
            assert wanted is not None, f"{value} is refused where it is written"
            assert resolved(found) == resolved(wanted)
        elif wanted is not None:
            assert len(findings) == 1, findings
            assert WRITTEN_OUT in (findings[0].remedy or ""), findings
