"""Every class of torch.nn is a layer or left out with a reason."""

from __future__ import annotations

import inspect

import pytest
from torch import nn

from netspec.catalogue.layers import LAYERS
from netspec.catalogue.layers.left_out import LEFT_OUT

CLASSES = {
    name
    for name, found in inspect.getmembers(nn, inspect.isclass)
    if issubclass(found, nn.Module) and not name.startswith("_")
}


def test_every_class_is_in_or_out(capsys: pytest.CaptureFixture[str]) -> None:
    offered = CLASSES & LAYERS.keys()
    with capsys.disabled():
        print(
            f"\ntorch.nn: {len(CLASSES)} classes, {len(offered)} layers, {len(LEFT_OUT)} left out"
        )

    assert offered | LEFT_OUT.keys() >= CLASSES
    assert not offered & LEFT_OUT.keys()


def test_what_is_left_out_exists() -> None:
    newer_than_the_oldest_torch = {"LinearCrossEntropyLoss"}

    assert LEFT_OUT.keys() - CLASSES <= newer_than_the_oldest_torch
