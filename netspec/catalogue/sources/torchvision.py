"""Image data sets of torchvision, by their own names and parameters."""

from __future__ import annotations

from netspec.catalogue.component import Param
from netspec.catalogue.sources.made import DIGITS
from netspec.catalogue.sources.source import ROOT, Classes, Images, Source
from netspec.catalogue.types import BOOLEAN

CIFAR10 = (
    "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck",
)  # fmt: skip

DOWNLOAD = Param("download", BOOLEAN, False, "fetch the data if they are not there")


def _downloaded(name: str, size: int, names: tuple[str, ...], train: int, test: int) -> Source:
    return Source(
        name=name,
        target=f"torchvision.datasets:{name}",
        fetched=True,
        params=(ROOT, DOWNLOAD),
        sample=lambda args: Images(size, size),
        labels=lambda args: Classes(len(names), names),
        parts=lambda args: {"train": train, "test": test},
    )


SOURCES = (
    _downloaded("MNIST", 28, DIGITS, train=60_000, test=10_000),
    _downloaded("CIFAR10", 32, CIFAR10, train=50_000, test=10_000),
)
