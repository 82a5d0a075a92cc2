"""`.npy` files are data, never code."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import numpy as np
import pytest

from netspec.diagnostics import Code, InputError
from netspec.runtime import arrays


class Mine:
    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, ("pickled",)


def refused(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        arrays.read(path)
    (found,) = caught.value.diagnostics
    assert (found.code, found.place.file) == (Code.INPUT, str(path))
    assert found.remedy
    return found.message


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_read(tmp_path: Path, version: tuple[int, int]) -> None:
    wanted = np.arange(12, dtype=">i2").reshape(3, 4, order="F")
    with (tmp_path / "a.npy").open("wb") as file:
        np.lib.format.write_array(file, wanted, version)
    found = arrays.read(tmp_path / "a.npy")
    np.testing.assert_array_equal(found, wanted)
    assert not found.flags.writeable


def test_pickles_are_not_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.save(tmp_path / "object.npy", np.array([Mine()], object), allow_pickle=True)
    (tmp_path / "pickle.npy").write_bytes(pickle.dumps(Mine()))
    for name in ("object.npy", "pickle.npy"):
        refused(tmp_path / name)
    assert not (tmp_path / "pickled").exists()


def test_what_is_no_array(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    assert "there is no such file" in refused(path)
    refused(tmp_path)
    np.savez(tmp_path / "a.npz", a=np.zeros(3))
    (tmp_path / "a.npz").rename(path)
    refused(path)
    for array in (np.array(["text"]), np.zeros(0), np.float32(1), np.zeros(2, complex)):
        np.save(path, array)
        refused(path)
    np.save(path, np.zeros(2, [("a", "f4")]))
    refused(path)


def header(text: str) -> bytes:
    line = text.encode() + b"\n"
    return b"\x93NUMPY\x01\x00" + len(line).to_bytes(2, "little") + line + bytes(64)


@pytest.mark.parametrize(
    "text",
    [
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1 << 40,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (1000000000000,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (9999999999, 9999999999, 9999999999)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (-1, -4)}",
        "{'descr': '<f4', 'fortran_order': False, 'shape': (True,)}",
        "{'descr': '|V9999999', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': 'nonsense', 'fortran_order': False, 'shape': (1,)}",
        "{'descr': [], 'fortran_order': False, 'shape': (1,)}",
        "{'descr': '<f4', 'fortran_order': 3, 'shape': (1,)}",
        "{'shape': (1,)}",
        "__import__('os').mkdir('x')",
        "(" * 5000,
        "",
    ],
    ids=lambda text: text[-30:],
)
def test_hostile_headers(tmp_path: Path, text: str) -> None:
    (tmp_path / "a.npy").write_bytes(header(text))
    refused(tmp_path / "a.npy")


def test_truncated_and_corrupt(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.arange(6.0))
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        refused(path)
    generator = np.random.default_rng(0)
    for _ in range(500):
        data = bytearray(whole)
        data[generator.integers(128)] = generator.integers(256)
        path.write_bytes(data)
        try:
            arrays.read(path)
        except InputError as error:
            assert error.diagnostics[0].remedy
