"""Every shipped spec trains where its data are at hand, exports, and says the same as torch."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
import yaml
from click.testing import CliRunner
from PIL import Image

import netspec
from netspec.cli.evaluate import command as evaluate
from netspec.export.graph import deployed, example, taken
from netspec.runtime.verification import verify
from netspec.spec.loading import loads
from netspec.training.run import load_weights
from netspec.version import VERSION
from tests.export.conftest import SPECS, TRAINED, UNTRAINED, Exported

Export = Callable[[str], Exported]
ROOT = Path(__file__).parents[2]


def test_no_shipped_spec_is_forgotten() -> None:
    assert {path.stem for path in SPECS.glob("*.yaml")} == {*TRAINED, *UNTRAINED}


def torchs(made: Exported, batch: np.ndarray) -> np.ndarray:
    model = netspec.build(made.plan.spec)
    if made.run:
        load_weights(model, made.run.weights(), "the run")
    with torch.inference_mode():
        found: np.ndarray = deployed(made.plan, model)(torch.from_numpy(batch)).numpy()
    return found


@pytest.mark.parametrize("name", [*TRAINED, *UNTRAINED])
def test_the_file_says_what_torch_says_at_any_batch(name: str, exported: Export) -> None:
    made = exported(name)
    for batch in (1, 3, 11):
        sample = example(made.plan, taken(made.plan), batch, seed=batch).numpy()
        found = made.session.run(sample)
        assert found.shape == (batch, *made.plan.output.shape)
        np.testing.assert_allclose(found, torchs(made, sample), rtol=1e-3, atol=1e-4)
    assert verify(made.session).ok


@pytest.mark.parametrize("name", [*TRAINED, *UNTRAINED])
def test_the_file_holds_no_path(name: str, exported: Export) -> None:
    made = exported(name)
    content = made.path.read_bytes()
    for path in (ROOT, made.path.parent, Path(sys.prefix), Path.home()):
        assert str(path).encode() not in content
    assert b'File "' not in content


@pytest.mark.parametrize("name", [*TRAINED, *UNTRAINED])
def test_its_metadata_tell_all_that_a_caller_needs(name: str, exported: Export) -> None:
    made = exported(name)
    found, spec = made.session.metadata, made.plan.spec
    assert (found.version, found.name, found.digest) == (VERSION, name, made.plan.digest)
    assert found.output.activation == spec.onnx.output
    assert found.output.shape == made.plan.output.shape
    assert [vector.shape[0] for vector in found.vectors] == [3, 2]
    within = yaml.safe_load(found.spec)
    if name in ("hymenoptera", *UNTRAINED):  # whose data have a place
        assert "root" not in str(within["data"]["source"])
    else:
        assert netspec.plan(loads(found.spec)).digest == found.digest


def test_tasks_names_and_inputs(exported: Export) -> None:
    found = {name: exported(name).session.metadata for name in (*TRAINED, *UNTRAINED)}
    tasks = {name: each.output.task for name, each in found.items()}
    assert tasks == dict.fromkeys(tasks, "classes") | {
        "perceptron": "binary",
        "two_layer_regression": "values",
    }
    inputs = {name: (each.input.kind, each.input.dtype) for name, each in found.items()}
    images = ("digits", "hymenoptera", *UNTRAINED)
    assert inputs == dict.fromkeys(inputs, ("tensor", "float32")) | dict.fromkeys(
        images, ("images", "uint8")
    )
    assert found["hymenoptera"].classes == ("ants", "bees")
    assert found["cifar_quick"].classes is not None
    assert found["cifar_quick"].classes[0] == "airplane"
    assert found["perceptron"].classes is None
    assert found["lenet"].input.shape == (28, 28, 1)
    assert str(found["hymenoptera"].input.shape[0]) == "height"


def test_softmax_and_sigmoid_are_in_the_graph(exported: Export) -> None:
    def outputs(name: str) -> np.ndarray:
        made = exported(name)
        return made.session.run(example(made.plan, taken(made.plan), 5).numpy())

    np.testing.assert_allclose(outputs("digits").sum(1), 1, rtol=1e-5)
    yes = outputs("perceptron")
    assert ((yes > 0) & (yes < 1)).all()
    assert abs(float(yes.sum(1)[0]) - 1) > 1e-3
    assert float(outputs("two_layer_regression").min()) < 0


def test_images_of_several_sizes_go_through_one_file(exported: Export, tmp_path: Path) -> None:
    made = exported("hymenoptera")
    draw = np.random.default_rng(5)
    sizes = [(72, 72), (64, 200), (300, 90), (20, 33), (121, 121)]
    images = [draw.integers(0, 256, (*size, 3), np.uint8) for size in sizes]
    found = made.session.predict(list(images))
    for image, one in zip(images, found, strict=True):
        np.testing.assert_allclose(one, torchs(made, image[None])[0], rtol=1e-3, atol=1e-4)
    for number, image in enumerate(images):
        Image.fromarray(image).save(tmp_path / f"{number}.png")
    assert np.array_equal(made.session.predict(tmp_path), found)


@pytest.mark.parametrize("name", TRAINED)
def test_evaluating_the_file_equals_evaluating_the_run(name: str, exported: Export) -> None:
    made = exported(name)
    assert made.run is not None
    spec = str(made.run.directory / "spec.yaml")

    def measured(*arguments: str) -> dict[str, Any]:
        done = CliRunner().invoke(evaluate, [*arguments, "--json"], catch_exceptions=False)
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    by_run = measured(str(made.run.directory), "--device", "cpu")
    by_file = measured(str(made.path), "--spec", spec)
    assert by_run.pop("loss") > 0
    assert by_run.keys() == by_file.keys() > {"part"}
    for measure, value in by_run.items():
        assert by_file[measure] == (value if measure == "part" else pytest.approx(value, abs=1e-4))


def test_trained_files_have_learned(exported: Export) -> None:
    assert exported("digits").run.summary["test"]["accuracy"] > 0.8  # type: ignore[union-attr]


PREDICT = """
import sys
import netspec
session = netspec.Session(sys.argv[1])
output = session.predict(sys.argv[2:])
assert "torch" not in sys.modules and "onnx" not in sys.modules
print(*output[0])
"""


def test_the_file_predicts_without_torch(exported: Export, tmp_path: Path) -> None:
    made = exported("digits")
    image = example(made.plan, taken(made.plan), 1, seed=9).numpy()[0]
    Image.fromarray(image[:, :, 0]).save(tmp_path / "digit.png")
    done = subprocess.run(
        [sys.executable, "-c", PREDICT, str(made.path), str(tmp_path / "digit.png")],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert [float(each) for each in done.stdout.split()] == pytest.approx(
        torchs(made, image[None])[0].tolist(), abs=1e-4
    )
    assert done.stderr == ""


def test_batch_and_sizes_are_dynamic_axes_with_names(exported: Export) -> None:
    graph = onnx.load(exported("hymenoptera").path).graph
    (taken,) = graph.input
    axes = [dim.dim_param or dim.dim_value for dim in taken.type.tensor_type.shape.dim]
    assert (taken.name, axes) == ("input", ["batch", "height", "width", 3])
    assert [each.name for each in graph.output] == ["output"]
    assert all(not init.external_data for init in graph.initializer)
