"""What only a process of its own shows: what it loads, lacks, and does where nobody reads."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SPEC = ROOT / "specs" / "lenet.yaml"

LOADED = """
import sys
from netspec.cli import main
sys.argv = ["netspec", *sys.argv[1:]]
try:
    main()
finally:
    heavy = {"yaml", "jsonschema", "torch", "rich", "numpy", "PIL", "onnxruntime", "onnx"}
    print("loaded:", *sorted(heavy & sys.modules.keys()), file=sys.stderr)
"""

# As on a machine without a package: the import system itself finds none.
WITHOUT = """
import sys
from importlib.abc import MetaPathFinder

absent = sys.argv.pop(1).split(",")

class Absent(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if name.partition(".")[0] in absent:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)

sys.meta_path.insert(0, Absent())
from netspec.cli import main
main()
"""


def python(code: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.parametrize(
    ("arguments", "loaded"),
    [
        (["--help"], []),
        (["--version"], []),
        (["train", "--help"], []),
        (["validate", SPEC], ["jsonschema", "yaml"]),
    ],
    ids=["--help", "--version", "train --help", "validate"],
)
def test_a_command_loads_what_it_needs(arguments: list[object], loaded: list[str]) -> None:
    done = python(LOADED, *arguments)
    assert done.returncode == 0, done.stderr
    assert done.stderr == f"loaded: {' '.join(loaded)}".strip() + "\n"


@pytest.mark.parametrize(
    ("absent", "arguments", "package", "extra"),
    [
        ("torch", ["train", SPEC], "torch", "train"),
        ("torch", ["build", SPEC], "torch", "train"),
        ("onnxruntime", ["verify", ROOT / "exported/example.onnx"], "onnxruntime", "runtime"),
        ("numpy,PIL", ["predict", "a.onnx", "a.png"], "numpy", "runtime"),
    ],
)
def test_a_missing_extra_is_named_and_the_status_is_3(
    absent: str, arguments: list[object], package: str, extra: str
) -> None:
    done = python(WITHOUT, absent, *arguments)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == (
        f"netspec: error[environment]: this command needs {package}, which is not installed\n"
        f"  help: pip install 'netspec-compiler[{extra}]'\n"
    )


@pytest.mark.parametrize("verb", ["validate", "build"])
def test_a_reader_that_goes_away_ends_it_quietly(verb: str) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "netspec", verb, str(SPEC)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout is not None and process.stderr is not None
    process.stdout.close()
    said = process.stderr.read()
    process.stderr.close()
    assert (process.wait(60), said) == (141, b"")
