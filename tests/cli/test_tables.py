"""A table from its spec to predictions by its columns' names, as a user goes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.cli.conftest import Done

Run = Callable[..., Done]

HOUSES = """\
netspec: 1
input: [5]
model: [Linear: {out_features: 1}]
data:
  source:
    CSV:
      path: houses.csv
      target: price
      features:
        area: standardize
        city: {one_hot: [Aachen, Bonn, Köln]}
        rooms: {fill: median, then: standardize}
  split: {validation: 0.2, test: 0.2}
train:
  epochs: 60
  loss: MSELoss
  optimizer: {Adam: {lr: 0.05}}
  metrics: [mae]
"""
LEFT = """\
netspec: 1
input: [3]
model: [Linear: {out_features: 2}]
data:
  source:
    CSV:
      path: left.tsv
      target: left
      classes: [no, yes]
      features: {months: standardize, plan: {one_hot: [basic, plus]}}
  split: {test: 0.25}
train: {epochs: 30, loss: CrossEntropyLoss, optimizer: {Adam: {lr: 0.1}}}
"""


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    draw = np.random.default_rng(0)
    cities = ["Aachen", "Bonn", "Köln"]
    houses, left = ["id,area,city,rooms,price"], ["months\tplan\tleft"]
    for number in range(200):
        area, city = draw.uniform(30, 200), int(draw.integers(3))
        rooms = "" if number % 9 == 0 else str(int(area // 25))
        price = area / 100 + city
        houses.append(f"{number},{area:.2f},{cities[city]},{rooms},{price:.4f}")
        months = int(draw.integers(1, 60))
        left.append(f"{months}\t{('basic', 'plus')[number % 2]}\t{'yes' if months < 20 else 'no'}")
    Path("houses.csv").write_text("\n".join(houses) + "\n", encoding="utf-8")
    Path("left.tsv").write_text("\n".join(left) + "\n")
    Path("houses.yaml").write_text(HOUSES, encoding="utf-8")
    Path("left.yaml").write_text(LEFT)
    return tmp_path


def test_values(netspec: Run, project: Path) -> None:
    assert netspec("validate", "houses.yaml").out == "houses.yaml: ok, [5] → [1], 6 parameters\n"
    done = netspec("train", "houses.yaml", "--device", "cpu")
    assert (done.status, done.err) == (0, "")
    (run,) = (project / "runs/houses").iterdir()
    assert (run / "statistics.json").is_file()
    assert netspec("export", "--onnx", "houses.yaml").status == 0
    model = "exported/houses.onnx"
    by_run = netspec("evaluate", run, "--device", "cpu").out
    by_file = netspec("evaluate", model, "--spec", "houses.yaml").out
    assert by_run.split("mae")[1] == by_file.split("mae")[1]
    assert netspec("verify", model).status == 0

    done = netspec("predict", model, "houses.csv", "--json")
    found = [json.loads(line) for line in done.out.splitlines()]
    assert [each["input"] for each in found[:2]] == ["houses.csv:2", "houses.csv:3"]
    rows = Path("houses.csv").read_text().splitlines()[1:]
    wanted = [float(row.rpartition(",")[2]) for row in rows]
    apart = np.abs([each["values"][0] for each in found] - np.array(wanted))
    assert len(found) == 200 and apart.mean() < 0.3

    # Without the target, in another order, gone through another program.
    Path("new.csv").write_bytes(b"\xef\xbb\xbfcity;area\r\n")
    done = netspec("predict", model, "new.csv")
    assert done.status == 1 and "there is no column" in done.err
    Path("new.csv").write_text("city,rooms,area\nBonn,4,100\nBerlin,4,100\n,4,100\nBonn,,100\n")
    done = netspec("predict", model, "new.csv")
    assert done.status == 1
    assert [line.split()[0] for line in done.out.splitlines()] == ["new.csv:2", "new.csv:5"]
    assert "new.csv:3:1: error[input]: column 'city': 'Berlin' is none of" in done.err
    assert "new.csv:4:1: error[input]: column 'city': the value is missing" in done.err


def test_classes_by_name(netspec: Run, project: Path) -> None:
    assert netspec("train", "left.yaml", "--device", "cpu").status == 0
    done = netspec("export", "--onnx", "left.yaml")
    assert (done.status, done.err) == (0, "")
    Path("new.csv").write_text("plan,months\nbasic,2\nplus,59\n")
    done = netspec("predict", "exported/left.onnx", "new.csv")
    said = [line.split()[:2] for line in done.out.splitlines()]
    assert said == [["new.csv:2", "yes"], ["new.csv:3", "no"]]
    accuracy = netspec("evaluate", "exported/left.onnx", "--spec", "left.yaml").out
    assert float(accuracy.split()[-1].rstrip("%")) > 90


def test_without_a_run_the_statistics_come_from_the_data(netspec: Run, project: Path) -> None:
    untrained = ("export", "--onnx", "houses.yaml", "--untrained", "-o", "u.onnx")
    assert netspec(*untrained).status == 0
    assert netspec("verify", "u.onnx").status == 0
    Path("houses.csv").unlink()
    done = netspec(*untrained)
    assert done.status == 1
    assert "houses.yaml:7:13: error[data]: there is no file 'houses.csv'" in done.err


def test_a_file_may_take_what_the_network_takes(netspec: Run, project: Path) -> None:
    netspec("train", "houses.yaml", "--device", "cpu")
    setting = ("--set", "export.onnx.preprocess=false")
    assert netspec("export", "--onnx", "houses.yaml", *setting, "-o", "p.onnx").status == 0
    assert netspec("export", "--onnx", "houses.yaml", "-o", "r.onnx").status == 0
    plain, raw = (
        netspec("evaluate", model, "--spec", "houses.yaml").out for model in ("p.onnx", "r.onnx")
    )
    assert plain == raw
