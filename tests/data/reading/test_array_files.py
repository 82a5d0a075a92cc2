"""Files of arrays: the format does not matter, and what is damaged is answered."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import safetensors.torch
import torch
from torch import Tensor

import netspec
from netspec.data.batches import Batch, Batches
from netspec.data.dataset import Dataset, Part, Pictures
from netspec.data.loading import load
from netspec.diagnostics import NetspecError
from netspec.planning import Plan, make_plan
from netspec.spec.loading import loads

Array = np.ndarray[Any, Any]

SPEC = """\
netspec: 1
input: [3, 4]
model: [Flatten, Linear: {{out_features: 2}}]
data:
  source: {{Tensors: {{{source}}}}}
  split: {{validation: 0.25, test: 0.25}}
train:
  epochs: 2
  batch_size: 4
  loss: CrossEntropyLoss
  optimizer: {{SGD: {{lr: 0.1}}}}
"""


def planned(source: str) -> Plan:
    return make_plan(loads(SPEC.format(source=source)))


# Each writes two arrays into a folder, and gives what the spec says of them.


def npz(folder: Path, inputs: Array, targets: Array) -> str:
    np.savez(folder / "a.npz", inputs=inputs, targets=targets)
    return f"path: '{folder / 'a.npz'}'"


def packed(folder: Path, inputs: Array, targets: Array) -> str:
    np.savez_compressed(folder / "packed.npz", inputs=inputs, targets=targets)
    return f"path: '{folder / 'packed.npz'}'"


def npy(folder: Path, inputs: Array, targets: Array) -> str:
    np.save(folder / "x.npy", inputs)
    np.save(folder / "y.npy", targets)
    return f"inputs: '{folder / 'x.npy'}', targets: '{folder / 'y.npy'}'"


def _tensors(inputs: Array, targets: Array) -> dict[str, Tensor]:
    found = {"inputs": inputs, "targets": targets}
    return {
        name: torch.from_numpy(np.array(each, each.dtype.newbyteorder("="), order="C"))
        for name, each in found.items()
    }


def safe(folder: Path, inputs: Array, targets: Array) -> str:
    safetensors.torch.save_file(_tensors(inputs, targets), folder / "a.safetensors")
    return f"path: '{folder / 'a.safetensors'}'"


def pt(folder: Path, inputs: Array, targets: Array) -> str:
    torch.save({**_tensors(inputs, targets), "epoch": 3}, folder / "a.pt")
    return f"path: '{folder / 'a.pt'}'"


Writer = Callable[[Path, Array, Array], str]
WRITERS: tuple[Writer, ...] = (npz, packed, npy, safe, pt)

KINDS = ("f2", "f4", "f8", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "?")


def drawn(kind: str, random: Random, rows: int = 20) -> tuple[Array, Array]:
    """Samples [N, 3, 4] of a kind, laid out at random, and classes of a random whole kind."""
    numbers = np.random.default_rng(random.randrange(2**32))
    dtype = _ordered(np.dtype(kind), random)
    low = 0 if dtype.kind in "ub" else -5
    inputs = (numbers.random((rows, 3, 4)) * 10 + low).astype(dtype)
    inputs = np.asfortranarray(inputs) if random.random() < 0.5 else inputs
    whole = np.dtype(random.choice([each for each in KINDS if each[0] in "iu"]))
    return inputs, (numbers.random(rows) < 0.5).astype(_ordered(whole, random))


def _ordered(dtype: np.dtype[Any], random: Random) -> np.dtype[Any]:
    return dtype.newbyteorder("<") if random.random() < 0.5 else dtype.newbyteorder(">")


@pytest.mark.parametrize("kind", KINDS)
def test_the_format_does_not_matter(kind: str, tmp_path: Path) -> None:
    inputs, targets = drawn(kind, Random(kind))
    found = {}
    for write in WRITERS:
        plan = planned(write(tmp_path, inputs, targets))
        run = netspec.train(plan.spec, device="cpu", root=tmp_path / "runs")
        dataset = load(plan)
        found[write.__name__] = (
            [row for part in dataset.parts.values() for row in _batches(plan, dataset, part)],
            run.weights(),
            {name: each for name, each in run.metrics[-1].items() if name != "seconds"},
            dataset.fingerprint,
        )
    batches, weights, metrics, fingerprint = found.pop("npy")
    whole = torch.cat([batch.inputs for batch in batches])
    rows = inputs.astype("f4").reshape(20, -1).tolist()
    assert sorted(whole.flatten(1).tolist()) == sorted(rows)
    for name, (others, learned, measured, print_) in found.items():
        for one, other in zip(batches, others, strict=True):
            assert torch.equal(one.inputs, other.inputs), name
            assert torch.equal(one.targets, other.targets), name
        assert all(torch.equal(weights[key], learned[key]) for key in weights), name
        assert (measured, print_) == (metrics, fingerprint), name


def samples(part: Part) -> Tensor:
    assert not isinstance(part.inputs, Pictures)
    return part.inputs[:]


def _batches(plan: Plan, dataset: Dataset, part: Any) -> list[Batch]:
    made = Batches(plan, part, torch.device("cpu"), batch_size=3, shuffle=True, seed=4)
    return [*made.epoch(0)]


@pytest.mark.parametrize("kind", [torch.bfloat16, torch.float8_e4m3fn, torch.float8_e5m2])
def test_numbers_that_numpy_has_not(kind: torch.dtype, tmp_path: Path) -> None:
    arrays = {"inputs": torch.randn(6, 3, 4).to(kind), "targets": torch.arange(6) % 2}
    safetensors.torch.save_file(arrays, tmp_path / "a.safetensors")
    torch.save(arrays, tmp_path / "a.pt")
    for name in ("a.safetensors", "a.pt"):
        part = load(planned(f"path: '{tmp_path / name}'")).parts["train"]
        rows = arrays["inputs"].float()
        assert all((rows == row).flatten(1).all(1).any() for row in samples(part))


def test_names_of_parts(tmp_path: Path) -> None:
    x, y = np.arange(24.0).reshape(2, 3, 4), np.array([0, 1])
    np.savez(tmp_path / "a.npz", a=x, b=y, c=x + 1, d=1 - y)
    parts = "parts: {train: {inputs: a, targets: b}, test: {inputs: c, targets: d}}"
    text = SPEC.format(source=f"path: '{tmp_path / 'a.npz'}', {parts}")
    plan = make_plan(loads(text.replace("  split: {validation: 0.25, test: 0.25}\n", "")))
    assert plan.pipeline is not None
    assert plan.pipeline.parts == {"train", "test"}
    found = load(plan).parts
    assert found["test"].labels.tolist() == [1, 0]
    with pytest.raises(NetspecError, match="the source brings its own test part"):
        make_plan(loads(text))


# What is no such file


def answered(source: str) -> str:
    """What is said of data that cannot be used; "" where they can."""
    try:
        plan = planned(source)
        dataset = load(plan)
        for part in dataset.parts.values():
            for batch in Batches(plan, part, torch.device("cpu"), batch_size=7).epoch(0):
                assert batch.inputs.isfinite().all()
                assert 0 <= batch.targets.min() <= batch.targets.max() < 2
    except NetspecError as error:
        (found,) = error.diagnostics
        assert found.place.line in (5, 10)
        assert "\n" not in found.message
        return found.message
    return ""


@pytest.mark.parametrize("write", WRITERS)
def test_damaged_files_are_answered(write: Writer, damages: int, tmp_path: Path) -> None:
    random = Random(write.__name__)
    inputs, targets = drawn("f4", random)
    source = write(tmp_path, inputs, targets)
    files = [path for path in tmp_path.iterdir() if path.is_file()]
    whole = {path: path.read_bytes() for path in files}
    assert not answered(source)
    refused = 0
    for _ in range(damages):
        path = random.choice(files)
        path.write_bytes(_damaged(whole[path], random))
        refused += bool(answered(source))
        path.write_bytes(whole[path])
    assert refused >= damages // 4
    assert not answered(source)


def _damaged(content: bytes, random: Random) -> bytes:
    made = bytearray(content)
    match random.randrange(4):
        case 0:
            del made[random.randrange(len(made)) :]
        case 1:
            begin = random.randrange(len(made))
            del made[begin : begin + random.randint(1, 64)]
        case _:
            # Headers lie at the beginning, and an archive's at its end as well.
            for _ in range(random.choice([1, 1, 3, 20])):
                near = int(len(made) * random.random() ** random.choice([1, 4]))
                at = random.choice([near, len(made) - 1 - near])
                made[at] = random.choice(
                    [made[at] ^ (1 << random.randrange(8)), random.randrange(256)]
                )
    return bytes(made)
