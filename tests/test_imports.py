"""The rooms' import contracts hold, and would be seen to break."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

LINT = "from importlinter.cli import lint_imports_command; lint_imports_command()"


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    """`lint-imports` with the package and the contracts of `folder`."""
    return subprocess.run(
        [sys.executable, "-c", LINT, "--no-cache"],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_contracts_hold() -> None:
    done = lint(ROOT)
    assert done.returncode == 0, done.stdout
    assert " kept, 0 broken." in done.stdout


BAD = {
    "torch where a spec is checked": (
        "spec/loading.py",
        "import torch",
        "What checks a spec needs neither torch nor numpy BROKEN",
    ),
    "torch by way of another room": (
        "planning/__init__.py",
        "from netspec import modules",
        "What checks a spec needs neither torch nor numpy BROKEN",
    ),
    "torch where a model is run": (
        "runtime/samples.py",
        "import torch",
        "What runs a model needs no torch BROKEN",
    ),
    "upwards": (
        "catalogue/losses.py",
        "from netspec.spec import document",
        "Imports run downwards BROKEN",
    ),
    "an engine where the other trains": (
        "training/loop.py",
        "import onnxruntime",
        "Only export knows both engines BROKEN",
    ),
    "in a circle": (
        "spec/document.py",
        "from netspec.spec import findings",
        "No room's modules import in circles BROKEN",
    ),
}


@pytest.fixture(scope="module")
def copy(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("copy")
    shutil.copytree(
        ROOT / "netspec", folder / "netspec", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


@pytest.mark.parametrize("case", BAD)
def test_a_bad_import_breaks_its_contract(case: str, copy: Path) -> None:
    file, line, words = BAD[case]
    path = copy / "netspec" / file
    before = path.read_text(encoding="utf-8")
    path.write_text(before + f"\n{line}\n", encoding="utf-8")
    try:
        done = lint(copy)
    finally:
        path.write_text(before, encoding="utf-8")
    assert done.returncode == 1, done.stdout
    assert words in done.stdout


def test_a_module_without_a_place_in_the_order_is_seen(copy: Path) -> None:
    stray = copy / "netspec" / "helpers.py"
    stray.write_text("")
    try:
        done = lint(copy)
    finally:
        stray.unlink()
    assert done.returncode == 1, done.stdout
    assert "Imports run downwards BROKEN" in done.stdout
    assert "helpers" in done.stdout
