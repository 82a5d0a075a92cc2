"""Layers that torch alone knows: made, and held against what the plan took on trust."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.error import URLError

import torch
from torch import nn

from netspec.catalogue.layers import LAYERS
from netspec.diagnostics import Code, Diagnostic, SetupError
from netspec.planning import Node, Plan
from netspec.shapes import at, show
from netspec.spec.model import Expect, Spec


def make(
    builder: Callable[..., nn.Module],
    args: dict[str, Any],
    node: Node,
    spec: Spec,
    initialize: bool,
) -> nn.Module:
    """The layer; without `initialize` no weights are fetched, since they are loaded next.

    Raises SpecError for weights or a node that there are not, SetupError where weights cannot be
    fetched.
    """
    assert node.entry is not None
    path = (*node.entry.path, node.type)
    try:
        return builder(**{**args, "weights": args["weights"] if initialize else None})
    except URLError as error:
        found = Diagnostic(
            Code.ENVIRONMENT,
            f"the weights of {args['model']} cannot be fetched: {error.reason}",
            spec.document.place(path),
            "write `weights: null` for an untrained one",
        )
        raise SetupError([found]) from None
    except (ValueError, KeyError) as error:
        raise spec.document.error(Code.VALUE, f"{node.type}: {error}", path) from None


def check(plan: Plan, model: nn.Module) -> None:
    """Run each such layer on zeros, and count. Raises SpecError where an `expect` is wrong."""
    for node in plan.root.walk():
        module = model.get_submodule(node.name)
        expects = [node.entry.expect] if node.entry and node.entry.expect else []
        if not node.name and plan.spec.expect:
            expects.append(plan.spec.expect)
        if LAYERS[node.type].opaque:
            _check_shape(plan, node, module)
        if node.opaque:
            for expect in expects:
                _check_count(plan, expect, module)


def _check_shape(plan: Plan, node: Node, module: nn.Module) -> None:
    assert node.entry is not None and node.entry.expect is not None
    values = {name: max(least, 64) for name, least in plan.least.items()}
    shape = [at(dim, values) for dim in node.input.shape]
    training = module.training
    try:
        with torch.inference_mode():
            found = tuple(module.eval()(torch.zeros(2, *shape)).shape[1:])
    except (RuntimeError, ValueError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        path = (*node.entry.path, node.type)
        message = f"{node.type} does not run on {node.input}: {reason}"
        raise plan.spec.document.error(Code.SHAPE, message, path) from None
    finally:
        module.train(training)
    wanted = tuple(at(dim, values) for dim in node.output.shape)
    if found != wanted:
        message = f"the output is {show(found)}, not the {show(wanted)} expected"
        raise plan.spec.document.error(Code.EXPECT, message, node.entry.expect.path)


def _check_count(plan: Plan, expect: Expect, module: nn.Module) -> None:
    found = sum(parameter.numel() for parameter in module.parameters())
    if expect.parameters not in (None, found):
        message = f"there are {found:,} parameters, not the {expect.parameters:,} expected"
        raise plan.spec.document.error(Code.EXPECT, message, (*expect.path, "parameters"))
