"""torchvision's data sets, as their downloads lie on the disk, and where there are none."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.datasets import CIFAR10

from netspec.data.downloaded import downloaded
from netspec.data.sources import Request
from tests.data.test_sources import dataset, finding, planned, sizes, tensor

# MNIST and CIFAR10, as their downloads lie


def idx(array: np.ndarray[Any, np.dtype[np.uint8]]) -> bytes:
    """An IDX file of unsigned bytes (http://yann.lecun.com/exdb/mnist/)."""
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes([0, 0, 8, array.ndim]) + sizes + array.tobytes()


def write_mnist(root: Path, counts: Mapping[str, int], size: int = 28) -> None:
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for seed, (name, count) in enumerate(counts.items()):
        draw = np.random.default_rng(seed)
        images = draw.integers(0, 256, (count, size, size), np.uint8)
        labels = draw.integers(0, 10, count, np.uint8)
        (raw / f"{name}-images-idx3-ubyte").write_bytes(idx(images))
        (raw / f"{name}-labels-idx1-ubyte").write_bytes(idx(labels))


def mnist(root: Path) -> str:
    return f"MNIST: {{root: '{root}'}}"


def test_mnist(tmp_path: Path) -> None:
    write_mnist(tmp_path, {"train": 6, "t10k": 3})
    found = dataset(mnist(tmp_path), input="[1, 28, 28]")
    assert sizes(found) == {"train": 6, "test": 3}
    images = np.random.default_rng(1).integers(0, 256, (3, 28, 28), np.uint8)
    assert torch.equal(tensor(found.parts["test"])[:, 0], torch.from_numpy(images))
    assert found.classes == tuple("0123456789")


def test_mnist_that_is_not_there(tmp_path: Path) -> None:
    found = finding(mnist(tmp_path), input="[1, 28, 28]")
    assert found.startswith(f"6: MNIST cannot be read from '{tmp_path}': Dataset not found")


@pytest.mark.parametrize("content", [b"", b"\0\0\x08\x03", b"no IDX file", bytes(16)])
def test_mnist_that_is_damaged(content: bytes, tmp_path: Path) -> None:
    write_mnist(tmp_path, {"train": 6, "t10k": 3})
    (tmp_path / "MNIST/raw/t10k-images-idx3-ubyte").write_bytes(content)
    found = finding(mnist(tmp_path), input="[1, 28, 28]")
    assert found.startswith(f"6: MNIST cannot be read from '{tmp_path}': ")


def test_mnist_of_another_size_or_with_labels_missing(tmp_path: Path) -> None:
    write_mnist(tmp_path / "a", {"train": 6, "t10k": 3}, size=20)
    found = finding(mnist(tmp_path / "a"), input="[1, 28, 28]")
    assert found.endswith("the train part's images are [1, 20, 20], not [1, 28, 28]")

    write_mnist(tmp_path / "b", {"train": 6, "t10k": 3})
    labels = tmp_path / "b/MNIST/raw/train-labels-idx1-ubyte"
    labels.write_bytes(idx(np.zeros(5, np.uint8)))
    found = finding(mnist(tmp_path / "b"), input="[1, 28, 28]")
    assert found.endswith("the train part has 6 inputs, but 5 targets")


def write_cifar(root: Path) -> type[CIFAR10]:
    """Small batches as the download lays them; torchvision's class with their checksums."""
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    sums = {}
    draw = np.random.default_rng(0)
    for name in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"):
        batch = {
            "data": draw.integers(0, 256, (2, 3072), np.uint8),
            "labels": draw.integers(0, 10, 2).tolist(),
        }
        (folder / name).write_bytes(pickle.dumps(batch))
        sums[name] = hashlib.md5((folder / name).read_bytes()).hexdigest()
    meta = pickle.dumps({"label_names": ["airplane"]})
    (folder / "batches.meta").write_bytes(meta)

    class Small(CIFAR10):  # type: ignore[misc]
        train_list = [[name, sums[name]] for name in sums if name != "test_batch"]  # noqa: RUF012
        test_list = [["test_batch", sums["test_batch"]]]  # noqa: RUF012
        meta = {  # noqa: RUF012
            "filename": "batches.meta",
            "key": "label_names",
            "md5": hashlib.md5((folder / "batches.meta").read_bytes()).hexdigest(),
        }

    return Small


def cifar(root: Path, channels: int) -> Request:
    made = planned(f"CIFAR10: {{root: '{root}'}}", input=f"[{channels}, 32, 32]")
    assert made.pipeline is not None
    return Request(made, made.pipeline)


def test_cifar10(tmp_path: Path) -> None:
    kind = write_cifar(tmp_path)
    found = downloaded(cifar(tmp_path, 3), kind)
    assert sizes(found) == {"train": 10, "test": 2}
    theirs = kind(tmp_path, train=False)
    assert torch.equal(
        tensor(found.parts["test"]), torch.from_numpy(theirs.data).permute(0, 3, 1, 2)
    )
    assert found.parts["test"].labels.tolist() == theirs.targets
    assert found.classes is not None and found.classes[0] == "airplane"


def test_cifar10_in_grey_weighs_colours_as_pillow_does(tmp_path: Path) -> None:
    kind = write_cifar(tmp_path)
    grey = tensor(downloaded(cifar(tmp_path, 1), kind).parts["train"])[:, 0]
    pillow = [np.asarray(Image.fromarray(each).convert("L")) for each in kind(tmp_path).data]
    assert int((grey.int() - torch.from_numpy(np.stack(pillow)).int()).abs().max()) <= 1


def test_cifar10_of_another_content_is_never_unpickled(tmp_path: Path) -> None:
    write_cifar(tmp_path)
    found = finding(f"CIFAR10: {{root: '{tmp_path}'}}", input="[3, 32, 32]")
    assert found.startswith(f"6: CIFAR10 cannot be read from '{tmp_path}': Dataset not found or ")
