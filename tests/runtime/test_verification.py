"""Embedded vectors prove a file, or show that it is wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netspec.diagnostics import InputError
from netspec.runtime import Session
from netspec.runtime.metadata import Tolerance
from netspec.runtime.prediction import sigmoid, softmax
from netspec.runtime.verification import APART, Verification, compare, scale, verify
from tests.runtime import models

TOLERANCE = Tolerance(rtol=0.1, atol=0.01)


def proved(path: Path, **changes: Any) -> Verification:
    return verify(Session(models.image_model(path, **changes)))


def test_verify(tmp_path: Path) -> None:
    vectors = models.vectors(3, models.expected, 2, 4, 5, 3)
    found = proved(tmp_path / "m.onnx", vectors=vectors)
    assert found.ok
    assert found.vectors == 3
    assert found.distance.difference < 1e-5
    assert found.distance.share < 1
    assert found.providers == ("CPUExecutionProvider",)
    assert json.loads(json.dumps(found.as_json(), allow_nan=False))["ok"] is True


def test_a_difference_is_found(tmp_path: Path) -> None:
    vectors = models.vectors(2, lambda batch: models.expected(batch) + 0.5, 1, 4, 5, 3)
    found = proved(tmp_path / "m.onnx", vectors=vectors)
    assert not found.ok
    assert found.distance.difference == pytest.approx(0.5, abs=1e-4)


def test_outputs_that_are_not_finite_are_never_right(tmp_path: Path) -> None:
    """Both sides give the same NaN at the same place: the root of a negative number."""
    vector = models.vector(lambda batch: np.sqrt(np.abs(batch)), (2, 50), "float32")
    path = models.values_model(tmp_path / "m.onnx", "Sqrt", (50,), vectors=(vector,))
    found = verify(Session(path))
    assert not found.ok
    assert found.distance == APART
    assert found.as_json()["difference"] is None


def test_shapes_differ(tmp_path: Path) -> None:
    vectors = models.vectors(1, lambda batch: models.expected(batch)[:, :2], 1, 4, 5, 3)
    assert not proved(tmp_path / "m.onnx", vectors=vectors).ok
    (vector,) = models.vectors(1, models.expected, 1, 4, 5, 3)
    assert not proved(tmp_path / "m.onnx", vectors=(replace(vector, output=(1, 3, 1)),)).ok


def test_vectors_that_prove_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no test vectors"):
        proved(tmp_path / "m.onnx")
    wrong = models.vectors(1, models.expected, 1, 5, 5, 3)
    with pytest.raises(InputError, match=r"\[1, 5, 5, 3\]"):
        proved(tmp_path / "m.onnx", vectors=wrong)


def test_values_are_held_against_their_scale_and_size() -> None:
    a = np.array([100.0, -1.0, 0.0])
    assert compare(a, a, 1.0, "none", TOLERANCE) == (0, 0)
    near = a + np.array([10, 0.1, 0.005])
    assert compare(near, a, 1.0, "none", TOLERANCE).share == pytest.approx(10 / 10.01, rel=1e-3)
    assert not compare(near + 0.1, a, 1.0, "none", TOLERANCE).ok
    assert not compare(near, a, 0.4, "none", TOLERANCE).ok
    assert not compare(near * 1.01, a, 1.0, "none", TOLERANCE).ok
    empty = np.zeros((0, 3))
    assert compare(empty, empty, 1.0, "none", TOLERANCE).ok


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_on_one_side_or_on_both(value: float) -> None:
    a, b = np.array([1.0, 2.0]), np.array([1.0, value])
    for found, wanted in ((a, b), (b, a), (b, b)):
        assert compare(found, wanted, 1.0, "none", TOLERANCE) == APART
    assert compare(a, a[:1], 1.0, "none", TOLERANCE) == APART


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_probabilities_are_held_as_their_logits_are(activation: str) -> None:
    draw = np.random.default_rng(0)
    logits = draw.normal(size=(2000, 2)) * 4
    of = softmax if activation == "softmax" else sigmoid
    wanted = of(logits)
    tolerance = Tolerance(rtol=0, atol=1e-2)
    near, far = (of(logits + draw.normal(size=logits.shape) * each) for each in (1e-3, 3e-2))
    assert compare(near, wanted, 1.0, activation, tolerance).ok  # type: ignore[arg-type]
    assert not compare(far, wanted, 1.0, activation, tolerance).ok  # type: ignore[arg-type]
    assert np.abs(far - wanted).max() < 3e-2


def test_scale_is_of_the_samples_among_themselves() -> None:
    draw = np.random.default_rng(0)
    apart = draw.normal(size=(500, 40))
    assert scale(apart * 1e-6, "none") == pytest.approx(1e-6, rel=0.05)
    assert scale(100 * np.arange(40) + apart, "none") == pytest.approx(np.hypot(1, 2.28), rel=0.05)
    assert scale(sigmoid(apart), "sigmoid") == pytest.approx(1, rel=0.05)
    assert scale(np.full((2, 3), 5.0), "none") == pytest.approx(0.005)
    assert scale(np.full((2, 3), np.nan), "none") == 0
