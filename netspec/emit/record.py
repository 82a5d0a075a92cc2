"""`Plan` → JSON: every layer with its parameters resolved, its shapes and its counts."""

from __future__ import annotations

import json as standard
from typing import Any

from netspec.planning import Node, Plan
from netspec.shapes import Dim, Tensor
from netspec.spec.model import Named
from netspec.version import VERSION

Plain = dict[str, Any]


def json(plan: Plan) -> str:
    """The plan for other programs; a dimension is a number, or text where it has names.

    provisional: torch alone knows the counts of it or of something in it, which count as 0.
    """
    data = {
        "netspec": VERSION,
        "name": plan.name,
        "description": plan.spec.description,
        "digest": plan.digest,
        "seed": plan.spec.seed,
        "input": _tensor(plan.input),
        "output": _tensor(plan.output),
        "least": dict(plan.least),
        "parameters": plan.parameters,
        "macs": _dim(plan.root.macs),
        "provisional": plan.root.opaque,
        "layers": [_node(child) for child in plan.root.children],
        "init": [
            {"parameter": each.key, **_named(each.initializer)} for each in plan.initialization
        ],
        "freeze": [
            {"layer": each.module, "parameters": each.parameters, "until": each.until}
            for each in plan.freezing
        ],
        "preprocessing": plan.pipeline.canonical() if plan.pipeline else None,
    }
    return standard.dumps(data, indent=2, ensure_ascii=False) + "\n"


def _node(node: Node) -> Plain:
    data: Plain = {
        "name": node.name,
        "type": node.type,
        "args": dict(node.args),
        "input": _tensor(node.input),
        "output": _tensor(node.output),
        "weights": {name: list(shape) for name, shape in node.weights.items()},
        "parameters": node.parameters,
        "macs": _dim(node.macs),
        "provisional": node.opaque,
    }
    return data | {"layers": [_node(child) for child in node.children]}


def _named(named: Named) -> Plain:
    return {"type": named.type, "args": dict(named.args)}


def _tensor(tensor: Tensor) -> Plain:
    return {"shape": [_dim(dim) for dim in tensor.shape], "dtype": tensor.dtype}


def _dim(dim: Dim) -> int | str:
    return dim if isinstance(dim, int) else str(dim)
