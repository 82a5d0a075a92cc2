"""`netspec build --emit`: text on standard output, without torch."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from netspec import emit as forms
from netspec.cli.build import command
from netspec.planning import make_plan
from netspec.spec.loading import load

SPEC = Path(__file__).parents[2] / "specs" / "cifar_quick.yaml"
BUILD = """
import sys
from netspec.cli.build import command

command.main(sys.argv[1:], standalone_mode=False)
heavy = {"torch", "torchvision", "numpy", "PIL", "onnx", "onnxruntime", "safetensors"}
print(*sorted(heavy & sys.modules.keys()), file=sys.stderr)
"""


def emit(form: str, *more: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", BUILD, str(SPEC), "--emit", form, *more],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr.split() == [], "a heavy module was loaded"
    return done.stdout


@pytest.mark.parametrize("form", forms.FORMATS)
def test_each_form_is_printed_without_heavy_modules(form: str) -> None:
    assert emit(form) == forms.FORMATS[form](make_plan(load(SPEC)))


def test_settings_are_applied() -> None:
    data = json.loads(emit("json", "--set", "init=[]", "--set", "train.seed=3"))
    assert (data["init"], data["seed"]) == ([], 3)


def test_the_choices_are_the_forms() -> None:
    (option,) = (each for each in command.params if each.name == "form")
    assert list(option.type.choices) == list(forms.FORMATS)  # type: ignore[attr-defined]
