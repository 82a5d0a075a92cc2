"""What trains is what is exported: of an image file, the sample that the training side measures
is the one that the exported graph makes.

A draw is one image through one chain of transforms; a chain is exported once, for many images.
"""

from __future__ import annotations

import math
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch
from PIL import Image as Pillow

import netspec
from netspec.catalogue.component import Refusal
from netspec.catalogue.transforms import TRANSFORMS, AtLeast, Image, Stage, applied
from netspec.data.batches import Batches
from netspec.data.loading import load
from netspec.planning import make_plan
from netspec.planning.pipeline import completed
from netspec.runtime import Session
from netspec.spec.model import Named
from netspec.spec.writing import to_yaml

Plain = dict[str, Any]

IMAGES = 25  # of each chain
LARGEST = 60_000  # values of a sample
MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16")
FORMATS = {"CMYK": "jpg", "YCbCr": "jpg"}  # which PNG has not
SIDES = (1, 2, 7, 16, 24, 31, 32, 45, 64, 90)


@pytest.fixture(scope="module")
def prepared(request: pytest.FixtureRequest) -> int:
    found: int = request.config.getoption("--prepared")
    return found


def test_what_trains_is_what_is_exported(
    prepared: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    random, said = Random("prepared"), Counter[str]()
    for number in range(math.ceil(prepared / IMAGES)):
        data = _spec(random, f"chain{number}")
        folder = Path(data["data"]["source"]["ImageFolder"]["root"])
        _write(folder / "a", random)
        try:
            _compare(data, said)
        except (AssertionError, netspec.NetspecError) as error:
            error.add_note(to_yaml(data))
            raise
    print("\nimages through", ", ".join(f"{name}: {count}" for name, count in said.most_common()))


def _compare(data: Plain, said: Counter[str]) -> None:
    path = Path(f"{data['name']}.yaml")
    path.write_text(to_yaml(data))
    spec = netspec.load(path)
    plan = make_plan(spec)
    part = load(plan).parts["train"]
    batches = Batches(plan, part, torch.device("cpu"), batch_size=1)
    trained = [batch.inputs[0].numpy() for batch in batches.epoch(0)]
    session = Session(netspec.export_onnx(spec, f"{data['name']}.onnx").path)
    files = sorted(Path(data["data"]["source"]["ImageFolder"]["root"], "a").iterdir())
    assert len(trained) == len(files) == IMAGES
    exported = session.predict(files).reshape(IMAGES, *data["input"])
    steps = [*data["data"]["evaluate"], *data["data"]["preprocess"]]
    allowed = 1 / 255 if any("Resize" in each for each in steps) else 1e-6
    for step in steps:  # what is divided by less than 1 is more than a pixel
        if "Normalize" in step:
            allowed /= min(step["Normalize"]["std"])
    for file, one, other in zip(files, trained, exported, strict=True):
        assert np.abs(one - other).max() <= allowed, file
    said.update({name: IMAGES for step in steps for name in step})


def _spec(random: Random, name: str) -> Plain:
    """A chain that the check accepts, and the input that it makes."""
    while True:
        channels = random.choice([1, 3])
        evaluate, image = _chain(random, "evaluate", Image(channels, AtLeast(), AtLeast()))
        if not isinstance(image.height, int) or not isinstance(image.width, int):
            last = {"CenterCrop": {"size": [random.choice(SIDES[2:]), random.choice(SIDES[2:])]}}
            evaluate.append(last)
            image = image.sized(*last["CenterCrop"]["size"])
        preprocess, image = _chain(random, "preprocess", image)
        data: Plain = {
            "netspec": 1,
            "name": name,
            "input": [image.channels, image.height, image.width],
            "model": ["Flatten"],
            "data": {
                "source": {"ImageFolder": {"root": f"{name}-images"}},
                "evaluate": evaluate,
                "preprocess": preprocess,
            },
        }
        if image.channels != channels or not isinstance(image.height, int):
            continue
        if math.prod(data["input"]) <= LARGEST:
            return data


def _chain(random: Random, stage: Stage, image: Image) -> tuple[list[Plain], Image]:
    """Up to three transforms that may stand there, each taking what the one before makes."""
    entries = [entry for entry in TRANSFORMS.values() if stage in entry.stages]
    chain: list[Plain] = []
    for _ in range(random.randint(0, 3)):
        entry = random.choice(entries) if random.random() < 0.7 else TRANSFORMS["Resize"]
        args = ARGUMENTS[entry.name](random) if entry.name in ARGUMENTS else {}
        try:
            made = applied(completed(Named(entry.name, args, ())), image)
        except Refusal:
            continue
        chain.append({entry.name: args})
        image = made
    return chain, image


def _resize(random: Random) -> Plain:
    mode = random.choice(["nearest", "nearest-exact", "bilinear", "bicubic"])
    sides = SIDES[2:]
    sizes: list[Plain] = [
        {"size": random.choice(sides)},
        {"size": [random.choice(sides), random.choice(sides)]},
        {"size": random.choice(sides), "max_size": 200},
        {"size": None, "max_size": random.choice([100, 128])},
    ]
    return {**random.choice(sizes), "interpolation": mode, "antialias": random.random() < 0.7}


def _pad(random: Random) -> Plain:
    mode = random.choice(["constant", "edge", "reflect", "symmetric"])
    padding = random.choice([3, [1, 6], [0, 1, 2, 5]])
    fill = random.choice([0.5, [0.25]]) if mode == "constant" else 0.0
    return {"padding": padding, "padding_mode": mode, "fill": fill}


ARGUMENTS: dict[str, Any] = {
    "Resize": _resize,
    "Pad": _pad,
    "CenterCrop": lambda random: {"size": random.choice([random.choice(SIDES), [20, 31]])},
    "Normalize": lambda random: {"mean": [0.4], "std": [random.choice([0.25, 0.5])]},
    "GaussianBlur": lambda random: {"kernel_size": random.choice([3, [5, 3]]), "sigma": 1.3},
    "Grayscale": lambda random: {"num_output_channels": random.choice([1, 3])},
    **dict.fromkeys(
        ("RandomHorizontalFlip", "RandomVerticalFlip", "RandomInvert"), lambda random: {"p": 1.0}
    ),
}


def _write(folder: Path, random: Random) -> None:
    """Images of every mode, in sizes down to one pixel, some of them lying on a side."""
    folder.mkdir(parents=True)
    for number in range(IMAGES):
        mode = MODES[number % len(MODES)]
        image = _picture(mode, random)
        exif = Pillow.Exif()
        exif[0x0112] = random.randint(1, 8)
        path = folder / f"{number:02}.{FORMATS.get(mode, 'png')}"
        image.save(path, exif=exif)


def _picture(mode: str, random: Random) -> Pillow.Image:
    """Noise, or a slope, as most of a photograph is."""
    height, width = random.choice(SIDES), random.choice(SIDES)
    generator = np.random.default_rng(random.getrandbits(32))
    values: npt.NDArray[Any]
    if random.random() < 0.5:
        values = generator.integers(0, 2**16, (height, width, 3))
    else:
        values = np.linspace(0, 2**16 - 1, height * width * 3).reshape(height, width, 3)
    if mode == "I;16":
        return Pillow.fromarray(values[..., 0].astype(np.uint16))
    return Pillow.fromarray((values.astype(np.uint32) >> 8).astype(np.uint8)).convert(mode)
