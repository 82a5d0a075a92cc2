"""What torch itself says: the real class, built and run on the CPU."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from netspec.compiler import arguments, attribute
from netspec.shapes import Tensor
from tests.soundness.cases import Case

# Parameters, in float32 1 GiB: more of them is a refusal too, lest a test take the machine down.
MOST = 2**28


@dataclass(frozen=True)
class Ran:
    output: Tensor
    weights: dict[str, tuple[int, ...]]


def run(case: Case, args: dict[str, Any]) -> Ran | Exception:
    """Build it, run it in training on a batch of two, backward too, and in evaluation on one and
    two."""
    kind, made = attribute(case.layer), arguments(case.layer, args)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of much that is fine
        try:
            with torch.device("meta"):
                heavy = sum(each.numel() for each in kind(**made).parameters())
            if heavy > MOST:
                return MemoryError(f"{heavy} parameters")
            module = kind(**made)
            found = {
                _output(module.train(), case, 2),
                _output(module.eval(), case, 2),
                _output(module.eval(), case, 1),
            }
        except Exception as error:  # whatever torch raises is its refusal
            return error
    assert len(found) == 1, f"{case}: the batch changes the output {found}"
    weights = {name: tuple(value.shape) for name, value in module.named_parameters()}
    return Ran(found.pop(), weights)


def multiply_accumulates(case: Case, args: dict[str, Any]) -> int:
    """Those of one sample, counted by torch in a forward pass."""
    with warnings.catch_warnings(), FlopCounterMode(display=False) as counter, torch.no_grad():
        warnings.simplefilter("ignore")
        # Fused recurrences go uncounted, and before torch 2.13 fused attention too.
        with torch.backends.mkldnn.flags(enabled=False), sdpa_kernel(SDPBackend.MATH):
            attribute(case.layer)(**arguments(case.layer, args))(_batch(case, 2))
    return int(counter.get_total_flops()) // 4  # two operations each, two samples


def _output(module: nn.Module, case: Case, batch: int) -> Tensor:
    x = _batch(case, batch)
    if module.training and case.input.dtype == "float32":
        x = x.requires_grad_().clone()  # a copy, as layers may work in place
    output = module(x)
    if output.requires_grad and module.training:
        output.sum().backward()
    assert output.shape[0] == batch, f"{case}: the batch of {batch} became {output.shape[0]}"
    return Tensor(tuple(output.shape[1:]), str(output.dtype).removeprefix("torch."))


def _batch(case: Case, batch: int) -> torch.Tensor:
    shape: list[Any] = [batch, *case.input.shape]
    if case.input.dtype == "int64":
        return torch.randint(0, case.args.get("num_embeddings", 5), shape)
    return torch.randn(shape)
