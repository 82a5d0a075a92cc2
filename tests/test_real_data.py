"""Real data, where this machine has them: NETSPEC_TEST_DATA, or `shared/data` beside the project.

`mnist` as torchvision.datasets.MNIST lays it out, `hymenoptera/{train,val}/{ants,bees}/*.jpg`.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch
from torch import nn
from torchvision.datasets import MNIST
from torchvision.transforms.functional import to_tensor

import netspec

ROOT = Path(__file__).parents[1]
DATA = Path(os.environ.get("NETSPEC_TEST_DATA", ROOT.parent / "shared" / "data"))


def needs(name: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(not (DATA / name).is_dir(), reason=f"{DATA / name} is not there")


@needs("mnist")
def test_an_epoch_of_mnist_is_the_quickstarts(tmp_path: Path) -> None:
    root = str(DATA / "mnist")
    settings = {"train.epochs": 1, "data.source": {"MNIST": {"root": root}}}
    spec = netspec.load(ROOT / "specs" / "mnist_mlp.yaml", settings)
    run = netspec.train(spec, device="cpu", root=tmp_path)

    train, test = MNIST(root, train=True), MNIST(root, train=False)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = nn.Sequential(
            nn.Flatten(),
            nn.Linear(784, 512),
            nn.ReLU(),
            nn.Linear(512, 512),
            nn.ReLU(),
            nn.Linear(512, 10),
        )
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    # What ToTensor makes of an image, for all of them at once.
    assert torch.equal(to_tensor(train[7][0])[0], train.data[7] / 255)
    for images, labels in zip(train.data.split(64), train.targets.split(64), strict=True):
        loss = nn.functional.cross_entropy(model(images / 255), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    losses = [
        nn.functional.cross_entropy(model(images / 255), labels, reduction="sum")
        for images, labels in zip(test.data.split(64), test.targets.split(64), strict=True)
    ]
    wanted = float(torch.stack(losses).detach().sum()) / len(test)

    weights = run.weights()
    assert all(torch.equal(each, weights[name]) for name, each in model.state_dict().items())
    assert run.summary["test"]["loss"] == pytest.approx(wanted, rel=1e-5)
    assert 2.2 < wanted < 2.3


@needs("hymenoptera")
def test_ants_and_bees_of_many_sizes(tmp_path: Path) -> None:
    root = str(DATA / "hymenoptera")
    settings = {"train.epochs": 1, "data.source": {"ImageFolder": {"root": root}}}
    spec = netspec.load(ROOT / "specs" / "hymenoptera.yaml", settings)
    run = netspec.train(spec, device="cpu", root=tmp_path)
    assert run.classes == ("ants", "bees")
    assert 0 <= run.metrics[0]["validation_accuracy"] <= 1

    netspec.export_onnx(run, tmp_path / "insects.onnx")
    session = netspec.Session(tmp_path / "insects.onnx")
    photographs = sorted((DATA / "hymenoptera" / "val" / "ants").iterdir())[:4]
    found = session.predict([str(path) for path in photographs])
    assert found.shape == (4, 2)
    assert found.sum(1) == pytest.approx(1, abs=1e-5)
