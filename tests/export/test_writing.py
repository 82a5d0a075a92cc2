"""A file is kept only where onnxruntime says what torch says."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import netspec
from netspec import compiler
from netspec.data.loading import load
from netspec.diagnostics import InputError, SetupError, SpecError
from netspec.export import writing
from netspec.export.evaluation import evaluate
from netspec.export.writing import Export
from netspec.runtime.verification import verify
from netspec.spec.loading import loads

HEAD = "netspec: 1\ninput: {input}\nmodel: [{layers}]\n"


def spec(
    layers: str = "Linear: {out_features: 2}", input: str = "[3]", onnx: str = ""
) -> netspec.Spec:
    text = HEAD.format(input=input, layers=layers)
    return loads(text + (f"export: {{onnx: {{{onnx}}}}}\n" if onnx else ""))


# Says nothing of training, so nothing of what to measure.
DATA = "data: {source: {Synthetic: {samples: 4, targets: 2}}}\n"


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory) -> tuple[netspec.Spec, Export]:
    made = loads(HEAD.format(input="[3]", layers="Linear: {out_features: 2}") + DATA)
    return made, netspec.export_onnx(made, tmp_path_factory.mktemp("a") / "deep" / "a.onnx")


def test_what_was_written_is_said(linear: tuple[netspec.Spec, Export]) -> None:
    _, found = linear
    assert found.bytes == found.path.stat().st_size
    assert found.batches == (1, 2, 7)
    assert found.difference < 1e-5
    assert [each.name for each in found.path.parent.iterdir()] == ["a.onnx"]


def test_two_exports_are_byte_for_byte_the_same(
    linear: tuple[netspec.Spec, Export], tmp_path: Path
) -> None:
    spec, first = linear
    again = netspec.export_onnx(spec, tmp_path / "b.onnx")
    assert first.path.read_bytes() == again.path.read_bytes()


@pytest.mark.parametrize("opset", [18, 23])
def test_opset(opset: int, tmp_path: Path) -> None:
    netspec.export_onnx(spec(onnx=f"opset: {opset}"), tmp_path / "a.onnx")
    found = onnx.load(tmp_path / "a.onnx")
    assert {each.domain: each.version for each in found.opset_import}[""] == opset


def test_what_cannot_be_exported_is_said_of_the_layer_before_anything_is_tried(
    tmp_path: Path,
) -> None:
    made = loads(
        "netspec: 1\ninput: [3, 4]\nmodel:\n  - ReLU\n  - LSTM: {hidden_size: 3, proj_size: 1}\n"
    )
    with pytest.raises(SpecError, match="LSTM: proj_size cannot be exported") as caught:
        netspec.export_onnx(made, tmp_path / "new.onnx")
    assert caught.value.diagnostics[0].place.line == 5
    assert list(tmp_path.iterdir()) == []


class InDoubles(nn.Module):
    """onnxruntime has no convolution of doubles."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        weight = torch.ones(2, 2, 1, 1, dtype=torch.float64)
        return nn.functional.conv2d(x.double(), weight).float()


# A module that is not the plan's stands for what the check doesn't foresee.
WRONG = {
    "other values": (nn.AvgPool2d(2, divisor_override=3), "onnxruntime differs from torch by"),
    "a graph that cannot be run": (InDoubles(), "onnxruntime .* can't load the model"),
    "a layer that cannot be exported": (nn.FractionalMaxPool2d(2, 1), "cannot export this network"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_network_that_onnx_gets_wrong_leaves_no_file(case: str, tmp_path: Path) -> None:
    module, words = WRONG[case]
    made, model = netspec.plan(spec("ReLU", "[2, 6, 6]")), nn.Sequential(module)
    with pytest.raises(SpecError, match=words) as caught:
        writing.write(made, model, tmp_path / "new.onnx")
    assert str(tmp_path) not in str(caught.value)
    assert list(tmp_path.iterdir()) == []

    (tmp_path / "old.onnx").write_text("what was there")
    with pytest.raises(SpecError):
        writing.write(made, model, tmp_path / "old.onnx")
    assert (tmp_path / "old.onnx").read_text() == "what was there"
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    "layers",
    [
        # Nothing but what rounding leaves of a mean that is zero.
        "Linear: {out_features: 6}, LayerNorm, Parallel: {branches: [[], [Mean: {dim: 1, "
        "keepdim: true}]], merge: mul}",
        # Gates that are all but shut.
        "Linear: {out_features: 6}, GLU",
    ],
)
def test_outputs_close_to_nothing_are_exported(layers: str, tmp_path: Path) -> None:
    made = netspec.plan(loads(HEAD.format(input="[3]", layers=layers)))
    model = compiler.build(made)
    first = model[0]
    assert isinstance(first, nn.Linear)
    with torch.no_grad():
        first.weight /= 1000
        first.bias[3:] = -15
    assert writing.write(made, model, tmp_path / "a.onnx").path.exists()


# What rounding leaves of a mean that is zero decides what ReLU lets pass, and is normalized then:
# in some batches torch leaves nothing where onnxruntime does.
NOISE = (
    "Parallel: {branches: [[], [], [Mean: {dim: 1, keepdim: true}]], merge: mul}, ReLU, LayerNorm"
)


@pytest.mark.parametrize(
    ("size", "first"), [(17, ""), (6, "Softshrink, "), (5, "RMSNorm, "), (9, "")]
)
def test_outputs_that_are_rounding_alone_are_exported_with_a_warning(
    size: int, first: str, tmp_path: Path
) -> None:
    made = spec(f"{first}GroupNorm: {{num_groups: 1}}, {NOISE}", f"[{size}]")
    (found,) = netspec.export_onnx(made, tmp_path / "a.onnx").warnings
    assert (found.severity, found.code) == ("warning", "export")
    assert "float32 itself loses a tenth or more" in found.message
    assert verify(netspec.Session(tmp_path / "a.onnx")).ok


def test_outputs_that_float32_can_say_are_exported_without(tmp_path: Path) -> None:
    made = spec("Linear: {out_features: 4}, GroupNorm: {num_groups: 1}", "[6]")
    assert netspec.export_onnx(made, tmp_path / "a.onnx").warnings == ()


def test_a_first_layer_that_works_in_place_is_exported_as_it_is(tmp_path: Path) -> None:
    """What it overwrites is a copy: the sample goes on to onnxruntime, and into the file."""
    done = netspec.export_onnx(spec("CELU: {inplace: true}"), tmp_path / "a.onnx")
    assert done.difference < 1e-6
    assert verify(netspec.Session(tmp_path / "a.onnx")).distance.difference < 1e-6


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SetupError, match="cannot be written"):
        netspec.export_onnx(spec(), tmp_path / "file" / "a.onnx")


def test_a_pipe_is_refused_before_anything_is_exported(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(SetupError, match="is a pipe, a device or a folder"):
        netspec.export_onnx(spec(), tmp_path / "pipe")
    assert (tmp_path / "pipe").is_fifo()


# Size


def test_what_no_file_can_hold_is_refused_by_the_plan(tmp_path: Path) -> None:
    made = netspec.plan(spec("Linear: {out_features: 50000}", "[20000]"))
    with pytest.raises(SpecError, match=r"its weights take 4,000,200,000 bytes, and one ONNX file"):
        writing.write(made, nn.Sequential(), tmp_path / "a.onnx")
    with pytest.raises(SpecError, match=r"take 4,000,200,000 bytes"):
        netspec.plan(spec("Linear: {out_features: 50000}", "[20000]", "opset: 20"))


def test_what_the_plan_does_not_count_is_refused_before_the_export(tmp_path: Path) -> None:
    with torch.device("meta"):
        model = nn.Sequential(nn.BatchNorm1d(1 << 30, affine=False))
    with pytest.raises(SpecError, match="its weights take 8,589,934,600 bytes"):
        writing.write(netspec.plan(spec()), model, tmp_path / "a.onnx")


@pytest.mark.parametrize(
    ("layers", "input"),
    [
        ("AdaptiveAvgPool2d: {output_size: 1}", "[3, 768, 768]"),
        ("Conv2d: {out_channels: 21, kernel_size: 1}", "[3, 384, 384]"),
    ],
)
def test_large_inputs_and_outputs_make_no_large_file(
    layers: str, input: str, tmp_path: Path
) -> None:
    done = netspec.export_onnx(spec(layers, input), tmp_path / "a.onnx")
    assert done.bytes < 60_000
    assert verify(netspec.Session(done.path)).ok


# Values that are not finite


def test_weights_that_are_not_finite_are_named(tmp_path: Path) -> None:
    weights = {"0.weight": torch.ones(2, 3), "0.bias": torch.tensor([0, torch.nan])}
    with pytest.raises(SpecError, match=r"weights hold values that are not finite: 0\.bias$"):
        netspec.export_onnx(spec(), tmp_path / "a.onnx", weights=weights)
    assert list(tmp_path.iterdir()) == []


def test_outputs_that_are_not_finite_are_no_proof(tmp_path: Path) -> None:
    weights = {"0.weight": torch.full((2, 3), 3e38), "0.bias": torch.zeros(2)}
    with pytest.raises(SpecError, match="the network's output is not finite"):
        netspec.export_onnx(spec(), tmp_path / "a.onnx", weights=weights)
    assert list(tmp_path.iterdir()) == []


# Weights


def test_weights_of_a_file(tmp_path: Path) -> None:
    weights = {"0.weight": torch.ones(2, 3), "0.bias": torch.zeros(2)}
    save_file(weights, tmp_path / "w.safetensors")
    path = tmp_path / "a.onnx"
    netspec.export_onnx(spec(), path, weights=tmp_path / "w.safetensors")
    batch = np.array([[1, 2, 3]], np.float32)
    assert netspec.Session(path).run(batch).tolist() == [[6, 6]]


def test_weights_of_another_network_are_refused(tmp_path: Path) -> None:
    save_file({"0.weight": torch.ones(2, 4)}, tmp_path / "w.safetensors")
    with pytest.raises(InputError) as caught:
        netspec.export_onnx(spec(), tmp_path / "a.onnx", weights=tmp_path / "w.safetensors")
    assert str(caught.value) == (
        f"{tmp_path / 'w.safetensors'}: error[run]: holds another network's weights: "
        "0.weight is [2, 4] there and [2, 3] in the spec"
    )
    (tmp_path / "w.safetensors").write_text("no weights")
    with pytest.raises(InputError, match=r"is no \.safetensors file"):
        netspec.export_onnx(spec(), tmp_path / "a.onnx", weights=tmp_path / "w.safetensors")


def test_the_model_is_left_in_training_mode(tmp_path: Path) -> None:
    made = spec("Linear: {out_features: 2}, Dropout: {p: 0.5}")
    model = netspec.build(made)
    writing.write(netspec.plan(made), model, tmp_path / "a.onnx")
    assert model.training and model[1].training


# Inputs beside images of one size


def test_token_ids_and_named_sizes(tmp_path: Path) -> None:
    layers = "Embedding: {num_embeddings: 9, embedding_dim: 3}, Mean: {dim: 1}"
    netspec.export_onnx(spec(layers, "{shape: [T], dtype: int64}"), tmp_path / "a.onnx")
    session = netspec.Session(tmp_path / "a.onnx")
    assert {vector.below for vector in session.metadata.vectors} == {9}
    for length in (1, 4, 9):
        assert session.run(np.full((2, length), 8, np.int64)).shape == (2, 3)


def test_images_without_the_preprocessing_are_what_the_network_takes(tmp_path: Path) -> None:
    text = (
        HEAD.format(input="[1, 8, 8]", layers="Flatten, Linear: {out_features: 10}")
        + "data: {source: Digits, preprocess: [Normalize: {mean: [0.3], std: [0.4]}]}\n"
        + "train: {epochs: 1, loss: CrossEntropyLoss, optimizer: SGD}\n"
        + "export: {onnx: {preprocess: false}}\n"
    )
    made = loads(text)
    netspec.export_onnx(made, tmp_path / "a.onnx")
    session = netspec.Session(tmp_path / "a.onnx")
    assert session.metadata.input.kind == "tensor"
    batch = torch.randn(2, 1, 8, 8)
    with torch.inference_mode():
        wanted = netspec.build(made)(batch).numpy()
    np.testing.assert_allclose(session.run(batch.numpy()), wanted, rtol=1e-4, atol=1e-5)

    plan = netspec.plan(made)
    measures = evaluate(plan, session, load(plan), "test")
    assert measures.keys() == {"accuracy"}  # by default, for classes


def test_a_file_of_another_network_is_not_evaluated(linear: tuple[netspec.Spec, Export]) -> None:
    text = HEAD.format(input="[3]", layers="Linear: {out_features: 5}")
    plan = netspec.plan(loads(text + DATA))
    with pytest.raises(InputError, match="the file holds another network than the spec"):
        evaluate(plan, netspec.Session(linear[1].path), load(plan), "train")


def test_where_nothing_says_what_to_measure(linear: tuple[netspec.Spec, Export]) -> None:
    plan = netspec.plan(linear[0])
    with pytest.raises(InputError, match="names nothing to measure"):
        evaluate(plan, netspec.Session(linear[1].path), load(plan), "train")
