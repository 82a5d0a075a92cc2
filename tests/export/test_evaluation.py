"""A file is measured on a part that it can't have learned from unless the spec says so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import CliRunner
from PIL import Image
from torch import Tensor

import netspec
from netspec.cli.evaluate import command
from netspec.data.dataset import PartName
from netspec.data.loading import load
from netspec.diagnostics import SpecError
from netspec.export.evaluation import evaluate
from netspec.runtime import integrity, metadata
from netspec.spec.loading import loads

SPEC = """\
netspec: 1
input: [1, 8, 8]
model: [Flatten, {{Linear: {{out_features: 10}}}}]
data:
  source: {source}
  split: {split}
train: {{epochs: 1, seed: {seed}, loss: CrossEntropyLoss, optimizer: SGD}}
"""
SYNTHETIC = "{Synthetic: {samples: 50, classes: 10}}"
CUT = "{validation: 0.2, test: 0.2}"


def spec(source: str = SYNTHETIC, split: str = CUT, seed: int = 0) -> netspec.Spec:
    return loads(SPEC.format(source=source, split=split, seed=seed))


@pytest.fixture(scope="module")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return netspec.export_onnx(spec(), tmp_path_factory.mktemp("s") / "a.onnx").path


@pytest.fixture(scope="module")
def digits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = spec("Digits", "{validation: 0.1}")
    return netspec.export_onnx(made, tmp_path_factory.mktemp("d") / "a.onnx").path


def measured(file: Path, made: netspec.Spec, part: PartName) -> None:
    plan = netspec.plan(made)
    found = evaluate(plan, netspec.Session(file), load(plan), part)
    assert found.keys() == {"accuracy"}


def refused(file: Path, made: netspec.Spec, part: PartName) -> str:
    with pytest.raises(SpecError) as caught:
        measured(file, made, part)
    (found,) = caught.value.diagnostics
    return f"{found.place.line}: {found.message}"


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_the_same_split_is_measured(part: PartName, synthetic: Path) -> None:
    measured(synthetic, spec(), part)


@pytest.mark.parametrize("part", ["train", "validation", "test"])
def test_another_seed_cuts_other_parts(part: PartName, synthetic: Path) -> None:
    said = refused(synthetic, spec(seed=1), part)
    assert said.startswith(f"6: the {part} part may hold samples that the file learned from: ")
    assert "seed 1" in said and "seed 0" in said


def test_other_shares_cut_other_parts(synthetic: Path) -> None:
    other = spec(split="{validation: 0.2, test: 0.3}")
    for part in ("train", "validation", "test"):
        assert "test 0.3" in refused(synthetic, other, part)
    other = spec(split="{validation: 0.3, test: 0.2}")
    measured(synthetic, other, "test")  # which is cut first
    assert "validation 0.3" in refused(synthetic, other, "validation")
    last = spec(split="{validation: 0.2, test: 0.2, shuffle: false}")
    assert "the last rows" in refused(synthetic, last, "test")


def test_other_rules_cut_other_parts(synthetic: Path) -> None:
    other = spec(split="{validation: 0.2, test: 0.2, stratify: false}")
    assert "seed 0, stratified, and the spec has" in refused(synthetic, other, "test")
    other = spec(split="{validation: 0.2, test: 0.2, seed: 4}")
    assert "with seed 4" in refused(synthetic, other, "test")
    measured(synthetic, spec(split="{validation: 0.2, test: 0.2, seed: 0}", seed=7), "test")
    measured(synthetic, spec(split="{validation: 0.2, test: 0.2, stratify: true}"), "test")


def test_a_part_whose_rows_have_changed_is_refused(tmp_path: Path) -> None:
    def save(count: int) -> None:
        inputs = np.arange(64.0 * count, dtype=np.float32).reshape(count, 1, 8, 8)
        np.savez(tmp_path / "data.npz", inputs=inputs, targets=np.arange(count) % 10)

    made = spec(f"{{Tensors: {{path: '{tmp_path}/data.npz'}}}}")
    save(50)
    run = netspec.train(made, device="cpu", root=tmp_path / "runs")
    file = netspec.export_onnx(run, tmp_path / "a.onnx").path
    measured(file, made, "validation")
    save(60)
    said = refused(file, made, "validation")
    assert said.startswith("6: the validation part may hold samples that the file learned from: ")
    assert "the data have changed" in said


ONE_HOT = """\
netspec: 1
input: [1, 8, 8]
model: [Flatten, {Linear: {out_features: 10}}]
data: {source: Digits, target: one_hot}
train:
  epochs: 1
  loss: LOSS
  optimizer: {SGD: {lr: 0.1}}
  metrics: [accuracy, top_k, mse]
"""


@pytest.mark.parametrize(("loss", "no"), [("BCEWithLogitsLoss", 0.0), ("SoftMarginLoss", -1.0)])
def test_floats_made_of_classes_are_judged_as_classes_and_as_floats(
    loss: str, no: float, tmp_path: Path
) -> None:
    made = loads(ONE_HOT.replace("LOSS", loss))
    session = netspec.Session(netspec.export_onnx(made, tmp_path / "a.onnx").path)
    plan, dataset = netspec.plan(made), load(netspec.plan(made))
    found = evaluate(plan, session, dataset, "test")

    part = dataset.parts["test"]
    assert isinstance(part.inputs, Tensor)
    outputs = session.predict([*part.inputs.permute(0, 2, 3, 1).numpy()])
    right = outputs.argmax(1) == part.labels.numpy()
    wanted = np.full((len(part), 10), no)
    wanted[np.arange(len(part)), part.labels.numpy()] = 1
    assert found["accuracy"] == pytest.approx(right.mean())
    assert found["mse"] == pytest.approx(((outputs - wanted) ** 2).mean(), rel=1e-6)
    assert session.metadata.classes == tuple("0123456789")
    if loss == "BCEWithLogitsLoss":
        assert session.metadata.output.task == "binary"


AUTOENCODER = """\
netspec: 1
input: [1, 8, 8]
model: [Flatten, {Linear: {out_features: 64}}, {Reshape: {shape: [1, 8, 8]}}]
data:
  source: Digits
  target: input
  preprocess: [Normalize: {mean: [0.5], std: [0.25]}]
train: {epochs: 1, loss: MSELoss, optimizer: SGD, metrics: [mse]}
export: {onnx: {preprocess: PREPROCESS}}
"""


@pytest.mark.parametrize("preprocess", ["true", "false"])
def test_a_sample_is_its_own_target_after_preprocessing(preprocess: str, tmp_path: Path) -> None:
    made = loads(AUTOENCODER.replace("PREPROCESS", preprocess))
    session = netspec.Session(netspec.export_onnx(made, tmp_path / "a.onnx").path)
    plan, dataset = netspec.plan(made), load(netspec.plan(made))
    found = evaluate(plan, session, dataset, "test")

    images = dataset.parts["test"].inputs
    assert isinstance(images, Tensor)
    wanted = ((images / 255 - 0.5) / 0.25).numpy()
    taken = images.permute(0, 2, 3, 1).numpy() if preprocess == "true" else wanted
    outputs = session.predict([*taken])
    assert found == {"mse": pytest.approx(((outputs - wanted) ** 2).mean(), rel=1e-5)}
    assert session.metadata.classes is None
    assert session.metadata.output.task == "values"


def test_a_part_of_the_source_s_own_is_the_same_whatever_the_seed(digits: Path) -> None:
    other = spec("Digits", "{validation: 0.2}", seed=5)
    measured(digits, other, "test")
    assert "validation 0.2" in refused(digits, other, "validation")
    measured(digits, spec("Digits", "{}", seed=5), "train")


def test_paths_which_a_file_does_not_keep_are_the_spec_s(tmp_path: Path) -> None:
    for name in ("one", "two"):
        for each in "ab":
            folder = tmp_path / name / each
            folder.mkdir(parents=True)
            for number in range(5):
                pixels = np.full((8, 8), number * 20, np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")

    def made(name: str, seed: int) -> netspec.Spec:
        source = f"{{ImageFolder: {{root: '{tmp_path / name}'}}}}"
        source += "\n  evaluate: [Resize: {size: [8, 8]}]"
        return spec(source, "{test: 0.5}", seed)

    file = netspec.export_onnx(made("one", 0), tmp_path / "a.onnx").path
    measured(file, made("two", 0), "test")
    assert "seed 1" in refused(file, made("two", 1), "test")


def test_a_file_that_names_a_download_neither_fetches_nor_writes(tmp_path: Path) -> None:
    text = """\
netspec: 1
input: [1, 28, 28]
model: [Flatten, {Linear: {out_features: 10}}]
data: {source: {MNIST: {root: ROOT, download: true}}}
train: {epochs: 1, loss: CrossEntropyLoss, optimizer: SGD}
""".replace("ROOT", str(tmp_path / "fetched"))
    file = netspec.export_onnx(loads(text), tmp_path / "a.onnx").path
    named(file, text)
    done = CliRunner().invoke(command, [str(file)])
    assert isinstance(done.exception, SpecError)
    (found,) = done.exception.diagnostics
    assert "MNIST is not in" in found.message
    assert found.remedy is not None and "download" not in found.remedy
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.onnx"]


def named(file: Path, spec: str) -> None:
    """Seal the file anew with another spec in it, as anyone can."""
    proto = onnx.load(file)
    for each in proto.metadata_props:
        if each.key == metadata.KEY:
            found = metadata.decode(each.value)
            each.value = replace(found, spec=spec).encode()
        elif each.key == integrity.SEAL_KEY:
            each.value = integrity.PLACEHOLDER
    file.write_bytes(integrity.seal(proto.SerializeToString()))


def test_targets_that_the_loss_ignores_are_not_counted(tmp_path: Path) -> None:
    made = loads(
        SPEC.format(source=SYNTHETIC, split="{}", seed=0).replace(
            "CrossEntropyLoss", "{CrossEntropyLoss: {ignore_index: 4}}"
        )
    )
    plan, dataset = netspec.plan(made), load(netspec.plan(made))
    session = netspec.Session(netspec.export_onnx(made, tmp_path / "a.onnx").path)
    inputs, targets = dataset.parts["train"].inputs, dataset.parts["train"].labels
    assert isinstance(inputs, Tensor)
    right = session.predict([np.asarray(each) for each in inputs]).argmax(1) == targets.numpy()
    counted = (targets != 4).numpy()
    assert not counted.all() and right[~counted].mean() != right[counted].mean()
    found = evaluate(plan, session, dataset, "train")
    assert found["accuracy"] == pytest.approx(right[counted].mean())


def test_metrics_have_the_spec_s_parameters_and_their_defaults(tmp_path: Path) -> None:
    """Of ten classes' five likeliest: fewer than all, more than the likeliest."""
    text = SPEC.format(source=SYNTHETIC, split="{}", seed=0)
    made = loads(text.replace("optimizer: SGD", "optimizer: SGD, metrics: [accuracy, top_k]"))
    plan = netspec.plan(made)
    session = netspec.Session(netspec.export_onnx(made, tmp_path / "a.onnx").path)
    found = evaluate(plan, session, load(plan), "train")
    assert found["accuracy"] < found["top_k"] < 1
