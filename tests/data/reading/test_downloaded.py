"""torchvision's data sets, as their downloads lie on the disk, and where there are none."""

from __future__ import annotations

import bz2
import hashlib
import importlib.util
import inspect
import pickle
import re
import shutil
import socket
import sys
import tarfile
import threading
import zipfile
from collections.abc import Iterator, Mapping
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
import scipy.io
import torch
import yaml
from PIL import Image
from torchvision import datasets as torchvision_datasets
from torchvision.datasets import CIFAR10, utils

from netspec.catalogue.component import Refusal
from netspec.catalogue.sources import SOURCES, Classes, Fetched, Values, torchvision
from netspec.data.dataset import Dataset, ImageFiles, Part, Pictures
from netspec.data.loading import load
from netspec.data.reading.downloaded import downloaded
from netspec.data.reading.sources import Request
from netspec.diagnostics import InputError, SetupError, SpecError
from netspec.planning import Plan
from tests.data.reading.test_sources import dataset, finding, planned, sizes, tensor

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
    place = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte"
    assert found == f"6: MNIST is not in '{tmp_path}': there is no '{place}'"


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


# Every one of them

NAMES = [source.name for source in torchvision.SOURCES]
REQUIRED = {"EMNIST": "split: letters"}


def written(source: Fetched, root: Path, more: str = "") -> str:
    args = ", ".join(filter(None, (f"root: '{root}'", REQUIRED.get(source.name, ""), more)))
    return f"{source.name}: {{{args}}}"


def defaults(source: Fetched) -> dict[str, Any]:
    return source.complete({"root": "", **yaml.safe_load(f"{{{REQUIRED.get(source.name, '')}}}")})


def shaped(source: Fetched, args: dict[str, Any]) -> tuple[str, str, str]:
    """The input, a layer and the size to which images are brought: a net for any of them."""
    masks = source.masks(args)
    target = source.labels(args)
    count = target.shape[0] if isinstance(target, Values) and target.shape else 2
    if isinstance(target, Classes):
        count = target.count or 2
    layers = f"Conv2d: {{out_channels: {count}, kernel_size: 1}}"
    return "[3, 8, 8]", layers if masks else f"Flatten, Linear: {{out_features: {count}}}", "[8, 8]"


def plan_of(source: Fetched, root: Path, more: str = "") -> Plan:
    args = source.complete(
        {"root": "", **({"split": "letters"} if REQUIRED.get(source.name) else {})}
    )
    for each in filter(None, more.split(", ")):
        name, _, value = each.partition(": ")
        args[name] = yaml.safe_load(value)
    size, layers, to = shaped(source, args)
    text = f"{written(source, root, more)}\n  evaluate: [Resize: {{size: {to}}}]"
    return planned(text, input=size, layers=layers)


def told(source: Fetched, root: Path, more: str = "") -> tuple[str, str]:
    with pytest.raises(SpecError) as caught:
        load(plan_of(source, root, more))
    (found,) = caught.value.diagnostics
    assert found.place.line == 6
    return found.message, str(found.remedy)


@pytest.mark.parametrize("source", torchvision.SOURCES, ids=NAMES)
def test_what_is_not_there_is_named_with_its_place(source: Fetched, tmp_path: Path) -> None:
    message, remedy = told(source, tmp_path / "root")
    args = source.complete(
        {"root": "", "split": "letters"} if source.name in REQUIRED else {"root": ""}
    )
    root, by_hand = tmp_path / "root", "put its files there by hand"
    place = f"'{root / source.pieces(args)['train'].place}'"
    if source.unpacks:
        assert message.startswith(f"{source.name} is not in '{root}', where {place} is looked for")
    else:
        assert message == f"{source.name} is not in '{root}': there is no {place}"
    fetched = source.param("download") is not None
    assert remedy == ("set `download: true`, or " * fetched) + by_hand
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "source",
    [source for source in torchvision.SOURCES if source.param("download")],
    ids=lambda source: source.name,
)
def test_a_machine_without_a_network_is_told_and_nothing_stays(
    source: Fetched, tmp_path: Path, offline: None
) -> None:
    plan = plan_of(source, tmp_path / "root", "download: true")
    if source.fetching:
        with pytest.raises(SetupError, match="is downloaded by gdown, which is not installed"):
            load(plan)
    else:
        message, remedy = told(source, tmp_path / "root", "download: true")
        assert remedy.startswith("try again where there is a network")
        assert f"'{tmp_path / 'root' / source.pieces(plan_args(plan))['train'].place}'" in message
        assert "is looked for, and cannot be downloaded: " in message
    assert not list(tmp_path.iterdir())


def plan_args(plan: Plan) -> dict[str, Any]:
    assert plan.pipeline is not None
    return dict(plan.pipeline.source.args)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every name is unknown, as on a machine without a network."""

    def unknown(*args: Any, **more: Any) -> Any:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.mark.parametrize("source", torchvision.SOURCES, ids=NAMES)
def test_places_and_parts_are_torchvision_s(source: Fetched) -> None:
    """Its source code has each name of a place; the arguments of a part are the class's own."""
    kind = getattr(torchvision_datasets, source.name)
    text = inspect.getsource(sys.modules[kind.__module__]) + inspect.getsource(utils)
    args = source.complete(
        {"root": "", "split": "letters"} if source.name in REQUIRED else {"root": ""}
    )
    known = inspect.signature(kind).parameters
    wide = any(each.kind is each.VAR_KEYWORD for each in known.values())
    for piece in source.pieces(args).values():
        assert wide or piece.args.keys() <= known.keys()
        for name in Path(piece.place).parts:
            words = [word for word in re.split(r"[-_.\d]|train|test|val", name) if len(word) > 2]
            assert all(word in text or word == source.name for word in words), name


def test_names_of_classes_are_torchvision_s() -> None:
    for name in ("FashionMNIST", "KMNIST"):
        found = SOURCES[name].labels({})
        assert isinstance(found, Classes)
        assert list(found.names or ()) == getattr(torchvision_datasets, name).classes
    for split, names in torchvision_datasets.EMNIST.classes_split_dict.items():
        found = SOURCES["EMNIST"].labels({"split": split})
        assert isinstance(found, Classes) and list(found.names or ()) == names
    of_imagenette = torchvision_datasets.Imagenette._WNID_TO_CLASS
    found = SOURCES["Imagenette"].labels({})
    assert isinstance(found, Classes)
    assert list(found.names or ()) == [of_imagenette[key][0] for key in sorted(of_imagenette)]
    found = SOURCES["Cityscapes"].labels({})
    assert isinstance(found, Classes)
    counted = [each for each in torchvision_datasets.Cityscapes.classes if 0 <= each.train_id < 255]
    assert found.names == tuple(each.name for each in sorted(counted, key=lambda e: e.train_id))


# One of each way in which they lie on the disk


def found_in(name: str, root: Path, more: str = "") -> Dataset:
    source = SOURCES[name]
    assert isinstance(source, Fetched)
    return load(plan_of(source, root, more))


def photo(path: Path, size: tuple[int, int] = (9, 7)) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(len(str(path))).integers(0, 256, (*size[::-1], 3), np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def mask(path: Path, values: list[list[int]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array(values, np.uint8)).save(path)


def names_of(part: Part) -> list[str]:
    assert isinstance(part.inputs, ImageFiles)
    return [path.name for path in part.inputs.paths]


def incomplete(found: Dataset) -> list[str]:
    return [each.message for each in found.warnings]


def test_folders_of_classes(tmp_path: Path) -> None:
    """Country211, EuroSAT, Imagenette, ImageNet, RenderedSST2: classes are folders."""
    for split in ("train", "valid", "test"):
        for name in ("AD", "ZW"):
            photo(tmp_path / "country211" / split / name / "1.jpg")
    found = found_in("Country211", tmp_path)
    assert sizes(found) == {"train": 2, "validation": 2, "test": 2}
    assert found.parts["train"].labels.tolist() == [0, 1]
    assert found.classes == ("AD", "ZW")
    assert found.target == Classes(2, ("AD", "ZW"))
    assert incomplete(found)[0] == "Country211's train part has 2 samples here, not 31,650"


def test_an_image_of_another_size_than_the_data_set_s(tmp_path: Path) -> None:
    photo(tmp_path / "eurosat" / "2750" / "Forest" / "1.jpg", (64, 64))
    assert sizes(found_in("EuroSAT", tmp_path)) == {"train": 1}
    wrong = photo(tmp_path / "eurosat" / "2750" / "River" / "1.jpg", (64, 60))
    message, _ = told(torchvision_source("EuroSAT"), tmp_path)
    assert message == f"'{wrong}' is 64x60, but EuroSAT's images are 64x64"


def torchvision_source(name: str) -> Fetched:
    source = SOURCES[name]
    assert isinstance(source, Fetched)
    return source


def test_imagenette(tmp_path: Path) -> None:
    for split in ("train", "val"):
        for wnid in torchvision_datasets.Imagenette._WNID_TO_CLASS:
            photo(tmp_path / "imagenette2-160" / split / wnid / "1.JPEG")
    found = found_in("Imagenette", tmp_path, "size: 160px")
    assert sizes(found) == {"train": 10, "validation": 10}
    assert found.classes is not None and found.classes[1] == "English springer"


def test_lists_of_files(tmp_path: Path) -> None:
    """DTD, FGVCAircraft, Food101, …: texts list the files."""
    labels = tmp_path / "dtd" / "dtd" / "labels"
    labels.mkdir(parents=True)
    for split in ("train", "val", "test"):
        for name in ("zigzagged", "banded"):
            photo(tmp_path / "dtd" / "dtd" / "images" / name / f"{split}.jpg")
        (labels / f"{split}3.txt").write_text(f"zigzagged/{split}.jpg\nbanded/{split}.jpg\n")
    found = found_in("DTD", tmp_path, "partition: 3")
    assert names_of(found.parts["validation"]) == ["val.jpg", "val.jpg"]
    assert found.parts["validation"].labels.tolist() == [0, 1]
    assert found.classes == ("banded", "zigzagged")


def test_the_spec_says_which_is_the_training_part(tmp_path: Path) -> None:
    data = tmp_path / "fgvc-aircraft-2013b" / "data"
    (data / "images").mkdir(parents=True)
    (data / "families.txt").write_text("A300\nA310\n")
    for number, split in enumerate(("train", "val", "test", "trainval")):
        photo(data / "images" / f"{number}.jpg")
        (data / f"images_family_{split}.txt").write_text(f"{number} A310\n")
    found = found_in("FGVCAircraft", tmp_path, "annotation_level: family")
    assert {name: names_of(part) for name, part in found.parts.items()} == {
        "train": ["3.jpg"],
        "test": ["2.jpg"],
    }
    found = found_in("FGVCAircraft", tmp_path, "annotation_level: family, split: train")
    assert {name: names_of(part) for name, part in found.parts.items()} == {
        "train": ["0.jpg"],
        "validation": ["1.jpg"],
        "test": ["2.jpg"],
    }
    assert found.parts["train"].labels.tolist() == [1]


def test_traffic_signs(tmp_path: Path) -> None:
    base = tmp_path / "gtsrb"
    photo(base / "GTSRB" / "Training" / "00000" / "1.ppm")
    photo(base / "GTSRB" / "Training" / "00001" / "2.ppm")
    photo(base / "GTSRB" / "Final_Test" / "Images" / "3.ppm")
    (base / "GT-final_test.csv").write_text("Filename;ClassId\n3.ppm;7\n")
    found = found_in("GTSRB", tmp_path)
    assert found.parts["train"].labels.tolist() == [0, 1]
    assert found.parts["test"].labels.tolist() == [7]


def test_caltech(tmp_path: Path) -> None:
    for name in ("ant", "BACKGROUND_Google", "bass"):
        for number in (1, 2):
            photo(
                tmp_path / "caltech101" / "101_ObjectCategories" / name / f"image_000{number}.jpg"
            )
    found = found_in("Caltech101", tmp_path)
    assert found.parts["train"].labels.tolist() == [0, 0, 1, 1]
    assert found.classes == ("ant", "bass")
    photo(tmp_path / "caltech256" / "256_ObjectCategories" / "001.ak47" / "001_0001.jpg")
    photo(tmp_path / "caltech256" / "256_ObjectCategories" / "002.flag" / "002_0001.jpg")
    found = found_in("Caltech256", tmp_path)
    assert names_of(found.parts["train"]) == ["001_0001.jpg", "002_0001.jpg"]
    assert found.classes == ("ak47", "flag")


def test_characters_are_numbered_by_their_names(tmp_path: Path) -> None:
    base = tmp_path / "omniglot-py"
    for alphabet in ("Tifinagh", "Bengali"):
        for character in ("character02", "character01"):
            photo(base / "images_background" / alphabet / character / "1.png", (105, 105))
    archive = base / "images_background.zip"
    archive.write_bytes(b"torchvision looks at its MD5 sum alone")

    class Small(torchvision_datasets.Omniglot):  # type: ignore[misc]
        zips_md5 = {  # noqa: RUF012
            "images_background": hashlib.md5(archive.read_bytes()).hexdigest()
        }

    plan = plan_of(torchvision_source("Omniglot"), tmp_path)
    assert plan.pipeline is not None
    found = downloaded(Request(plan, plan.pipeline), Small)
    assert found.parts["train"].labels.tolist() == [0, 1, 2, 3]
    assert found.classes == tuple(
        f"{alphabet}/{character}"
        for alphabet in ("Bengali", "Tifinagh")
        for character in ("character01", "character02")
    )


def test_species(tmp_path: Path) -> None:
    names = (
        "00000_Animalia_Arthropoda_Insecta_Diptera_Syrphidae_Eristalis_tenax",
        "00001_Plantae_Tracheophyta_Liliopsida_Poales_Poaceae_Poa_annua",
        "00002_Animalia_Chordata_Aves_Passeriformes_Corvidae_Pica_pica",
    )
    for version in ("2021_train_mini", "2021_valid"):
        for name in names:
            photo(tmp_path / version / name / "1.jpg")
    found = found_in("INaturalist", tmp_path, "version: 2021_train_mini, target_type: kingdom")
    assert sizes(found) == {"train": 3, "validation": 3}
    assert found.parts["train"].labels.tolist() == [0, 1, 0]
    assert found.classes == ("Animalia", "Plantae")
    wrong = 'version: "2019", target_type: genus'
    message, remedy = told(torchvision_source("INaturalist"), tmp_path, wrong)
    assert message.endswith("version 2019 has no target_type 'genus'")
    assert remedy == "use full or super"


def write_pets(root: Path) -> None:
    base = root / "oxford-iiit-pet"
    (base / "annotations").mkdir(parents=True)
    for split, animals in (
        ("trainval", ("Abyssinian_1 1 1 1", "beagle_2 2 2 1")),
        ("test", ("beagle_3 2 2 1",)),
    ):
        (base / "annotations" / f"{split}.txt").write_text("\n".join(animals) + "\n")
        for animal in animals:
            name = animal.split()[0]
            photo(base / "images" / f"{name}.jpg", (3, 2))
            mask(base / "annotations" / "trimaps" / f"{name}.png", [[1, 2, 3], [1, 1, 2]])


def test_pets_are_of_breeds_or_kinds_or_in_pixels(tmp_path: Path) -> None:
    write_pets(tmp_path)
    found = found_in("OxfordIIITPet", tmp_path)
    assert found.parts["train"].labels.tolist() == [0, 1]
    assert found.classes == ("Abyssinian", "Beagle")
    found = found_in("OxfordIIITPet", tmp_path, "target_types: binary-category")
    assert found.classes == ("Cat", "Dog")
    found = found_in("OxfordIIITPet", tmp_path, "target_types: segmentation")
    targets = found.parts["test"].targets
    assert isinstance(targets, Pictures)
    assert targets[0].tolist() == [[[0, 1, 2], [0, 0, 1]]]
    assert found.target == Classes(3, ("pet", "background", "border"), (8, 8), 255)


def test_voc(tmp_path: Path) -> None:
    base = tmp_path / "VOCdevkit" / "VOC2012"
    (base / "ImageSets" / "Segmentation").mkdir(parents=True)
    for split in ("train", "val"):
        (base / "ImageSets" / "Segmentation" / f"{split}.txt").write_text(f"{split}_1\n")
        photo(base / "JPEGImages" / f"{split}_1.jpg", (3, 2))
        mask(base / "SegmentationClass" / f"{split}_1.png", [[0, 20, 255], [0, 1, 2]])
    found = found_in("VOCSegmentation", tmp_path)
    assert sizes(found) == {"train": 1, "validation": 1}
    targets = found.parts["train"].targets
    assert isinstance(targets, Pictures)
    assert targets[0].tolist() == [[[0, 20, 255], [0, 1, 2]]]
    mask(base / "SegmentationClass" / "val_1.png", [[0, 21, 255], [0, 1, 2]])
    with pytest.raises(InputError, match="the mask has the value 21"):
        found_in("VOCSegmentation", tmp_path)


def test_cityscapes_counts_the_classes_of_its_benchmark(tmp_path: Path) -> None:
    for split in ("train", "val"):
        photo(tmp_path / "leftImg8bit" / split / "ulm" / "ulm_1_leftImg8bit.png", (2048, 1024))
        values = np.zeros((1024, 2048), np.uint8)
        values[:8], values[8:16] = 7, 33  # road and bicycle, and what is unlabeled
        mask(tmp_path / "gtFine" / split / "ulm" / "ulm_1_gtFine_labelIds.png", values.tolist())
    found = found_in("Cityscapes", tmp_path)
    targets = found.parts["train"].targets
    assert isinstance(targets, Pictures)
    assert targets[0].unique().tolist() == [0, 18, 255]


def test_semantic_boundaries_are_read_from_matlab_s_files(tmp_path: Path) -> None:
    for split in ("train", "val"):
        (tmp_path / f"{split}.txt").write_text(f"{split}_1\n")
        photo(tmp_path / "img" / f"{split}_1.jpg", (3, 2))
        (tmp_path / "cls").mkdir(exist_ok=True)
        inner = np.zeros((1,), dtype=[("Segmentation", object), ("Boundaries", object)])
        inner[0]["Segmentation"] = np.array([[0, 20, 1], [0, 1, 2]], np.uint8)
        inner[0]["Boundaries"] = np.zeros((20, 1), object)
        scipy.io.savemat(tmp_path / "cls" / f"{split}_1.mat", {"GTcls": inner})
    found = found_in("SBDataset", tmp_path)
    targets = found.parts["validation"].targets
    assert isinstance(targets, Pictures)
    assert targets[0].tolist() == [[[0, 20, 1], [0, 1, 2]]]
    (tmp_path / "cls" / "val_1.mat").write_bytes(b"no MATLAB file")
    with pytest.raises(InputError, match="the mask can't be read"):
        found_in("SBDataset", tmp_path)


def test_tissue_is_read_from_hdf5_row_by_row(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (4, 96, 96, 3), np.uint8)
    for split in ("train", "valid", "test"):
        name = f"camelyonpatch_level_2_split_{split}"
        (tmp_path / "pcam").mkdir(exist_ok=True)
        with h5py.File(tmp_path / "pcam" / f"{name}_x.h5", "w") as file:
            file["x"] = images
        with h5py.File(tmp_path / "pcam" / f"{name}_y.h5", "w") as file:
            file["y"] = np.array([0, 1, 1, 0]).reshape(4, 1, 1, 1)
    part = found_in("PCAM", tmp_path).parts["validation"]
    assert isinstance(part.inputs, Pictures)
    assert torch.equal(part.inputs[2], torch.from_numpy(images[2]).permute(2, 0, 1))
    rows = part.inputs.gather(torch.tensor([3, 0]))
    assert isinstance(rows, torch.Tensor) and rows.shape == (2, 3, 96, 96)
    assert part.labels.tolist() == [0, 1, 1, 0]


def test_celebrities_have_attributes(tmp_path: Path) -> None:
    base = tmp_path / "celeba"
    base.mkdir()
    rows = [f"{number}.jpg" for number in range(6)]
    names = " ".join(f"attribute_{number}" for number in range(40))
    lists = {
        "list_eval_partition.txt": "".join(f"{row} {i // 2}\n" for i, row in enumerate(rows)),
        "identity_CelebA.txt": "".join(f"{row} 7\n" for row in rows),
        "list_bbox_celeba.txt": "3\nid a b c d\n" + "".join(f"{row} 1 2 3 4\n" for row in rows),
        "list_landmarks_align_celeba.txt": "3\na b\n" + "".join(f"{row} 1 2\n" for row in rows),
        "list_attr_celeba.txt": f"3\n{names}\n" + "".join(f"{row} 1{' -1' * 39}\n" for row in rows),
    }
    for name, text in lists.items():
        (base / name).write_text(text)
    for row in rows:
        photo(base / "img_align_celeba" / row, (178, 218))

    class Small(torchvision_datasets.CelebA):  # type: ignore[misc]
        file_list = [  # noqa: RUF012
            ("", hashlib.md5(text.encode()).hexdigest(), name) for name, text in lists.items()
        ]

    plan = plan_of(torchvision_source("CelebA"), tmp_path)
    assert plan.pipeline is not None
    found = downloaded(Request(plan, plan.pipeline), Small)
    assert sizes(found) == {"train": 2, "validation": 2, "test": 2}
    assert found.parts["test"].labels.tolist() == [[1.0, *[0.0] * 39]] * 2
    assert names_of(found.parts["test"]) == ["4.jpg", "5.jpg"]


def test_arrays_whose_colours_come_first(tmp_path: Path) -> None:
    """SVHN and STL10."""
    images = np.random.default_rng(0).integers(0, 256, (32, 32, 3, 4), np.uint8)
    sums = {}
    for split in ("train", "test"):
        path = tmp_path / f"{split}_32x32.mat"
        scipy.io.savemat(path, {"X": images, "y": np.array([[10], [1], [2], [9]])})
        sums[split] = hashlib.md5(path.read_bytes()).hexdigest()

    class Small(torchvision_datasets.SVHN):  # type: ignore[misc]
        split_list = {  # noqa: RUF012
            split: ["", f"{split}_32x32.mat", sums[split]] for split in sums
        }

    plan = planned(
        f"SVHN: {{root: '{tmp_path}'}}",
        input="[3, 32, 32]",
    )
    assert plan.pipeline is not None
    found = downloaded(Request(plan, plan.pipeline), Small)
    assert found.parts["test"].labels.tolist() == [0, 1, 2, 9]
    wanted = torch.from_numpy(images).permute(3, 2, 0, 1)
    assert torch.equal(tensor(found.parts["train"]), wanted)


def test_small_files_of_digits(tmp_path: Path) -> None:
    """USPS, whose values are texts; EMNIST's and QMNIST's files are MNIST's."""
    for name in ("usps.bz2", "usps.t.bz2"):
        pixels = " ".join(f"{number}:{-1 if number % 2 else 1}" for number in range(1, 257))
        (tmp_path / name).write_bytes(bz2.compress(f"10 {pixels}\n1 {pixels}\n".encode()))
    found = dataset(f"USPS: {{root: '{tmp_path}'}}", input="[1, 16, 16]")
    assert found.parts["train"].labels.tolist() == [9, 0]
    assert tensor(found.parts["train"]).unique().tolist() == [0, 255]
    raw = tmp_path / "EMNIST" / "raw"
    raw.mkdir(parents=True)
    for split in ("train", "test"):
        (raw / f"emnist-letters-{split}-images-idx3-ubyte").write_bytes(
            idx(np.zeros((2, 28, 28), np.uint8))
        )
        (raw / f"emnist-letters-{split}-labels-idx1-ubyte").write_bytes(
            idx(np.array([1, 26], np.uint8))
        )
    source = f"EMNIST: {{root: '{tmp_path}', split: letters}}"
    found = dataset(source, input="[1, 28, 28]")
    assert found.parts["test"].labels.tolist() == [1, 26]
    assert found.classes is not None and found.classes[26] == "z"


def test_faces_without_labels_make_no_part(tmp_path: Path) -> None:
    base = tmp_path / "fer2013"
    base.mkdir()
    pixels = " ".join(["7"] * 48 * 48)
    (base / "train.csv").write_text(f"emotion,pixels\n3,{pixels}\n6,{pixels}\n")
    (base / "test.csv").write_text(f"pixels\n{pixels}\n")

    class Small(torchvision_datasets.FER2013):  # type: ignore[misc]
        _RESOURCES = {  # noqa: RUF012
            **torchvision_datasets.FER2013._RESOURCES,
            **{
                split: (
                    f"{split}.csv",
                    hashlib.md5((base / f"{split}.csv").read_bytes()).hexdigest(),
                )
                for split in ("train", "test")
            },
        }

    plan = plan_of(torchvision_source("FER2013"), tmp_path)
    assert plan.pipeline is not None
    found = downloaded(Request(plan, plan.pipeline), Small)
    assert sizes(found) == {"train": 2}
    assert found.parts["train"].labels.tolist() == [3, 6]


# Fetching


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def served(tmp_path: Path) -> Iterator[str]:
    """The address of a server of `tmp_path / "served"`."""
    folder = tmp_path / "served"
    folder.mkdir()
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def textures(folder: Path, address: str) -> Any:
    """torchvision's DTD with an archive of our own, on our own server."""
    made = folder / "made"
    for split in ("train", "val", "test"):
        photo(made / "dtd" / "images" / "banded" / f"{split}.jpg")
        (made / "dtd" / "labels").mkdir(exist_ok=True)
        (made / "dtd" / "labels" / f"{split}1.txt").write_text(f"banded/{split}.jpg\n")
    archive = folder / "dtd-r1.0.1.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(made / "dtd", "dtd")
    shutil.rmtree(made)

    class DTD(torchvision_datasets.DTD):  # type: ignore[misc]
        _URL = f"{address}/{archive.name}"
        _MD5 = hashlib.md5(archive.read_bytes()).hexdigest()

    return DTD


def fetch(root: Path, kind: Any, download: bool = True) -> Dataset:
    plan = plan_of(torchvision_source("DTD"), root, "download: true")
    assert plan.pipeline is not None
    return downloaded(Request(plan, plan.pipeline, download), kind)


def below(root: Path) -> list[str]:
    return sorted(each.name for each in root.iterdir()) if root.exists() else []


def test_what_is_fetched_is_whole_and_stays(
    served: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    kind, root = textures(tmp_path / "served", served), tmp_path / "root"
    assert sizes(fetch(root, kind)) == {"train": 1, "validation": 1, "test": 1}
    assert below(root) == ["dtd"]
    assert capfd.readouterr() == ("", "")
    shutil.rmtree(tmp_path / "served")
    assert sizes(fetch(root, kind)) == {"train": 1, "validation": 1, "test": 1}


def test_an_archive_that_lies_there_already_is_not_fetched(served: str, tmp_path: Path) -> None:
    kind, root = textures(tmp_path / "served", served), tmp_path / "root"
    (root / "dtd").mkdir(parents=True)
    archive = tmp_path / "served" / "dtd-r1.0.1.tar.gz"
    archive.rename(root / "dtd" / archive.name)
    assert sizes(fetch(root, kind)) == {"train": 1, "validation": 1, "test": 1}
    assert below(root / "dtd") == ["dtd", archive.name]


def test_an_archive_of_another_content_leaves_nothing(served: str, tmp_path: Path) -> None:
    kind, root = textures(tmp_path / "served", served), tmp_path / "root"
    archive = tmp_path / "served" / "dtd-r1.0.1.tar.gz"
    archive.write_bytes(archive.read_bytes()[:-1])
    with pytest.raises(Refusal, match="cannot be downloaded: File not found or corrupted"):
        fetch(root, kind)
    assert not root.exists()


def test_an_archive_that_cannot_be_unpacked_leaves_nothing(served: str, tmp_path: Path) -> None:
    """torchvision itself takes a folder that is half unpacked for the data set."""
    kind, root = textures(tmp_path / "served", served), tmp_path / "root"
    archive = tmp_path / "served" / "dtd-r1.0.1.tar.gz"
    archive.write_bytes(archive.read_bytes()[: archive.stat().st_size * 2 // 3])
    kind._MD5 = hashlib.md5(archive.read_bytes()).hexdigest()
    with pytest.raises(Refusal, match="cannot be downloaded"):
        fetch(root, kind)
    assert not root.exists()


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_a_download_that_is_broken_off_leaves_nothing(error: BaseException, tmp_path: Path) -> None:
    class Half(torchvision_datasets.DTD):  # type: ignore[misc]
        def _download(self) -> None:
            photo(self._images_folder / "banded" / "1.jpg")
            raise error

    root = tmp_path / "root"
    root.mkdir()
    (root / "mine.txt").write_text("of the user's own")
    with pytest.raises(KeyboardInterrupt if isinstance(error, KeyboardInterrupt) else Refusal):
        fetch(root, Half)
    assert below(root) == ["mine.txt"]


def test_a_file_s_spec_fetches_nothing(served: str, tmp_path: Path) -> None:
    kind, root = textures(tmp_path / "served", served), tmp_path / "root"
    with pytest.raises(Refusal, match="DTD is not in"):
        fetch(root, kind, download=False)
    assert not root.exists()


def test_what_reads_it_has_to_be_installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "flowers-102").mkdir()
    (tmp_path / "flowers-102" / "setid.mat").touch()
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SetupError, match="Flowers102 is read by scipy, which is not installed"):
        found_in("Flowers102", tmp_path)


def streets(root: Path) -> None:
    """Cityscapes' archives, as its makers give them."""
    made = root / "made"
    for split in ("train", "val"):
        photo(made / "leftImg8bit" / split / "ulm" / "ulm_1_leftImg8bit.png", (2048, 1024))
        values = np.tile(np.array([7, 33], np.uint8), (1024, 1024))
        mask(made / "gtFine" / split / "ulm" / "ulm_1_gtFine_labelIds.png", values.tolist())
    for name, folder in (("leftImg8bit", "leftImg8bit"), ("gtFine", "gtFine")):
        with zipfile.ZipFile(root / f"{name}_trainvaltest.zip", "w") as archive:
            for path in sorted((made / folder).rglob("*.png")):
                archive.write(path, path.relative_to(made))
    shutil.rmtree(made)


def test_archives_that_are_put_there_by_hand_are_unpacked(tmp_path: Path) -> None:
    streets(tmp_path)
    there = below(tmp_path)
    plan = plan_of(torchvision_source("Cityscapes"), tmp_path)
    with pytest.raises(SpecError, match="Cityscapes is not in"):
        load(plan, download=False)  # of a file's spec, which writes nothing
    assert below(tmp_path) == there
    assert sizes(load(plan)) == {"train": 1, "validation": 1}
    assert below(tmp_path) == sorted([*there, "gtFine", "leftImg8bit"])
    assert sizes(load(plan, download=False)) == {"train": 1, "validation": 1}
