"""Where torchvision's data sets have their samples: a function for each way in which they do.

Each takes `make`, which makes torchvision's object of a part with further arguments, and gives the
part's samples: images as files where these are files, so that none is decoded before its time.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from netspec.catalogue.sources import VOID
from netspec.data.dataset import Extent, Pictures
from netspec.data.reading.masks import MaskFiles
from netspec.data.reading.sources import Request, with_channels
from netspec.diagnostics import Code, InputError

Make = Callable[..., Any]


class Samples(NamedTuple):
    """inputs: uint8 [N, C, H, W], pictures, or paths of images. targets: int64 [N], float32 [N, …],
    or masks, whose files are `masks`. names: of the classes, where the object knows them."""

    inputs: Tensor | Pictures | Sequence[Path]
    targets: Tensor | Pictures
    names: Sequence[str] | None = None
    masks: Sequence[Path] | None = None


def arrays(make: Make, request: Request) -> Samples:
    """`data`: grey [N, H, W], or colours first or last; `targets` or `labels`."""
    found = make()
    pixels = torch.as_tensor(found.data)
    if pixels.dim() == 3:
        pixels = pixels.unsqueeze(1)
    elif pixels.shape[1] != 3:
        pixels = pixels.permute(0, 3, 1, 2)
    labels = torch.as_tensor(found.targets if hasattr(found, "targets") else found.labels)
    if labels.dim() == 2:  # QMNIST tells more of each digit: the class comes first
        labels = labels[:, 0]
    inputs = with_channels(pixels, request.channels).contiguous()
    return Samples(inputs, labels.to(torch.int64), _names(found))


def faces(make: Make, request: Request) -> Samples:
    """`_samples`: pairs of a grey image and its label, which may be unknown."""
    found = make()._samples
    known = [(pixels, label) for pixels, label in found if label is not None]
    pixels = torch.stack([pixels for pixels, _ in known]) if known else torch.empty(0, 48, 48)
    labels = torch.tensor([label for _, label in known], dtype=torch.int64)
    return Samples(with_channels(pixels.unsqueeze(1), request.channels).contiguous(), labels)


def files(make: Make, request: Request) -> Samples:
    """Anything that loads an image by its path: it gives the path."""
    found = make(loader=Path)
    return _sorted((found[index] for index in range(len(found))), _names(found))


def pairs(make: Make, request: Request) -> Samples:
    """`_samples`: pairs of a path and its label."""
    return _sorted((Path(path), label) for path, label in make()._samples)


def species(make: Make, request: Request) -> Samples:
    """As `files`; the names of the classes follow from the rank."""
    found = make(loader=Path)
    (rank,) = found.target_type
    names = found.all_categories if rank == "full" else list(found.categories_index[rank])
    return _sorted((found[index] for index in range(len(found))), names)


def people(make: Make, request: Request) -> Samples:
    """As `files`, but a class is a person."""
    found = make(loader=Path)
    return _sorted((found[index] for index in range(len(found))), list(found.class_to_idx))


def characters(make: Make, request: Request) -> Samples:
    """As `files`; torchvision numbers the classes as the file system lists their folders, which is
    another order on another machine: here they are sorted."""
    found = make(loader=Path)
    samples = [found[index] for index in range(len(found))]
    names = sorted(found._characters)
    numbers = {name: number for number, name in enumerate(names)}
    return _sorted(
        ((path, numbers[found._characters[label]]) for path, label in samples),
        [name.replace("\\", "/") for name in names],
    )


def caltech101(make: Make, request: Request) -> Samples:
    """`index`: the number of each file in its category's folder."""
    found = make()
    folder = Path(found.root, "101_ObjectCategories")
    return _sorted(
        (
            (folder / found.categories[label] / f"image_{number:04d}.jpg", label)
            for number, label in zip(found.index, found.y, strict=True)
        ),
        found.categories,
    )


def caltech256(make: Make, request: Request) -> Samples:
    """As `caltech101`, by other names."""
    found = make()
    folder = Path(found.root, "256_ObjectCategories")
    return _sorted(
        (
            (folder / found.categories[label] / f"{label + 1:03d}_{number:04d}.jpg", label)
            for number, label in zip(found.index, found.y, strict=True)
        ),
        [name.partition(".")[2] for name in found.categories],
    )


def celeba(make: Make, request: Request) -> Samples:
    """`filename` and `attr`."""
    found = make()
    folder = Path(found.root, found.base_folder, "img_align_celeba")
    return Samples([folder / name for name in found.filename], found.attr.to(torch.float32))


def pets(make: Make, request: Request) -> Samples:
    """`_images`; the breed, cat or dog, or the masks, whose values torchvision leaves from 1."""
    found = make()
    wanted = request.args["target_types"]
    if wanted == "segmentation":
        classes = torch.full((VOID + 1,), VOID, dtype=torch.uint8)
        classes[1:4] = torch.arange(3, dtype=torch.uint8)
        masks = MaskFiles(found._segs, Path(found.root), classes)
        return Samples(found._images, masks, masks=found._segs)
    binary = wanted != "category"
    labels = torch.tensor(found._bin_labels if binary else found._labels, dtype=torch.int64)
    return Samples(found._images, labels, found.bin_classes if binary else found.classes)


def masks(make: Make, request: Request) -> Samples:
    """`images` and `masks`: paths."""
    found = make()
    paths = [Path(each) for each in found.masks]
    return Samples(_paths(found.images), MaskFiles(paths, Path(found.root)), masks=paths)


def cityscapes(make: Make, request: Request) -> Samples:
    """`images` and `targets`: paths; masks have every class that was drawn, of which those with a
    `train_id` count."""
    found = make()
    classes = torch.full((VOID + 1,), VOID, dtype=torch.uint8)
    for each in found.classes:
        if each.id >= 0 and each.train_id < VOID:
            classes[each.id] = each.train_id
    both = sorted(zip(_paths(found.images), _paths(each for (each,) in found.targets), strict=True))
    inputs, paths = [image for image, _ in both], [mask for _, mask in both]
    return Samples(inputs, MaskFiles(paths, Path(found.root), classes), masks=paths)


def matlab_masks(make: Make, request: Request) -> Samples:
    """As `masks`, in MATLAB's files."""
    found = make()
    paths = _paths(found.masks)
    return Samples(_paths(found.images), MatlabMasks(paths, found), masks=paths)


@dataclass(frozen=True, eq=False)
class MatlabMasks(Pictures):
    """Masks in MATLAB's files, each uint8 [1, H, W]. `found`: torchvision's object."""

    paths: Sequence[Path]
    found: Any
    channels = 1

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> Tensor:
        path = self.paths[index]
        try:
            mask = np.array(self.found._get_segmentation_target(path), np.uint8)
        except Exception as error:  # scipy meets hostile bytes here
            raise InputError.of(
                Code.INPUT,
                f"the mask can't be read: {error}",
                file=str(path),
                remedy="replace the file by an intact copy",
            ) from None
        return torch.from_numpy(mask).unsqueeze(0)

    def size(self, index: int) -> tuple[int, int]:
        _, height, width = self[index].shape
        return width, height

    def stamp(self, index: int) -> bytes:
        path = self.paths[index]
        return f"{path.name}\0{path.stat().st_size}\0".encode(errors="surrogateescape")

    def extent(self, index: int) -> Extent:
        return Extent(self.paths[index])


def hdf5(make: Make, request: Request) -> Samples:
    """`_FILES` names the files of images [N, H, W, C] and of labels [N, 1, 1, 1]."""
    found = make()
    names = {kind: name for kind, (name, *_) in found._FILES[found._split].items()}
    with found.h5py.File(found._base_folder / names["targets"]) as file:
        labels = torch.from_numpy(file["y"][:].reshape(-1)).to(torch.int64)
    path = found._base_folder / names["images"]
    with found.h5py.File(path) as file:
        shape = file["x"].shape
    return Samples(HdfImages(path, shape, request.channels, found.h5py.File), labels)


@dataclass(frozen=True, eq=False)
class HdfImages(Pictures):
    """Images of the data set `x` [N, H, W, C] in an HDF5 file, which `open` opens."""

    path: Path
    shape: tuple[int, ...]
    channels: int
    open: Callable[[Path], Any]

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int) -> Tensor:
        return self.gather(torch.tensor([index]))[0]

    def gather(self, indices: Tensor) -> Tensor:
        try:
            with self.open(
                self.path
            ) as file:  # each time: an open one cannot go to another process
                rows = np.stack([file["x"][index] for index in indices.tolist()])
        except Exception as error:  # h5py and its filters fail in many ways
            raise InputError.of(
                Code.INPUT,
                f"the images can't be read: {error}",
                file=str(self.path),
                remedy="replace the file by an intact copy",
            ) from None
        return with_channels(torch.from_numpy(rows).permute(0, 3, 1, 2), self.channels).contiguous()

    def size(self, index: int) -> tuple[int, int]:
        return self.shape[2], self.shape[1]

    def stamp(self, index: int) -> bytes:
        return f"{self.path.name}\0{self.path.stat().st_size}\0{index}\0".encode()


def _paths(found: Any) -> list[Path]:
    return [Path(each) for each in found]


def _sorted(found: Any, names: Sequence[str] | None = None) -> Samples:
    """Pairs of a path and its label in the paths' order: some come as the file system lists them,
    which is another order on another machine."""
    both = sorted(found)
    labels = torch.tensor([label for _, label in both], dtype=torch.int64)
    return Samples([path for path, _ in both], labels, names)


def _names(found: Any) -> Sequence[str] | None:
    """The classes; of synonyms the first, where it tells them apart."""
    names = getattr(found, "classes", None)
    if not names or all(isinstance(name, str) for name in names):
        return names
    first = [name[0] for name in names]
    return first if len(set(first)) == len(first) else [", ".join(name) for name in names]
