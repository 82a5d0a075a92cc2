"""Outputs become names, probabilities or values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from netspec.diagnostics import InputError
from netspec.runtime import Session
from netspec.runtime.metadata import Output
from netspec.runtime.prediction import interpret, predictions, sigmoid, softmax
from netspec.runtime.samples import One
from tests.runtime import models


def said(scores: npt.ArrayLike, task: str, activation: str = "none", **changes: Any) -> Any:
    output = np.asarray(scores, np.float32)
    account = models.account(
        output=Output(activation, task, output.shape),  # type: ignore[arg-type]
        **changes,
    )
    return interpret(account, "x", output, 5)


def test_files_to_predictions(tmp_path: Path) -> None:
    session = Session(models.image_model(tmp_path / "m.onnx"))
    folder = tmp_path / "in"
    folder.mkdir()
    batch = models.pixels(3, 4, 5, 3)
    for index, sample in enumerate(batch):
        Image.fromarray(sample).save(folder / f"{index}.png")
    np.save(tmp_path / "rows.npy", batch[:2])
    np.save(tmp_path / "row.npy", batch[0])
    inputs: list[One] = [folder, tmp_path / "rows.npy", str(tmp_path / "row.npy")]
    found = list(predictions(session, inputs, top=2))
    rows = str(tmp_path / "rows.npy")
    assert [each.label for each in found] == [
        *(str(folder / f"{n}.png") for n in range(3)),
        f"{rows}[0]",
        f"{rows}[1]",
        str(tmp_path / "row.npy"),
    ]
    wanted = np.exp(models.expected(batch))
    wanted /= wanted.sum(axis=1, keepdims=True)
    for index, each in enumerate(found):
        row = wanted[[0, 1, 2, 0, 1, 0][index]]
        assert each.top is not None
        assert [name for name, _ in each.top] == [models.NAMES[i] for i in np.argsort(-row)[:2]]
        np.testing.assert_allclose([p for _, p in each.top], np.sort(row)[::-1][:2], atol=1e-5)
    plain = json.loads(json.dumps(found[0].as_json(), allow_nan=False))
    assert plain["input"] == found[0].label
    assert plain["top"][0].keys() == {"class", "probability"}


def test_missing_paths_are_told_at_once(tmp_path: Path) -> None:
    session = Session(models.image_model(tmp_path / "m.onnx"))
    with pytest.raises(InputError, match="no such file"):
        predictions(session, [tmp_path / "missing.png"])
    with pytest.raises(InputError, match="no images"):
        (tmp_path / "empty").mkdir()
        predictions(session, tmp_path / "empty")


def test_classes() -> None:
    found = dict(said([0.0, 1.0, 2.0], "classes").top)
    assert list(found) == ["right", "left", "blank"]
    assert list(found.values()) == pytest.approx([0.66524, 0.24473, 0.09003], rel=1e-3)
    done = said([0.1, 0.7, 0.2], "classes", "softmax")
    assert done.top[0] == ("left", pytest.approx(0.7))
    unnamed = said([0.0, 3.0], "classes", classes=None)
    assert [name for name, _ in unnamed.top] == ["1", "0"]


def test_classes_at_each_place() -> None:
    scores = np.random.default_rng(0).normal(size=(3, 2, 4))
    found = said(scores, "classes")
    np.testing.assert_array_equal(found.values, scores.argmax(axis=0))
    assert json.loads(json.dumps(found.as_json()))["values"] == scores.argmax(axis=0).tolist()


def test_binary() -> None:
    two = said([2.0], "binary", classes=("no", "yes"))
    assert two.top == (("yes", pytest.approx(0.880797)), ("no", pytest.approx(0.119203)))
    done = said([0.25], "binary", "sigmoid", classes=("no", "yes"))
    assert done.top == (("no", 0.75), ("yes", 0.25))
    several = said([-1.0, 0.0, 5.0], "binary")
    assert [name for name, _ in several.top] == ["right", "left", "blank"]
    np.testing.assert_allclose(
        said([0.0, 1.0], "binary", classes=None).values, [0.5, 0.731059], 1e-5
    )
    mask = said(np.zeros((1, 2, 2)), "binary", classes=("no", "yes"))
    np.testing.assert_array_equal(mask.values, np.full((1, 2, 2), 0.5))


def test_values_are_as_they_are() -> None:
    found = said([[1.5, np.nan], [np.inf, -2.0]], "values", classes=None)
    assert found.as_json() == {"input": "x", "values": [[1.5, None], [None, -2.0]]}


def test_extreme_scores() -> None:
    with np.errstate(over="raise", divide="raise"):
        np.testing.assert_array_equal(softmax(np.array([1e30, 0.0])), [1, 0])
        np.testing.assert_allclose(softmax(np.array([-1000.0, -1000.0])), [0.5, 0.5])
    with np.errstate(over="raise", invalid="raise"):
        np.testing.assert_array_equal(sigmoid(np.array([-1e4, 0.0, 1e4])), [0, 0.5, 1])
    broken = said([np.nan, np.inf, 0.0], "classes")
    assert json.dumps(broken.as_json(), allow_nan=False)


def collected(session: Session, inputs: object) -> tuple[list[str], list[str]]:
    """The labels that were answered, and those that were refused."""
    refused: list[str] = []
    found = predictions(
        session,
        inputs,  # type: ignore[arg-type]
        refuse=lambda error: refused.extend(each.place.file for each in error.diagnostics),
    )
    return [each.label for each in found], refused


def test_a_wrong_input_leaves_the_others_their_answers(tmp_path: Path) -> None:
    session = Session(models.image_model(tmp_path / "m.onnx"))
    folder = tmp_path / "in"
    folder.mkdir()
    for index in range(150):  # more than two batches
        Image.fromarray(models.pixels(4, 5, 3, seed=index)).save(folder / f"{index:03}.png")
    whole = (folder / "070.png").read_bytes()
    (folder / "070.png").write_bytes(whole[: len(whole) // 2])
    Image.fromarray(models.pixels(9, 9, 3)).save(folder / "100.png")  # of another size
    answered, refused = collected(session, [tmp_path / "missing.png", folder, np.zeros((4, 5, 3))])
    assert refused == [
        str(tmp_path / "missing.png"),
        str(folder / "070.png"),
        str(folder / "100.png"),
        "input[2]",
    ]
    assert answered == [
        str(folder / f"{index:03}.png") for index in range(150) if index not in (70, 100)
    ]
    with pytest.raises(InputError, match=r"070\.png: error\[input\]: the image is damaged"):
        session.predict(folder)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_an_input_that_is_not_finite_is_refused_by_name(value: float, tmp_path: Path) -> None:
    session = Session(models.values_model(tmp_path / "m.onnx"))
    rows = np.ones((3, 3), np.float32)
    rows[1, 2] = value
    assert collected(session, rows) == (["input[0]", "input[2]"], ["input[1]"])
    with pytest.raises(InputError, match=r"input\[1\]: .*1 of its 3 values are not finite"):
        session.predict(rows)


def test_an_output_that_is_not_finite_is_refused_by_name(tmp_path: Path) -> None:
    session = Session(models.values_model(tmp_path / "m.onnx", "Sqrt"))
    rows = np.ones((3, 3), np.float32)
    rows[1, 2] = -1
    assert collected(session, rows) == (["input[0]", "input[2]"], ["input[1]"])
    with pytest.raises(InputError, match=r"input\[1\]: .*the model's output for it is not finite"):
        session.predict(rows)


def test_what_onnxruntime_cannot_run_is_refused_alone(tmp_path: Path) -> None:
    """Token ids beyond the table, among others that it has."""
    path = models.lookup_model(tmp_path / "m.onnx", rows=5)
    tokens = np.array([[0, 1], [4, 5], [4, 4]])
    assert collected(Session(path), tokens) == (["input[0]", "input[2]"], ["input[1]"])
    with pytest.raises(InputError, match=r"input\[1\]: .*onnxruntime can't run the model"):
        Session(path).predict(tokens)
