"""`Tensors`: what arrays may hold, and how each becomes samples and targets."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import netspec
from netspec.catalogue.sources import Classes, Values
from netspec.data.batches import Batches
from netspec.data.dataset import Dataset
from netspec.data.loading import load
from netspec.diagnostics import NetspecError
from netspec.planning import Plan, make_plan
from netspec.spec.loading import loads
from netspec.training.run import Run
from tests.data.reading.test_array_files import samples

Array = np.ndarray[Any, Any]

SPEC = """\
netspec: 1
input: {input}
model: [{layers}]
data:
  source: {{Tensors: {{path: '{path}', {args}}}}}
  {data}
train: {{epochs: 1, batch_size: 4, loss: {loss}, optimizer: {{SGD: {{lr: 0.1}}}}, {train}}}
"""


def planned(path: Path, **rest: str) -> Plan:
    parts = {"args": "", "data": "split: {}", "loss": "CrossEntropyLoss", "train": "", **rest}
    return make_plan(loads(SPEC.format(path=path, **parts)))


def refused(path: Path, **rest: str) -> str:
    """The one finding, as `LINE: message`."""
    with pytest.raises(NetspecError) as caught:
        load(planned(path, **rest))
    (found,) = caught.value.diagnostics
    return f"{found.place.line}: {found.message}"


# Images

PIXELS = np.random.default_rng(0).integers(0, 256, (12, 6, 5, 3)).astype("u1")
LABELS = np.arange(12) % 3
FLAT = "Flatten, Linear: {out_features: 3}"


def saved(path: Path, **arrays: Any) -> Path:
    np.savez(path, **arrays)
    return path


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("grey", ["N×H×W", "N×H×W×1", "N×H×W×3"])
def test_8_bit_arrays_are_images(grey: str, channels: int, tmp_path: Path) -> None:
    stored = {"N×H×W": PIXELS[..., 0], "N×H×W×1": PIXELS[..., :1], "N×H×W×3": PIXELS}[grey]
    path = saved(tmp_path / "a.npz", inputs=stored, targets=LABELS)
    rest = {"input": f"[{channels}, 6, 5]", "layers": FLAT, "args": "images: true"}
    plan = planned(path, **rest)
    part = load(plan).parts["train"]
    found = samples(part)
    assert (found.dtype, found.shape) == (torch.uint8, (12, channels, 6, 5))
    last = stored[..., None] if stored.ndim == 3 else stored
    if last.shape[3] == 3 and channels == 1:
        last = (last @ np.array([0.299, 0.587, 0.114]))[..., None].round()
    wanted = torch.from_numpy(np.broadcast_to(last, (12, 6, 5, channels)).astype("u1").copy())
    assert torch.equal(found, wanted.permute(0, 3, 1, 2))
    (batch,) = Batches(plan, part, torch.device("cpu"), batch_size=12).epoch(0)
    assert torch.equal(batch.inputs, found / 255)


def test_images_are_augmented_and_the_exported_graph_takes_8_bits(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.npz", inputs=PIXELS, targets=LABELS)
    data = (
        "augment: [Resize: {size: [6, 6]}, RandomCrop: {size: 4}]\n"
        "  evaluate: [Resize: {size: [4, 4]}]\n"
        "  preprocess: [Normalize: {mean: 0.5, std: 0.25}]"
    )
    plan = planned(
        path,
        input="[3, 4, 4]",
        layers=FLAT,
        args="images: true, classes: [ant, bee, cow]",
        data=data,
    )
    run = netspec.train(plan.spec, device="cpu", root=tmp_path)
    assert run.classes == ("ant", "bee", "cow")
    netspec.export_onnx(run, tmp_path / "a.onnx")
    session = netspec.Session(tmp_path / "a.onnx")
    assert session.metadata.classes == ("ant", "bee", "cow")
    assert session.metadata.input.dtype == "uint8"
    (batch,) = Batches(plan, load(plan).parts["train"], torch.device("cpu"), batch_size=12).epoch(0)
    weights = run.weights()
    wanted = batch.inputs.flatten(1) @ weights["1.weight"].T + weights["1.bias"]
    assert np.allclose(session.predict(list(PIXELS)), wanted.numpy(), atol=1e-4)


@pytest.mark.parametrize(
    ("inputs", "words"),
    [
        (PIXELS.astype("i2"), "5: 'inputs' holds int16, and images are uint8"),
        (PIXELS.transpose(0, 3, 1, 2), "[3, 6, 5], and images are [height, width] or"),
        (PIXELS[:, 0, :, 0], "its samples have the shape [5], and images are"),
        (PIXELS[:, :5], "its images are 5x5, and 6x5 are needed"),
    ],
)
def test_arrays_that_are_no_images(inputs: Array, words: str, tmp_path: Path) -> None:
    path = saved(tmp_path / "a.npz", inputs=inputs, targets=LABELS)
    assert words in refused(path, input="[3, 6, 5]", layers=FLAT, args="images: true")


# Targets

X = np.random.default_rng(1).normal(size=(12, 3, 4)).astype("f4")
CONV = "Conv1d: {in_channels: 3, out_channels: 5, kernel_size: 1}"


def test_a_class_at_each_position_is_learned_as_torch_does(tmp_path: Path) -> None:
    labels = np.random.default_rng(2).integers(0, 5, (12, 4))
    labels[:, 1] = -1
    path = saved(tmp_path / "a.npz", inputs=X, targets=labels)
    loss = "{CrossEntropyLoss: {ignore_index: -1, weight: [1, 2, 1, 0.5, 3]}}"
    for input in ("[3, 4]", "[3, T]"):
        plan = planned(
            path,
            input=input,
            layers=CONV,
            loss=loss,
            data="split: {validation: 0.25, shuffle: false}",
            train="shuffle: false, metrics: [accuracy, top_k: {k: 2}]",
        )
        assert load(plan).target == Classes(5, None, (4,))
        row = _trained_as_by_hand(plan, labels, tmp_path).metrics[-1]
        assert 0 <= row["validation_accuracy"] <= row["validation_top_k"] <= 1


def _trained_as_by_hand(plan: Plan, labels: Array, root: Path) -> Run:
    """An epoch over the first nine rows, three batches of up to four."""
    model = netspec.build(plan.spec)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    weight = torch.tensor([1, 2, 1, 0.5, 3])
    loss = nn.CrossEntropyLoss(ignore_index=-1, weight=weight)
    x, y = torch.from_numpy(X), torch.from_numpy(labels)
    for start in (0, 4):  # the last one of a single row is left out
        optimizer.zero_grad()
        loss(model(x[start : start + 4]), y[start : start + 4]).backward()
        optimizer.step()
    run = netspec.train(plan.spec, device="cpu", root=root)
    for name, learned in run.weights().items():
        assert torch.allclose(learned, model.state_dict()[name], atol=1e-6)
    measured = run.metrics[-1]["validation_loss"]
    with torch.no_grad():
        assert measured == pytest.approx(float(loss(model(x[9:]), y[9:])), rel=1e-5)
    return run


def test_a_class_in_each_pixel(tmp_path: Path) -> None:
    labels = np.random.default_rng(3).integers(0, 3, (12, 6, 5)).astype("u1")
    labels[0, 0, 0] = 255
    path = saved(tmp_path / "a.npz", inputs=PIXELS, targets=labels)
    plan = planned(
        path,
        input="[3, 6, 5]",
        layers="Conv2d: {out_channels: 3, kernel_size: 1}",
        args="images: true, classes: [a, b, c]",
        loss="{CrossEntropyLoss: {ignore_index: 255}}",
    )
    assert load(plan).target == Classes(3, ("a", "b", "c"), (6, 5))
    netspec.train(plan.spec, device="cpu", root=tmp_path)
    said = refused(
        path,
        input="[3, 6, 5]",
        layers="Conv2d: {out_channels: 3, kernel_size: 1}",
        args="images: true, classes: [a, b, c]",
    )
    assert said == "5: the train part has labels from 0 to 255, but classes count from 0 to 2"
    said = refused(
        path,
        input="[3, 6, 5]",
        layers="Conv2d: {out_channels: 3, kernel_size: 1}",
        args="images: true, classes: [a, b, c]",
        data="augment: [RandomHorizontalFlip]",
    )
    assert "RandomHorizontalFlip does not move those of arrays with the images" in said


@pytest.mark.parametrize("shape", [(), (1,), (5,), (2, 3), (2, 3, 1)])
@pytest.mark.parametrize("kind", ["f4", "f2", "u1", "i8", "?"])
def test_values_of_any_shape(kind: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    values = (np.random.default_rng(4).random((12, *shape)) * 2).astype(kind)
    path = saved(tmp_path / "a.npz", inputs=X, targets=values)
    out = shape or (1,)
    size = int(np.prod(out))
    layers = f"Flatten, Linear: {{out_features: {size}}}, Reshape: {{shape: {list(out)}}}"
    plan = planned(path, input="[3, 4]", layers=layers, loss="MSELoss")
    found = load(plan)
    assert found.target == Values(out)
    assert torch.equal(
        found.parts["train"].labels, torch.from_numpy(values.astype("f4").reshape(12, *out))
    )
    netspec.train(plan.spec, device="cpu", root=tmp_path)


def test_parts_of_other_targets(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.npz", x=X, y=LABELS, pairs=np.stack([LABELS, LABELS], 1))
    parts = "parts: {train: {inputs: x, targets: y}, test: {inputs: x, targets: pairs}}"
    assert refused(path, input="[3, 4]", layers=FLAT, args=parts) == (
        "5: the test part's targets are class indices of the shape [2], but the train part's are "
        "class indices of the shape []"
    )


def test_float_targets_have_no_class_names(tmp_path: Path) -> None:
    path = saved(tmp_path / "a.npz", inputs=X, targets=LABELS + 0.5)
    said = refused(path, input="[3, 4]", layers=FLAT, args="classes: [a, b, c]")
    assert said == "5: 'targets' holds float64, but `classes` names class indices"


# Whatever an array may be


KINDS = ["f2", "f4", "f8", "g", "i1", "u1", "i4", "u8", "i8", "?", "c8", "M8[s]", "S3", "U2"]


def _array(random: Random, image: bool = False) -> Array:
    """An array of any kind, shape and layout."""
    kind = "u1" if image and random.random() < 0.8 else random.choice(KINDS)
    rank = random.choice([0, 1, 1, 2, 3, 3, 3, 4])
    shape = [random.choice([4, 4, 4, 4, 0, 1]), 3, 4, random.choice([1, 2, 3])][:rank]
    made = np.zeros(shape, kind)
    if made.dtype.kind in "fiu" and made.size:
        scale = random.choice([1, 1, 1, 300, 1e30])
        with np.errstate(all="ignore"):
            numbers = np.random.default_rng(random.randrange(2**32)).normal(size=shape) * scale
            made = numbers.astype(kind)
        if made.dtype.kind == "f" and random.random() < 0.2:
            made.flat[0] = random.choice([np.nan, np.inf])
    if random.random() < 0.3:
        made = np.asfortranarray(made)
    if random.random() < 0.3 and made.dtype.kind in "fiu":
        made = made.astype(made.dtype.newbyteorder(">"))
    return made[::-1] if random.random() < 0.2 and rank else made


def test_every_array_is_learned_of_or_refused(damages: int, tmp_path: Path) -> None:
    random, trained = Random(5), Counter[str]()
    for _ in range(10 * damages):
        args = random.choice(["", "images: true", "standardize: true", "classes: [a, b, c]"])
        image = args == "images: true"
        inputs = _array(random, image)
        targets = _array(random) if random.random() < 0.5 else LABELS[: len(np.atleast_1d(inputs))]
        path = saved(tmp_path / "a.npz", inputs=inputs, targets=targets)
        loss = random.choice(["CrossEntropyLoss", "MSELoss"])
        try:
            plan = planned(
                path,
                input="[1, 3, 4]" if image else "[3, 4]",
                layers=FLAT,
                loss=loss,
                args=args,
            )
            dataset = load(plan)
        except NetspecError as error:
            assert error.diagnostics
            continue
        trained[args] += 1
        _check(plan, dataset, inputs, image)
    assert len(trained) == 4
    assert trained.total() > damages // 4


def _check(plan: Plan, dataset: Dataset, inputs: Array, image: bool) -> None:
    part = dataset.parts["train"]
    batches = list(
        Batches(plan, part, torch.device("cpu"), batch_size=3, statistics=dataset.statistics).epoch(
            0
        )
    )
    made = torch.cat([batch.inputs for batch in batches]).numpy()
    wanted = inputs.astype("f4")
    if image:
        grey = (inputs.ndim == 4 and inputs.shape[3] == 3) and [0.299, 0.587, 0.114]
        wanted = (wanted @ np.array(grey)).round() if grey else wanted
        wanted = (wanted / 255).reshape(made.shape)
    elif dataset.statistics:
        mean, deviation = (np.array(dataset.statistics[n])[:, None] for n in ("mean", "deviation"))
        wanted = ((wanted.astype("f8") - mean) / deviation).astype("f4")
    assert np.isfinite(made).all()
    assert np.allclose(made, wanted, rtol=1e-4, atol=1e-5)
    assert len(np.concatenate([batch.targets.numpy() for batch in batches])) == len(inputs)
