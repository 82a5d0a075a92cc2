"""Batches follow from (seed, epoch, batch) alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from netspec.data.batches import Batch, Batches
from netspec.data.dataset import Part
from netspec.data.loading import load
from netspec.diagnostics import InputError
from netspec.planning import make_plan
from netspec.spec.loading import loads

CPU = torch.device("cpu")
DIGITS = """\
netspec: 1
input: [1, 8, 8]
model: [Flatten, {Linear: {out_features: 10}}]
data:
  source: Digits
  augment: [RandomAffine: {degrees: 20}, RandomHorizontalFlip]
  preprocess: [Normalize: {mean: [0.3], std: [0.4]}]
"""


def batches(
    seed: int = 0, count: int = 100, size: int = 16, *, training: bool = True, shuffle: bool = True
) -> Batches:
    made = make_plan(loads(DIGITS))
    part = load(made).parts["train"].subset(torch.arange(count))
    return Batches(made, part, CPU, batch_size=size, training=training, shuffle=shuffle, seed=seed)


def same(a: Iterator[Batch], b: Iterator[Batch]) -> bool:
    return all(
        torch.equal(x.inputs, y.inputs) and torch.equal(x.targets, y.targets)
        for x, y in zip(a, b, strict=True)
    )


def labels(found: Iterator[Batch]) -> list[int]:
    return torch.cat([each.targets for each in found]).tolist()


def test_the_same_seed_and_epoch_give_the_same_batches() -> None:
    assert same(batches(3).epoch(5), batches(3).epoch(5))
    assert not same(batches(3).epoch(5), batches(3).epoch(6))
    assert not same(batches(3).epoch(5), batches(4).epoch(5))


def test_earlier_epochs_leave_no_trace() -> None:
    used = batches()
    for number in range(3):
        list(used.epoch(number))
    assert same(used.epoch(3), batches().epoch(3))


@pytest.mark.parametrize("start", [0, 1, 5, 6])
def test_going_on_at_a_batch_gives_the_rest_of_the_epoch(start: int) -> None:
    whole = list(batches().epoch(2))
    assert same(batches().epoch(2, start), iter(whole[start:]))


def test_an_epoch_sees_every_sample_once() -> None:
    made = batches()
    assert sorted(labels(made.epoch(0))) == sorted(made.part.labels.tolist())
    assert labels(made.epoch(0)) != made.part.labels.tolist()


def test_without_shuffling_the_order_is_the_sources() -> None:
    made = batches(shuffle=False)
    assert labels(made.epoch(7)) == made.part.labels.tolist()


@pytest.mark.parametrize(
    ("count", "size", "training", "lengths"),
    [
        (33, 16, True, [16, 16]),  # batch norms cannot learn from one sample
        (33, 16, False, [16, 16, 1]),
        (34, 16, True, [16, 16, 2]),
        (32, 16, True, [16, 16]),
        (5, 16, True, [5]),
        (3, 1, True, [1, 1, 1]),  # asked for
        (1, 16, True, []),
        (1, 16, False, [1]),
    ],
)
def test_a_last_training_batch_of_one_is_dropped(
    count: int, size: int, training: bool, lengths: list[int]
) -> None:
    made = batches(count=count, size=size, training=training)
    assert [len(each) for each in made.epoch(0)] == lengths
    assert len(made) == len(lengths)


def test_augmentation_does_not_touch_or_follow_the_global_random_state() -> None:
    torch.manual_seed(1)
    before = torch.get_rng_state()
    first = list(batches().epoch(0))
    assert torch.equal(torch.get_rng_state(), before)
    torch.manual_seed(2)
    assert same(batches().epoch(0), iter(first))


def test_each_sample_of_a_batch_is_augmented_by_itself_and_anew_in_each_epoch() -> None:
    made = make_plan(loads(DIGITS))
    image = load(made).parts["train"].inputs[0]
    part = Part(image.expand(8, -1, -1, -1), torch.zeros(8, dtype=torch.int64))
    made_of_one = Batches(made, part, CPU, batch_size=8, training=True)
    (first,), (second,) = made_of_one.epoch(0), made_of_one.epoch(1)
    assert len(torch.unique(first.inputs, dim=0)) > 1
    assert not torch.equal(first.inputs, second.inputs)


def test_evaluation_is_not_augmented() -> None:
    made = batches(training=False, shuffle=False)
    (batch,) = list(made.epoch(0))[:1]
    inputs = made.part.inputs
    assert isinstance(inputs, Tensor)
    assert torch.equal(batch.inputs, (inputs[:16] / 255 - 0.3) / 0.4)


def test_an_image_damaged_within_is_named_when_it_is_read(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        noise = np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)
        Image.fromarray(noise).save(tmp_path / name / "1.png")
    path = tmp_path / "b" / "1.png"
    intact = path.read_bytes()
    path.write_bytes(intact[:2000] + bytes(100) + intact[2100:])
    made = make_plan(
        loads(
            "netspec: 1\ninput: [3, 40, 40]\nmodel: [Flatten]\n"
            f"data: {{source: {{ImageFolder: {{root: '{tmp_path}'}}}}, "
            "evaluate: [Resize: {size: [40, 40]}]}\n"
        )
    )
    loaded = load(made)
    with pytest.raises(InputError, match="damaged or cut off") as caught:
        list(Batches(made, loaded.parts["train"], CPU, batch_size=2, training=True).epoch(0))
    (found,) = caught.value.diagnostics
    assert (found.place.file, found.remedy) == (str(path), "replace the file by an intact copy")
    # So that a run can go on with an intact copy.
    damaged = loaded.fingerprint
    path.write_bytes(intact)
    assert load(made).fingerprint == damaged


def test_tensors_come_as_they_are() -> None:
    made = make_plan(
        loads(
            "netspec: 1\ninput: [3]\nmodel: [{Linear: {out_features: 2}}]\n"
            "data: {source: {Synthetic: {samples: 5, classes: 2}}}\n"
        )
    )
    part = load(made).parts["train"]
    (batch,) = Batches(made, part, CPU, batch_size=5).epoch(0)
    assert isinstance(part.inputs, Tensor)
    assert torch.equal(batch.inputs, part.inputs)


def digits(more: str, *, training: bool = True) -> Batches:
    made = make_plan(loads(DIGITS.replace("  preprocess", f"{more}  preprocess")))
    part = load(made).parts["train"].subset(torch.arange(40))
    return Batches(made, part, CPU, batch_size=16, training=training, shuffle=training)


def test_mixed_batches_have_probabilities_and_are_the_same_when_an_epoch_goes_on() -> None:
    spec = DIGITS.replace("RandomHorizontalFlip]", "RandomHorizontalFlip, CutMix]")
    made = make_plan(loads(spec))
    part = load(made).parts["train"].subset(torch.arange(40))
    mixing = Batches(made, part, CPU, batch_size=16, training=True, shuffle=True)
    whole = list(mixing.epoch(1))
    assert [tuple(each.targets.shape) for each in whole] == [(16, 10), (16, 10), (8, 10)]
    assert same(mixing.epoch(1, 2), iter(whole[2:]))
    assert torch.allclose(whole[0].targets.sum(1), torch.ones(16))
    (first, *_) = Batches(made, part, CPU, batch_size=16).epoch(0)
    assert torch.equal(first.targets, part.labels[:16])  # evaluation mixes nothing


@pytest.mark.parametrize("training", [True, False])
def test_a_sample_that_is_its_own_target_is_not_augmented(training: bool) -> None:
    own = digits("  target: input\n", training=training)
    plain = digits("", training=training)
    for batch, known in zip(own.epoch(0), plain.epoch(0), strict=True):
        assert torch.equal(batch.inputs, known.inputs)
        assert torch.equal(batch.inputs, batch.targets) != training
    every = torch.cat([each.targets for each in digits("  target: input\n").epoch(0)])
    clean = torch.cat([each.inputs for each in digits("", training=False).epoch(0)])
    assert torch.equal(every.flatten(1).sort(0).values, clean.flatten(1).sort(0).values)
