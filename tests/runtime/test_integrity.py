"""The seal notices any change."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest

from netspec.diagnostics import InputError
from netspec.runtime import Session, integrity
from tests.runtime import models


def test_seal_is_the_hash_of_the_file_with_the_placeholder() -> None:
    graph, text = models.image_graph((4, 5, 3)), models.account().encode()
    open_, sealed = models.content(graph, text, seal=False), models.content(graph, text)
    seal = hashlib.sha256(open_).hexdigest()
    assert len(sealed) == len(open_)
    assert integrity.find(sealed) == seal
    assert integrity.check(sealed, seal)
    model = onnx.load_from_string(sealed)
    assert {p.key: p.value for p in model.metadata_props}[integrity.SEAL_KEY] == seal
    assert sealed.replace(seal.encode(), integrity.PLACEHOLDER.encode()) == open_


def test_other_seals_do_not_fit() -> None:
    sealed = models.content(models.image_graph((4, 5, 3)), models.account().encode())
    assert not integrity.check(sealed, integrity.PLACEHOLDER)
    assert not integrity.check(sealed, "")
    assert not integrity.check(b"", integrity.find(sealed) or "")
    assert not integrity.check(sealed + b"\0", integrity.find(sealed) or "")


@pytest.mark.parametrize("times", [0, 2])
def test_there_must_be_one_placeholder(times: int) -> None:
    open_ = models.content(models.image_graph((4, 5, 3)), models.account().encode(), seal=False)
    key = integrity.SEAL_KEY.encode()
    content = open_.replace(key, b"x" * len(key)) if times == 0 else open_ * times
    with pytest.raises(ValueError, match="placeholder"):
        integrity.seal(content)
    assert integrity.find(content) is None
    with pytest.raises(ValueError, match="placeholder"):
        integrity.seal(integrity.seal(open_))


def test_no_flipped_bit_is_opened(tmp_path: Path) -> None:
    path = models.image_model(tmp_path / "m.onnx")
    whole = path.read_bytes()
    bits = np.random.default_rng(0).choice(len(whole) * 8, 400, replace=False)
    opened = []
    for bit in bits:
        content = bytearray(whole)
        content[bit // 8] ^= 1 << bit % 8
        path.write_bytes(content)
        try:
            Session(path)
        except InputError:
            continue
        opened.append(int(bit))
    assert opened == []
    path.write_bytes(whole)
    Session(path)
