"""Each verb's statuses, and what goes to standard output and to standard error."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import netspec as package
from netspec.version import VERSION
from tests.cli.conftest import Done

ROOT = Path(__file__).parents[2]
SPECS = ROOT / "specs"
PERCEPTRON = SPECS / "perceptron.yaml"

Run = Callable[..., Done]

WRONG = """\
netspec: 1
input: [3, 8, 8]
model:
  - Conv2D: {out_channels: 8, kernel_size: 3}
  - Flatten
  - Linear: {out_feature: 10}
"""


@pytest.fixture
def wrong(tmp_path: Path) -> Path:
    path = tmp_path / "wrong.yaml"
    path.write_text(WRONG)
    return path


def test_version_and_help(netspec: Run) -> None:
    assert netspec("--version") == Done(0, f"netspec, version {VERSION}\n", "")
    for arguments in (["--help"], ["-h"], ["train", "--help"]):
        done = netspec(*arguments)
        assert (done.status, done.err) == (0, "")
        assert done.out.startswith("Usage: netspec")


WRONG_USAGE: dict[str, tuple[list[str | Path], str]] = {
    "no command": ([], "Commands:"),
    "a misspelt command": (["trian"], "did you mean 'train'?"),
    "an unknown option": (["validate", "--loud"], "No such option"),
    "a setting without a value": (["validate", PERCEPTRON, "--set", "train.epochs"], "KEY=VALUE"),
    "a setting without a key": (["validate", PERCEPTRON, "--set", "=1"], "KEY=VALUE"),
    "nothing to export to": (["export", PERCEPTRON], "say what to export: --onnx"),
    "two kinds of weights": (
        ["export", "--onnx", PERCEPTRON, "--untrained", "--weights", "w.safetensors"],
        "exclude each other",
    ),
    "a run with settings": (["export", "--onnx", SPECS, "--set", "name=a"], "--set goes with"),
    "resuming with settings": (
        ["train", PERCEPTRON, "--set", "train.epochs=1", "--resume"],
        "--resume takes no --set",
    ),
    "a device of no kind": (["train", PERCEPTRON, "--device", "abacus"], "'abacus' is no device"),
    "a device of no kind to predict on": (
        ["predict", "absent.onnx", "a.npy", "--device", "cuda:x"],
        "'cuda:x' is no device",
    ),
    "a device of no kind to verify on": (
        ["verify", "absent.onnx", "--device", "gpu"],
        "'gpu' is no device",
    ),
    "a device of no kind to measure on": (
        ["evaluate", "absent.onnx", "--device", "mps"],
        "'mps' is no device",
    ),
    "a run with another spec": (
        ["evaluate", SPECS, "--spec", PERCEPTRON],
        "--spec goes with a MODEL.onnx",
    ),
    "no inputs": (["predict", "model.onnx"], "Missing argument"),
    "a part of no name": (["evaluate", "run", "--part", "holdout"], "Invalid value for '--part'"),
}


@pytest.mark.parametrize("case", WRONG_USAGE)
def test_wrong_usage_is_2_and_goes_to_standard_error(case: str, netspec: Run) -> None:
    arguments, words = WRONG_USAGE[case]
    done = netspec(*arguments)
    assert (done.status, done.out) == (2, "")
    assert words in done.err


# validate


def test_valid_specs_are_named_one_a_line(netspec: Run) -> None:
    done = netspec("validate", PERCEPTRON, SPECS / "cifar_quick.yaml")
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines() == [
        f"{PERCEPTRON}: ok, [5] → [3], 18 parameters",
        f"{SPECS / 'cifar_quick.yaml'}: ok, [3, 32, 32] → [10], 145,578 parameters",
    ]


def test_findings_go_to_standard_error_and_good_specs_to_standard_output(
    netspec: Run, wrong: Path
) -> None:
    done = netspec("validate", PERCEPTRON, wrong)
    assert done.status == 1
    assert done.out == f"{PERCEPTRON}: ok, [5] → [3], 18 parameters\n"
    lines = done.err.splitlines()
    assert lines[0] == f"{wrong}:4:5: error[unknown-layer]: there is no layer 'Conv2D'"
    assert lines[1] == "  4 |   - Conv2D: {out_channels: 8, kernel_size: 3}"
    assert "  help: did you mean 'Conv2d'?" in lines
    assert f"{wrong}:6:14: error[unknown-parameter]" in done.err


def test_findings_as_json(netspec: Run, wrong: Path) -> None:
    done = netspec("validate", PERCEPTRON, wrong, "--format", "json")
    assert (done.status, done.err) == (1, "")
    good, bad = json.loads(done.out)["files"]
    assert good == {
        "file": str(PERCEPTRON),
        "valid": True,
        "input": "[5]",
        "output": "[3]",
        "parameters": 18,
        "provisional": False,
        "digest": package.plan(package.load(PERCEPTRON)).digest,
        "findings": 0,
        "diagnostics": [],
    }
    assert (bad["file"], bad["valid"]) == (str(wrong), False)
    assert bad["diagnostics"][0]["code"] == "unknown-layer"
    assert bad["diagnostics"][0]["place"]["line"] == 4


def test_a_spec_that_is_not_there(netspec: Run, tmp_path: Path) -> None:
    path = tmp_path / "absent.yaml"
    done = netspec("validate", path)
    assert (done.status, done.out) == (1, "")
    assert done.err == f"{path}: error[file]: cannot be read: No such file or directory\n"


# --set


def test_set_replaces_values_anywhere(netspec: Run, tmp_path: Path) -> None:
    path = SPECS / "cifar_quick.yaml"
    settings = {
        "vars.width": "16",
        "expect": "{output: [10]}",
        "train.optimizer.SGD.lr": "1e-4",
        "data.augment.0.RandomCrop.padding": "2",
        "train.metrics": "[accuracy, {top_k: {k: 2}}]",
        "train.loss": "{CrossEntropyLoss: {label_smoothing: 0.1}}",
    }
    pairs = [part for key, value in settings.items() for part in ("--set", f"{key}={value}")]
    done = netspec("validate", path, *pairs)
    assert (done.status, done.err) == (0, "")
    found = package.load(path, settings)
    assert found.train is not None and found.data is not None
    assert found.train.optimizer.args["lr"] == 1e-4
    assert found.data.augment[0].args["padding"] == 2
    assert found.train.loss.args == {"label_smoothing": 0.1}
    assert f"{package.plan(found).parameters:,} parameters" in done.out


WRONG_SETTINGS = {
    "train.epoch=1": "--set train.epoch",
    "model.7.Linear=1": "--set model.7",
    "train.epochs=zero": "--set train.epochs:1:1: error[value]: epochs is 'zero'",
    "train.epochs=[": "--set train.epochs:",
}


@pytest.mark.parametrize("setting", WRONG_SETTINGS)
def test_wrong_settings_are_found_where_they_are_written(setting: str, netspec: Run) -> None:
    done = netspec("validate", PERCEPTRON, "--set", setting)
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith(WRONG_SETTINGS[setting])


# The default spec


def test_without_a_spec_the_projects_own_is_taken(
    netspec: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    below = tmp_path / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    project = tmp_path / "pyproject.toml"

    project.write_text("[project]\nname = 'a'\n")
    done = netspec("validate")
    assert done.status == 2
    assert f'no SPEC is given, and {project} has no [tool.netspec] spec = "…"' in done.err

    project.write_text("[tool.netspec\n")
    assert f"{project} cannot be read" in netspec("validate").err

    project.write_text("[tool.netspec]\nspec = 'net.yaml'\n")
    (tmp_path / "net.yaml").write_text(PERCEPTRON.read_text())
    assert netspec("validate").out == f"{tmp_path / 'net.yaml'}: ok, [5] → [3], 18 parameters\n"
    monkeypatch.chdir(tmp_path)
    assert netspec("validate").out == "net.yaml: ok, [5] → [3], 18 parameters\n"


# build


def test_build_prints_every_layer_and_the_totals(netspec: Run) -> None:
    done = netspec("build", SPECS / "cifar_quick.yaml")
    assert (done.status, done.err) == (0, "")
    rows = [line.split() for line in done.out.splitlines()]
    assert rows[0] == ["cifar_quick", "[3,", "32,", "32]"]
    assert ["conv1", "Conv2d", "[32,", "32,", "32]", "2,432", "2,457,600", "128", "KiB"] in rows
    assert ["8", "Linear", "[10]", "650", "640", "40", "B"] in rows
    assert "145,578 parameters" in done.out.splitlines()
    model = package.plan(package.load(SPECS / "cifar_quick.yaml"))
    assert f"model digest {model.digest}" in done.out.splitlines()


def test_build_shows_names_for_sizes(netspec: Run, tmp_path: Path) -> None:
    path = tmp_path / "named.yaml"
    path.write_text(
        "netspec: 1\ninput: {shape: [3, h, w]}\n"
        "model: [Conv2d: {out_channels: 2, kernel_size: 3}]\n"
    )
    done = netspec("build", path)
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("named  [3, h, w]")
    assert "[2, h - 2, w - 2]" in done.out
    assert "named dimensions: h ≥ 3, w ≥ 3" in done.out


# From a spec to predictions


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("project")
    (folder / "net.yaml").write_text(PERCEPTRON.read_text())
    np.save(folder / "inputs.npy", np.ones((2, 5), np.float32))
    return folder


@pytest.fixture
def project(here: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which each of the tests below finds what those above left."""
    monkeypatch.chdir(here)
    return here


def test_export_without_a_run_says_so(netspec: Run, project: Path) -> None:
    done = netspec("export", "--onnx", "net.yaml")
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("net.yaml: error[run]: has no finished run below runs/perceptron")
    assert "`netspec export --onnx --untrained net.yaml`" in done.err


def test_train(netspec: Run, project: Path) -> None:
    done = netspec("train", "net.yaml", "--set", "train.epochs=2", "--device", "cpu")
    assert (done.status, done.err) == (0, "")
    (run,) = Path("runs/perceptron").iterdir()
    lines = done.out.splitlines()
    assert lines[:3] == [
        "perceptron: 384 train, 120 test, 96 validation samples; 18 parameters",
        "2 epochs of 20 batches on cpu",
        f"run directory {run}",
    ]
    assert lines[-2] == f"best epoch 1, weights in {run}/weights.safetensors"
    assert lines[-1].startswith("test part: loss 0.")
    assert "accuracy" in lines[-1] and lines[-1].endswith("%")


def test_evaluate(netspec: Run, project: Path) -> None:
    (run,) = Path("runs/perceptron").iterdir()
    done = netspec("evaluate", run, "--json")
    assert (done.status, done.err) == (0, "")
    test = package.Run.open(run).summary["test"]
    assert json.loads(done.out) == {"part": "test", **test}
    assert netspec("evaluate", run, "--part", "validation").out.startswith("validation part: loss")

    done = netspec("evaluate", project)
    assert (done.status, done.err.partition("\n")[0]) == (
        1,
        f"{project}: error[run]: is no run: it has no spec.yaml",
    )


def test_export(netspec: Run, project: Path) -> None:
    (run,) = Path("runs/perceptron").iterdir()
    done = netspec("export", "--onnx", "net.yaml", "--set", "train.epochs=2")
    assert (done.status, done.err) == (0, "")
    first, second = done.out.splitlines()
    size = Path("exported/perceptron.onnx").stat().st_size
    assert first == f"exported/perceptron.onnx: {size:,} bytes, weights {run}"
    assert second.startswith("onnxruntime equals torch within ")

    done = netspec("export", "--onnx", run, "-o", "again.onnx")
    assert done.status == 0
    assert Path("again.onnx").read_bytes() == Path("exported/perceptron.onnx").read_bytes()

    weights = run / "weights.safetensors"
    done = netspec("export", "--onnx", "net.yaml", "--weights", weights, "-o", "weights.onnx")
    assert f"weights {weights}" in done.out
    by_run, by_weights = map(package.Session, ("again.onnx", "weights.onnx"))
    inputs = np.ones((2, 5), np.float32)
    assert np.array_equal(by_run.run(inputs), by_weights.run(inputs))

    done = netspec("export", "--onnx", "net.yaml", "--weights", "absent.safetensors")
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("absent.safetensors: error[run]: there is no such file\n")


def test_predict(netspec: Run, project: Path) -> None:
    wanted = package.Session("again.onnx").predict("inputs.npy").tolist()
    done = netspec("predict", "again.onnx", "inputs.npy", "--json")
    assert (done.status, done.err) == (0, "")
    found = [json.loads(line) for line in done.out.splitlines()]
    assert [each["input"] for each in found] == ["inputs.npy[0]", "inputs.npy[1]"]
    assert [each["values"] for each in found] == [pytest.approx(each) for each in wanted]

    done = netspec("predict", "again.onnx", "inputs.npy")
    assert [line.split()[0] for line in done.out.splitlines()] == ["inputs.npy[0]", "inputs.npy[1]"]

    done = netspec("predict", "again.onnx", "absent.npy")
    assert (done.status, done.out) == (1, "")
    assert done.err.startswith("absent.npy: error[input]: there is no such file")


def test_predict_names_classes(netspec: Run) -> None:
    example, digits = ROOT / "exported" / "example.onnx", SPECS / "samples" / "digits"
    done = netspec("predict", example, digits, "--top", 2)
    assert (done.status, done.err) == (0, "")
    lines = dict(line.split("  ", 1) for line in done.out.splitlines())
    assert len(lines) == 10
    for path, said in lines.items():
        assert said.split()[0] == Path(path).stem.removeprefix("digit-")
        assert said.count("%") == 2


def test_predict_answers_the_good_and_names_the_bad(netspec: Run, tmp_path: Path) -> None:
    example, digits = ROOT / "exported" / "example.onnx", SPECS / "samples" / "digits"
    whole = (digits / "digit-3.png").read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    np.save(tmp_path / "floats.npy", np.zeros((8, 8)))
    absent = tmp_path / "absent.png"
    done = netspec(
        "predict", example, tmp_path / "cut.png", digits, absent, tmp_path / "floats.npy"
    )
    assert done.status == 1
    assert len(done.out.splitlines()) == 10
    heads = [line for line in done.err.splitlines() if not line.startswith("  ")]
    assert [head.split(": error[input]: ")[0] for head in heads] == [
        str(absent),
        str(tmp_path / "cut.png"),
        str(tmp_path / "floats.npy"),
    ]


def test_verify(netspec: Run, project: Path) -> None:
    done = netspec("verify", "again.onnx")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("again.onnx: ok, 2 test vectors, largest difference ")
    found = json.loads(netspec("verify", "again.onnx", "--json").out)
    assert (found["ok"], found["vectors"], found["providers"]) == (
        True,
        2,
        ["CPUExecutionProvider"],
    )

    content = bytearray(Path("again.onnx").read_bytes())
    content[len(content) // 2] ^= 1
    Path("damaged.onnx").write_bytes(content)
    done = netspec("verify", "damaged.onnx")
    assert (done.status, done.out) == (1, "")
    assert "damaged.onnx: error[model]: the file was changed or damaged" in done.err


def test_a_gpu_that_is_not_there_is_the_environments_fault(netspec: Run, project: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    for arguments in (
        ["train", "net.yaml", "--device", "cuda"],
        ["predict", "again.onnx", "inputs.npy", "--device", "cuda"],
    ):
        done = netspec(*arguments)
        assert (done.status, done.out) == (3, ""), arguments
        assert "error[environment]" in done.err


# schema


def test_schema_writes_the_committed_file(netspec: Run, tmp_path: Path) -> None:
    done = netspec("schema", "-o", tmp_path / "out")
    assert (done.status, done.err) == (0, "")
    written = tmp_path / "out" / "netspec.schema.json"
    assert done.out == f"{written}\n"
    assert written.read_bytes() == (ROOT / "schemas" / "netspec.schema.json").read_bytes()


def test_a_folder_that_cannot_be_written_is_the_environments_fault(
    netspec: Run, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    done = netspec("schema", "-o", tmp_path / "file" / "out")
    assert (done.status, done.out) == (3, "")
    assert "error[environment]: cannot be written" in done.err
