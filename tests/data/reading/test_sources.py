"""Every source: what it reads, how it is split, and what it refuses, at its place in the spec."""

from __future__ import annotations

import pickle
import zipfile
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from netspec.catalogue.losses import LOSSES, Loss
from netspec.catalogue.sources import Classes, Values
from netspec.data.dataset import Dataset, Part, Pictures
from netspec.data.loading import load
from netspec.diagnostics import Severity, SpecError
from netspec.planning import Plan, make_plan
from netspec.spec.loading import loads

HEAD = """\
netspec: 1
input: {input}
model: [{layers}]
data:
  source:
    {source}
  split: {split}
"""
LOSS = "train: {{epochs: 1, loss: {loss}, optimizer: SGD}}\n"


def planned(
    source: str,
    input: str = "[1, 8, 8]",
    layers: str = "Flatten, Linear: {out_features: 10}",
    split: str = "{}",
    loss: str | None = None,
) -> Plan:
    text = HEAD.format(input=input, source=source, layers=layers, split=split)
    return make_plan(loads(text + (LOSS.format(loss=loss) if loss else "")))


def dataset(source: str, **rest: Any) -> Dataset:
    return load(planned(source, **rest))


def finding(source: str, **rest: Any) -> str:
    """The one finding about the data, as `LINE: message`."""
    with pytest.raises(SpecError) as caught:
        dataset(source, **rest)
    (found,) = caught.value.diagnostics
    return f"{found.place.line}: {found.message}"


def sizes(found: Dataset) -> dict[str, int]:
    return {name: len(part) for name, part in found.parts.items()}


def tensor(part: Part) -> Tensor:
    assert not isinstance(part.inputs, Pictures)
    return part.inputs[:]


# Digits


def test_digits_are_in_the_package() -> None:
    with np.load(str(files("netspec.data") / "digits.npz")) as file:
        images, labels = file["images"], file["labels"]
    assert (images.shape, images.dtype) == ((1797, 8, 8), np.uint8)
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]
    assert set(np.unique(images)) == {round(count * 255 / 16) for count in range(17)}

    found = dataset("Digits")
    assert sizes(found) == {"train": 1438, "test": 359}
    assert torch.equal(tensor(found.parts["test"])[:, 0], torch.from_numpy(images[4::5]))
    assert found.parts["test"].labels.tolist() == labels[4::5].tolist()
    assert found.classes == tuple("0123456789")
    assert found.held_out == "test"


def test_grey_images_become_three_equal_channels() -> None:
    grey, colour = dataset("Digits"), dataset("Digits", input="[3, 8, 8]")
    assert torch.equal(
        tensor(colour.parts["train"]), tensor(grey.parts["train"]).expand(-1, 3, -1, -1)
    )


# Splitting


def test_split_takes_the_test_share_of_the_whole_then_validation_of_the_rest() -> None:
    found = dataset("Synthetic: {samples: 100, classes: 10}", split="{validation: 0.25, test: 0.2}")
    assert sizes(found) == {"train": 60, "test": 20, "validation": 20}
    assert found.held_out == "validation"
    rows = [tuple(row) for part in found.parts.values() for row in tensor(part).flatten(1).tolist()]
    assert len(set(rows)) == 100


def test_split_follows_the_seed() -> None:
    def validation(seed: int) -> Tensor:
        text = HEAD.format(
            input="[1, 8, 8]",
            source="Digits",
            layers="Flatten, Linear: {out_features: 10}",
            split="{validation: 0.1}",
        )
        train = f"train: {{epochs: 1, seed: {seed}, loss: CrossEntropyLoss, optimizer: SGD}}\n"
        return tensor(load(make_plan(loads(text + train))).parts["validation"])

    assert torch.equal(validation(1), validation(1))
    assert not torch.equal(validation(1), validation(2))


def test_split_without_shuffling_takes_the_last_rows() -> None:
    source = "Synthetic: {samples: 10, targets: 1}"
    rest = {"input": "[2]", "layers": "Linear: {out_features: 1}"}
    whole = tensor(dataset(source, **rest).parts["train"])
    split = "{validation: 0.25, test: 0.2, shuffle: false}"
    parts = dataset(source, split=split, **rest).parts
    assert torch.equal(tensor(parts["train"]), whole[:6])
    assert torch.equal(tensor(parts["validation"]), whole[6:8])
    assert torch.equal(tensor(parts["test"]), whole[8:])


def test_a_share_too_small_for_a_sample_is_refused() -> None:
    source = "Synthetic: {samples: 4, classes: 10}"
    assert finding(source, split="{validation: 0.1}") == (
        "7: split.validation 0.1 of 4 samples leaves a part empty"
    )


def test_a_part_that_the_source_brings_is_not_split_off() -> None:
    assert finding("Digits", split="{test: 0.1}") == (
        "7: the source brings its own test part, so split.test has nothing to do"
    )


# Tensors

VALUES = {"input": "[3]", "layers": "Linear: {out_features: 2}"}


def tensors(path: Path, **arrays: Any) -> str:
    np.savez(path, **arrays)
    return f"Tensors: {{path: '{path}'}}"


def test_arrays_come_as_they_are(tmp_path: Path) -> None:
    inputs, targets = np.random.default_rng(0).normal(size=(5, 3)), np.array([0, 1, 0, 1, 1])
    found = dataset(tensors(tmp_path / "a.npz", inputs=inputs, targets=targets), **VALUES)
    assert sizes(found) == {"train": 5}
    assert torch.equal(tensor(found.parts["train"]), torch.from_numpy(inputs).to(torch.float32))
    assert found.target == Classes(2)


@pytest.mark.parametrize("kind", [np.int8, np.uint16, np.int64, np.bool_])
def test_whole_numbers_are_class_indices_or_values_as_the_loss_wants(
    kind: type, tmp_path: Path
) -> None:
    source = tensors(
        tmp_path / "a.npz", inputs=np.zeros((2, 3), np.float32), targets=np.array([0, 1], kind)
    )
    found = dataset(source, loss="CrossEntropyLoss", **VALUES)
    assert found.parts["train"].labels.dtype == torch.int64
    one = VALUES | {"layers": "Linear: {out_features: 1}"}
    found = dataset(source, loss="BCEWithLogitsLoss", **one)
    assert found.target == Values((1,))
    assert found.parts["train"].labels.tolist() == [[0], [1]]


def test_floats_are_values(tmp_path: Path) -> None:
    inputs = np.zeros((4, 3), np.float32)
    for targets, shape in ((np.zeros(4), (1,)), (np.zeros((4, 2)), (2,))):
        source = tensors(tmp_path / "a.npz", inputs=inputs, targets=targets)
        assert dataset(source, **VALUES).target == Values(shape)


@pytest.mark.parametrize("kind", [">f4", ">f8", np.longdouble, np.float16, ">i4", np.uint64])
def test_numbers_of_every_kind_are_taken(kind: Any, tmp_path: Path) -> None:
    values = np.arange(12).reshape(4, 3).astype(kind)
    source = tensors(tmp_path / "a.npz", inputs=values, targets=np.arange(4).astype(kind))
    found = dataset(source, **VALUES).parts["train"]
    assert torch.equal(tensor(found), torch.arange(12, dtype=torch.float32).reshape(4, 3))
    assert found.labels.flatten().tolist() == [0, 1, 2, 3]


def test_whole_numbers_beyond_64_bits_are_refused(tmp_path: Path) -> None:
    source = tensors(tmp_path / "a.npz", inputs=INPUTS, targets=np.full(4, 2**63, np.uint64))
    assert "'targets' holds 9223372036854775808" in finding(source, **VALUES)


@pytest.mark.parametrize(
    ("input", "layers", "right", "wrong"),
    [
        ("[1, 4*L]", "Flatten", (1, 12), (1, 10)),
        ("[1, L]", "Conv1d: {out_channels: 2, kernel_size: 7}", (1, 7), (1, 6)),
        ("[1, H, H]", "Conv2d: {out_channels: 2, kernel_size: 3}", (1, 5, 5), (1, 5, 6)),
        ("[L, (L + 1)//2]", "Mean: {dim: 2}", (5, 3), (5, 4)),
        ("[H + W, H, 2*W]", "Mean: {dim: 1}", (5, 2, 6), (6, 2, 6)),
        ("[H + W, 3]", "Mean: {dim: 1}", (2, 3), (1, 3)),
    ],
)
def test_samples_have_the_sizes_that_the_input_s_names_take(
    input: str,
    layers: str,
    right: tuple[int, ...],
    wrong: tuple[int, ...],
    tmp_path: Path,
) -> None:
    rest = {"input": input, "layers": f"{{{layers}}}"}
    arrays = {"targets": np.zeros(2)}
    source = tensors(tmp_path / "a.npz", inputs=np.zeros((2, *right)), **arrays)
    assert tensor(dataset(source, **rest).parts["train"]).shape == (2, *right)
    source = tensors(tmp_path / "b.npz", inputs=np.zeros((2, *wrong)), **arrays)
    said = finding(source, **rest)
    assert f"samples have the shape {list(wrong)}, but the input is [" in said
    assert "from " in said


def test_an_archive_that_unpacks_to_more_than_the_machine_has(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    header = b"\x93NUMPY\x01\x00\x76\x00"
    said = b"{'descr': '<f8', 'fortran_order': False, 'shape': (4000000000000, 3), }"
    source = f"Tensors: {{path: '{path}'}}"
    words = {
        zipfile.ZIP_DEFLATED: f"'inputs' in '{path}' takes 89,407 GiB, and this machine has ",
        zipfile.ZIP_STORED: f"'{path}' cannot be read as .npz: it ends after 96 of 96,000,",
    }
    for packing, said_of_it in words.items():
        with zipfile.ZipFile(path, "w", packing) as archive:
            archive.writestr("inputs.npy", header + said.ljust(0x75) + b"\n" + bytes(96))
        assert finding(source, **VALUES).startswith(f"6: {said_of_it}")


INPUTS, TARGETS = np.zeros((4, 3), np.float32), np.zeros(4, np.int64)

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "no targets": ({"inputs": INPUTS, "labels": TARGETS}, "has no array 'targets'"),
    "another shape": (
        {"inputs": np.zeros((4, 5), np.float32), "targets": TARGETS},
        "samples have the shape [5], but the input is [3]",
    ),
    "another rank": (
        {"inputs": np.zeros((4, 3, 1), np.float32), "targets": TARGETS},
        "samples have the shape [3, 1], but the input is [3]",
    ),
    "no samples": ({"inputs": np.float32(3), "targets": TARGETS}, "'inputs' is a single number"),
    "text": ({"inputs": np.array(["a", "b"]), "targets": TARGETS}, "'inputs' holds <U1"),
    "objects": (
        {"inputs": np.array([{}, []], dtype=object), "targets": TARGETS},
        "'inputs' holds objects, not numbers",
    ),
    "other lengths": ({"inputs": INPUTS, "targets": np.zeros(3, np.int64)}, "4 inputs, but 3"),
    "columns of labels": ({"inputs": INPUTS, "targets": TARGETS[:, None]}, "needs scores [1, 1]"),
    "labels below 0": ({"inputs": INPUTS, "targets": TARGETS - 1}, "labels from -1 to -1"),
    "labels beyond the output": (
        {"inputs": INPUTS, "targets": TARGETS + 2},
        "fewer scores than the data's 3 classes",
    ),
    "floats for classes": (
        {"inputs": INPUTS, "targets": TARGETS + 0.5},
        "CrossEntropyLoss takes class indices, but the targets are floats",
    ),
    "inputs no numbers": ({"inputs": INPUTS + np.nan, "targets": TARGETS}, "not finite"),
    "more inputs": ({"inputs": INPUTS, "targets": TARGETS[:2]}, "4 inputs, but 2 targets"),
    "more targets": ({"inputs": INPUTS[:2], "targets": TARGETS}, "2 inputs, but 4 targets"),
    "nothing": ({"inputs": INPUTS[:0], "targets": TARGETS[:0]}, "the train part is empty"),
}


@pytest.mark.parametrize("split", ["{}", "{test: 0.5}"])
@pytest.mark.parametrize("case", WRONG)
def test_arrays_that_do_not_fit(case: str, split: str, tmp_path: Path) -> None:
    arrays, words = WRONG[case]
    source = tensors(tmp_path / "a.npz", **arrays)
    found = finding(source, loss="CrossEntropyLoss", split=split, **VALUES)
    assert words in found
    assert found[0] == "6" or "scores" in found or "floats" in found


def test_targets_that_are_no_numbers(tmp_path: Path) -> None:
    source = tensors(tmp_path / "a.npz", inputs=INPUTS, targets=np.full((4, 2), np.inf))
    assert "'targets' holds values that are not finite numbers" in finding(
        source, loss="MSELoss", **VALUES
    )


@pytest.mark.parametrize(
    ("loss", "ignored"),
    [
        ("CrossEntropyLoss", -100),
        ("NLLLoss", -100),
        ("CrossEntropyLoss: {ignore_index: 255}", 255),
        ("NLLLoss: {ignore_index: 1}", 1),
    ],
)
def test_labels_that_the_loss_ignores_are_no_classes(
    loss: str, ignored: int, tmp_path: Path
) -> None:
    def source(labels: list[int]) -> str:
        return tensors(tmp_path / "a.npz", inputs=INPUTS, targets=np.array(labels))

    rest = VALUES | {"layers": "Linear: {out_features: 2}, LogSoftmax: {dim: 1}"}
    found = dataset(source([0, ignored, 1, 0]), loss=f"{{{loss}}}", **rest)
    assert found.parts["train"].labels.tolist() == [0, ignored, 1, 0]
    name = loss.partition(":")[0]
    said = finding(source([ignored] * 4), loss=f"{{{loss}}}", **rest)
    assert said == f"6: every label of the train part is {ignored}, which {name} ignores"
    assert "labels from -7 to " in finding(source([0, ignored, 1, -7]), loss=f"{{{loss}}}", **rest)


def test_no_label_is_ignored_where_the_loss_ignores_none(tmp_path: Path) -> None:
    source = tensors(tmp_path / "a.npz", inputs=INPUTS, targets=np.array([0, -100, 1, 0]))
    assert "labels from -100 to 1" in finding(source, loss="MultiMarginLoss", **VALUES)


@pytest.mark.parametrize(
    ("loss", "right", "wrong", "words"),
    [
        ("BCEWithLogitsLoss", [0, 0.5, 1, 1], [0, 1, 1.5, 1], "0 to 1.5, but BCEWithLogitsLoss"),
        ("BCELoss", [0, 0.5, 1, 1], [-1, 1, 1, 1], "-1 to 1, but BCELoss takes them between 0"),
        ("MultiLabelSoftMarginLoss", [0, 1, 1, 0], [0, 1, 2, 0], "takes them between 0 and 1"),
        ("KLDivLoss", [0, 0.5, 0.5, 1], [0, 1, -2, 1], "KLDivLoss takes them between 0 and 1"),
        ("KLDivLoss: {log_target: true}", [-1, 0, -9, 0], [-1, 0.5, 0, 0], "takes them up to 0"),
        ("PoissonNLLLoss", [0, 3, 17, 0.5], [0, -1, 3, 3], "takes them from 0"),
        ("HingeEmbeddingLoss", [-1, 1, 1, -1], [-1, 0, 1, 1], "takes them as -1 or 1"),
        ("SoftMarginLoss", [-1, 1, 1, -1], [0, 1, 0, 1], "takes them as -1 or 1"),
    ],
)
def test_targets_are_those_that_the_loss_takes(
    loss: str, right: list[float], wrong: list[float], words: str, tmp_path: Path
) -> None:
    rest = VALUES | {"layers": "Linear: {out_features: 1}, Sigmoid"}
    source = tensors(tmp_path / "a.npz", inputs=INPUTS, targets=np.array(right))
    assert dataset(source, loss=f"{{{loss}}}", **rest).target == Values((1,))
    source = tensors(tmp_path / "a.npz", inputs=INPUTS, targets=np.array(wrong))
    said = finding(source, loss=f"{{{loss}}}", **rest)
    assert said.startswith("6: the train part has targets from ")
    assert words in said


@pytest.mark.parametrize("loss", [loss for loss in LOSSES.values() if loss.wants == "same"])
@pytest.mark.parametrize("binary", ["true", "false"])
def test_synthetic_targets_are_those_that_the_loss_takes(loss: Loss, binary: str) -> None:
    source = f"Synthetic: {{samples: 50, targets: 3, binary: {binary}}}"
    layers = "Flatten, Linear: {out_features: 3}, Sigmoid"
    found = dataset(source, loss=loss.name, layers=layers).parts["train"].labels
    assert len(found.unique()) > 1


PIXELS = np.random.default_rng(0).integers(0, 256, (4, 1, 5, 5))
PIXELS[:, 0, 0, :2] = (0, 255)


@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.float32])
def test_pixels_that_nobody_scaled_are_doubted(kind: type, tmp_path: Path) -> None:
    rest = {"input": "[1, 5, 5]", "layers": "Flatten, Linear: {out_features: 3}"}

    def warned(inputs: np.ndarray[Any, Any]) -> list[str]:
        source = tensors(tmp_path / "a.npz", inputs=inputs.astype(kind), targets=TARGETS)
        found = dataset(source, split="{test: 0.5}", **rest).warnings
        assert all(each.severity is Severity.WARNING for each in found)
        return [f"{each.place.line}: {each.message}" for each in found]

    (said,) = warned(PIXELS)
    assert said == (
        "6: 'inputs' holds whole numbers from 0 to 255, as images of 8 bits do: they reach the "
        "network as they are"
    )
    assert warned(PIXELS % 17) == []


@pytest.mark.parametrize("inputs", [PIXELS - 40, PIXELS * 3, PIXELS + 0.5])
def test_other_numbers_are_not_doubted(inputs: np.ndarray[Any, Any], tmp_path: Path) -> None:
    source = tensors(tmp_path / "a.npz", inputs=inputs, targets=TARGETS)
    rest = {"input": "[1, 5, 5]", "layers": "Flatten, Linear: {out_features: 3}"}
    assert dataset(source, **rest).warnings == ()


def test_scaled_pixels_and_long_vectors_are_not_doubted(tmp_path: Path) -> None:
    scaled = (PIXELS / 255).astype(np.float32)
    source = tensors(tmp_path / "a.npz", inputs=scaled, targets=TARGETS)
    rest = {"input": "[1, 5, 5]", "layers": "Flatten, Linear: {out_features: 3}"}
    assert dataset(source, **rest).warnings == ()
    counts = PIXELS.reshape(4, 25).astype(np.uint8)
    source = tensors(tmp_path / "b.npz", inputs=counts, targets=TARGETS)
    assert dataset(source, **rest | {"input": "[25]"}).warnings == ()


def test_a_pickle_in_an_archive_is_not_run(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    payload = pickle.dumps(Trap(trace))
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("inputs.npy", payload)
        archive.writestr("targets.npy", payload)
    source = f"Tensors: {{path: '{tmp_path / 'a.npz'}'}}"
    assert finding(source, **VALUES).startswith("6: ")
    assert not trace.exists()


class Trap:
    """Leaves a trace where it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.trace,))


@pytest.mark.parametrize("damage", ["absent", "text", "cut", "flipped", "header"])
def test_what_is_no_archive(damage: str, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez_compressed(path, inputs=np.random.default_rng(0).normal(size=(50, 3)), targets=TARGETS)
    content = path.read_bytes()
    match damage:
        case "absent":
            path.unlink()
        case "text":
            path.write_text("no archive")
        case "cut":
            path.write_bytes(content[: len(content) // 2])
        case "flipped":
            path.write_bytes(content[:200] + bytes(60) + content[260:])
        case "header":
            with zipfile.ZipFile(path, "w") as archive:
                archive.writestr("inputs.npy", b"\x93NUMPY\x01\x00\x0a\x00{'descr': ")
    assert finding(f"Tensors: {{path: '{path}'}}", **VALUES).startswith("6: ")


# Token ids

IDS = {
    "input": "{shape: [3], dtype: int64}",
    "layers": "{Embedding: {num_embeddings: 5, embedding_dim: 2}}, Flatten, "
    "{Linear: {out_features: 2}}",
}


def test_token_ids_are_those_that_embedding_knows(tmp_path: Path) -> None:
    ids = np.array([[0, 1, 4], [2, 3, 0]])
    targets = np.array([0, 1])
    found = dataset(tensors(tmp_path / "a.npz", inputs=ids, targets=targets), **IDS)
    assert tensor(found.parts["train"]).tolist() == ids.tolist()
    for shift, said in ((1, "from 1 to 5"), (-1, "from -1 to 3")):
        source = tensors(tmp_path / "a.npz", inputs=ids + shift, targets=targets)
        assert f"token ids {said}, but Embedding knows 0 to 4" in finding(source, **IDS)
    source = tensors(tmp_path / "a.npz", inputs=ids + 0.5, targets=targets)
    assert "'inputs' holds float64, but the input is token ids" in finding(source, **IDS)


# Synthetic


def test_synthetic_follows_its_seed() -> None:
    def inputs(seed: int) -> Tensor:
        found = dataset(f"Synthetic: {{samples: 20, classes: 10, seed: {seed}}}")
        return tensor(found.parts["train"])

    assert torch.equal(inputs(1), inputs(1))
    assert not torch.equal(inputs(1), inputs(2))


def test_synthetic_targets_are_classes_values_or_yes_and_no() -> None:
    found = dataset("Synthetic: {samples: 200, classes: 4}")
    assert found.parts["train"].labels.unique().tolist() == [0, 1, 2, 3]
    assert found.classes == ("0", "1", "2", "3")
    found = dataset("Synthetic: {samples: 20, targets: [2, 3]}")
    assert found.parts["train"].labels.shape == (20, 2, 3)
    found = dataset("Synthetic: {samples: 20, targets: 3, binary: true}")
    assert found.parts["train"].labels.shape == (20, 3)
    assert found.parts["train"].labels.unique().tolist() == [0, 1]


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("samples: 2000000000, classes: 2", "its samples and targets take "),
        ("samples: 10, targets: [60000, 60000]", "its map to the targets takes "),
    ],
)
def test_synthetic_data_beyond_the_machine_s_memory(source: str, words: str) -> None:
    found = finding(f"Synthetic: {{{source}}}")
    assert found.startswith(f"6: {words}")
    assert "GiB, and this machine has " in found


def test_synthetic_samples_of_named_sizes_have_the_least(tmp_path: Path) -> None:
    rest = {"input": "[1, 4*L, H]", "layers": "Conv2d: {out_channels: 2, kernel_size: 7}"}
    found = dataset("Synthetic: {samples: 3, targets: 1}", **rest).parts["train"]
    assert tensor(found).shape == (3, 1, 8, 7)


def test_synthetic_token_ids_are_known() -> None:
    found = dataset("Synthetic: {samples: 20, classes: 2}", **IDS)
    assert tensor(found.parts["train"]).unique().tolist() == [0, 1]
