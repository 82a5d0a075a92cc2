"""Processes that read ahead: what they read, and what goes wrong in them."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
import torch

from netspec.data.batches import Batches
from netspec.data.caching import keep
from netspec.data.dataset import Part
from netspec.data.loading import load
from netspec.data.streaming import Workers
from netspec.diagnostics import InputError, SetupError
from tests.data.pictures import photos, planned, same
from tests.data.test_caching import broken

CPU = torch.device("cpu")
RESIZE = [{"Resize": {"size": [8, 8]}}]


def part_of(root: Path, workers: int) -> tuple[Part, Batches]:
    plan = planned(root, [3, 8, 8], evaluate=RESIZE, cache="none", workers=workers)
    part = keep(plan, load(plan)).parts["train"]
    return part, Batches(plan, part, CPU, batch_size=2, training=True, shuffle=True)


def pids(reader: Workers) -> list[int]:
    processes: Any = reader.loader._iterator
    return [each.pid for each in processes._workers]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    photos(tmp_path, [(20, 30), (31, 17), (20, 20), (9, 12), (25, 25), (40, 30)])
    return tmp_path


def test_they_live_from_epoch_to_epoch_and_leave_the_random_state_alone(root: Path) -> None:
    part, batches = part_of(root, 2)
    _, alone = part_of(root, 0)
    torch.manual_seed(0)
    before = torch.get_rng_state()
    assert same(batches.epoch(0), alone.epoch(0))
    reader = part.reader
    assert isinstance(reader, Workers)
    processes = pids(reader)
    assert same(batches.epoch(1), alone.epoch(1))
    assert pids(reader) == processes
    assert torch.equal(torch.get_rng_state(), before)


def test_a_damaged_image_is_the_same_diagnostic(root: Path) -> None:
    broken(root)
    found = []
    for workers in (0, 2):
        with pytest.raises(InputError, match="damaged or cut off") as caught:
            list(part_of(root, workers)[1].epoch(0))
        found.append(caught.value.diagnostics)
    assert found[0] == found[1]


def test_an_epoch_goes_on_after_a_damaged_image(root: Path) -> None:
    path = broken(root)
    damaged = path.read_bytes()
    _, batches = part_of(root, 2)
    path.write_bytes(sorted((root / "b").glob("*.png"))[0].read_bytes())
    whole = list(part_of(root, 0)[1].epoch(0))
    path.write_bytes(damaged)
    with pytest.raises(InputError):
        list(batches.epoch(0))
    path.write_bytes(sorted((root / "b").glob("*.png"))[0].read_bytes())
    assert same(batches.epoch(0), iter(whole))


def test_a_killed_process_is_a_diagnostic(root: Path) -> None:
    part, batches = part_of(root, 1)
    list(batches.epoch(0))
    assert isinstance(part.reader, Workers)
    (process,) = pids(part.reader)
    os.kill(process, signal.SIGKILL)
    with pytest.raises(SetupError, match="a process that reads the data was killed"):
        list(batches.epoch(1))


def test_ctrl_c_does_not_reach_them(root: Path) -> None:
    part, batches = part_of(root, 1)
    list(batches.epoch(0))
    assert isinstance(part.reader, Workers)
    (process,) = pids(part.reader)
    os.kill(process, signal.SIGINT)
    assert len(list(batches.epoch(1))) == len(batches)
