"""Each shipped spec, trained for a moment where its data are at hand, and exported once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import netspec

SPECS = Path(__file__).parents[2] / "specs"


@dataclass(frozen=True)
class Exported:
    """A model file, what it was made of, and the run that trained it, if any did."""

    path: Path
    plan: netspec.Plan
    run: netspec.Run | None

    @property
    def session(self) -> netspec.Session:
        return netspec.Session(self.path)


def photographs(root: Path) -> Path:
    """Dark ants and bright bees, no two of one size."""
    draw = np.random.default_rng(0)
    for part, count in (("train", 6), ("val", 4)):
        for name, least in (("ants", 0), ("bees", 128)):
            (root / part / name).mkdir(parents=True)
            for number in range(count):
                height, width = draw.integers(20, 160, 2)
                pixels = draw.integers(least, least + 128, (height, width, 3), np.uint8)
                Image.fromarray(pixels).save(root / part / name / f"{number}.png")
    return root


TRAINED: dict[str, dict[str, Any]] = {
    "digits": {"train.epochs": 2},
    "perceptron": {"train.epochs": 1},
    "rnn_sequence": {
        "train.epochs": 1,
        "vars.hidden": 6,
        "input": "[3, $features]",
        "data.source.Synthetic.samples": 200,
    },
    "two_layer_regression": {"train.epochs": 1},
    "hymenoptera": {"train.epochs": 2, "train.batch_size": 4},
}
UNTRAINED = ("mnist_mlp", "lenet", "cifar_quick")


@pytest.fixture(scope="session")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Exported]:
    """A shipped spec's model file by the spec's name."""
    made: dict[str, Exported] = {}

    def export(name: str) -> Exported:
        folder = tmp_path_factory.mktemp(name)
        settings = TRAINED.get(name, {})
        if name == "hymenoptera":
            root = str(photographs(folder / "photographs"))
            settings = settings | {"data.source.ImageFolder.root": root}
        spec = netspec.load(SPECS / f"{name}.yaml", settings)
        run = netspec.train(spec, device="cpu", root=folder) if name in TRAINED else None
        path = folder / f"{name}.onnx"
        netspec.export_onnx(run or spec, path)
        return Exported(path, netspec.plan(spec), run)

    def once(name: str) -> Exported:
        if name not in made:
            made[name] = export(name)
        return made[name]

    return once
