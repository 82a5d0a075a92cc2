"""What an epoch is judged by, where the data have their say."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image
from torch import nn

import netspec
from netspec.data.loading import load as load_data
from netspec.diagnostics import SpecError
from netspec.spec.loading import load, loads
from netspec.training.monitor import Monitor

SPEC = """\
netspec: 1
input: [4]
model: [Linear: {{out_features: 2}}]
data: {{source: {{Synthetic: {{samples: 20, classes: 2}}}}, split: {split}}}
train:
  epochs: 6
  loss: CrossEntropyLoss
  optimizer: {{SGD: {{lr: 0.1}}}}
  {rest}
"""
ACCURACY = "metrics: [accuracy]\n  checkpoint: {monitor: validation_accuracy}"
VALIDATED = "{validation: 0.5}"


def monitor_of(rest: str, split: str) -> Monitor:
    plan = netspec.plan(loads(SPEC.format(rest=rest, split=split)))
    return Monitor(plan, load_data(plan))


def improvements(monitor: Monitor, measure: str, *values: float) -> list[bool]:
    """Whether each of a run's epochs is the best so far."""
    rows = ({"epoch": epoch, measure: value} for epoch, value in enumerate(values))
    return [monitor.improved(row) for row in rows]


def test_a_metric_rises_and_the_loss_falls() -> None:
    monitor = monitor_of(ACCURACY, VALIDATED)
    assert improvements(monitor, "validation_accuracy", 0.5, 0.4, 0.6) == [True, False, True]
    assert monitor.epoch == 2
    monitor = monitor_of("", VALIDATED)
    assert improvements(monitor, "validation_loss", 3.0, 4.0, 2.0) == [True, False, True]


def test_without_a_validation_part_the_last_is_the_best() -> None:
    monitor = monitor_of("", "{}")
    assert improvements(monitor, "train_loss", 1.0, 2.0) == [True, True]
    assert monitor.epoch == 1
    assert monitor.value({"train_loss": 2.0}) == 2.0


def rates(values: list[float], mode: str) -> list[float]:
    """The learning rate that torch's scheduler has for each epoch's end, by what it follows."""
    optimizer = torch.optim.SGD(nn.Linear(1, 1).parameters(), lr=0.1)
    scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, mode, patience=0)  # type: ignore[arg-type]
    found = []
    for value in values:
        found.append(optimizer.param_groups[0]["lr"])
        scheduler.step(value)
    return found


def test_a_plateau_follows_what_is_monitored(tmp_path: Path) -> None:
    rest = f"{ACCURACY}\n  scheduler: {{ReduceLROnPlateau: {{patience: 0}}}}"
    made = loads(SPEC.format(rest=rest, split=VALIDATED))
    rows = netspec.train(made, device="cpu", root=tmp_path).metrics
    followed = rates([row["validation_accuracy"] for row in rows], "max")
    assert followed != rates([row["validation_loss"] for row in rows], "min")
    assert [row["learning_rate"] for row in rows] == followed


FOLDER = """\
netspec: 1
input: [3, 4, 4]
model: [Flatten, Linear: {out_features: 2}]
data: {source: {ImageFolder: {root: data}}, evaluate: [Resize: {size: [4, 4]}]}
train:
  epochs: 1
  loss: CrossEntropyLoss
  optimizer: SGD
  metrics: [accuracy]
  checkpoint: {monitor: validation_loss}
"""


def test_what_only_the_data_know(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("a", "b"):
        folder = tmp_path / "data" / "train" / name
        folder.mkdir(parents=True)
        for index in range(2):
            Image.new("RGB", (4, 4)).save(folder / f"{index}.png")
    Path("spec.yaml").write_text(FOLDER)
    plan = netspec.plan(load(Path("spec.yaml")))
    dataset = load_data(plan)
    (doubt,) = dataset.warnings
    assert doubt.place.line == 9
    assert "no part is held out" in doubt.message
    with pytest.raises(SpecError, match="there is no validation part") as caught:
        Monitor(plan, dataset)
    assert caught.value.diagnostics[0].place.line == 10
