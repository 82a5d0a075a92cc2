"""What a saved state has to look like before a run goes on from it."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer


class Misfit(Exception):
    """A state that is not this training's: where, and what is there."""


def check(found: Any, wanted: Any, name: str) -> None:
    """Raises Misfit where `found` has not the form of `wanted`: the keys, the lengths, the kinds of
    values, the shapes of tensors. Where None is wanted, a number does too."""
    match wanted:
        case dict():
            if not isinstance(found, dict) or found.keys() != wanted.keys():
                raise Misfit(f"{name} has {_said(found)} instead of {_said(wanted)}")
            for key, each in wanted.items():
                check(found[key], each, f"{name}.{key}")
        case list() | tuple():
            if not isinstance(found, list | tuple) or len(found) != len(wanted):
                raise Misfit(f"{name} is {_said(found)}")
            for index, (one, other) in enumerate(zip(found, wanted, strict=True)):
                check(one, other, f"{name}.{index}")
        case Tensor():
            same = isinstance(found, Tensor) and (found.shape, found.dtype) == (
                wanted.shape,
                wanted.dtype,
            )
            if not same:
                raise Misfit(f"{name} is {_said(found)} instead of {_said(wanted)}")
        case bool() | str():
            if type(found) is not type(wanted):
                raise Misfit(f"{name} is {_said(found)}")
        case int() | float() | None:
            kinds = int | float if wanted is not None else int | float | None
            # A count stays one; what is measured begins as a whole number too, here and there.
            if not isinstance(found, kinds) or isinstance(found, bool):
                raise Misfit(f"{name} is {_said(found)}")


def check_optimizer(found: Any, optimizer: Optimizer) -> None:
    """Raises Misfit where this optimizer never has such a state."""
    stepped = _stepped(optimizer).state_dict()
    if not isinstance(found, dict) or found.keys() != stepped.keys():
        raise Misfit(f"optimizer is {_said(found)}")
    check(found["param_groups"], stepped["param_groups"], "optimizer.param_groups")
    # A parameter that has had no gradient has no state.
    if not isinstance(found["state"], dict) or not found["state"].keys() <= stepped["state"].keys():
        raise Misfit(f"optimizer.state has {_said(found['state'])}")
    for index, each in found["state"].items():
        check(each, stepped["state"][index], f"optimizer.state.{index}")


def _stepped(optimizer: Optimizer) -> Optimizer:
    """A copy after one step with gradients of zero: the form of its state, whatever its class."""
    made = copy.deepcopy(optimizer)
    for group in made.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    made.step()
    return made


def _said(value: Any) -> str:
    match value:
        case Tensor():
            return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
        case dict():
            return "the keys " + (", ".join(map(str, value)) or "of nothing")
        case list() | tuple():
            return f"a list of {len(value)}"
    return repr(value)[:80]
