"""Layers and sources that another installed package brings."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from safetensors.torch import load_file

SPEC = "netspec: 1\ninput: [6]\nmodel: [{Linear: {out_features: 4}}, {Halve: {by: 3.0}}]\n"
CATALOGUE = """
from netspec.catalogue.component import Param
from netspec.catalogue.layers import Layer
from netspec.catalogue.types import NUMBER

HALVE = Layer(name="Halve", target="halving.module:Halve", params=(Param("by", NUMBER, 2.0),))
"""
MODULE = """
from torch import nn

class Halve(nn.Module):
    def __init__(self, by):
        super().__init__()
        self.by = by

    def forward(self, x):
        return x / self.by
"""


SOURCE_SPEC = """
netspec: 1
input: [4]
model: [Linear: {out_features: 2}]
data: {source: {Waves: {count: 60}}, split: {test: 0.25, group: day}}
train: {epochs: 2, loss: CrossEntropyLoss, optimizer: SGD, metrics: [accuracy]}
"""
SOURCE = """
from netspec.catalogue.component import Param
from netspec.catalogue.sources import Classes, Source
from netspec.catalogue.types import POSITIVE

WAVES = Source(
    name="Waves",
    target="halving.module:waves",
    params=(Param("count", POSITIVE),),
    labels=lambda args: Classes(2, ("low", "high")),
    parts=lambda args: {"train": args["count"]},
    columns=True,
)
"""
READER = """
import torch
from netspec.data.dataset import Dataset, Part

def waves(request):
    count = request.args["count"]
    inputs = torch.rand(count, 4, generator=torch.Generator().manual_seed(0))
    days = torch.arange(count) // 10
    part = Part(inputs, (inputs.sum(1) > 2).long(), days)
    return Dataset({"train": part}, request.pipeline.labels, request.pipeline.labels.names)
"""


def install(folder: Path, value: str, group: str = "netspec.layers") -> None:
    """A package as pip leaves it, with one entry point."""
    package, info = folder / "halving", folder / "halving-1.0.dist-info"
    package.mkdir()
    info.mkdir()
    (package / "__init__.py").touch()
    (package / "catalogue.py").write_text(CATALOGUE + SOURCE)
    (package / "module.py").write_text(MODULE + READER)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: halving\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{group}]\nhalve = {value}\n")


def netspec(folder: Path, *arguments: str, spec: str = SPEC) -> subprocess.CompletedProcess[str]:
    (folder / "spec.yaml").write_text(spec)
    return subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(folder)!r})\n"
         "from netspec.cli import main; main()", *arguments, str(folder / "spec.yaml")],
        capture_output=True, text=True, check=False, cwd=folder,
    )  # fmt: skip


def test_an_installed_layer_is_checked_and_built(tmp_path: Path) -> None:
    install(tmp_path, "halving.catalogue:HALVE")

    assert "[6] → [4], 28 parameters" in netspec(tmp_path, "validate").stdout
    assert "Halve" in netspec(tmp_path, "build").stdout


def test_the_emitted_file_imports_it_and_says_so(tmp_path: Path) -> None:
    install(tmp_path, "halving.catalogue:HALVE")
    emitted = netspec(tmp_path, "build", "--emit", "python").stdout
    assert "needs halving and torch." in emitted

    (tmp_path / "net.py").write_text(emitted, encoding="utf-8")
    run = subprocess.run(
        [sys.executable, str(tmp_path / "net.py")], capture_output=True, text=True, check=False
    )
    assert run.stdout.rstrip().endswith("[2, 6] → [2, 4]"), run.stderr


def test_its_parameters_are_checked(tmp_path: Path) -> None:
    install(tmp_path, "halving.catalogue:HALVE")

    found = netspec(tmp_path, "validate", "--set", "model.1.Halve.by=x")

    assert found.returncode == 1
    assert "by is 'x', but must be a number" in found.stderr


def test_what_is_not_installed_is_unknown(tmp_path: Path) -> None:
    found = netspec(tmp_path, "validate")

    assert found.returncode == 1
    assert "error[unknown-layer]: there is no layer 'Halve'" in found.stderr


def test_a_broken_entry_point_is_the_environment_s_fault(tmp_path: Path) -> None:
    install(tmp_path, "halving.catalogue:NOTHING")

    found = netspec(tmp_path, "validate")

    assert found.returncode == 3
    assert "netspec.layers: halving.catalogue:NOTHING: error[environment]" in found.stderr


def source(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return netspec(folder, *arguments, spec=SOURCE_SPEC)


def test_an_installed_source_is_checked_and_trains(tmp_path: Path) -> None:
    install(tmp_path, "halving.catalogue:WAVES", "netspec.sources")

    checked = source(tmp_path, "validate")
    assert (checked.returncode, checked.stderr) == (0, "")
    trained = source(tmp_path, "train")
    assert trained.returncode == 0, trained.stderr
    (run,) = (tmp_path / "runs" / "spec").iterdir()
    summary = json.loads((run / "summary.json").read_text())
    assert (summary["status"], summary["classes"]) == ("finished", ["low", "high"])
    rows = load_file(run / "split.safetensors")
    assert len(rows["test"]) % 10 == 0  # whole days


def test_the_check_of_an_installed_source_needs_no_torch(tmp_path: Path) -> None:
    install(tmp_path, "halving.catalogue:WAVES", "netspec.sources")
    (tmp_path / "torch.py").write_text("raise RuntimeError('torch is imported')")
    assert source(tmp_path, "validate").returncode == 0


def test_an_installed_source_s_parameters_are_checked(tmp_path: Path) -> None:
    install(tmp_path, "halving.catalogue:WAVES", "netspec.sources")
    found = source(tmp_path, "validate", "--set", "data.source.Waves.count=0")
    assert found.returncode == 1
    assert "count is 0, but must be an integer" in found.stderr


def test_a_source_that_is_not_installed_is_unknown(tmp_path: Path) -> None:
    found = source(tmp_path, "validate")
    assert found.returncode == 1
    assert "there is no source 'Waves'" in found.stderr


@pytest.mark.parametrize(
    ("value", "said"),
    [
        ("halving.catalogue:NOTHING", "the entry point cannot be loaded: "),
        ("halving.catalogue:HALVE", "the entry point gives Layer, no Source"),
        ("netspec.catalogue.sources.made:SOURCES", ""),
    ],
)
def test_an_entry_point_that_gives_no_new_source(value: str, said: str, tmp_path: Path) -> None:
    install(tmp_path, value, "netspec.sources")
    found = source(tmp_path, "validate")
    assert found.returncode == (3 if said else 1)
    assert f"netspec.sources: {value}: error[environment]: {said}" in found.stderr or not said


def test_a_source_s_name_is_taken_once(tmp_path: Path) -> None:
    install(tmp_path, "halving.catalogue:WAVES", "netspec.sources")
    catalogue = tmp_path / "halving" / "catalogue.py"
    catalogue.write_text(catalogue.read_text().replace('name="Waves"', 'name="Digits"'))
    found = source(tmp_path, "validate")
    assert found.returncode == 3
    assert "the entry point gives a second source 'Digits'" in found.stderr


@pytest.mark.parametrize(
    ("reader", "said"),
    [
        ("waves = None.missing", "halving.module:waves: error[environment]: cannot be loaded: "),
        ("wave = 1", "halving.module:waves: error[environment]: cannot be loaded: "),
        ("waves = lambda request: 7", "gives no data set with a training part"),
        (
            READER.replace("inputs.sum", "inputs.double().sum").replace(
                "Part(inputs,", "Part(inputs.double(),"
            ),
            "gives the train part inputs of torch.float64, not of float32",
        ),
        (READER.replace("Part(inputs,", "Part(inputs[:, 0],"), "and each has 1 dimensions"),
        (READER.replace(".long()", ".float()"), "targets of torch.float32, not of torch.int64"),
        (READER.replace(", days)", ")"), "the source gives no groups"),
    ],
)
def test_a_reader_that_does_not_give_what_its_entry_says(
    reader: str, said: str, tmp_path: Path
) -> None:
    install(tmp_path, "halving.catalogue:WAVES", "netspec.sources")
    (tmp_path / "halving" / "module.py").write_text(reader)
    found = source(tmp_path, "train")
    assert found.returncode in (1, 3)
    assert said in found.stderr
    assert "Traceback" not in found.stderr
