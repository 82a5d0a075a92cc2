"""A table's rows, from files by their columns' names and from arrays."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from netspec.diagnostics import InputError, NetspecError
from netspec.runtime import Session
from netspec.runtime.prediction import predictions
from netspec.tables import Layout
from tests.runtime import models

ROWS = """\
price,rooms,city,area
1,2,Aachen,50
1,,"Köln, Nord",60.5
1,NA,TRUE, 70
"""
WANTED = [[50, 0, 2], [60.5, 1, 7], [70, 2, 7]]


@pytest.fixture
def session(tmp_path: Path) -> Session:
    return Session(models.table_model(tmp_path / "m.onnx"))


def test_columns_go_by_name_and_others_are_passed_over(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(ROWS, encoding="utf-8-sig")
    assert session.predict(path).tolist() == WANTED
    found = list(predictions(session, [path]))
    assert [each.label for each in found] == [f"{path}:{line}" for line in (2, 3, 4)]


def test_a_folder_of_tables(session: Session, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "b.csv").write_text(ROWS)
    (folder / "a.tsv").write_text("area\tcity\trooms\n1\tAachen\t3\n")
    np.save(folder / "c.npy", np.array([[9.0, 2.0, np.nan]]))
    (folder / "notes.txt").write_text("none")
    assert session.predict(folder).tolist() == [[1, 0, 3], *WANTED, [9, 2, 7]]


def test_the_layout_is_the_models(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("50;Aachen;2\n")
    model = models.table_model(tmp_path / "m.onnx", Layout(";", header=False))
    with pytest.raises(InputError, match="there is no column 'area'"):
        Session(model).predict(path)


def test_a_wrong_row_is_named_and_the_others_are_answered(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text(
        "area,city,rooms\n1,Aachen,2\n,Aachen,2\n3,Achen,2\n4,Aachen\nx,Aachen,\n6,Aachen,5\n"
    )
    told: list[NetspecError] = []
    found = list(predictions(session, [path], refuse=told.append))
    assert [each.label for each in found] == [f"{path}:2", f"{path}:7"]
    said = [(each.diagnostics[0].place.line, each.diagnostics[0].message) for each in told]
    assert said == [
        (3, "column 'area': the value is missing"),
        (4, "column 'city': 'Achen' is none of the categories"),
        (5, "the row has 2 cells, and the file 3 columns"),
        (6, "column 'area': 'x' is no number"),
    ]
    assert told[1].diagnostics[0].remedy == "did you mean 'Aachen'?"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"area,rooms\n1,2\n", "there is no column 'city'"),
        (b"area,city,rooms,area\n1,Aachen,2,3\n", "2 columns have the name 'area'"),
        (b"", "the file is empty"),
        (b"\xff\xfe", "the line is not UTF-8"),
        (b"PAR1\xff", "this is a Parquet file, not text"),
        (b"area,city,rooms\n", "there is nothing to predict"),
    ],
)
def test_a_file_without_rows_for_it(
    content: bytes, message: str, session: Session, tmp_path: Path
) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(content)
    with pytest.raises(InputError, match=message):
        session.predict(path)


def test_rows_as_arrays(session: Session) -> None:
    rows = np.array([[1, 2, np.nan], [3, 0, 4]])
    assert session.predict(rows).tolist() == [[1, 2, 7], [3, 0, 4]]
    assert session.predict(rows.astype(np.float32)).tolist() == [[1, 2, 7], [3, 0, 4]]
    assert session.predict(rows[1]).tolist() == [[3, 0, 4]]
    assert session.predict(np.array([[3, 0, 4]])).tolist() == [[3, 0, 4]]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ([np.nan, 0, 1], "column 'area': the value is missing"),
        ([1, np.nan, 1], "column 'city': the value is missing"),
        ([1, 3, 1], "column 'city': 3 is no index of its 3 categories"),
        ([1, 0.5, 1], "column 'city': 0.5 is no index"),
        ([np.inf, 0, 1], "column 'area': inf is no number"),
        ([1e39, 0, 1], "column 'area': 1e\\+39 is no number that float32 holds"),
        ([1, 2], "the sample has shape"),
        (["a", "b", "c"], "the array is <U1"),
    ],
)
def test_wrong_rows_of_arrays(row: Any, message: str, session: Session) -> None:
    with pytest.raises(InputError, match=message):
        session.predict(np.array(row))
