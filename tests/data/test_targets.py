"""Targets that are made of the source's, and nets that learn them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

import netspec
from netspec.data.batches import Batches
from netspec.data.loading import load
from netspec.data.targets import one_hot
from netspec.planning import make_plan
from netspec.spec.loading import loads

SPEC = """\
netspec: 1
input: [3]
model: [Linear: {out_features: 3}]
data:
  source: {Synthetic: {samples: 9, classes: 3}}
  target: one_hot
train: {epochs: 1, loss: LOSS, optimizer: SGD}
"""
AUTOENCODER = """\
netspec: 1
name: auto
input: [1, 8, 8]
model:
  - Flatten
  - Linear: {out_features: 16}
  - ReLU
  - Linear: {out_features: 64}
  - Reshape: {shape: [1, 8, 8]}
data:
  source: Digits
  target: input
  split: {validation: 0.2}
  augment: [RandomErasing: {p: 1.0, scale: [0.1, 0.2]}]
  preprocess: [Normalize: {mean: [0.3], std: [0.4]}]
train: {epochs: 3, loss: MSELoss, optimizer: {Adam: {lr: 0.01}}, metrics: [mse]}
"""
CLASSES = """\
netspec: 1
name: hot
input: [1, 8, 8]
model: [Flatten, Linear: {out_features: 10}]
data: {source: Digits, target: one_hot, split: {validation: 0.2}}
train: {epochs: 4, loss: LOSS, optimizer: {Adam: {lr: 0.02}}, metrics: [accuracy, top_k]}
"""


@pytest.mark.parametrize(
    ("loss", "no"), [("MSELoss", 0), ("BCEWithLogitsLoss", 0), ("HingeEmbeddingLoss", -1)]
)
def test_one_hot(loss: str, no: int) -> None:
    found = one_hot(make_plan(loads(SPEC.replace("LOSS", loss))), torch.tensor([2, 0]))
    assert found.tolist() == [[no, no, 1], [1, no, no]]
    assert found.dtype == torch.float32


@pytest.mark.parametrize("training", [True, False])
def test_a_sample_is_its_own_target_before_augmentation(training: bool) -> None:
    plan = make_plan(loads(AUTOENCODER))
    part = load(plan).parts["train"]
    batches = Batches(plan, part, torch.device("cpu"), batch_size=50, training=training)
    batch = next(batches.epoch(0))
    assert isinstance(part.inputs, torch.Tensor)
    torch.testing.assert_close(batch.targets, (part.inputs[:50] / 255 - 0.3) / 0.4)
    assert torch.equal(batch.inputs, batch.targets) is not training


def test_an_autoencoder_trains_and_its_file_gives_the_same_figures(tmp_path: Path) -> None:
    run = netspec.train(loads(AUTOENCODER), device="cpu", root=tmp_path)
    losses = [row["validation_loss"] for row in run.metrics]
    assert losses[-1] < 0.8 * losses[0]
    assert losses == pytest.approx([row["validation_mse"] for row in run.metrics])
    file = netspec.export_onnx(run, tmp_path / "auto.onnx")
    for part in ("validation", "test"):
        by_run = netspec.evaluate(run, part=part, device="cpu").measures
        by_file = netspec.evaluate(file.path, part=part).measures
        assert by_file["mse"] == pytest.approx(by_run["mse"], rel=1e-4)


@pytest.mark.parametrize("loss", ["MSELoss", "BCEWithLogitsLoss", "SoftMarginLoss"])
def test_floats_of_classes_are_learned_and_judged_as_classes(loss: str, tmp_path: Path) -> None:
    run = netspec.train(loads(CLASSES.replace("LOSS", loss)), device="cpu", root=tmp_path)
    assert run.metrics[-1]["validation_accuracy"] > 0.8
    assert run.metrics[-1]["validation_top_k"] > 0.95
    file = netspec.export_onnx(run, tmp_path / "hot.onnx")
    by_run = netspec.evaluate(run, device="cpu").measures
    assert netspec.evaluate(file.path).measures["accuracy"] == pytest.approx(by_run["accuracy"])
