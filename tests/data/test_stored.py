"""Rows that are read when they are asked for: whether they are mapped changes nothing."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch

from netspec.catalogue.sources import Classes
from netspec.data import dataset, stored
from netspec.data.dataset import Dataset, Part
from netspec.data.stored import Stored
from netspec.diagnostics import InputError


@pytest.mark.parametrize("order", ["C", "F"])
def test_mapped_or_in_memory_the_rows_are_those_of_a_tensor(
    order: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    random = Random(order)
    monkeypatch.setattr(stored, "CHUNK_BYTES", 100)
    monkeypatch.setattr(dataset, "CHUNK_BYTES", 100)
    for _ in range(30):
        count, width = random.randint(1, 40), random.randint(1, 9)
        whole = np.random.default_rng(count).normal(size=(count, width)).astype("f4")
        np.save(tmp_path / "a.npy", np.asfortranarray(whole) if order == "F" else whole)
        mapped = Stored(np.load(tmp_path / "a.npy", mmap_mode="r"), torch.from_numpy)
        tensor = torch.from_numpy(whole)
        for each in (mapped, Stored(whole, torch.from_numpy)):
            found, wanted = each, tensor
            for _ in range(3):
                _check(found, wanted, random)
                rows = torch.tensor(random.sample(range(len(found)), random.randint(1, len(found))))
                rows = rows if random.random() < 0.3 else rows.sort().values
                found, wanted = found.subset(rows), wanted[rows]
            _check(found, wanted, random)


def _check(found: Stored, wanted: torch.Tensor, random: Random) -> None:
    assert (found.shape, found.dtype, len(found)) == (wanted.shape, wanted.dtype, len(wanted))
    assert torch.equal(torch.cat(list(found.chunks())), wanted)
    assert torch.equal(found[:], wanted)
    assert torch.equal(found[-1], wanted[-1])
    start, stop = sorted(random.randint(0, len(wanted)) for _ in range(2))
    assert torch.equal(found[start:stop], wanted[start:stop])
    run = torch.cat([wanted[:0], *found.chunks(start, stop)])
    assert torch.equal(run, wanted[start:stop])
    rows = torch.tensor([random.randrange(len(wanted)) for _ in range(5)])
    assert torch.equal(found[rows], wanted[rows])
    labels = torch.zeros(len(wanted), dtype=torch.int64)
    one, other = (
        Dataset({"train": Part(each, labels)}, Classes(1)).fingerprint for each in (found, wanted)
    )
    assert one == other


def test_no_chunk_is_larger_than_it_should_be(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((1000, 8192), "f8"))
    mapped = Stored(np.load(tmp_path / "a.npy", mmap_mode="r"), torch.from_numpy)
    for each in (mapped, mapped.subset(torch.arange(0, 1000, 7))):
        sizes = [chunk.nbytes for chunk in each.chunks()]
        assert max(sizes) <= stored.CHUNK_BYTES
        assert len(sizes) <= 5


def test_a_file_that_was_cut_off_meanwhile(tmp_path: Path) -> None:
    path = tmp_path / "a.npy"
    np.save(path, np.zeros((1000, 8), "f8"))
    mapped = Stored(np.load(path, mmap_mode="r"), torch.from_numpy)
    path.write_bytes(path.read_bytes()[:-8])
    with pytest.raises(InputError, match="has become shorter"):
        list(mapped.chunks())
