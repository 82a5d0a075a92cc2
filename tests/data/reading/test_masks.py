"""Masks from the files to the exported net: what trains is what is measured."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import netspec
from netspec.data.batches import Batches
from netspec.data.caching import keep
from netspec.data.loading import load
from netspec.planning import make_plan
from netspec.spec.loading import loads
from netspec.training.optimization import make_loss

CPU = torch.device("cpu")
SPEC = """\
netspec: 1
input: [3, 12, 12]
model:
  - Conv2d: {out_channels: 6, kernel_size: 3, padding: 1}
  - ReLU
  - Conv2d: {out_channels: 2, kernel_size: 1}
data:
  source: {ImageMasks: {root: ROOT, classes: [background, road]}}
  evaluate: [Resize: {size: [12, 12]}]
  augment: [RandomResizedCrop: {size: [12, 12], scale: [0.6, 1]}, RandomHorizontalFlip]
  cache: CACHE
train:
  epochs: 12
  batch_size: 4
  loss: CrossEntropyLoss
  optimizer: {Adam: {lr: 0.05}}
  metrics: [accuracy, iou]
"""


def write(root: Path) -> None:
    """Red squares on blue, of many sizes; the first row is of no class."""
    draw = np.random.default_rng(0)
    for part, count in (("train", 12), ("val", 4)):
        for kind in ("images", "masks"):
            (root / part / kind).mkdir(parents=True)
        for number in range(count):
            height, top, left = draw.integers(14, 24), draw.integers(1, 6), draw.integers(10)
            mask = np.zeros((height, 18), np.uint8)
            mask[top : top + 8, left : left + 8] = 1
            image = np.where(mask[..., None], [200, 60, 60], [40, 120, 200])
            image = np.clip(image + draw.normal(0, 20, image.shape), 0, 255).astype(np.uint8)
            mask[0] = 255
            Image.fromarray(image).save(root / part / "images" / f"{number}.jpg")
            Image.fromarray(mask).save(root / part / "masks" / f"{number}.png")


def spec(root: Path, cache: str = "auto") -> netspec.Spec:
    return loads(SPEC.replace("ROOT", str(root)).replace("CACHE", cache))


def test_a_net_learns_masks_and_its_file_gives_the_same_figures(tmp_path: Path) -> None:
    write(tmp_path / "data")
    made = spec(tmp_path / "data")
    run = netspec.train(made, device="cpu", root=tmp_path / "runs")
    bare = loads(
        SPEC.partition("train:")[0].replace("ROOT", str(tmp_path / "data")).replace("CACHE", "auto")
    )
    best = max(row["validation_iou"] for row in run.metrics)
    assert best > 0.7
    found = netspec.evaluate(run, part="validation").measures
    file = netspec.export_onnx(run, tmp_path / "a.onnx").path
    of_file = netspec.evaluate(file, spec=made, part="validation").measures
    for name in ("accuracy", "iou"):
        assert of_file[name] == pytest.approx(found[name], abs=1e-6)
    untold = netspec.evaluate(file, spec=bare, part="validation").measures
    assert untold == {"accuracy": of_file["accuracy"]}


def test_what_has_no_class_is_not_counted(tmp_path: Path) -> None:
    """The loss of a batch is torch's with `ignore_index: 255`, whatever stands there."""
    write(tmp_path)
    plan = make_plan(spec(tmp_path))
    assert plan.training is not None
    assert plan.training.loss.args["ignore_index"] == 255
    dataset = load(plan)
    (batch,) = Batches(plan, dataset.parts["validation"], CPU, batch_size=4).epoch(0)
    assert batch.targets.shape == (4, 12, 12) and batch.targets.dtype == torch.int64
    assert batch.targets.unique().tolist() == [0, 1, 255]
    from_torch = torch.nn.CrossEntropyLoss(ignore_index=255)
    scores = torch.randn(4, 2, 12, 12, generator=torch.Generator().manual_seed(0))
    loss = make_loss(plan.training.loss)
    assert torch.equal(loss(scores, batch.targets), from_torch(scores, batch.targets))


def batches(root: Path, cache: str) -> list[tuple[torch.Tensor, torch.Tensor]]:
    plan = make_plan(spec(root, cache))
    part = keep(plan, load(plan), ["train"]).parts["train"]
    made = Batches(plan, part, CPU, batch_size=4, training=True, shuffle=True, seed=1)
    return [(batch.inputs, batch.targets) for batch in made.epoch(3)]


def test_the_way_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETSPEC_CACHE", str(tmp_path / "cache"))
    write(tmp_path / "data")
    first = batches(tmp_path / "data", "none")
    for cache in ("memory", "disk", "disk"):
        for one, other in zip(batches(tmp_path / "data", cache), first, strict=True):
            assert torch.equal(one[0], other[0]) and torch.equal(one[1], other[1])


def test_masks_move_with_their_images(tmp_path: Path) -> None:
    """What is red in an augmented image is road in its mask."""
    write(tmp_path)
    for inputs, targets in batches(tmp_path, "none"):
        red = inputs[:, 0] > inputs[:, 2]
        counted = targets != 255
        assert ((red == (targets == 1)) & counted).sum() > 0.9 * counted.sum()
