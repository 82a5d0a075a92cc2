"""What stands in a graph for a layer computes what the layer does."""

from __future__ import annotations

import pytest
import torch

from netspec import compiler, plan
from netspec.catalogue.layers import LAYERS
from netspec.export.rewriting import rewritten
from netspec.spec.loading import loads

CASES = {
    "MaxPool1d": [
        "{kernel_size: 3}",
        "{kernel_size: [4], stride: 2, padding: [1], dilation: 2, ceil_mode: true}",
    ],
    "AdaptiveMaxPool1d": ["{output_size: 1}", "{output_size: [17]}"],
    "AdaptiveMaxPool2d": ["{output_size: 1}", "{output_size: [3, null]}", "{output_size: [2, 4]}"],
    "AdaptiveMaxPool3d": ["{output_size: 1}", "{output_size: [null, 3, 2]}"],
    "GLU": ["{}", "{dim: 1}"],
    "RReLU": ["{}", "{lower: 0.2, upper: 0.4}"],
}
INPUTS = {"GLU": (2, 6), "AdaptiveMaxPool2d": (2, 6, 8), "AdaptiveMaxPool3d": (2, 4, 6, 8)}


def test_every_entry_that_is_exported_as_another_has_cases() -> None:
    assert CASES.keys() == {layer.name for layer in LAYERS.values() if layer.exported_as}


@pytest.mark.parametrize(("name", "args"), [(n, a) for n, each in CASES.items() for a in each])
def test_it_computes_the_same_and_the_layer_is_left_as_it_was(name: str, args: str) -> None:
    shape = INPUTS.get(name, (2, 17))
    text = f"netspec: 1\ninput: {[*shape]}\nmodel: [Sequential: [{name}: {args}]]\n"
    made = plan(loads(text))
    model = compiler.build(made).eval()
    batch = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
    wanted = model(batch)
    (layer,) = (each for each in model.modules() if type(each).__name__ == name)
    with rewritten(model):
        assert "forward" in vars(layer)
        torch.testing.assert_close(model(batch), wanted)
    assert "forward" not in vars(layer)
