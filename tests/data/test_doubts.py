"""Warnings about data that are legal and probably not meant."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from netspec.data.dataset import Dataset
from netspec.data.loading import load
from netspec.planning import make_plan
from netspec.spec.loading import loads

SPEC = """\
netspec: 1
input: [SIZE]
model: [Linear: {out_features: 4}]
data:
  source: {Tensors: {path: PATH}}
  split: {test: 0.25}
train: {epochs: 1, loss: LOSS, optimizer: SGD}
"""
DRAW = np.random.default_rng(0)


def loaded(folder: Path, inputs: Any, targets: Any, loss: str = "CrossEntropyLoss") -> Dataset:
    np.savez(folder / "data.npz", inputs=inputs, targets=targets)
    text = SPEC.replace("SIZE", str(inputs.shape[1])).replace("PATH", str(folder / "data.npz"))
    return load(make_plan(loads(text.replace("LOSS", loss))))


def said(*args: Any) -> list[str]:
    """As `LINE: MESSAGE`."""
    return [f"{each.place.line}: {each.message}" for each in loaded(*args).warnings]


def test_samples_that_are_held_out_and_learned_from(tmp_path: Path) -> None:
    inputs, targets = DRAW.normal(size=(40, 16)).astype(np.float32), np.arange(40) % 4
    assert said(tmp_path, inputs, targets) == []

    rows = loaded(tmp_path, inputs, targets).rows
    learned, held_out = int(rows["train"][7]), int(rows["test"][3])
    inputs[held_out] = inputs[learned]
    assert said(tmp_path, inputs, targets) == [
        f"5: 1 of the test part's 10 samples are in the training part too: row {held_out} is row "
        f"{learned}"
    ]


def test_few_numbers_are_equal_by_chance(tmp_path: Path) -> None:
    inputs = DRAW.integers(0, 2, (200, 3)).astype(np.float32)
    assert said(tmp_path, inputs, np.arange(200) % 4) == []


def test_classes_that_no_sample_is_of(tmp_path: Path) -> None:
    inputs = DRAW.normal(size=(40, 16)).astype(np.float32)
    assert said(tmp_path, inputs, np.arange(40) % 2 * 3) == [
        "5: no training sample is of the classes '1', '2'"
    ]


def test_labels_that_the_loss_ignores_are_of_no_class(tmp_path: Path) -> None:
    inputs = DRAW.normal(size=(40, 16)).astype(np.float32)
    loss = "{CrossEntropyLoss: {ignore_index: 2}}"
    assert said(tmp_path, inputs, np.arange(40) % 4, loss) == [
        "5: no training sample is of the class '2'"
    ]
