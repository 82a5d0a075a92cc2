"""What is exported is what was trained, or the export says where it is not."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

import netspec as package
from netspec.runtime import Session
from tests.cli.conftest import Done

Run = Callable[..., Done]

SPEC = """\
netspec: 1
name: net
input: [4]
model:
  - Linear: {out_features: 6}
  - ReLU
  - Linear: {out_features: 3}
data: {source: {Synthetic: {samples: 40, classes: 3}}, split: {test: 0.25}}
train: {epochs: 1, loss: CrossEntropyLoss, optimizer: {SGD: {lr: 0.1}}, metrics: [accuracy]}
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("trained")
    (folder / "net.yaml").write_text(SPEC)
    package.train(package.load(folder / "net.yaml"), device="cpu", root=folder / "runs")
    return folder


@pytest.fixture
def run(trained: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(trained)
    (trained / "net.yaml").write_text(SPEC)
    (found,) = Path("runs/net").iterdir()
    return found


REFUSED = {
    "an activation": ("- ReLU", "- GELU", "model.1 is ReLU and GELU"),
    "a hidden layer": ("- ReLU", "- ReLU\n  - ReLU", "model.2"),
    "a width": ("out_features: 6", "out_features: 7", "model.0.Linear.out_features is 6 and 7"),
}


@pytest.mark.parametrize("edit", REFUSED)
def test_a_spec_of_another_network_than_its_newest_run_is_refused(
    netspec: Run, run: Path, edit: str
) -> None:
    old, new, words = REFUSED[edit]
    Path("net.yaml").write_text(SPEC.replace(old, new))
    done = netspec("export", "--onnx", "net.yaml", "-o", "refused.onnx")
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("net.yaml: error[run]: the newest finished run, runs/net/")
    assert words in done.err
    assert "`netspec train net.yaml`" in done.err
    assert f"`netspec export --onnx {run}`" in done.err
    assert not Path("refused.onnx").exists()


def test_an_equal_name_in_another_folder_is_refused_alike(netspec: Run, run: Path) -> None:
    Path("other").mkdir(exist_ok=True)
    Path("other/net.yaml").write_text(SPEC.replace("ReLU", "Tanh"))
    done = netspec("export", "--onnx", "other/net.yaml")
    assert done.status == 1
    assert "other/net.yaml: error[run]" in done.err and "model.1 is ReLU and Tanh" in done.err


def test_the_specs_own_export_section_is_followed(netspec: Run, run: Path) -> None:
    setting = "export.onnx.output=softmax"
    done = netspec("export", "--onnx", "net.yaml", "-o", "soft.onnx", "--set", setting)
    assert (done.status, done.err) == (0, "")
    metadata = Session("soft.onnx").metadata
    assert metadata.output.activation == "softmax"
    assert "softmax" in metadata.spec

    done = netspec("export", "--onnx", "net.yaml", "-o", "plain.onnx")
    assert (done.status, done.err) == (0, "")
    assert Session("plain.onnx").metadata.output.activation == "none"


def test_the_export_section_may_be_gone(netspec: Run, run: Path) -> None:
    with_section = package.load("net.yaml", {"export.onnx.output": "softmax", "name": "soft"})
    package.train(with_section, device="cpu")
    done = netspec("export", "--onnx", "net.yaml", "--set", "name=soft", "-o", "gone.onnx")
    assert (done.status, done.err) == (0, "")
    metadata = Session("gone.onnx").metadata
    assert metadata.output.activation == "none"
    assert "softmax" not in metadata.spec


def test_an_export_section_that_does_not_fit_is_found_in_the_spec(netspec: Run, run: Path) -> None:
    text = SPEC.replace("out_features: 3}", "out_features: 3}\n  - Softmax: {dim: -1}")
    Path("ends.yaml").write_text(text.replace("CrossEntropyLoss", "NLLLoss"))
    done = netspec(
        "export", "--onnx", "--untrained", "ends.yaml", "--set", "export.onnx.output=softmax"
    )
    assert (done.status, done.out) == (1, "")
    assert "error[export]" in done.err


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("lr: 0.1", "lr: 0.2", "train.optimizer.SGD.lr is 0.1 and 0.2"),
        ("epochs: 1", "epochs: 3", "train.epochs is 1 and 3"),
        ("test: 0.25", "test: 0.5", "data.split.test is 0.25 and 0.5"),
    ],
)
def test_any_other_edit_is_said(netspec: Run, run: Path, old: str, new: str, words: str) -> None:
    Path("net.yaml").write_text(SPEC.replace(old, new))
    done = netspec("export", "--onnx", "net.yaml", "-o", "edited.onnx")
    assert done.status == 0
    assert done.err.startswith(f"net.yaml: warning[run]: was trained by {run} with other settings")
    assert words in done.err
    assert new not in Session("edited.onnx").metadata.spec  # it says what was trained


def test_a_file_of_weights_knows_its_network(netspec: Run, run: Path) -> None:
    weights = run / "weights.safetensors"
    Path("other.yaml").write_text(SPEC.replace("ReLU", "Tanh"))
    done = netspec("export", "--onnx", "other.yaml", "--weights", weights, "-o", "other.onnx")
    assert (done.status, done.out) == (1, "")
    assert (
        f"{weights}: error[run]: holds the weights of another network than other.yaml" in done.err
    )
    assert not Path("other.onnx").exists()

    save_file(load_file(weights), "foreign.safetensors")  # says nothing of its network
    done = netspec(
        "export", "--onnx", "other.yaml", "--weights", "foreign.safetensors", "-o", "other.onnx"
    )
    assert (done.status, done.err) == (0, "")

    save_file(load_file(weights), "odd.safetensors", {"netspec": "[]"})
    done = netspec("export", "--onnx", "net.yaml", "--weights", "odd.safetensors")
    assert done.status == 1
    assert "odd.safetensors: error[run]: does not say which network" in done.err


def test_a_runs_edited_spec_is_refused(netspec: Run, run: Path) -> None:
    kept = (run / "spec.yaml").read_text()
    (run / "spec.yaml").write_text(kept.replace("ReLU", "Tanh"))
    try:
        for verb in (["export", "--onnx", run], ["evaluate", run, "--device", "cpu"]):
            done = netspec(*verb)
            assert (done.status, done.out) == (1, "")
            assert "error[run]" in done.err
    finally:
        (run / "spec.yaml").write_text(kept)


def test_a_runs_weights_may_be_given(run: Path, netspec: Run) -> None:
    source = package.Run.open(run)
    zeros = {name: torch.zeros_like(tensor) for name, tensor in source.weights().items()}
    package.export_onnx(source, "zeros.onnx", weights=zeros)
    assert not package.Session("zeros.onnx").run(np.ones((2, 4), np.float32)).any()


def test_class_names_stay_with_the_run(netspec: Run, run: Path) -> None:
    source = package.Run.open(run)
    source.summarize(classes=["a", "b", "c"])
    done = netspec(
        "export", "--onnx", run, "--weights", run / "weights.safetensors", "-o", "named.onnx"
    )
    assert (done.status, done.err) == (0, "")
    assert Session("named.onnx").metadata.classes == ("a", "b", "c")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")
def test_a_pipe_is_no_file_of_weights(netspec: Run, run: Path) -> None:
    os.mkfifo("pipe.safetensors")
    done = netspec("export", "--onnx", "net.yaml", "--weights", "pipe.safetensors")
    assert done.status == 1
    assert done.err.startswith("pipe.safetensors: error[run]: this is no file")


def test_evaluate_prints_json_whatever_was_measured(netspec: Run, run: Path) -> None:
    """Weights that overflow give a loss that JSON has no number for."""
    folder = shutil.copytree(run, "runs/huge/one")
    huge = package.Run.open(Path(folder))
    huge.write_weights({k: torch.full_like(v, 1e30) for k, v in huge.weights().items()})
    done = netspec("evaluate", folder, "--json", "--device", "cpu")
    assert done.status == 0
    found = json.loads(done.out, parse_constant=lambda word: pytest.fail(word))
    assert found["loss"] is None


def test_what_cannot_be_exported_is_said_before_anything_is_built(tmp_path: Path) -> None:
    """Its weights, of 40 GB, are never made."""
    spec = package.loads("netspec: 1\ninput: [100000]\nmodel: [Linear: {out_features: 100000}]\n")
    with pytest.raises(package.SpecError, match="one ONNX file holds at most"):
        package.export_onnx(spec, tmp_path / "large.onnx")
