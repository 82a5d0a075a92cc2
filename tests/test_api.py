"""`import netspec` is the whole interface, and each name is loaded when it is first used."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import netspec
from netspec.version import VERSION

SPEC = """\
netspec: 1
name: lines
input: [4]
model: [Linear: {out_features: 2}]
data: {source: {Synthetic: {samples: 40, targets: 2}}, split: {validation: 0.25}}
train: {epochs: 2, loss: MSELoss, optimizer: {SGD: {lr: 0.1}}, metrics: [mae]}
"""


def test_every_name_is_there_and_says_what_it_does() -> None:
    assert netspec.__version__ == VERSION
    for name in netspec.__all__:
        found = getattr(netspec, name)
        assert name == "__version__" or found.__doc__
    with pytest.raises(AttributeError, match="module 'netspec' has no attribute 'trian'"):
        netspec.trian  # noqa: B018


def test_the_installed_version_is_this_one() -> None:
    try:
        installed = importlib.metadata.version("netspec-compiler")
    except importlib.metadata.PackageNotFoundError:
        pytest.skip("netspec is not installed, but on the path")
    assert installed == VERSION


def test_from_a_text_to_predictions(tmp_path: Path) -> None:
    spec = netspec.loads(SPEC)
    plan = netspec.plan(spec)
    assert (str(plan.input), str(plan.output), plan.parameters) == ("[4]", "[2]", 10)
    assert sum(each.numel() for each in netspec.build(spec).parameters()) == 10

    run = netspec.train(spec, device="cpu", root=tmp_path / "runs")
    assert run.directory.parent == tmp_path / "runs" / "lines"
    assert [row["epoch"] for row in run.metrics] == [0, 1]
    assert run.weights().keys() == {"0.weight", "0.bias"}

    export = netspec.export_onnx(run, tmp_path / "lines.onnx")
    session = netspec.Session(export.path, device="cpu")
    inputs = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)
    weight, bias = (run.weights()[name].numpy() for name in ("0.weight", "0.bias"))
    np.testing.assert_allclose(session.predict(inputs), inputs @ weight.T + bias, atol=1e-5)


def test_settings_are_python_values_or_yaml(tmp_path: Path) -> None:
    path = tmp_path / "lines.yaml"
    path.write_text(SPEC)
    settings = {"train.epochs": 7, "train.optimizer": {"Adam": {"lr": 0.5}}, "name": "other"}
    spec = netspec.load(path, settings)
    assert spec.train is not None
    assert (spec.train.epochs, spec.train.optimizer.type, spec.name) == (7, "Adam", "other")


def test_an_error_carries_every_diagnostic(tmp_path: Path) -> None:
    with pytest.raises(netspec.SpecError) as caught:
        netspec.loads(SPEC.replace("Linear", "Lineal").replace("mae", "mea"))
    assert isinstance(caught.value, netspec.NetspecError)
    assert [found.place.line for found in caught.value.diagnostics] == [4, 6]
    assert all(isinstance(found, netspec.Diagnostic) for found in caught.value.diagnostics)
    assert str(caught.value).splitlines()[0].startswith("<spec>:4:9: error[unknown-layer]")
    with pytest.raises(netspec.SpecError, match="the spec has no `train`"):
        netspec.train(netspec.loads("netspec: 1\ninput: [1]\nmodel: [ReLU]\n"), root=tmp_path)


PLAN = """
import sys
import netspec
plan = netspec.plan(netspec.loads(sys.argv[1]))
assert plan.parameters == 10
print(*sorted({"torch", "numpy", "onnxruntime", "PIL"} & sys.modules.keys()))
"""


def test_planning_loads_no_torch() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PLAN, SPEC], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.split() == []
