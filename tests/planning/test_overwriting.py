"""In-place layers are accepted where torch can still learn, and refused where it cannot."""

from __future__ import annotations

import warnings
from typing import Any

import pytest
import torch

import netspec
from netspec.catalogue.component import Refusal
from netspec.catalogue.layers import Layer
from netspec.compiler import arguments, attribute
from tests.soundness.cases import APPLIED, Case, by_name, cases, say

LEARNING = [layer for layer in APPLIED if layer.dtypes != ("int64",)]
# Torch's CPU could do without the output of these, its GPU libraries can't.
KEPT_ON_GPU = ("RNN", "GRU", "GRUCell")
RELU = "{ReLU: {inplace: true}}"
LINEAR = "{Linear: {out_features: 4}}"


def learns_overwritten(case: Case, args: dict[str, Any]) -> bool:
    """Whether torch can train the layer where a later one writes over its output."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        module = attribute(case.layer)(**arguments(case.layer, args))
        # `sin` needs its input alone, so that overwriting a view of its output is fine.
        shape: list[Any] = [2, *case.input.shape]
        output = module(torch.randn(shape, requires_grad=True).sin())
        if not output.requires_grad:
            return True
        try:
            torch.relu_(output).sum().backward()
        except RuntimeError as error:
            assert "modified by an inplace operation" in str(error)
            return False
    return True


@pytest.mark.parametrize("layer", LEARNING, ids=by_name)
def test_an_output_is_kept_where_torch_needs_it_to_learn(layer: Layer, draws: int) -> None:
    needed = set()
    for case in cases(layer, max(draws, 20), "overwritten"):
        said = say(case)
        if isinstance(said, Refusal) or case.input.dtype != "float32":
            continue
        kept = layer.output_is == "kept" or (
            layer.output_is == "kept in place" and bool(said.args["inplace"])
        )
        learns = learns_overwritten(case, said.args)
        assert kept or learns, case
        if kept:
            needed.add(not learns)
    assert layer.name in KEPT_ON_GPU or not needed or True in needed


@pytest.mark.parametrize(
    "model",
    [
        f"{LINEAR}, {RELU}, {LINEAR}",
        f"{LINEAR}, LayerNorm, {RELU}",
        f"{LINEAR}, {{Dropout: {{inplace: true}}}}, {RELU}",
        f"{RELU}, {LINEAR}",
        f"{LINEAR}, {{Hardswish: {{inplace: true}}}}, {{Dropout: {{inplace: true}}}}, {LINEAR}",
        f"{LINEAR}, ELU, {RELU}",
        f"{LINEAR}, {{Residual: {{body: [{LINEAR}, {RELU}]}}}}, {RELU}",
        f"{{Sequential: [{LINEAR}]}}, {{Sequential: [{RELU}]}}",
    ],
)
def test_an_accepted_net_learns(model: str) -> None:
    module = netspec.build(netspec.loads(f"netspec: 1\ninput: [4]\nmodel: [{model}]\n"))

    module(torch.randn(2, 4)).sum().backward()


@pytest.mark.parametrize(
    "model",
    [
        f"{LINEAR}, Sigmoid, {RELU}",
        f"{LINEAR}, {{ELU: {{inplace: true}}}}, {RELU}",
        f"{LINEAR}, ReLU, {{Dropout: {{inplace: true}}}}",
        f"{LINEAR}, {RELU}, {{Sequential: [{{Dropout: {{inplace: true}}}}]}}",
        f"{LINEAR}, Tanh, Flatten, {RELU}",
        f"{LINEAR}, {{Residual: {{body: [{RELU}, {LINEAR}]}}}}",
        f"{LINEAR}, {{Parallel: {{branches: [[{RELU}], [{LINEAR}]]}}}}",
    ],
)
def test_a_refused_one_names_the_parameter(model: str) -> None:
    with pytest.raises(netspec.SpecError) as refused:
        netspec.plan(netspec.loads(f"netspec: 1\ninput: [4]\nmodel: [{model}]\n"))

    (found,) = refused.value.diagnostics
    assert "in place" in found.message
    assert found.place.text is not None and found.place.column is not None
    assert found.place.text[found.place.column - 1 :].startswith("true")
