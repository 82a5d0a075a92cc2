"""Cutting the parts that a source does not bring out of its training part.

Which rows a part gets follows from the data and the seed alone, whatever the versions of torch and
numpy: rows, or whole groups, stand in the order of `randomness.keys`, of which the n-th of the seed
is that of row or group n. A part takes the first of that order, or of each class the first.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from netspec.catalogue.component import Refusal
from netspec.data.dataset import Dataset, Part, PartName, PartRows
from netspec.data.randomness import keys
from netspec.planning.pipeline import divide
from netspec.spec.model import Split

Numbers = npt.NDArray[np.int64]
Taken = npt.NDArray[np.bool_]  # which of some rows a part takes

CUT: tuple[PartName, ...] = ("test", "validation")  # in this order


def split(dataset: Dataset, how: Split, seed: int) -> Dataset:
    """The parts that `how` asks for, cut out of the training part, whose rows keep their order in
    each of them. `seed`: the run's, where the split has none. Raises Refusal.
    """
    sizes = divide(how, {name: len(part) for name, part in dataset.parts.items()})
    cut = [name for name in CUT if name in sizes and name not in dataset.parts]
    if not cut:
        return dataset
    whole = dataset.parts["train"]
    if how.group is not None and whole.groups is None:
        raise Refusal("the source gives no groups", "leave it out", "group")
    left = _order(whole, how, seed)
    classes = _classes(whole) if stratified(how, whole) else None
    rows: dict[PartName, Tensor] = {}
    for name in cut:
        if how.group is not None:
            taken = _groups(whole, how.group, left, sizes[name])
        elif classes is not None:
            taken = _of_each(classes[left], sizes[name])
        else:
            taken = np.arange(len(left)) < sizes[name]
        rows[name] = torch.from_numpy(np.sort(left[taken]))
        left = left[~taken]
    rows["train"] = torch.from_numpy(np.sort(left))
    parts = {**dataset.parts, **{name: whole.subset(each) for name, each in rows.items()}}
    return replace(dataset, parts=parts, rows=rows)


def digests(rows: PartRows) -> dict[str, str]:
    """The SHA-256 of each part's row numbers, as 64-bit integers, little-endian."""
    return {
        name: hashlib.sha256(each.numpy().astype("<i8").tobytes()).hexdigest()
        for name, each in sorted(rows.items())
    }


def stratified(how: Split, part: Part) -> bool:
    """Whether each class keeps its share. Raises Refusal where it cannot and is asked to."""
    classes = (
        isinstance(part.targets, Tensor)
        and part.targets.dim() == 1
        and not part.targets.is_floating_point()
    )
    if how.stratify and not classes:
        raise Refusal(
            "stratify keeps the shares of classes, and the targets are no class indices",
            "leave it out",
            "stratify",
        )
    return classes and how.shuffle and how.group is None and how.stratify is not False


def _order(whole: Part, how: Split, seed: int) -> Numbers:
    """The rows as parts take them; with groups, which are whole, in any order of their rows."""
    seed = seed if how.seed is None else how.seed
    if not how.shuffle:
        return np.arange(len(whole))[::-1]
    if how.group is None:
        return np.argsort(keys(seed, np.arange(len(whole))), kind="stable")
    assert whole.groups is not None
    # Numbered as they first come in the file, whatever stands for them.
    _, first, groups = np.unique(whole.groups.numpy(), return_index=True, return_inverse=True)
    numbers = np.argsort(np.argsort(first))
    return np.argsort(keys(seed, np.arange(len(first)))[numbers][groups], kind="stable")


def _classes(whole: Part) -> npt.NDArray[np.unsignedinteger[Any]]:
    """Each row's class, counted from 0 and as small a number as will do: that sorts faster."""
    _, found = np.unique(whole.labels.numpy(), return_inverse=True)
    return found.astype(np.min_scalar_type(found.max()))


def _of_each(classes: npt.NDArray[np.unsignedinteger[Any]], wanted: int) -> Taken:
    """The first rows of each class."""
    counts = np.bincount(classes)
    together = np.argsort(classes, kind="stable")
    places = np.arange(len(classes)) - np.repeat(np.cumsum(counts) - counts, counts)
    taken = np.empty(len(classes), bool)
    taken[together] = places < np.repeat(shares(counts, wanted), counts)
    return taken


def shares(counts: Numbers, wanted: int) -> Numbers:
    """How many of `wanted` samples come from each class, by the method of largest remainders.

    A class of one sample keeps it for training as long as the others suffice; of equal remainders
    the first wins, and one whose class would be left with nothing to train on comes last.
    """
    able = counts * (counts > 1)
    if able.sum() < wanted:
        able = counts
    whole, remainders = np.divmod(able * wanted, able.sum())
    turn = np.lexsort((-remainders, whole + 1 >= counts, remainders == 0))
    whole[turn[: wanted - whole.sum()]] += 1
    return whole


def _groups(whole: Part, column: str, order: Numbers, wanted: int) -> Taken:
    """The first groups of the order whose rows come nearest to `wanted` in number."""
    assert whole.groups is not None
    _, first, groups, counts = np.unique(
        whole.groups.numpy()[order], return_index=True, return_inverse=True, return_counts=True
    )
    if len(first) < 2:
        raise Refusal(
            f"all rows have one value of '{column}', so that none can be held out",
            "split by another column",
            "group",
        )
    turn = np.argsort(first)
    apart = np.abs(np.cumsum(counts[turn])[:-1] - wanted)
    return np.isin(groups, turn[: apart.argmin() + 1])
