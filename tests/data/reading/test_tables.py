"""Tables: what their columns become, and what is refused, at its line or its place in the spec."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow
import pyarrow.parquet
import pytest
import torch
from torch import Tensor

from netspec.catalogue.sources import Classes, Values
from netspec.data.dataset import Dataset, Pictures
from netspec.data.loading import load
from netspec.data.preparation import preparing
from netspec.diagnostics import InputError, NetspecError, SetupError, SpecError
from netspec.planning import Plan, make_plan
from netspec.spec.loading import loads
from netspec.spec.writing import digest

HOUSES = """\
area,city,rooms,price
50,Bonn,2,100
70,Aachen,,200
90,Bonn,4,300
"""
FEATURES = "{area: standardize, city: {one_hot: [Aachen, Bonn]}, rooms: {fill: median}}"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def planned(
    path: str = "t.csv",
    features: str = FEATURES,
    rest: str = "target: price",
    width: int = 4,
    out: int = 1,
    loss: str | None = "MSELoss",
    split: str = "{}",
    data: str = "",
) -> Plan:
    kind = "Parquet" if path.endswith(".parquet") else "CSV"
    text = (
        f"netspec: 1\ninput: [{width}]\nmodel: [Linear: {{out_features: {out}}}]\n"
        f"data:\n  split: {split}\n  source:\n    {kind}:\n      path: {path}\n"
        f"      features: {features}\n      {rest}\n{data}"
    )
    if loss:
        text += f"train: {{epochs: 1, loss: {loss}, optimizer: SGD}}\n"
    return make_plan(loads(text))


def read(content: str | bytes = HOUSES, path: str = "t.csv", **rest: Any) -> Dataset:
    plain = content.encode() if isinstance(content, str) else content
    Path(path).write_bytes(plain)
    return load(planned(path, **rest))


def written(columns: dict[str, Any], **rest: Any) -> Dataset:
    pyarrow.parquet.write_table(pyarrow.table(columns), "t.parquet")
    return load(planned("t.parquet", **rest))


def inputs(found: Dataset) -> Tensor:
    raw = found.parts["train"].inputs
    assert not isinstance(raw, Pictures)
    return raw[torch.arange(len(raw))]


def targets(found: Dataset) -> Any:
    values = found.parts["train"].labels
    return values[torch.arange(len(values))].tolist()


def refusal(found: NetspecError) -> str:
    (diagnostic,) = found.diagnostics
    place = diagnostic.place
    said = f"{place.file}:{place.line}" if place.file != "<spec>" else f"{place.line}"
    return f"{said}: {diagnostic.message}"


# What is read


def test_rows_are_numbers_and_indices() -> None:
    found = read()
    nan = float("nan")
    wanted = torch.tensor([[50, 1, 2], [70, 0, nan], [90, 1, 4]], dtype=torch.float64)
    torch.testing.assert_close(inputs(found), wanted, rtol=0, atol=0, equal_nan=True)
    assert targets(found) == [[100], [200], [300]]
    assert found.target == Values((1,))


def test_what_the_network_gets() -> None:
    Path("t.csv").write_text(HOUSES)
    plan = planned()
    found = load(plan)
    assert found.statistics == {
        "fill": [0, 0, 3],
        "mean": [70, 0, 3],
        "deviation": [pytest.approx((800 / 3) ** 0.5), 1, pytest.approx((2 / 3) ** 0.5)],
    }
    assert plan.pipeline is not None
    prepare = preparing(plan.pipeline, found.statistics)
    assert prepare is not None
    got = prepare(inputs(found))
    apart = (1.5) ** 0.5
    wanted = torch.tensor([[-apart, 0, 1, 2], [0, 1, 0, 3], [apart, 0, 1, 4]])
    torch.testing.assert_close(got, wanted)
    assert got.dtype == torch.float32


@pytest.mark.parametrize("value", ["0.1", "-3e5", "1e-300"])
def test_a_constant_column_is_divided_by_one(value: str) -> None:
    """Its mean by a sum would be off by rounding, of which a division made much."""
    content = "a,price\n" + f"{value},1\n" * 10
    Path("t.csv").write_text(content)
    plan = planned(features="{a: standardize}", width=1)
    found = load(plan)
    assert found.statistics == {"fill": [0], "mean": [float(value)], "deviation": [1]}
    assert plan.pipeline is not None
    prepare = preparing(plan.pipeline, found.statistics)
    assert prepare is not None
    assert not prepare(inputs(found)).any()


def test_large_ids_lose_nothing_before_they_are_standardised() -> None:
    content = "a,price\n" + "".join(f"{2**40 + n},1\n" for n in range(3))
    Path("t.csv").write_text(content)
    plan = planned(features="{a: standardize}", width=1)
    found = load(plan)
    assert plan.pipeline is not None
    prepare = preparing(plan.pipeline, found.statistics)
    assert prepare is not None
    torch.testing.assert_close(
        prepare(inputs(found))[:, 0], torch.tensor([-(1.5**0.5), 0, 1.5**0.5])
    )


@pytest.mark.parametrize(("fill", "wanted"), [("median", 2), ("mean", 4), ("7", 7), ("-0.5", -0.5)])
def test_what_fills_a_hole(fill: str, wanted: float) -> None:
    content = "a,price\n1,1\n2,1\n9,1\n,1\n"
    found = read(content, features=f"{{a: {{fill: {fill}}}}}", width=1)
    assert found.statistics is not None and found.statistics["fill"] == [wanted]


def test_a_category_fills_a_hole() -> None:
    features = "{city: {fill: Bonn, then: {one_hot: [Aachen, Bonn]}}}"
    found = read("city,price\nAachen,1\n,2\n", features=features, width=2)
    assert found.statistics is not None and found.statistics["fill"] == [1]


def test_classes_by_name() -> None:
    content = "a,price\n1,yes\n2,no\n3, yes \n"
    rest, loss = "{target: price, classes: [no, yes]}", "CrossEntropyLoss"
    found = read(
        content, features="{a: as_is}", rest="target: price\n      classes: [no, yes]",
        width=1, out=2, loss=loss,
    )  # fmt: skip
    assert rest and targets(found) == [1, 0, 1]
    assert (found.target, found.classes) == (Classes(2, ("no", "yes")), ("no", "yes"))


def test_class_indices_and_floats_by_the_loss() -> None:
    content = "a,price\n1,0\n2,2.0\n3,1\n"
    found = read(content, features="{a: as_is}", width=1, out=3, loss="CrossEntropyLoss")
    assert targets(found) == [0, 2, 1] and found.target == Classes(3)
    found = read(content, features="{a: as_is}", width=1)
    assert targets(found) == [[0], [2], [1]] and found.target == Values((1,))
    found = read(content, features="{a: as_is}", width=1, loss=None)
    assert found.target == Values((1,))


def test_several_targets() -> None:
    content = "a,x,y\n1,0,1\n2,1,0\n"
    found = read(
        content, features="{a: as_is}", rest="target: [y, x]", width=1, out=2,
        loss="BCEWithLogitsLoss",
    )  # fmt: skip
    assert targets(found) == [[1, 0], [0, 1]] and found.target == Values((2,))


def test_a_column_of_any_kind_may_say_what_stays_together() -> None:
    content = "a,who,price\n1,x,1\n2,y,2\n3, x,3\n4,10,4\n"
    found = read(content, features="{a: as_is}", width=1, split="{group: who}")
    groups = found.parts["train"].groups
    assert groups is not None and groups.tolist() == [0, 1, 0, 2]
    columns = {"a": [1.0, 2.0, 3.0], "who": [5, 7, 5], "price": [1.0, 2.0, 3.0]}
    found = written(columns, features="{a: as_is}", width=1, split="{group: who}")
    groups = found.parts["train"].groups
    assert groups is not None and groups.tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    "cells",
    [
        pyarrow.array([1, 2, 3], pyarrow.int8()),
        pyarrow.array([1, 2, 3], pyarrow.uint64()),
        pyarrow.array([1, 2, 3], pyarrow.float32()),
        pyarrow.array(["1", " 2", "3.0"], pyarrow.large_string()),
        pyarrow.array(["1", "2", "3"]).dictionary_encode(),
    ],
    ids=lambda cells: str(cells.type)[:10],
)
def test_numbers_of_every_type(cells: Any) -> None:
    found = written({"a": cells, "price": [1, 2, 3]}, features="{a: as_is}", width=1)
    assert inputs(found).flatten().tolist() == [1, 2, 3]


@pytest.mark.parametrize(
    ("cells", "categories"),
    [
        ([1, 2, 1], "[1, 2]"),
        ([1, 2, 1], "['1', '2']"),
        ([1.0, 2.0, 1.0], "[1, 2]"),
        ([True, False, True], "[true, false]"),
        (pyarrow.array(["x", "y", "x"]).dictionary_encode(), "[x, y]"),
    ],
)
def test_categories_of_every_type(cells: Any, categories: str) -> None:
    features = f"{{a: {{one_hot: {categories}}}}}"
    found = written({"a": cells, "price": [1, 2, 3]}, features=features, width=2)
    assert inputs(found).flatten().tolist() == [0, 1, 0]


def test_what_parquet_lacks_is_missing() -> None:
    columns = {"a": [1.0, None, float("nan")], "price": [1, 2, 3]}
    found = written(columns, features="{a: {fill: 5}}", width=1)
    assert inputs(found).isnan().flatten().tolist() == [False, True, True]


def test_a_table_of_many_batches() -> None:
    """Its rows keep their order, and a wrong one its line."""
    rows = 200_000
    numbers = np.random.default_rng(0).normal(size=rows)
    lines = [f"{number!r},{'ab'[n % 2]},{n}" for n, number in enumerate(numbers.tolist())]
    features = "{a: as_is, b: {one_hot: [a, b]}}"
    found = read("a,b,price\n" + "\n".join(lines), features=features, width=3)
    np.testing.assert_array_equal(inputs(found)[:, 0].numpy(), numbers)
    assert torch.equal(inputs(found)[:, 1], torch.arange(rows) % 2)
    lines[150_000] = "1,c,2"
    with pytest.raises(InputError) as caught:
        read("a,b,price\n" + "\n".join(lines), features=features, width=3)
    assert refusal(caught.value) == "t.csv:150002: column 'b': 'c' is none of the categories"


# What is refused

HEAD = "area,city,rooms,price\n50,Bonn,2,100\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "t.csv:None: the file is empty"),
        (HEAD + "1,Bonn,2\n", "t.csv:3: the row has 3 cells, and the file 4 columns"),
        (HEAD + "1,Bonn,2,3,4\n", "t.csv:3: the row has 5 cells, and the file 4 columns"),
        (HEAD.encode() + b"1,B\xf6nn,2,3\n", "t.csv:3: the line is not UTF-8"),
        (HEAD + '"1,234",Bonn,2,3\n', "t.csv:3: column 'area': '1,234' is no number"),
        (HEAD + "inf,Bonn,2,3\n", "t.csv:3: column 'area': 'inf' is no number"),
        (HEAD + "1e999,Bonn,2,3\n", "'1e999' is larger than what float64 holds"),
        (HEAD + "1,Bonn,1e39,3\n", "column 'rooms': 1e+39 is no number that float32 holds"),
        (HEAD + "1,Bonn,2,-1e39\n", "column 'price': -1e+39 is no number that float32 holds"),
        (HEAD + ",Bonn,2,3\n", "t.csv:3: column 'area': the value is missing"),
        (HEAD + "nan,Bonn,2,3\n", "t.csv:3: column 'area': the value is missing"),
        (HEAD + "1,,2,3\n", "t.csv:3: column 'city': the value is missing"),
        (HEAD + "1,Bonn,2,\n", "t.csv:3: column 'price': the value is missing"),
        (HEAD + "1,Bon,2,3\n", "t.csv:3: column 'city': 'Bon' is none of the categories"),
        ("\n\n" + HEAD + "\n1,Bonn,2,x\n", "t.csv:6: column 'price': 'x' is no number"),
        (HEAD + '1,"Bonn,2,3\n4,Bonn,5,6\n', "t.csv:3: the row"),
        (HEAD + '1,Bonn,2,"3\n', "t.csv:3: the row"),
        (HEAD.replace(",", "|"), "9: 't.csv': there is no column 'area'"),
        (HEAD.replace("rooms", "area"), "9: 't.csv': 2 columns have the name 'area'"),
        (HEAD.replace("price", "prices"), "10: 't.csv': there is no column 'price'"),
        ("area,city,rooms,price\n", "8: 't.csv' has no rows"),
        ("area,city,rooms,price", "8: 't.csv' has no rows"),
        (HEAD.replace(",2,", ",,"), "column 'rooms' has no value in the train part"),
        (HEAD + "-1e308,Bonn,2,3\n1e308,Bonn,2,3\n", "whose deviation float64 does not hold"),
    ],
)
def test_what_is_wrong_with_a_table(content: str | bytes, message: str) -> None:
    with pytest.raises(NetspecError) as caught:
        read(content)
    assert message in refusal(caught.value)


def test_a_bom_and_carriage_returns_are_none_of_the_cells() -> None:
    plain = read(HOUSES)
    found = read(b"\xef\xbb\xbf" + HOUSES.replace("\n", "\r\n").encode())
    torch.testing.assert_close(inputs(found), inputs(plain), equal_nan=True)
    quoted = "\n".join(
        ",".join(f'"{cell}"' for cell in line.split(",")) for line in HOUSES.splitlines()
    )
    torch.testing.assert_close(inputs(read(quoted)), inputs(plain), equal_nan=True)


def test_names_that_stand_twice_harm_none_that_is_read() -> None:
    doubled = "\n".join("x,x," + line for line in HOUSES.splitlines())
    torch.testing.assert_close(inputs(read(doubled)), inputs(read()), equal_nan=True)


def test_class_indices_are_whole() -> None:
    with pytest.raises(InputError) as caught:
        read("a,price\n1,0\n2,1.5\n", features="{a: as_is}", width=1, loss="CrossEntropyLoss")
    said = "t.csv:3: column 'price': 1.5 is no whole number, as a class index is"
    assert refusal(caught.value) == said


def test_a_label_of_no_class() -> None:
    rest = "target: price\n      classes: [no, yes]"
    with pytest.raises(InputError) as caught:
        read("a,price\n1,no\n2,yess\n", features="{a: as_is}", width=1, out=2, rest=rest,
             loss="CrossEntropyLoss")  # fmt: skip
    assert refusal(caught.value) == "t.csv:3: column 'price': 'yess' is none of the categories"
    assert caught.value.diagnostics[0].remedy == "did you mean 'yes'?"


def test_a_row_of_no_group() -> None:
    with pytest.raises(InputError) as caught:
        read("a,who,price\n1,x,1\n2,,2\n", features="{a: as_is}", width=1, split="{group: who}")
    assert refusal(caught.value).startswith("t.csv:3: column 'who': the value is missing")


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["a", "b"], "t.parquet:None: row 1, column 'a': 'a' is no number"),
        ([1.0, None], "t.parquet:None: row 2, column 'a': the value is missing"),
        ([1.0, float("inf")], "row 2, column 'a': inf is no number that float32 holds"),
        ([[1], [2]], "column 'a': it holds list<"),
        (np.array(["2020-01-01", "2020-01-02"], "M8[s]"), "column 'a': it holds timestamp["),
        ([True, False], "row 1, column 'a': 'true' is no number"),
    ],
)
def test_what_is_wrong_with_a_parquet_table(cells: Any, message: str) -> None:
    with pytest.raises(InputError) as caught:
        written({"a": cells, "price": [1, 2]}, features="{a: as_is}", width=1)
    assert message in refusal(caught.value)


def test_a_file_of_another_kind() -> None:
    Path("t.parquet").write_text(HOUSES)
    with pytest.raises(InputError, match=r"t\.parquet: .* can't be read"):
        load(planned("t.parquet"))
    pyarrow.parquet.write_table(pyarrow.table({"a": [1]}), "t.csv")
    with pytest.raises(InputError, match="this is a Parquet file"):
        load(planned("t.csv"))


def test_a_parquet_file_that_is_cut_off() -> None:
    columns = {"a": np.arange(100.0), "price": np.arange(100.0)}
    written(columns, features="{a: as_is}", width=1)
    content = Path("t.parquet").read_bytes()
    Path("t.parquet").write_bytes(content[: len(content) // 2])
    with pytest.raises(InputError, match="can't be read"):
        load(planned("t.parquet", features="{a: as_is}", width=1))


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(SpecError, match=r"there is no file 't\.csv'"):
        load(planned())


def test_nothing_to_learn() -> None:
    Path("t.csv").write_text(HOUSES)
    with pytest.raises(SpecError, match="it names nothing to learn"):
        load(planned(rest="header: true", loss=None))


def test_tables_need_an_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(SetupError, match="not installed") as caught:
        read()
    assert caught.value.diagnostics[0].remedy == "pip install 'netspec-compiler[tables]'"
    assert caught.value.exit_status == 3


def test_the_order_of_the_features_makes_another_network() -> None:
    one, other = (
        planned(features=features, width=2)
        for features in ("{a: as_is, b: as_is}", "{b: as_is, a: as_is}")
    )
    assert one.digest != other.digest
    assert digest(one.spec) != digest(other.spec)
