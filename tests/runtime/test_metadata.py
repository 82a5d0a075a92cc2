"""The account comes back as it was written; whatever is wrong is one InputError."""

from __future__ import annotations

import base64
import json
import time
import zlib
from typing import Any

import numpy as np
import pytest

from netspec.diagnostics import Code, InputError
from netspec.runtime.metadata import Input, Metadata, Output, decode
from netspec.runtime.vectors import MAX_VALUES, PROBES, Vector
from netspec.tables import Layout
from tests.runtime import models

SHAPE = models.sized("4*H", "W", 3)


def whole(**changes: Any) -> Metadata:
    vectors = models.vectors(2, models.expected, 2, 8, 6, 3)
    return models.account(SHAPE, **{"vectors": vectors, "least": {"H": 2, "W": 5}, **changes})


def refused(text: str) -> str:
    start = time.process_time()
    with pytest.raises(InputError) as caught:
        decode(text, "m.onnx")
    assert time.process_time() - start < 20
    (found,) = caught.value.diagnostics
    assert (found.code, found.place.file) == (Code.MODEL, "m.onnx")
    return found.message


def test_round_trip() -> None:
    wanted = whole()
    text = wanted.encode()
    found = decode(text)
    assert found.encode() == text
    assert found.input == wanted.input
    assert found.output == wanted.output
    assert found.classes == wanted.classes
    assert found.least == wanted.least
    assert found.tolerance == wanted.tolerance
    for mine, theirs in zip(found.vectors, wanted.vectors, strict=True):
        for field in ("shape", "seed", "below", "output", "scale"):
            assert getattr(mine, field) == getattr(theirs, field)
        assert mine.values.dtype == theirs.values.dtype
        np.testing.assert_array_equal(mine.values, theirs.values)
    assert json.loads(text)["input"]["shape"] == ["4*H", "W", 3]


def of_rows(**changes: Any) -> Metadata:
    return models.account(
        (3,), classes=None, input=models.table(), output=Output("none", "values", (3,)), **changes
    )


def test_columns_come_back() -> None:
    found = decode(of_rows().encode()).input
    assert found == models.table()
    assert found.table is not None
    truth = found.table.columns[1].categories
    assert truth is not None and truth[2] is True
    layout = Layout(";", header=False)
    text = of_rows()
    other = models.account(
        (3,), classes=None, input=models.table(layout), output=text.output
    ).encode()
    table = decode(other).input.table
    assert table is not None and table.layout == layout


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("shape", [4]),
        ("shape", ["N"]),
        ("dtype", "float32"),
        ("table", None),
        ("table.header", "yes"),
        ("table.delimiter", ", "),
        ("table.delimiter", '"'),
        ("table.delimiter", "\n"),
        ("table.columns", []),
        ("table.columns", [{}]),
        ("table.columns.0.name", 3),
        ("table.columns.0.name", "\x1b[2J"),
        ("table.columns.0.name", "rooms"),
        ("table.columns.0.missing", None),
        ("table.columns.0.bounded", 1),
        ("table.columns.0.center", "0"),
        ("table.columns.0.spread", True),
        ("table.columns.1.categories", []),
        ("table.columns.1.categories", "Aachen"),
        ("table.columns.1.categories", [None]),
        ("table.columns.1.categories", ["a\nb"]),
        ("table.columns.1.categories", [1e300]),
    ],
    ids=lambda value: str(value)[:40],
)
def test_wrong_columns(path: str, value: object) -> None:
    text = json.loads(of_rows().encode())
    *above, last = path.split(".")
    at = text["input"]
    for key in above:
        at = at[int(key) if isinstance(at, list) else key]
    at[last] = value
    assert "metadata is wrong" in refused(json.dumps(text))


@pytest.mark.parametrize("dtype", ["uint8", "float16", "float32", "int64", ">f4", ">i8"])
def test_vectors_of_every_dtype_and_layout(dtype: str) -> None:
    array = np.arange(12).reshape(3, 4).astype(dtype).T
    vector = Vector((4, 8, 6, 3), 1, 1, array.shape, array, 0.5)
    found = decode(whole(vectors=(vector,)).encode()).vectors[0]
    np.testing.assert_array_equal(found.values, array)


@pytest.mark.parametrize("shape", [(2, 3, 768, 768), (2, 21, 384, 384)])
def test_the_text_is_short_however_large_inputs_and_outputs_are(shape: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).normal(size=(2, PROBES)).astype(np.float32)
    vectors = (Vector(shape, 1, 1, shape, values, 1.0),) * 2
    assert len(whole(vectors=vectors).encode()) < 50_000


def test_what_is_new_is_passed_over() -> None:
    text = json.loads(whole().encode())
    text["future"] = {"a": 1}
    assert decode(json.dumps(text)).name == "small"


def changed(path: str, value: object) -> str:
    text = json.loads(whole().encode())
    *above, last = path.split(".")
    at = text
    for key in above:
        at = at[int(key) if isinstance(at, list) else key]
    at[int(last) if isinstance(at, list) else last] = value
    return json.dumps(text)


def packed(values: list[float]) -> str:
    return base64.b64encode(zlib.compress(np.array(values, "<f4").tobytes())).decode()


WRONG: list[Any] = [
    ("version", 1),
    ("name", None),
    ("name", "\x1b[2J"),
    ("name", "n" * 1001),
    ("name", "\ud800"),
    ("spec", ["a"]),
    ("spec", "\ud800"),
    ("digest", "x" * 64),
    ("classes", "abc"),
    ("classes", ["a", 1, "c"]),
    ("classes", ["a", "b"]),
    ("classes", ["a", "b", "c\n"]),
    ("input", []),
    ("input.kind", "sound"),
    ("input.kind", ["images"]),
    ("input.dtype", "object"),
    ("input.dtype", "float32"),
    ("input.shape", 3),
    ("input.shape", [4, 4]),
    ("input.shape", [4, 4, "C"]),
    ("input.shape", [4, 4, 0]),
    ("input.shape", [4, -4, 3]),
    ("input.shape", [4, True, 3]),
    ("input.shape", [4, 4.0, 3]),
    ("input.shape", [4, 1 << 70, 3]),
    ("input.shape", ["__import__('os')", 4, 3]),
    ("input.shape", ["H*W", "W", 3]),
    ("input.shape", ["8 - H", "W", 3]),
    ("input.shape", ["H", "W", 3] * 9),
    ("input.shape", ["(" * 199, 4, 3]),
    ("input.shape", ["*".join(f"(a{n} + b{n})" for n in range(16)), 4, 3]),
    ("input.shape", ["*".join(["(a+b+c)"] * 25), 4, 3]),
    ("input.shape", ["H//0", 4, 3]),
    ("input.shape", ["H" * 201, 4, 3]),
    ("least", {}),
    ("least.H", 0),
    ("least.H", "1"),
    ("least.H", True),
    ("output.activation", "relu"),
    ("output.task", None),
    ("output.shape", []),
    ("output.shape", ["9**9**9"]),
    ("tolerance.rtol", -1),
    ("tolerance.atol", "0"),
    ("tolerance.atol", 1e9),
    ("tolerance.atol", True),
    ("vectors", {}),
    ("vectors", [[]]),
    ("vectors", [{}] * 65),
    ("vectors.0.input", None),
    ("vectors.0.input.shape", []),
    ("vectors.0.input.shape", [3, 8, 6, 3]),
    ("vectors.0.input.shape", ["N", 8, 6, 3]),
    ("vectors.0.input.shape", [-2, -8, 6, 3]),
    ("vectors.0.input.shape", [2.0, 8, 6, 3]),
    ("vectors.0.input.shape", [2, 0]),
    ("vectors.0.input.shape", [2, MAX_VALUES]),
    ("vectors.0.input.shape", [1 << 60]),
    ("vectors.0.input.shape", [1] * 17),
    ("vectors.0.input.seed", -1),
    ("vectors.0.input.seed", 1 << 32),
    ("vectors.0.input.below", 0),
    ("vectors.0.output", None),
    ("vectors.0.output.dtype", "object"),
    ("vectors.0.output.dtype", "O"),
    ("vectors.0.output.shape", [2, 4]),
    ("vectors.0.output.shape", []),
    ("vectors.0.output.scale", -1.0),
    ("vectors.0.output.scale", "1"),
    ("vectors.0.output.scale", True),
    ("vectors.0.output.data", "!!"),
    ("vectors.0.output.data", "é"),
    ("vectors.0.output.data", base64.b64encode(b"no zlib").decode()),
    ("vectors.0.output.data", base64.b64encode(zlib.compress(bytes(25))).decode()),
    ("vectors.0.output.data", base64.b64encode(zlib.compress(bytes(24))[:-4]).decode()),
    ("vectors.0.output.data", base64.b64encode(zlib.compress(bytes(24)) + b"x").decode()),
    ("vectors.0.output.data", base64.b64encode(zlib.compress(bytes(1 << 26))).decode()),
    ("vectors.0.output.data", packed([1, 2, 3, 4, 5, np.nan])),
    ("vectors.0.output.data", packed([1, 2, 3, 4, 5, -np.inf])),
    ("rows", []),
    ("rows", {"test": "ab" * 31}),
    ("rows", {"validation": None}),
]


@pytest.mark.parametrize(("path", "value"), WRONG, ids=lambda value: str(value)[:40])
def test_wrong(path: str, value: object) -> None:
    assert "metadata is wrong" in refused(changed(path, value))


@pytest.mark.parametrize(
    "text",
    ["", "null", "[]", "{}", "{", "[" * 100_000, '{"version": NaN}', "9" * 5000, "\0"],
    ids=lambda text: text[:10],
)
def test_what_is_no_account(text: str) -> None:
    refused(text)


def test_every_key_is_needed() -> None:
    def drop(at: Any, path: tuple[Any, ...] = ()) -> Any:
        items = at.items() if isinstance(at, dict) else enumerate(at)
        for key, value in list(items):
            if isinstance(at, dict):
                del at[key]
                yield (*path, key), json.dumps(text)
                at[key] = value
            if isinstance(value, dict | list):
                yield from drop(value, (*path, key))

    dropped = 0
    for account in (whole(), of_rows()):
        text = json.loads(account.encode())
        for path, without in drop(text):
            assert f"'{path[-1]}'" in refused(without)
            dropped += 1
    assert dropped > 60


def test_the_values_of_a_vector_are_bounded() -> None:
    shape = [1 << 15, PROBES]
    data = base64.b64encode(zlib.compress(bytes(1 << 25), 9)).decode()
    given = {"dtype": "uint8", "shape": shape, "scale": 1.0, "data": data}
    vector = {"input": {"shape": shape, "seed": 1, "below": 1}, "output": given}
    assert "too large" in refused(changed("vectors", [vector]))


def test_encode_refuses_what_decode_would() -> None:
    with pytest.raises(InputError):
        whole(classes=("a", "b", "line\nbreak")).encode()
    with pytest.raises(InputError):
        whole(input=Input("images", (4, 5, 3), "float32")).encode()


def test_long_output_dimensions_are_read() -> None:
    shape = models.sized("64*((4*H + 3)//4)*((W + 3)//4)")
    found = decode(whole(classes=None, output=Output("none", "values", shape)).encode())
    assert found.output.shape == shape
