"""`ImageFolder`: a folder per class; `ImageMasks`: images and masks of the same names."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from netspec import images
from netspec.catalogue.component import Refusal
from netspec.catalogue.sources import Classes
from netspec.data.dataset import Dataset, ImageFiles, Part, PartName
from netspec.data.reading.inspection import Inspection, few
from netspec.data.reading.masks import MaskFiles, inspected
from netspec.data.reading.sources import Request

VALIDATION = ("val", "valid", "validation")


def image_folder(request: Request) -> Dataset:
    """`root/train/CLASS/…`, `root/val/…`, `root/test/…`; or `root/CLASS/…`, one part."""
    root = Path(request.args["root"])
    folders = _parts(root)
    classes = _class_folders(folders["train"])
    if not classes:
        raise Refusal(
            f"'{folders['train']}' has no class folders",
            "put each class's images into a folder of its name: train/CLASS/image.jpg",
            "root",
        )
    inspection = Inspection(request)
    parts: dict[PartName, Part] = {}
    files: dict[PartName, list[Path]] = {}
    for name, folder in folders.items():
        if extra := sorted(set(_class_folders(folder)) - set(classes)):
            raise Refusal(
                f"'{folder}' has classes that '{folders['train']}' lacks: {', '.join(extra)}",
                param="root",
            )
        found = [
            (path, label)
            for label, each in enumerate(classes)
            if (folder / each).is_dir()
            for path in images.find(folder / each)
        ]
        if not found:
            raise Refusal(
                f"no images lie below '{folder}'",
                f"known are {', '.join(sorted(images.EXTENSIONS))}",
                "root",
            )
        headers = inspection.headers([path for path, _ in found])
        readable = [pair for pair, header in zip(found, headers, strict=True) if header]
        # What is refused for its damage is no class without images.
        pairs = found if inspection.refused else readable
        files[name] = [path for path, _ in pairs]
        labels = [label for _, label in pairs]
        if name == "train" and (empty := set(range(len(classes))) - set(labels)):
            raise Refusal(
                f"'{folder / classes[min(empty)]}' holds no image to learn from",
                "remove the folder, or put images there",
                "root",
            )
        inputs = ImageFiles(files[name], root, request.channels)
        parts[name] = Part(inputs, torch.tensor(labels, dtype=torch.int64))
    inspection.compare(files)
    target = Classes(len(classes), tuple(classes))
    return Dataset(parts, target, tuple(classes), inspection.finish())


def image_masks(request: Request) -> Dataset:
    """`root/train/images/…` and `root/train/masks/…`, `root/val/…`, `root/test/…`; or
    `root/images/…` and `root/masks/…`, one part."""
    root, target = Path(request.args["root"]), request.pipeline.labels
    assert isinstance(target, Classes)
    inspection = Inspection(request)
    parts: dict[PartName, Part] = {}
    files: dict[PartName, list[Path]] = {}
    for name, folder in _parts(root).items():
        pairs = _pairs(folder)
        files[name] = [image for image, _ in pairs]
        masks = [mask for _, mask in pairs]
        parts[name] = inspected(
            ImageFiles(files[name], root, request.channels),
            inspection.headers(files[name]),
            MaskFiles(masks, root),
            masks,
            target,
            inspection,
            training=name == "train",
        )
    inspection.compare(files)
    return Dataset(parts, target, target.names, inspection.finish())


def _parts(root: Path) -> dict[PartName, Path]:
    """The folders below `root` that are parts, or itself as the training part."""
    if not root.is_dir():
        raise Refusal(f"there is no folder '{root}'", param="root")
    folders: dict[PartName, Path] = {"train": root / "train", "test": root / "test"}
    folders["validation"] = next(
        (root / name for name in VALIDATION if (root / name).is_dir()), root / VALIDATION[0]
    )
    folders = {name: folder for name, folder in folders.items() if folder.is_dir()}
    if not folders:
        return {"train": root}
    if "train" not in folders:
        there = " and ".join(sorted(folder.name for folder in folders.values()))
        raise Refusal(f"'{root}' has {there}, but no folder 'train'", param="root")
    return folders


def _class_folders(folder: Path) -> list[str]:
    return sorted(
        each.name for each in folder.iterdir() if each.is_dir() and not each.name.startswith(".")
    )


def _pairs(folder: Path) -> list[tuple[Path, Path]]:
    """The images of a part, each with its mask."""
    kinds = ("images", "masks")
    found = {}
    for kind in kinds:
        if not (folder / kind).is_dir():
            raise Refusal(
                f"'{folder}' has no folder '{kind}'",
                "put images into images/, and the mask of images/a.jpg into masks/a.png",
                "root",
            )
        found[kind] = _by_stem(folder / kind)
    for kind, other in (kinds, kinds[::-1]):
        if alone := [path for stem, path in found[kind].items() if stem not in found[other]]:
            is_image = kind == "images"
            raise Refusal(
                f"{len(alone):,} {'image' if is_image else 'mask'}{'s' * (len(alone) > 1)} "
                f"{'have' if len(alone) > 1 else 'has'} no {'mask' if is_image else 'image'}: "
                f"{_listed(alone)}",
                f"put {folder / other}/NAME beside each {folder / kind}/NAME, or remove it",
                "root",
            )
    if not found["images"]:
        raise Refusal(
            f"no images lie below '{folder / 'images'}'",
            f"known are {', '.join(sorted(images.EXTENSIONS))}",
            "root",
        )
    return [(path, found["masks"][stem]) for stem, path in found["images"].items()]


def _by_stem(folder: Path) -> dict[Path, Path]:
    """The image files below a folder by their path in it, without what the name ends with."""
    found: dict[Path, Path] = {}
    for path in images.find(folder):
        stem = path.relative_to(folder).with_suffix("")
        if stem in found:
            raise Refusal(
                f"'{found[stem]}' and '{path}' have one name", "remove one of them", "root"
            )
        found[stem] = path
    return found


def _listed(paths: Sequence[Path]) -> str:
    return few([f"'{path}'" for path in paths])
