"""Statistics of the training part: of each feature or channel, however it is read."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch

import netspec
from netspec.catalogue.component import Refusal
from netspec.catalogue.preparations import Preparation
from netspec.catalogue.sources import SOURCES
from netspec.data import stored
from netspec.data.standardizing import Standardized
from netspec.data.stored import Stored
from netspec.shapes import Tensor as Shape
from netspec.spec.loading import loads

ARGS = {"standardize": True}


def stated(*shape: int) -> Preparation:
    found = SOURCES["Tensors"].preparation(ARGS, Shape(shape))
    assert found is not None
    return found


@pytest.mark.parametrize("shape", [(3,), (2, 5), (3, 4, 4), (1, 2, 2, 2)])
def test_each_channel_has_mean_0_and_deviation_1(
    shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "CHUNK_BYTES", 300)
    random = np.random.default_rng(len(shape))
    values = random.normal(size=(50, *shape)) * random.uniform(
        0.1, 1e4, (shape[0], *[1] * (len(shape) - 1))
    )
    values = (values + random.normal(size=(shape[0], *[1] * (len(shape) - 1))) * 100).astype("f4")
    learned = Standardized.learn(stated(*shape), Stored(values, torch.from_numpy))
    axes = (0, *range(2, values.ndim))
    assert np.allclose(learned["mean"], values.astype("f8").mean(axes), rtol=1e-12)
    assert np.allclose(learned["deviation"], values.astype("f8").std(axes), rtol=1e-12)
    made = Standardized.made(stated(*shape), learned)(torch.from_numpy(values)).double().numpy()
    assert np.abs(made.mean(axes)).max() < 1e-5
    assert np.abs(made.std(axes) - 1).max() < 1e-5


@pytest.mark.parametrize("value", [0.0, 0.1, -3e38, 12345.678])
def test_a_constant_is_divided_by_1(value: float) -> None:
    values = np.full((1000, 2), value, "f4")
    values[:, 1] = np.arange(1000)
    learned = Standardized.learn(stated(2), Stored(values, torch.from_numpy))
    assert learned["deviation"][0] == 1
    made = Standardized.made(stated(2), learned)(torch.from_numpy(values))
    assert not made[:, 0].any()


def test_what_float32_does_not_hold_is_refused() -> None:
    values = (np.arange(100.0).reshape(100, 1) + 1.7e9).astype("f4")
    with pytest.raises(Refusal, match="number 0 of the first dimension deviates by"):
        Standardized.learn(stated(1), Stored(values, torch.from_numpy))


SPEC = """\
netspec: 1
input: [2, 3]
model: [Flatten, Linear: {{out_features: 1}}]
data:
  source: {{Tensors: {{path: '{path}', standardize: true}}}}
  split: {{validation: 0.5}}
train: {{epochs: 1, batch_size: 5, loss: MSELoss, optimizer: SGD, metrics: [mse]}}
"""


def test_it_is_learned_of_the_training_part_and_exported(tmp_path: Path) -> None:
    random = Random(0)
    inputs = np.array([[[random.gauss(50, 9) for _ in "abc"] for _ in "ab"] for _ in range(40)])
    np.savez(tmp_path / "a.npz", inputs=inputs, targets=inputs.mean((1, 2)))
    spec = loads(SPEC.format(path=tmp_path / "a.npz"))
    run = netspec.train(spec, device="cpu", root=tmp_path)
    assert run.statistics is not None
    found: Any = np.array(run.statistics["mean"])
    assert np.abs(found - inputs.mean((0, 2))).min() > 1e-3  # of the validation part, too
    netspec.export_onnx(run, tmp_path / "a.onnx")
    session = netspec.Session(tmp_path / "a.onnx")
    raw = inputs[:7].astype("f4")
    mean, deviation = (np.array(run.statistics[name])[:, None] for name in ("mean", "deviation"))
    weights = run.weights()
    flat = ((raw - mean) / deviation).reshape(7, 6)
    wanted = flat @ weights["1.weight"].numpy().T + weights["1.bias"].numpy()
    assert np.allclose(session.predict(list(raw)), wanted, atol=1e-4)
