"""What the network learns is held against what the data turn out to hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netspec.catalogue.sources import Classes
from netspec.data.loading import load
from netspec.diagnostics import SpecError
from netspec.planning import Plan, make_plan
from netspec.spec.loading import loads

OWN = """\
netspec: 1
input: [1, 8, 8]
model: [Flatten, {Linear: {out_features: 64}}, {Reshape: {shape: [1, 8, 8]}}]
data: {source: Digits, target: input, preprocess: PREPROCESS}
train: {epochs: 1, loss: LOSS, optimizer: SGD}
"""
NORMALIZE = "[Normalize: {mean: [0.5], std: [0.5]}]"
TENSORS = """\
netspec: 1
input: [3]
model: [Linear: {out_features: OUT}]
data:
  source: {Tensors: {path: PATH}}
  target: TARGET
train: {epochs: 1, loss: LOSS, optimizer: SGD}
"""


def own(loss: str, preprocess: str = "[]") -> Plan:
    return make_plan(loads(OWN.replace("LOSS", loss).replace("PREPROCESS", preprocess)))


def tensors(
    folder: Path, targets: Any, *, out: int, target: str, loss: str, inputs: Any = None
) -> Plan:
    path = folder / "data.npz"
    inputs = np.random.default_rng(0).normal(size=(len(targets), 3)) if inputs is None else inputs
    np.savez(path, inputs=inputs, targets=np.asarray(targets))
    text = TENSORS.replace("OUT", str(out)).replace("PATH", str(path))
    return make_plan(loads(text.replace("TARGET", target).replace("LOSS", loss)))


def finding(plan: Plan) -> str:
    with pytest.raises(SpecError) as caught:
        load(plan)
    (found,) = caught.value.diagnostics
    return f"{found.place.line}: {found.code}: {found.message}"


@pytest.mark.parametrize("loss", ["MSELoss", "L1Loss", "BCEWithLogitsLoss"])
def test_images_are_their_own_targets(loss: str) -> None:
    assert load(own(loss)).target == Classes(10, tuple("0123456789"))


def test_images_that_the_loss_does_not_take_are_refused() -> None:
    assert finding(own("BCEWithLogitsLoss", NORMALIZE)) == (
        "5: train: the train part has targets from -1 to 1, but BCEWithLogitsLoss takes them "
        "between 0 and 1"
    )
    load(own("MSELoss", NORMALIZE))


def test_arrays_are_their_own_targets_whatever_their_labels(tmp_path: Path) -> None:
    labels = [3, 1, 4, 1, 5, 900]
    load(tensors(tmp_path, labels, out=3, target="input", loss="MSELoss"))
    said = finding(tensors(tmp_path, labels, out=3, target="input", loss="BCEWithLogitsLoss"))
    assert said.startswith("7: train: the train part has targets from -")
    inputs = np.eye(3)[[0, 1, 2, 0, 1, 2]]
    load(tensors(tmp_path, labels, out=3, target="input", loss="BCEWithLogitsLoss", inputs=inputs))


def test_classes_of_an_array_become_floats(tmp_path: Path) -> None:
    labels = np.array([0, 1, 2, 3, 1, 0])
    for loss in ("MSELoss", "BCEWithLogitsLoss", "HingeEmbeddingLoss"):
        found = load(tensors(tmp_path, labels, out=4, target="one_hot", loss=loss))
        assert found.target == Classes(4)
        assert found.parts["train"].labels.tolist() == labels.tolist()
    assert finding(tensors(tmp_path, labels, out=5, target="one_hot", loss="MSELoss")) == (
        "7: train: the output is [5], but the targets are [4], and the loss would broadcast them"
    )


def test_floats_of_an_array_are_no_classes(tmp_path: Path) -> None:
    plan = tensors(tmp_path, np.linspace(0, 1, 6), out=4, target="one_hot", loss="MSELoss")
    assert finding(plan) == "6: data: the targets are floats, and one_hot makes them of classes"


def test_labels_of_no_class_are_refused_before_they_become_floats(tmp_path: Path) -> None:
    plan = tensors(tmp_path, [0, 1, -100], out=2, target="one_hot", loss="MSELoss")
    assert "labels from -100 to 1, but classes count from 0 to 1" in finding(plan)
