"""Nothing but the catalogue knows its entries by name."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import netspec
from netspec.catalogue.initializers import INITIALIZERS
from netspec.catalogue.layers import LAYERS
from netspec.catalogue.losses import LOSSES
from netspec.catalogue.metrics import METRICS
from netspec.catalogue.optimizers import OPTIMIZERS
from netspec.catalogue.schedulers import SCHEDULERS
from netspec.catalogue.sources import SOURCES
from netspec.catalogue.transforms import TRANSFORMS

ROOT = Path(netspec.__file__).parent
TABLES = (LAYERS, LOSSES, METRICS, OPTIMIZERS, SCHEDULERS, INITIALIZERS, SOURCES, TRANSFORMS)
NAMES = {name for table in TABLES for name in table}

# Words that are also an entry's name and mean something else there.
OTHER_MEANINGS = {
    ("runtime/metadata.py", "tensor"): "a kind of input, beside images",
    ("export/writing.py", "tensor"): "a kind of input, beside images",
    ("images.py", "JPEG"): "Pillow's name of a format",
    ("images.py", "RGB"): "Pillow's name of a mode",
    ("data/preview.py", "JPEG"): "Pillow's name of a format",
    ("data/preview.py", "RGB"): "Pillow's name of a mode",
    ("export/graph.py", "tensor"): "a kind of input, beside images",
    ("export/evaluation.py", "tensor"): "a kind of input, beside images",
}


def known(text: str) -> Iterator[tuple[int, str]]:
    """Line and name of each literal that is an entry's name, or of several in one string."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            words = node.value.split()
            if words and NAMES.issuperset(words):
                yield node.lineno, node.value


def test_nothing_but_the_catalogue_knows_names() -> None:
    found = [
        f"{file}:{line}: {name}"
        for file in sorted(each.relative_to(ROOT).as_posix() for each in ROOT.rglob("*.py"))
        if not file.startswith("catalogue/")
        for line, name in known((ROOT / file).read_text(encoding="utf-8"))
        if (file, name) not in OTHER_MEANINGS
    ]
    assert not found, "\n".join(found)


def test_it_would_be_seen() -> None:
    assert list(known("x = {'Conv2d': 1}")) == [(1, "Conv2d")]
    assert list(known("if a == 'accuracy':\n    pass")) == [(1, "accuracy")]
    assert not list(known("raise ValueError('use Conv2d')"))
