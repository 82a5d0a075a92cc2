"""Targets that are made of a batch."""

from __future__ import annotations

import pytest
import torch

from netspec.data.targets import learned
from netspec.planning import make_plan
from netspec.spec.loading import loads

SPEC = """\
netspec: 1
input: [3]
model: [Linear: {out_features: 3}]
data:
  source: {Synthetic: {samples: 9, classes: 3}}
  target: TARGET
train: {epochs: 1, loss: LOSS, optimizer: SGD}
"""
LABELS, INPUTS = torch.tensor([2, 0]), torch.rand(2, 3)


def made(target: str, loss: str) -> torch.Tensor:
    plan = make_plan(loads(SPEC.replace("TARGET", target).replace("LOSS", loss)))
    return learned(plan, LABELS, lambda: INPUTS)


@pytest.mark.parametrize(
    ("loss", "no"), [("MSELoss", 0), ("BCEWithLogitsLoss", 0), ("HingeEmbeddingLoss", -1)]
)
def test_one_hot(loss: str, no: int) -> None:
    found = made("one_hot", loss)
    assert found.tolist() == [[no, no, 1], [1, no, no]]
    assert found.dtype == torch.float32


def test_its_input_or_the_source_s_own() -> None:
    assert made("input", "MSELoss") is INPUTS
    assert made("null", "CrossEntropyLoss") is LABELS
