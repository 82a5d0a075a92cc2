"""Checking a spec loads neither torch nor numpy, and is quick."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SPECS = sorted((ROOT / "specs").glob("*.yaml"))

CHECK = """
import sys
from pathlib import Path

from netspec import reporting
from netspec.planning import make_plan
from netspec.spec.loading import load

made = make_plan(load(Path(sys.argv[1])))
assert made.digest and reporting.text([]) == ""
heavy = {"torch", "torchvision", "numpy", "onnxruntime", "onnx", "PIL", "safetensors"}
print(*sorted(heavy & sys.modules.keys()))
"""


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_a_spec_is_planned_without_heavy_modules(path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", CHECK, str(path)], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == []


def test_importing_netspec_loads_no_heavy_module() -> None:
    code = "import netspec, sys; print(*({'torch', 'numpy', 'PIL'} & sys.modules.keys()))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.split()) == (0, []), done.stderr
