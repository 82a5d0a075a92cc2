"""Embedded vectors prove a file, or show that it is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from netspec.diagnostics import InputError
from netspec.runtime import Session
from netspec.runtime.metadata import Tolerance, Vector
from netspec.runtime.verification import Verification, agree, distance, verify
from tests.runtime import models


def proved(path: Path, **changes: object) -> Verification:
    return verify(Session(models.image_model(path, **changes)))


def test_verify(tmp_path: Path) -> None:
    vectors = models.vectors(3, models.expected, 2, 4, 5, 3)
    found = proved(tmp_path / "m.onnx", vectors=vectors)
    assert found.ok
    assert found.vectors == 3
    assert found.difference < 1e-5
    assert found.providers == ("CPUExecutionProvider",)
    assert json.loads(json.dumps(found.as_json(), allow_nan=False))["ok"] is True


def test_a_difference_is_found(tmp_path: Path) -> None:
    vectors = models.vectors(2, lambda batch: models.expected(batch) + 0.5, 1, 4, 5, 3)
    found = proved(tmp_path / "m.onnx", vectors=vectors)
    assert not found.ok
    assert found.difference == pytest.approx(0.5, abs=1e-4)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number(tmp_path: Path, value: float) -> None:
    vectors = models.vectors(1, lambda batch: models.expected(batch) * 0 + value, 1, 4, 5, 3)
    found = proved(tmp_path / "m.onnx", vectors=vectors)
    assert not found.ok
    assert found.difference == np.inf
    assert found.as_json()["difference"] is None


def test_outputs_without_a_number_agree_with_themselves(tmp_path: Path) -> None:
    batch = np.array([[-1.0, 0.0, 4.0]], np.float32)
    with np.errstate(all="ignore"):
        vector = Vector(batch, np.sqrt(batch))
    path = models.values_model(tmp_path / "m.onnx", "Sqrt", vectors=(vector,))
    found = verify(Session(path))
    assert found.ok
    assert found.difference == 0


def test_shapes_differ(tmp_path: Path) -> None:
    vectors = models.vectors(1, lambda batch: models.expected(batch)[:, :2], 1, 4, 5, 3)
    assert not proved(tmp_path / "m.onnx", vectors=vectors).ok


def test_vectors_that_prove_nothing(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no test vectors"):
        proved(tmp_path / "m.onnx")
    wrong = models.vectors(1, models.expected, 1, 5, 5, 3)
    with pytest.raises(InputError, match=r"\[1, 5, 5, 3\]"):
        proved(tmp_path / "m.onnx", vectors=wrong)


def test_agreement() -> None:
    tolerance = Tolerance(0.1, 0.01)
    a = np.array([100.0, np.nan, np.inf, -np.inf], np.float16)
    assert agree(a, a, tolerance)
    assert distance(a, a) == 0
    assert agree(a * np.float16(1.0625), a, tolerance)
    assert not agree(a * np.float16(1.25), a, tolerance)
    assert distance(-a, a) == np.inf
    assert distance(np.zeros((0, 3)), np.zeros((0, 3))) == 0
