"""Modules read back as specs: the specs that are shipped, and what no spec can say."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
import torchvision
from torch import nn
from torch.nn.utils import parametrizations

import netspec
from netspec import compiler, modules
from netspec.catalogue.layers import LAYERS, Layer
from netspec.diagnostics import Code, InputError, SpecError
from netspec.introspection import from_module
from netspec.planning import make_plan
from netspec.shapes import Expr
from netspec.spec.loading import load, loads
from netspec.spec.writing import resolved, to_yaml
from tests.soundness.cases import APPLIED, by_name, cases
from tests.soundness.nets import plain

SPECS = sorted((Path(__file__).parents[1] / "specs").rglob("*.yaml"))


def layers(module: nn.Sequential, input: list[int | str], **options: Any) -> Any:
    """What the model of the resolved spec says."""
    return resolved(from_module(module, input, **options))["model"]


def refused(module: nn.Module, input: list[int | str]) -> list[tuple[str, str]]:
    """Place, and message with remedy, of each finding."""
    with pytest.raises(InputError) as caught:
        from_module(module, input)  # type: ignore[arg-type]
    assert {found.code for found in caught.value.diagnostics} == {Code.MODEL}
    return [(d.place.file, f"{d.message}; {d.remedy}") for d in caught.value.diagnostics]


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_a_shipped_spec_comes_back(path: Path) -> None:
    made = make_plan(replace(load(path), data=None, train=None, expect=None))
    shape = [dim if isinstance(dim, int) else str(dim) for dim in made.input.shape]
    with torch.device("meta"):
        module = compiler.build(made, initialize=False)
    if any(node.type == "Pretrained" for node in made.root.walk()):
        assert "which the catalogue does not have" in refused(module, shape)[0][1]
        return
    read = from_module(module, shape, dtype=made.input.dtype, name=made.name)
    assert make_plan(read).digest == made.digest


def test_it_reads_as_one_would_write_it() -> None:
    module = nn.Sequential(
        OrderedDict(
            stem=nn.Conv2d(3, 8, (3, 3), padding=1, bias=False),
            norm=nn.BatchNorm2d(8),
            body=nn.Sequential(nn.ReLU(), nn.MaxPool2d(2)),
            flat=nn.Flatten(),
        ),
    )
    module.append(nn.Linear(128, 10))
    assert layers(module, [3, 8, 8]) == [
        {"Conv2d": {"out_channels": 8, "kernel_size": 3, "padding": 1, "bias": False},
         "name": "stem"},
        {"BatchNorm2d": {}, "name": "norm"},
        {"Sequential": ["ReLU", {"MaxPool2d": {"kernel_size": 2}}], "name": "body"},
        {"Flatten": {}, "name": "flat"},
        {"Linear": {"out_features": 10}},
    ]  # fmt: skip


def test_what_would_not_be_inferred_is_written() -> None:
    assert layers(nn.Sequential(nn.Linear(4, 2)), [5, 3, 4]) == [
        {"Linear": {"in_features": 4, "out_features": 2}}
    ]
    assert layers(nn.Sequential(nn.LayerNorm([3, 4]), nn.LayerNorm(4)), [3, 4]) == [
        {"LayerNorm": {"normalized_shape": [3, 4]}},
        "LayerNorm",
    ]


def test_netspec_s_own_containers() -> None:
    branch = nn.Sequential(nn.Linear(4, 4))
    module = nn.Sequential(
        modules.Residual(branch, nn.Sequential()),
        modules.Parallel(nn.Sequential(), nn.Sequential(nn.ReLU()), dim=-1),
    )
    assert layers(module, [4]) == [
        {"Residual": {"body": [{"Linear": {"out_features": 4}}], "shortcut": []}},
        {"Parallel": {"branches": [[], ["ReLU"]], "dim": -1}},
    ]


def test_transformers_of_torch_s_own() -> None:
    inner = nn.TransformerEncoderLayer(8, 2, 16, activation="gelu", batch_first=True)
    module = nn.Sequential(nn.TransformerEncoder(inner, 2, nn.LayerNorm(8)))
    said = {"nhead": 2, "dim_feedforward": 16, "activation": "gelu"}
    assert layers(module, ["T", 8]) == [
        {
            "TransformerEncoder": {
                "encoder_layer": {"TransformerEncoderLayer": said},
                "num_layers": 2,
                "norm": "LayerNorm",
            }
        }
    ]
    late = nn.TransformerEncoderLayer(8, 2)
    with pytest.raises(SpecError, match="batch first"):
        from_module(nn.Sequential(late), [5, 8])


def test_dynamic_and_token_inputs() -> None:
    read = from_module(nn.Sequential(nn.Embedding(10, 4)), ["T"], dtype="int64", name="ids")
    assert resolved(read)["input"] == {"shape": ["T"], "dtype": "int64"}
    assert read.name == "ids"


def test_frozen_parameters_stay_frozen() -> None:
    module = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    module[1].weight.requires_grad = False
    assert layers(module, [2])[1] == {"Linear": {"out_features": 2}, "freeze": ["weight"]}


def test_the_saved_text_gives_the_module_and_takes_its_weights() -> None:
    module = nn.Sequential(nn.Linear(4, 3, bias=False), nn.PReLU(3, init=0.5), nn.Softmax(1))
    again = netspec.build(loads(to_yaml(resolved(netspec.from_module(module, [4])))))
    again.load_state_dict(module.state_dict())
    x = torch.randn(2, 4)
    assert torch.equal(again(x), module(x))
    assert repr(again) == repr(module)


def test_a_layer_without_state_may_be_shared() -> None:
    relu = nn.ReLU()
    assert layers(nn.Sequential(relu, nn.Linear(2, 2), relu), [2])[2] == "ReLU"


class Mine(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


class MyLinear(nn.Linear):
    pass


def hooked() -> nn.Module:
    layer = nn.Linear(2, 2)
    layer.register_forward_hook(lambda *_: None)
    return layer


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (Mine(), "Mine, which the catalogue does not have"),
        (MyLinear(2, 2), "a subclass of Linear that may compute anything; use Linear itself"),
        (nn.LSTM(2, 2), "netspec.modules.LSTM does, with the same arguments"),
        (nn.MultiheadAttention(2, 1), "netspec.modules.MultiheadAttention does"),
        (nn.LazyLinear(2), "run one batch through it first"),
        (parametrizations.weight_norm(nn.Linear(2, 2)), "is parametrised"),
        (hooked(), "has hooks, which a spec cannot say; remove them"),
        (nn.Sequential(hooked()), "has hooks"),
        (nn.MaxPool1d(2, return_indices=True), "has return_indices=True"),
        (modules.Residual(nn.Linear(2, 2), nn.Sequential()), "must be a torch.nn.Sequential"),
        (nn.ELU(torch.tensor(2.0)), "has alpha=tensor(2.); a spec says plain values"),  # type: ignore[arg-type]
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, nn.Module) else None,
)
def test_what_a_spec_cannot_say_is_refused(module: nn.Module, words: str) -> None:
    ((place, message),) = refused(nn.Sequential(nn.ReLU(), module), [2, 2])
    assert place.startswith("module.1")
    assert words in message


def test_the_root_is_a_sequential() -> None:
    assert refused(Mine(), [2])[0][1].startswith("module is a tests.test_introspection.Mine")


def test_tied_parameters_are_refused() -> None:
    linear = nn.Linear(2, 2)
    found = refused(nn.Sequential(linear, nn.ReLU(), nn.Sequential(linear)), [2])
    assert [place for place, _ in found] == ["module.2.0.weight", "module.2.0.bias"]
    assert "is module.0.weight again" in found[0][1]


def test_a_name_that_no_spec_has_is_refused() -> None:
    ((place, message),) = refused(nn.Sequential(OrderedDict([("a-b", nn.ReLU())])), [2])
    assert place == "module.a-b"
    assert "cannot keep its name: 'a-b' is no module name" in message


def test_state_that_its_class_does_not_have_is_refused() -> None:
    linear = nn.Linear(2, 2)
    linear.register_buffer("scale", torch.ones(1))
    ((_, message),) = refused(nn.Sequential(linear), [2])
    assert "module.0.scale is [1], but in the spec it is missing" in message


def test_copies_that_differ_are_refused() -> None:
    stack = nn.TransformerEncoder(nn.TransformerEncoderLayer(4, 2, batch_first=True), 2)
    stack.layers[1].dropout.p = 0.9
    ((place, message),) = refused(nn.Sequential(stack), [3, 4])
    assert place == "module.0.encoder_layer"
    assert "differs from copy to copy" in message


def test_everything_is_reported_at_once() -> None:
    found = refused(nn.Sequential(Mine(), nn.Sequential(MyLinear(2, 2)), hooked()), [2])
    assert [place for place, _ in found] == ["module.0", "module.1.0", "module.2"]


def test_layers_that_do_not_fit_the_input_are_a_spec_s_error() -> None:
    with pytest.raises(SpecError, match="in_features is 3, but the input"):
        from_module(nn.Sequential(nn.Linear(3, 2)), [4])


def test_what_a_layer_keeps_elsewhere_is_a_parameter_of_it() -> None:
    for layer in LAYERS.values():
        assert layer.kept.keys() <= {param.name for param in layer.params}, layer


@pytest.mark.filterwarnings("ignore")  # torch warns of much that is fine
@pytest.mark.parametrize("layer", APPLIED, ids=by_name)
def test_every_layer_comes_back(layer: Layer, draws: int) -> None:
    read = 0
    for case in cases(layer, 1_000, "read back"):
        if read == min(draws, 20):
            break
        data = {
            "netspec": 1,
            "input": {"shape": list(case.input.shape), "dtype": case.input.dtype},
            "model": [{layer.name: plain(case.args)}],
        }
        try:
            made = make_plan(loads(to_yaml(data)))
        except SpecError:
            continue
        shape = [str(dim) if isinstance(dim, Expr) else dim for dim in case.input.shape]
        again = from_module(compiler.build(made), shape, dtype=case.input.dtype)
        assert make_plan(again).digest == made.digest, case
        read += 1
    assert read


def test_the_heads_of_mobilenet_v3() -> None:
    head = torchvision.models.mobilenet_v3_small(weights=None).classifier
    assert layers(head, [576]) == [
        {"Linear": {"out_features": 1024}},
        {"Hardswish": {"inplace": True}},
        {"Dropout": {"p": 0.2, "inplace": True}},
        {"Linear": {"out_features": 1000}},
    ]


@pytest.mark.skipif(
    bool(compiler.lacking(LAYERS["BatchNorm2d"])), reason="this torch's BatchNorm2d has no bias"
)
def test_norms_without_a_bias() -> None:
    with_switch = [nn.BatchNorm2d(4, bias=False), nn.BatchNorm2d(4, affine=False)]
    said = [{"BatchNorm2d": {"bias": False}}, {"BatchNorm2d": {"affine": False}}]
    assert layers(nn.Sequential(*with_switch), [4, 2, 2]) == said
