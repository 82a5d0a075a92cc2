"""A data set's fingerprint changes with the data and with nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from netspec.catalogue.sources import Classes
from netspec.data import dataset
from netspec.data.dataset import Dataset, ImageFiles, Part


def numbers(count: int = 12, seed: int = 0) -> Tensor:
    return torch.rand((count, 3, 2), generator=torch.Generator().manual_seed(seed))


def made(inputs: Tensor | ImageFiles, targets: Tensor | None = None) -> Dataset:
    labels = torch.arange(len(inputs)) if targets is None else targets
    return Dataset({"train": Part(inputs, labels)}, Classes(12), tuple("abcdefghijkl"))


def test_it_is_plain_and_the_same_for_the_same_data() -> None:
    found = made(numbers()).fingerprint
    assert json.loads(json.dumps(found)) == found
    assert found == made(numbers()).fingerprint
    assert found["train"]["samples"] == 12
    assert len(found["train"]["sha256"]) == 64
    assert found["classes"] == list("abcdefghijkl")


def test_how_a_tensor_lies_in_memory_does_not_count() -> None:
    turned = numbers().transpose(0, 1).contiguous().transpose(0, 1)
    assert not turned.is_contiguous()
    assert made(turned).fingerprint == made(numbers()).fingerprint


def test_every_change_counts() -> None:
    whole = made(numbers())
    one_value = numbers()
    one_value[7, 2, 1] += 1e-6
    others = [
        made(one_value),
        made(numbers().flip(0)),
        made(numbers()[:-1]),
        made(numbers().to(torch.float64)),
        made(numbers().reshape(12, 6)),
        made(numbers(), torch.arange(12).flip(0)),
        replace(whole, classes=("a", "b")),
        replace(whole, parts={**whole.parts, "test": whole.parts["train"]}),
    ]
    found = [json.dumps(each.fingerprint) for each in (whole, *others)]
    assert len(set(found)) == len(found)


def test_of_more_than_can_be_read_at_once_evenly_spread_runs_of_rows_count(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(dataset, "HASHED_BYTES", 4 * 24)
    monkeypatch.setattr(dataset, "CHUNK_BYTES", 24)
    whole, first, second = numbers(), numbers(), numbers()
    first[3] += 1
    second[4] += 1
    assert made(first).fingerprint != made(whole).fingerprint
    assert made(second).fingerprint == made(whole).fingerprint
    assert made(whole[:-1]).fingerprint != made(whole).fingerprint


def images(root: Path, sizes: dict[str, int]) -> ImageFiles:
    for name, size in sizes.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(bytes(size))
    return ImageFiles(tuple(root / name for name in sizes), root, 3)


def test_of_files_names_and_sizes_count_and_not_where_they_lie(tmp_path: Path) -> None:
    files = {"a/1.png": 10, "b/2.png": 20}
    whole = made(images(tmp_path / "here", files)).fingerprint
    assert made(images(tmp_path / "there", files)).fingerprint == whole
    for at, other in enumerate([{"a/1.png": 10, "b/3.png": 20}, {"a/1.png": 10, "b/2.png": 21}]):
        assert made(images(tmp_path / str(at), other)).fingerprint != whole
