"""Parts that a split cuts: laws on random data, and what they follow from."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from torch import Tensor

from netspec.catalogue.component import Refusal
from netspec.catalogue.sources import Classes
from netspec.data.dataset import Dataset, Part
from netspec.data.splitting import shares, split
from netspec.planning.pipeline import divide
from netspec.spec.model import Split

SPLIT = Split(0.0, 0.0, shuffle=True, stratify=None, group=None, seed=None)
COUNTS = st.lists(st.integers(1, 40), min_size=1, max_size=8)
SHARES = st.sampled_from([0.05, 0.1, 0.2, 0.25, 1 / 3, 0.45])


def data(labels: Tensor, groups: Tensor | None = None) -> Dataset:
    """Each sample is its own row number."""
    return Dataset({"train": Part(torch.arange(len(labels)), labels, groups)}, Classes(9))


def cut(found: Dataset, seed: int = 0, **how: Any) -> Dataset:
    return split(found, SPLIT._replace(**how), seed)


def rows(found: Dataset) -> dict[str, list[int]]:
    return {name: _inputs(part).tolist() for name, part in found.parts.items()}


def _inputs(part: Part) -> Tensor:
    assert isinstance(part.inputs, Tensor)
    return part.inputs


def shuffled(counts: list[int], seed: int) -> Tensor:
    labels = torch.repeat_interleave(torch.arange(len(counts)), torch.tensor(counts))
    return labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))]


def possible(count: int, **how: Any) -> dict[str, int]:
    """The sizes that `validate` says, where it does not refuse them."""
    try:
        return divide(SPLIT._replace(**how), {"train": count})
    except Refusal:
        assume(False)
        raise


def test_the_rows_are_these_for_ever() -> None:
    plain = cut(data(torch.zeros(20, dtype=torch.int64)), test=0.2, validation=0.2)
    assert (rows(plain)["test"], rows(plain)["validation"]) == ([2, 4, 6, 18], [5, 8, 10])
    labels = torch.arange(20) % 3
    found = cut(data(labels), seed=7, test=0.2, validation=0.2)
    assert (rows(found)["test"], rows(found)["validation"]) == ([0, 1, 8, 9], [5, 6, 10])


@given(COUNTS, SHARES, SHARES, st.integers(0, 2**63 - 1), st.booleans(), st.booleans())
def test_parts_are_disjoint_cover_all_and_have_the_sizes_that_were_said(
    counts: list[int],
    test: float,
    validation: float,
    seed: int,
    shuffle: bool,
    floats: bool,
) -> None:
    labels = shuffled(counts, seed)
    how = {"test": test, "validation": validation, "shuffle": shuffle}
    said = possible(len(labels), **how)
    found = cut(data(labels.float() if floats else labels), seed, **how)

    parts = rows(found)
    assert {name: len(part) for name, part in parts.items()} == said
    assert sorted(row for part in parts.values() for row in part) == list(range(len(labels)))
    for name, part in found.parts.items():
        own = parts[name]
        assert own == sorted(own)  # the file's order
        assert found.rows[name].tolist() == own
        assert part.labels.tolist() == labels[own].tolist()


@given(COUNTS, SHARES, st.integers(0, 1000))
def test_each_class_keeps_its_share(counts: list[int], share: float, seed: int) -> None:
    labels = shuffled(counts, seed)
    wanted = possible(len(labels), test=share)["test"]
    taken = torch.bincount(labels[rows(cut(data(labels), seed, test=share))["test"]], minlength=8)

    able = sum(count for count in counts if count > 1)
    for count, got in zip(counts, taken.tolist(), strict=False):
        if able < wanted:
            assert abs(got - wanted * count / sum(counts)) < 1
        elif count == 1:
            assert got == 0
        else:
            assert abs(got - wanted * count / able) < 1


def test_a_class_keeps_a_sample_to_learn_from_where_another_can_give_one() -> None:
    assert shares(np.array([2, 20]), 19).tolist() == [1, 18]
    assert shares(np.array([1, 1, 8]), 5).tolist() == [0, 0, 5]
    assert shares(np.array([1, 1, 1]), 2).sum() == 2


def test_ignored_labels_are_shared_out_like_a_class() -> None:
    labels = torch.tensor([-100, 3] * 10)
    found = cut(data(labels), test=0.2)
    assert sorted(found.parts["test"].labels.tolist()) == [-100, -100, 3, 3]


@given(
    st.lists(st.integers(1, 12), min_size=2, max_size=12),
    SHARES,
    st.integers(0, 1000),
    st.booleans(),
)
def test_a_group_is_never_cut(sizes: list[int], share: float, seed: int, shuffle: bool) -> None:
    groups = shuffled(sizes, seed)
    how = {"test": share, "shuffle": shuffle, "group": "patient"}
    wanted = possible(len(groups), test=share)["test"]
    found = cut(data(torch.zeros_like(groups), groups), seed, **how)

    parts = rows(found)
    assert sorted(parts["train"] + parts["test"]) == list(range(len(groups)))
    assert not set(groups[parts["train"]].tolist()) & set(groups[parts["test"]].tolist())
    assert 0 < len(parts["test"]) < len(groups)
    assert abs(len(parts["test"]) - wanted) <= max(sizes)
    for part in parts.values():
        assert part == sorted(part)


@given(st.lists(st.integers(1, 12), min_size=3, max_size=12), st.integers(0, 1000))
def test_what_stands_for_a_group_does_not_count(sizes: list[int], seed: int) -> None:
    groups = shuffled(sizes, seed)
    how = {"test": 0.3, "group": "patient"}
    possible(len(groups), test=0.3)
    one = cut(data(torch.zeros_like(groups), groups), seed, **how)
    other = cut(data(torch.zeros_like(groups), 50 - 3 * groups), seed, **how)
    assert rows(one) == rows(other)


def test_without_shuffling_the_last_groups_are_held_out() -> None:
    groups = torch.tensor([0, 0, 1, 1, 2, 2, 3, 3])
    found = cut(data(groups, groups), test=0.25, shuffle=False, group="day")
    assert rows(found) == {"train": [0, 1, 2, 3, 4, 5], "test": [6, 7]}


def test_large_and_small_groups_are_equally_likely_to_be_held_out() -> None:
    groups = torch.tensor([0] * 50 + list(range(1, 51)))
    held = [
        0 in groups[rows(cut(data(groups, groups), seed, test=0.02, group="g"))["test"]].tolist()
        for seed in range(400)
    ]
    assert sum(held) < 40  # 1 in 51 is due; by its rows it would be every other


def test_a_single_group_is_refused() -> None:
    groups = torch.zeros(10, dtype=torch.int64)
    with pytest.raises(Refusal, match="all rows have one value of 'day'"):
        cut(data(groups, groups), test=0.2, group="day")


@given(st.integers(0, 2**63 - 1))
def test_the_same_seed_gives_the_same_rows_whatever_torch_s_state(seed: int) -> None:
    labels = shuffled([9, 9, 9], 0)
    torch.manual_seed(seed % 1000)
    one = rows(cut(data(labels), seed, test=0.2))
    torch.manual_seed(5)
    own = SPLIT._replace(test=0.2, seed=seed)
    assert rows(split(data(labels), own, 3)) == one


def test_seeds_spread_the_held_out_rows_evenly() -> None:
    labels = torch.zeros(50, dtype=torch.int64)
    counts = torch.zeros(50)
    for seed in range(1000):
        counts[rows(cut(data(labels), seed, test=0.2))["test"]] += 1
    # 200 ± 13 of 1000 draws are due to each row; the largest of 50 deviations lies within 4 sd.
    assert abs(counts - 200).max() < 55


def test_stratify_needs_class_indices() -> None:
    floats = torch.rand(20, 1)
    with pytest.raises(Refusal, match="stratify keeps the shares of classes"):
        cut(data(floats), test=0.2, stratify=True)
    assert len(cut(data(floats), test=0.2).parts["test"]) == 4


def test_what_the_source_brings_is_left_as_it_is() -> None:
    labels = torch.arange(20) % 4
    own = Part(torch.arange(100, 105), torch.zeros(5, dtype=torch.int64))
    found = data(labels)
    found = replace(found, parts={**found.parts, "test": own})
    cut_ = cut(found, validation=0.25)
    assert cut_.parts["test"] is own
    assert cut_.rows.keys() == {"train", "validation"}
    assert not cut(found).rows
