"""Cells become numbers or categories by one rule, and records are told by their line."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import pytest

from netspec.diagnostics import InputError
from netspec.tables import (
    Categories,
    Category,
    Column,
    Layout,
    Records,
    Wrong,
    name_of,
    number,
    place,
)


@pytest.mark.parametrize(
    ("cell", "value"),
    [("1", 1), ("-2.50", -2.5), ("+3", 3), (".5", 0.5), ("5.", 5), ("1e-3", 0.001), ("1E5", 1e5)],
)
def test_numbers(cell: str, value: float) -> None:
    assert number(cell) == Column("x").value(f" {cell} ") == value


@pytest.mark.parametrize(
    ("cell", "message", "remedy"),
    [
        ("1,234", "'1,234' is no number", "write it without commas: 1234"),
        ("1,234,567.5", "'1,234,567.5' is no number", "write it without commas: 1234567.5"),
        ("1,5", "'1,5' is no number", "write it with a point: 1.5"),
        ("1_000", "'1_000' is no number", None),
        ("inf", "'inf' is no number", None),
        ("0x10", "'0x10' is no number", None),
        ("١", "'١' is no number", None),
        ("1e999", "'1e999' is larger than what float64 holds", "scale it, or mend it"),
        ("9" * 200, f"'{'9' * 60}…' is no number that float32 holds", None),
        ("a" * 200, f"'{'a' * 60}…' is no number", None),
    ],
)
def test_what_is_no_number(cell: str, message: str, remedy: str | None) -> None:
    with pytest.raises(Wrong) as caught:
        Column("x").value(cell)
    if "float32" in message:
        assert "is no number that float32 holds" in caught.value.message
        assert Column("x", bounded=False).value(cell) == float(cell)
        return
    assert (caught.value.message, caught.value.remedy) == (message, remedy)


@pytest.mark.parametrize("cell", ["", "  ", "NA", "N/A", "NaN", "nan", "null", "NULL"])
def test_what_is_missing(cell: str) -> None:
    assert math.isnan(Column("x", missing=True).value(cell))
    assert math.isnan(Column("x", ("a", "b"), missing=True).value(cell))
    for column in (Column("x"), Column("x", ("a", "b"))):
        with pytest.raises(Wrong, match="the value is missing"):
            column.value(cell)


def test_a_category_may_have_the_name_of_what_is_missing() -> None:
    column = Column("country", ("DE", "NA"), missing=True)
    assert column.value("NA") == 1 and math.isnan(column.value(""))


def test_categories_as_they_are_written() -> None:
    texts = Categories(["1", "01", "yes"])
    assert [texts.code(cell) for cell in ("1", "01", "yes", "1.0", "Yes")] == [0, 1, 2, None, None]
    numbers = Categories([1, 2.5])
    assert [numbers.code(cell) for cell in ("1", "1.0", "01", "2.50", "3")] == [0, 0, 0, 1, None]
    truths = Categories([True, False])
    assert [truths.code(cell) for cell in ("true", "True", "FALSE", "1")] == [0, 0, 1, None]
    written: list[Category] = [True, 3, 3.0, 2.5, "x"]
    assert [*map(name_of, written)] == ["true", "3", "3", "2.5", "x"]


def test_an_unknown_category_is_told_with_the_nearest() -> None:
    with pytest.raises(Wrong) as caught:
        Column("city", ("Aachen", "Bonn")).value("Bon")
    assert caught.value.message == "'Bon' is none of the categories"
    assert caught.value.remedy == "did you mean 'Bonn'?"


@pytest.mark.parametrize("value", [-1.0, 2.0, 0.5])
def test_an_index_of_no_category(value: float) -> None:
    with pytest.raises(Wrong, match="no index of its 2 categories"):
        Column("city", ("Aachen", "Bonn")).check(value)


def records(path: Path, content: bytes, layout: Layout | None = None) -> Records:
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return Records(path, layout or Layout())


def test_records_have_the_line_that_they_begin_in(tmp_path: Path) -> None:
    content = b'\xef\xbb\xbf\r\na,"b\nc"\r\n\r\n1,"2\n3"\r\n4,5'
    found = records(tmp_path / "t.csv", content)
    assert found.names == ("a", "b\nc") and found.begins == 2
    assert list(found) == [(5, ["1", "2\n3"]), (7, ["4", "5"])]


@pytest.mark.parametrize("name", ["t.tsv", "t.TSV", "t.tsv.gz"])
def test_tsv_has_tabs(name: str, tmp_path: Path) -> None:
    assert records(tmp_path / name, b"a,b\tc\n1\t2\n").names == ("a,b", "c")


def test_without_a_header_columns_are_counted(tmp_path: Path) -> None:
    found = records(tmp_path / "t.csv", b"5;6\n7;8\n", Layout(";", header=False))
    assert found.names == ("0", "1")
    assert list(found) == [(1, ["5", "6"]), (2, ["7", "8"])]


@pytest.mark.parametrize(
    ("name", "content", "line", "message"),
    [
        ("t.csv", b"", None, "the file is empty"),
        ("t.csv", b"\n\n", None, "the file is empty"),
        ("t.csv", b"a,b\n1,2,3\n", 2, "the row has 3 cells, and the file 2 columns"),
        ("t.csv", b'a,b\n1,2\n3,"4\n', 3, "the row"),
        ("t.csv", b"a,b\n1,2\n\xff,2\n", 3, "the line is not UTF-8"),
        ("t.csv", b"a,b\n" + b"1" * 140_000 + b",2\n", 2, "field larger than field limit"),
        ("t.csv", b"PAR1\xff\xfe", None, "this is a Parquet file"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(
    name: str, content: bytes, line: int | None, message: str, tmp_path: Path
) -> None:
    with pytest.raises(InputError, match=message) as caught:
        found = records(tmp_path / name, content)
        for at, cells in found:
            found.check(at, cells)
        raise AssertionError
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.place.file, diagnostic.place.line) == (str(tmp_path / name), line)


@pytest.mark.parametrize("keep", [5, 40])
def test_a_gzip_that_is_cut_off(keep: int, tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_bytes(gzip.compress(b"a,b\n" + b"".join(b"%d,2\n" % n for n in range(99)))[:keep])
    with pytest.raises(InputError, match="damaged"):
        list(Records(path, Layout()))


def test_a_file_that_is_no_gzip(tmp_path: Path) -> None:
    path = tmp_path / "t.csv.gz"
    path.write_text("a,b\n1,2\n")
    with pytest.raises(InputError, match="damaged"):
        Records(path, Layout())


def test_columns_by_name() -> None:
    assert place("b", ("a", "b")) == 1
    with pytest.raises(Wrong, match="there is no column 'aera'") as caught:
        place("aera", ("area", "b"))
    assert caught.value.remedy == "did you mean 'area'?"
    with pytest.raises(Wrong, match="2 columns have the name 'a'"):
        place("a", ("a", "b", "a"))
