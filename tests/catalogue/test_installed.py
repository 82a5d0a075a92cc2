"""Layers that another installed package brings."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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


def install(folder: Path, value: str) -> None:
    """A package as pip leaves it, with one entry point."""
    package, info = folder / "halving", folder / "halving-1.0.dist-info"
    package.mkdir()
    info.mkdir()
    (package / "__init__.py").touch()
    (package / "catalogue.py").write_text(CATALOGUE)
    (package / "module.py").write_text(MODULE)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: halving\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[netspec.layers]\nhalve = {value}\n")


def netspec(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    (folder / "spec.yaml").write_text(SPEC)
    return subprocess.run(
        [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(folder)!r})\n"
         "from netspec.cli import main; main()", *arguments, str(folder / "spec.yaml")],
        capture_output=True, text=True, check=False,
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
