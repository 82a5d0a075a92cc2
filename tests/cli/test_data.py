"""`netspec data`: the same in text as in JSON, and a sheet that is whole or not there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import netspec as package
from tests.cli.conftest import Done

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "specs" / "digits.yaml"
PERCEPTRON = ROOT / "specs" / "perceptron.yaml"

Run = Callable[..., Done]

MANY = """\
netspec: 1
name: many
input: [4]
model: [Linear: {out_features: 50}]
data: {source: {Synthetic: {samples: 400, classes: 50}}, split: {validation: 0.25}}
train: {epochs: 1, batch_size: 350, loss: CrossEntropyLoss, optimizer: {SGD: {lr: 0.1}}}
"""
FOLDER = """\
netspec: 1
name: folder
input: [3, 8, 8]
model: [Flatten, Linear: {out_features: 2}]
data: {source: {ImageFolder: {root: images}}, evaluate: [Resize: {size: [8, 8]}]}
"""


def rows(done: Done) -> list[list[str]]:
    return [line.split() for line in done.out.splitlines()]


def stated(values: dict[str, Any]) -> list[str]:
    return [f"{values[name]:.4g}" for name in ("least", "most", "mean", "deviation")]


@pytest.mark.parametrize(
    "spec", [DIGITS, PERCEPTRON, "many.yaml"], ids=["digits", "floats", "many"]
)
def test_text_and_json_state_the_same_numbers(
    netspec: Run, spec: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("many.yaml").write_text(MANY)
    text, plain = netspec("data", spec), netspec("data", spec, "--json")
    assert (text.status, plain.status, plain.err) == (0, 0, "")
    found, lines = json.loads(plain.out), rows(text)
    assert text.err.count("warning[") == len(found["warnings"])
    assert found["preview"] is None
    for name, part in found["parts"].items():
        assert [name, f"{part['samples']:,}", part["origin"]] in [line[:3] for line in lines]
        inputs = [name, "inputs", f"{part['inputs']['samples']:,}", *stated(part["inputs"])]
        assert inputs in lines
        for index, each in enumerate(part["inputs"]["each"]):
            assert ["input", str(index), *stated(each)] in lines
        if found["classes"] is None:
            targets = [f"{part['targets']['samples']:,}", *stated(part["targets"])]
            assert ["targets", *targets] in lines
            for index, each in enumerate(part["targets"]["each"]):
                assert ["target", str(index), *stated(each)] in lines
    counts = [part["targets"].get("classes") for part in found["parts"].values()]
    for index, name in enumerate((found["classes"] or [])[:20]):
        assert [name, *(str(each[index]) for each in counts)] in lines


def test_of_many_classes_the_first_are_shown_and_the_others_counted(
    netspec: Run, tmp_path: Path
) -> None:
    path = tmp_path / "many.yaml"
    path.write_text(MANY)
    lines = rows(netspec("data", path))
    found = json.loads(netspec("data", path, "--json").out)
    assert len(found["classes"]) == 50
    (rest,) = [line for line in lines if line[:3] == ["…", "30", "more"]]
    for place, part in enumerate(found["parts"].values()):
        assert sum(part["targets"]["classes"]) == part["samples"]
        assert int(rest[3 + place]) == sum(part["targets"]["classes"][20:])
    assert ["20"] not in [line[:1] for line in lines]
    # The training part has fewer samples than a batch.
    assert any("[300, 4] float32" in " ".join(line) for line in lines)


def test_one_part_and_settings(netspec: Run) -> None:
    done = netspec("data", DIGITS, "--part", "test", "--set", "data.split.test=0", "--json")
    assert list(json.loads(done.out)["parts"]) == ["test"]
    setting = "data.split={validation: 0.5, shuffle: false}"
    done = netspec("data", DIGITS, "--set", setting)
    assert "split: validation 0.5, the last rows\n" in done.out
    assert ["validation", "719", "split"] in [line[:3] for line in rows(done)]


def test_a_sheet_is_the_same_each_time(
    netspec: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)  # whose pyproject.toml names the spec
    path = tmp_path / "new" / "sheet.png"
    found = []
    for more in ([], [], ["--epoch", 1], ["--seed", 1], ["--part", "validation"]):
        done = netspec("data", "--preview", path, *more)
        assert (done.status, done.err) == (0, "")
        assert done.out.splitlines()[-1] == str(path)
        found.append(path.read_bytes())
    assert found[0] == found[1]
    assert len(set(found)) == 4
    assert [each.name for each in path.parent.iterdir()] == ["sheet.png"]
    plain = netspec("data", "--preview", path, "--json")
    assert json.loads(plain.out)["preview"] == str(path)
    assert path.read_bytes() == found[0]


@pytest.mark.parametrize(
    ("arguments", "status", "words"),
    [
        ([DIGITS, "--seed", "1"], 2, "--seed and --epoch go with --preview"),
        ([DIGITS, "--epoch", "0"], 2, "--seed and --epoch go with --preview"),
        ([DIGITS, "--preview", "a.png", "--seed", "-1"], 2, "-1 is not in the range"),
        ([DIGITS, "--part", "all"], 2, "'all' is not one of"),
        ([DIGITS, "--preview", "a.txt"], 1, "a.txt: error[file]: no image is written as '.txt'"),
        ([DIGITS, "--preview", "a"], 1, "a: error[file]: this names no image file"),
        ([DIGITS, "--preview", "folder.png"], 3, "folder.png: error[environment]: cannot be writ"),
        ([PERCEPTRON, "--preview", "a.png"], 1, "there are no images to show: Synthetic gives no"),
        ([DIGITS, "--part", "validation", "--set", "data.split={}"], 1, "have no validation part"),
        (["none.yaml"], 1, "none.yaml:1:1: error[data]: the spec has no `data`"),
        (["none.yaml", "--preview", "a.png"], 1, "the spec has no `data`"),
        (["missing.yaml"], 1, "missing.yaml: error[file]"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_written(
    netspec: Run,
    arguments: list[str | Path],
    status: int,
    words: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder.png").mkdir()
    Path("none.yaml").write_text("netspec: 1\ninput: [1]\nmodel: [ReLU]\n")
    done = netspec("data", *arguments)
    assert (done.status, done.out) == (status, "")
    assert words in done.err
    assert sorted(each.name for each in Path.cwd().iterdir()) == ["folder.png", "none.yaml"]


def test_class_names_are_the_files_and_may_hold_anything(
    netspec: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder.yaml").write_text(FOLDER)
    for name in ("[red]\x1b[31m\nb", "x" * 200):
        Path("images", name).mkdir(parents=True)
        for number in range(3):
            Image.new("RGB", (9 + number, 8)).save(Path("images", name, f"{number}.png"))
    done = netspec("data", "folder.yaml", "--preview", "sheet.png")
    assert (done.status, done.err) == (0, "")
    assert "folder: ImageFolder  root: images" in done.out
    lines = rows(done)
    assert [r"[red]\x1b[31m\nb", "3"] in lines
    assert [f"{'x' * 39}…", "3"] in lines
    assert "9–11 × 8" in done.out
    assert "[N, 3, 8, 8] float32" in done.out
    assert Path("sheet.png").is_file()


def test_a_damaged_image_leaves_the_sheet_that_was_there(
    netspec: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("folder.yaml").write_text(FOLDER)
    noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
    for name in ("a", "b"):
        Path("images", name).mkdir(parents=True)
        Image.fromarray(noise).save(Path("images", name, "1.png"))
    path = Path("images/b/1.png")
    intact = path.read_bytes()
    path.write_bytes(intact[:2000] + bytes(100) + intact[2100:])
    Path("sheet.png").write_bytes(b"before")
    done = netspec("data", "folder.yaml", "--preview", "sheet.png")
    assert (done.status, done.out) == (1, "")
    assert "images/b/1.png: error[input]: the image is damaged or cut off" in done.err
    assert Path("sheet.png").read_bytes() == b"before"


def test_warnings_are_told_in_both_forms(
    netspec: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("a.npz", inputs=np.full((9, 1, 2, 2), 255.0), targets=np.arange(9) % 3)
    Path("a.yaml").write_text(
        "netspec: 1\ninput: [1, 2, 2]\nmodel: [Flatten, Linear: {out_features: 3}]\n"
        "data: {source: {Tensors: {path: a.npz}}}\n"
    )
    done = netspec("data", "a.yaml")
    assert done.status == 0
    assert "warning[data]: 'inputs' holds whole numbers from 255 to 255" in done.err
    done = netspec("data", "a.yaml", "--json")
    assert (done.status, done.err) == (0, "")
    (warning,) = json.loads(done.out)["warnings"]
    assert (warning["severity"], warning["place"]["file"]) == ("warning", "a.yaml")


def test_from_python(tmp_path: Path) -> None:
    spec = package.load(DIGITS)
    found = package.inspect_data(spec, part="train", preview=tmp_path / "a.png")
    assert found.parts["train"].samples == 1294
    assert (tmp_path / "a.png").is_file()


def test_a_network_that_gives_single_numbers_is_no_hindrance(netspec: Run, tmp_path: Path) -> None:
    path = tmp_path / "numbers.yaml"
    path.write_text(
        "netspec: 1\ninput: [1, 8, 8]\nmodel: [Mean: {dim: [1, 2, 3]}]\ndata: {source: Digits}\n"
    )
    done = netspec("data", path, "--json")
    assert (done.status, done.err) == (0, "")
    assert json.loads(done.out)["parts"]["train"]["samples"] == 1438
