"""A table's rows mean the same to the training, to the exported file, and in every kind of file.

Random tables: columns of all kinds, in the file in another order than in the spec, with missing
values where the spec fills them, and categories of odd names.
"""

from __future__ import annotations

import csv
import gzip
import json
import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch

import netspec
from netspec.data.dataset import Dataset
from netspec.data.loading import load
from netspec.data.preparation import preparing
from netspec.planning import make_plan
from netspec.spec.writing import to_yaml

Plain = dict[str, Any]
EXACT = 1e-6

NAMES = (
    *("Köln", "a,b", 'say "x"', "NA", "null", "1", "1.0", "-", "a b", "tab\\t", "東京", "%s", "$x"),
    *("yes", "no", "true", "é", "=1+1", "'", ";", "#", "*", "0x10", "nan"),
)


@pytest.fixture(scope="module")
def tables(request: pytest.FixtureRequest) -> int:
    found: int = request.config.getoption("--tables")
    return found


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@dataclass
class Table:
    """Columns by name, None where a value is missing, and the spec that reads them."""

    columns: dict[str, list[Any]]
    features: Plain
    target: Any
    classes: list[str] | None
    width: int

    @property
    def rows(self) -> int:
        return len(next(iter(self.columns.values())))

    def spec(self, path: str, **more: Any) -> netspec.Spec:
        source: Plain = {"path": path, "features": self.features, "target": self.target}
        if self.classes:
            source["classes"] = self.classes
        out = len(self.classes) if self.classes else 1
        out = len(self.target) if isinstance(self.target, list) else out
        data: Plain = {
            "netspec": 1,
            "name": "table",
            "input": [self.width],
            "model": [{"Linear": {"out_features": 7}}, "Tanh", {"Linear": {"out_features": out}}],
            "data": {
                "source": {"Parquet" if path.endswith(".parquet") else "CSV": source},
                "split": {"validation": 0.2, "test": 0.2},
            },
            "train": {
                "epochs": 1,
                "batch_size": 8,
                "loss": "CrossEntropyLoss" if self.classes else "MSELoss",
                "optimizer": {"SGD": {"lr": 0.01}},
                "metrics": ["accuracy" if self.classes else "mae"],
            },
            **more,
        }
        # As `resolved` writes it: a dollar that begins no expression is doubled.
        text = to_yaml(_dollars(data))
        Path("table.yaml").write_text(text, encoding="utf-8")
        return netspec.load("table.yaml")

    def write(self, path: str) -> str:
        if path.endswith(".parquet"):
            pyarrow.parquet.write_table(pyarrow.table(self.columns), path)
            return path
        content = StringIO(newline="")
        writer = csv.writer(content, delimiter="\t" if ".tsv" in path else ",")
        writer.writerow(self.columns)
        for row in zip(*self.columns.values(), strict=True):
            writer.writerow(["" if each is None else _cell(each) for each in row])
        plain = content.getvalue().encode()
        Path(path).write_bytes(gzip.compress(plain) if path.endswith(".gz") else plain)
        return path

    def permuted(self, order: list[int]) -> Table:
        columns = {name: [cells[i] for i in order] for name, cells in self.columns.items()}
        return Table(columns, self.features, self.target, self.classes, self.width)


def _cell(value: Any) -> str:
    return repr(value) if isinstance(value, float) else str(value)


def _dollars(value: Any) -> Any:
    match value:
        case str():
            return value.replace("$", "$$")
        case dict():
            return {key: _dollars(each) for key, each in value.items()}
        case list():
            return [_dollars(each) for each in value]
    return value


def draw(random: Random, rows: int = 60) -> Table:
    columns: dict[str, list[Any]] = {"unused": [random.choice("ab,\n\"'") for _ in range(rows)]}
    features: Plain = {}
    width = 0
    for index in range(random.randint(1, 6)):
        name = f"{random.choice(NAMES)} {index}"
        cells, written, wide = _column(random, rows)
        columns[name], features[name] = cells, written
        width += wide
    classes: list[str] | None = None
    target: Any = "y"
    if random.random() < 0.5:
        classes = random.sample(NAMES, random.randint(2, 5))
        columns["y"] = [random.choice(classes) for _ in range(rows)]
    elif random.random() < 0.5:
        target = ["y", "z"]
        columns["y"], columns["z"] = (_numbers(random, rows, 1.0) for _ in range(2))
    else:
        columns["y"] = _numbers(random, rows, 1.0)
    shuffled = random.sample(list(columns), len(columns))
    return Table({name: columns[name] for name in shuffled}, features, target, classes, width)


def _column(random: Random, rows: int) -> tuple[list[Any], Any, int]:
    """Cells, what the spec writes, and how many numbers they become."""
    holes = random.random() < 0.5
    if random.random() < 0.4:
        names = random.sample(NAMES, random.randint(1, 6))
        cells: list[Any] = [random.choice(names) for _ in range(rows)]
        written: Any = {"one_hot": names}
        if holes:
            written = {"fill": random.choice(names), "then": written}
        holes = holes and not {"", "null", "NA", "nan"} & set(names)
        return _holed(random, cells, holes), written, len(names)
    size = 10.0 ** random.randint(-3, 6)
    cells = _numbers(random, rows, size)
    kind = random.choice(["as_is", "standardize"])
    if random.random() < 0.3:
        cells = [round(each) for each in cells]
    if random.random() < 0.1:
        cells = [cells[0]] * rows
    if not holes:
        return cells, kind, 1
    fill = random.choice(["median", "mean", round(size, 3), -1])
    written = {"fill": fill} if kind == "as_is" else {"fill": fill, "then": kind}
    return _holed(random, cells, True), written, 1


def _numbers(random: Random, rows: int, size: float) -> list[Any]:
    center = random.choice([0, 3, 1000])
    return [size * (random.gauss(0, 1) + center) for _ in range(rows)]


def _holed(random: Random, cells: list[Any], holes: bool) -> list[Any]:
    return [None if holes and random.random() < 0.2 else each for each in cells]


def each(tables: int, follow: Callable[[Table, Random], None]) -> None:
    random = Random("tables")
    for _ in range(tables):
        table = draw(random)
        try:
            follow(table, random)
        except (AssertionError, netspec.NetspecError) as error:
            error.add_note(f"{table.features}\n{table.target} {table.classes}")
            raise


def test_what_trains_is_what_is_exported(tables: int) -> None:
    each(tables, _follow)


def _follow(table: Table, random: Random) -> None:
    path = table.write("table.csv")
    spec = table.spec(path)
    run = netspec.train(spec, device="cpu")
    dataset = load(run.plan, statistics=run.statistics)
    assert run.statistics == dataset.statistics == load(run.plan).statistics
    exported = netspec.export_onnx(run, "table.onnx").path
    session = netspec.Session(exported)
    part = dataset.parts["test"]
    rows = _whole(part.inputs)

    # The network's own output, of what the training prepares.
    model = netspec.build(spec)
    model.load_state_dict(run.weights())
    assert run.plan.pipeline is not None
    prepare = preparing(run.plan.pipeline, run.statistics)
    assert prepare is not None
    with torch.inference_mode():
        wanted = model.eval()(prepare(rows)).numpy()
    got = session.predict(rows.numpy())
    scale = max(1.0, float(np.abs(wanted).max()))
    np.testing.assert_allclose(got, wanted, rtol=0, atol=EXACT * scale)

    # The whole file by its columns' names, in the rows' order, and in another file's.
    whole = load(make_plan(table.spec(path, data={**_data(table, path), "split": {}})))
    raw = _whole(whole.parts["train"].inputs)
    by_name = session.predict(path)
    np.testing.assert_array_equal(by_name, session.predict(raw.numpy()))
    other = table.write("other.tsv.gz")
    np.testing.assert_array_equal(session.predict(other), by_name)

    # And measured: as the run was.
    spec = table.spec(path)
    by_file, by_run = netspec.evaluate(exported, spec=spec), netspec.evaluate(run, device="cpu")
    for name, measured in by_file.measures.items():
        assert measured == pytest.approx(by_run.measures[name], rel=1e-4, abs=1e-6)
    assert netspec.verify(exported).ok


def _data(table: Table, path: str) -> Plain:
    source: Plain = {"path": path, "features": table.features, "target": table.target}
    if table.classes:
        source["classes"] = table.classes
    return {"source": {"CSV": source}}


def test_what_is_prepared_is_what_is_exported_to_the_last_bit(tables: int) -> None:
    """Without a network behind it, the graph gives the training's own floats."""

    def follow(table: Table, random: Random) -> None:
        path = table.write("table.csv")
        spec = table.spec(path, model=["Identity"], data=_data(table, path))
        plan = make_plan(_untrained(spec))
        dataset = load(plan)
        exported = netspec.export_onnx(_untrained(spec), "table.onnx").path
        assert plan.pipeline is not None
        prepare = preparing(plan.pipeline, dataset.statistics)
        raw = _whole(dataset.parts["train"].inputs)
        assert prepare is not None
        np.testing.assert_array_equal(netspec.Session(exported).predict(path), prepare(raw))

    each(max(1, tables // 3), follow)


def _untrained(spec: netspec.Spec) -> netspec.Spec:
    return replace(spec, train=None)


def test_every_kind_of_file_gives_the_same_bits(tables: int) -> None:
    def follow(table: Table, random: Random) -> None:
        paths = ["table.csv", "table.tsv", "table.csv.gz", "table.tsv.gz", "table.parquet"]
        found = [load(make_plan(table.spec(table.write(path)))) for path in paths]
        for other in found[1:]:
            assert _same(found[0], other)

    each(3 * tables, follow)


def _whole(rows: Any) -> torch.Tensor:
    found: torch.Tensor = rows[:]
    return found


def _same(one: Dataset, other: Dataset) -> bool:
    assert one.statistics == other.statistics
    assert one.target == other.target and one.classes == other.classes
    for name, part in one.parts.items():
        for mine, theirs in (
            (part.inputs, other.parts[name].inputs),
            (part.targets, other.parts[name].targets),
        ):
            torch.testing.assert_close(_whole(mine), _whole(theirs), rtol=0, atol=0, equal_nan=True)
    return True


def test_statistics_follow_from_the_training_part_alone(tables: int) -> None:
    """They change neither with its rows' order nor with what the other parts hold."""

    def follow(table: Table, random: Random) -> None:
        split = {"split": {"validation": 0.3, "shuffle": False}}
        path = table.write("table.csv")
        before = load(make_plan(table.spec(path, data={**_data(table, path), **split})))
        kept = len(before.parts["train"])

        order = random.sample(range(kept), kept) + list(range(kept, table.rows))
        path = table.permuted(order).write("permuted.csv")
        after = load(make_plan(table.spec(path, data={**_data(table, path), **split})))
        assert after.statistics == before.statistics

        changed = table.permuted(list(range(table.rows)))
        for name, cells in changed.columns.items():
            for row in range(kept, table.rows):
                if isinstance(cells[row], float):
                    changed.columns[name][row] = cells[row] * 3 + 1
        path = changed.write("changed.csv")
        after = load(make_plan(table.spec(path, data={**_data(table, path), **split})))
        assert after.statistics == before.statistics

    each(2 * tables, follow)


def test_statistics_are_those_of_the_filled_columns(tables: int) -> None:
    """By hand: the median of what is there, then the population's deviation."""

    def follow(table: Table, random: Random) -> None:
        path = table.write("table.csv")
        dataset = load(make_plan(table.spec(path, data=_data(table, path))))
        assert dataset.statistics is not None
        for index, (name, written) in enumerate(table.features.items()):
            cells = table.columns[name]
            found = {key: numbers[index] for key, numbers in dataset.statistics.items()}
            if not all(each is None or isinstance(each, int | float) for each in cells):
                continue
            there = np.array([each for each in cells if each is not None], float)
            fill = written.get("fill", 0) if isinstance(written, dict) else 0
            if fill in ("median", "mean"):
                fill = getattr(np, fill)(there)
            if isinstance(written, dict):
                assert found["fill"] == pytest.approx(fill)
            filled = np.array([fill if each is None else each for each in cells], float)
            assert found["mean"] == pytest.approx(filled.mean(), rel=1e-12)
            deviation = 1.0 if len(set(filled)) == 1 else filled.std()
            assert found["deviation"] == pytest.approx(deviation, rel=1e-9)

    each(2 * tables, follow)


def test_a_run_keeps_what_it_learned(tables: int) -> None:
    """As JSON, exactly, whatever becomes of the data."""
    table = draw(Random(5))
    path = table.write("table.csv")
    run = netspec.train(table.spec(path), device="cpu")
    kept = json.loads((run.directory / "statistics.json").read_text())
    assert kept == load(run.plan).statistics
    assert all(math.isfinite(number) for numbers in kept.values() for number in numbers)
    Path(path).unlink()
    exported = netspec.export_onnx(run, "table.onnx").path
    assert netspec.verify(exported).ok
