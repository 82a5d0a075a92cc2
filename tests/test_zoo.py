"""The networks of `specs/zoo` are the published ones, and do what their plans say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import netspec
from benchmarks import zoo
from netspec.planning import Plan
from netspec.shapes import at

# torchvision's `num_params`; PyTorch's tutorials on DCGAN and speech commands (M5); Mixer-S/16 is
# timm's `mixer_s16_224`.
PUBLISHED = {
    "alexnet": 61_100_840,
    "vgg16": 138_357_544,
    "resnet18": 11_689_512,
    "resnet50": 25_557_032,
    "efficientnet_b0": 5_288_548,
    "vit_b_16": 86_567_656,
    "swin_t": 28_288_354,
    "audio_m5": 26_915,
    "dcgan": 3_576_704,
    "mixer": 18_528_264,
}
OTHERS = sorted({*zoo.names()} - {*zoo.REFERENCES})
SHALLOW = {"mixer": {"vars.layers": 2, "expect": {"output": [1000]}}}


def plan(name: str, settings: dict[str, Any] | None = None) -> Plan:
    return netspec.plan(netspec.load(zoo.ZOO / f"{name}.yaml", settings))


def predicted(plan: Plan, shape: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """Each module's output for a sample of this shape, by the plan."""
    values = {}
    for dim, size in zip(plan.input.shape, shape, strict=True):
        if not isinstance(dim, int):
            (each,) = dim.names
            values[each] = size // dim.at({each: 1})
    return {
        node.name: tuple(at(dim, values) for dim in node.output.shape) for node in plan.root.walk()
    }


def seen(model: nn.Module, names: set[str], images: Tensor) -> dict[str, tuple[int, ...]]:
    """Each named module's output as torch gives it."""
    found: dict[str, tuple[int, ...]] = {}
    hooks = [
        model.get_submodule(name).register_forward_hook(
            lambda module, args, output, name=name: found.update({name: tuple(output.shape[1:])})
        )
        for name in names
    ]
    with torch.inference_mode():
        model(images)
    for hook in hooks:
        hook.remove()
    return found


def test_the_zoo_is_whole() -> None:
    assert {*zoo.names()} == {*PUBLISHED, "char_lstm", "unet"}


@pytest.mark.parametrize("name", zoo.names())
def test_the_plan_counts_what_was_published(name: str) -> None:
    made = plan(name)
    if made.root.opaque:
        assert name == "swin_t"
    else:
        assert made.parameters == PUBLISHED.get(name, made.parameters)
    assert made.spec.expect is not None
    assert made.spec.expect.parameters == PUBLISHED.get(name, made.parameters)


@pytest.mark.parametrize("name", zoo.REFERENCES)
def test_torchvisions_weights_give_torchvisions_outputs(name: str) -> None:
    row = zoo.measure(name)
    assert row.parameters == row.reference == PUBLISHED[name]
    assert row.output == row.plan.output.shape
    assert row.difference == 0  # bit for bit


@pytest.mark.parametrize("name", [name for name in zoo.names() if name != "swin_t"])
def test_every_module_has_the_shape_and_parameters_of_the_plan(name: str) -> None:
    made = plan(name)
    with torch.device("meta"):  # shapes alone
        model = netspec.build(made.spec).eval()
    for larger in (0, 5, 6) if made.least else (0,):
        images = zoo.sample(made, larger)
        wanted = predicted(made, tuple(images.shape[1:]))
        assert seen(model, {*wanted}, images.to("meta")) == wanted
    assert zoo.count(model) == made.parameters


@pytest.mark.parametrize("name", OTHERS)
def test_exports_agree_with_torch(name: str, tmp_path: Path) -> None:
    made = plan(name, SHALLOW.get(name))
    model = netspec.build(made.spec).eval()
    zoo.liven(model)
    if name == "char_lstm" and torch.__version__ < "2.13":  # it fixes the length of a recurrence
        with pytest.raises(
            netspec.SpecError, match=r"LSTM: torch .* cannot export it to ONNX over "
        ):
            netspec.export_onnx(made.spec, tmp_path / "zoo.onnx")
        return
    export = netspec.export_onnx(made.spec, tmp_path / "zoo.onnx", weights=model.state_dict())
    assert export.difference < 1e-4

    session = netspec.Session(tmp_path / "zoo.onnx")
    for larger in (2, 9) if made.least else (0,):
        images = zoo.sample(made, larger, batch=3)
        with torch.inference_mode():
            wanted = model(images).numpy()
        assert wanted.std() > 1e-3  # not all alike, which would prove nothing
        np.testing.assert_allclose(session.run(images.numpy()), wanted, rtol=1e-3, atol=1e-4)


def test_a_wrong_mapping_shows() -> None:
    theirs, ours = zoo.untrained("resnet18"), netspec.build(plan("resnet18").spec).eval()
    swapped = ((r"\.bn1\.", ".bn0."), (r"\.bn2\.", ".bn1."), (r"\.bn0\.", ".bn2."))
    zoo.copy(theirs, ours, (*zoo.RESNET, *swapped))
    images = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        assert not torch.equal(ours(images), theirs(images))
    with pytest.raises(AssertionError, match="one to one"):
        zoo.copy(theirs, ours, ())
