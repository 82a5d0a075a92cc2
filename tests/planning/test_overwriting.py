"""In-place layers are accepted where torch can still learn, and refused where it cannot."""

from __future__ import annotations

import warnings

import pytest
import torch

import netspec
from netspec.catalogue.component import Refusal
from netspec.catalogue.layers import LAYERS, Layer
from netspec.catalogue.layers.structure import Container
from netspec.compiler import arguments, attribute
from tests.soundness.cases import cases, say

OVERWRITTEN = [
    layer
    for layer in LAYERS.values()
    if layer.output_is != "kept" and not isinstance(layer, Container)
]
RELU = "{ReLU: {inplace: true}}"
LINEAR = "{Linear: {out_features: 4}}"


@pytest.mark.parametrize("layer", OVERWRITTEN, ids=lambda layer: layer.name)
def test_what_may_be_overwritten_is_not_needed_to_learn(layer: Layer, draws: int) -> None:
    for case in cases(layer, draws, "overwritten"):
        said = say(case)
        if isinstance(said, Refusal) or said.output.dtype != "float32":
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = attribute(layer)(**arguments(layer, said.args))
            # `sin` needs its input alone, so that overwriting a view of its output is fine.
            output = module(torch.randn(2, *case.input.shape, requires_grad=True).sin())
            if output.requires_grad:
                torch.relu_(output).sum().backward()


@pytest.mark.parametrize(
    "model",
    [
        f"{LINEAR}, {RELU}, {LINEAR}",
        f"{LINEAR}, LayerNorm, {RELU}",
        f"{LINEAR}, {{Dropout: {{inplace: true}}}}, {RELU}",
        f"{RELU}, {LINEAR}",
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
    assert found.place.text[found.place.column - 1 :].startswith("true")
