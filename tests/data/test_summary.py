"""What is said of data is what a count by hand finds, and of how many samples is said too."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from netspec.catalogue.sources import Classes, Values
from netspec.data import summary
from netspec.data.dataset import Dataset, Part
from netspec.data.loading import load
from netspec.data.summary import Counts, Figures, Spread, figures, summarize
from netspec.diagnostics import InputError
from netspec.planning import Plan, make_plan
from netspec.spec.loading import loads

TABLE = """\
netspec: 1
input: [3]
model: [Linear: {out_features: 4}]
data: {source: {Tensors: {path: 'PATH'}}, split: {validation: 0.2, test: 0.1}}
train: {epochs: 1, batch_size: 16, loss: LOSS, optimizer: {SGD: {lr: 0.1}}}
"""
DIGITS = """\
netspec: 1
input: [1, 8, 8]
model: [Flatten, Linear: {out_features: 10}]
data:
  source: Digits
  split: {validation: 0.25, seed: 7}
  preprocess: [Normalize: {mean: [0.3], std: [0.4]}]
"""


def table(folder: Path, targets: np.ndarray, loss: str) -> tuple[Plan, Dataset]:
    path = folder / "table.npz"
    inputs = np.random.default_rng(1).normal(5, 3, (len(targets), 3)).astype(np.float32)
    np.savez(path, inputs=inputs, targets=targets)
    plan = make_plan(loads(TABLE.replace("PATH", str(path)).replace("LOSS", loss)))
    return plan, load(plan)


def test_counts_are_those_of_a_count_by_hand(tmp_path: Path) -> None:
    labels = np.random.default_rng(0).integers(0, 4, 500)
    labels[::7] = -100  # which the loss ignores
    labels[3] = 3
    plan, dataset = table(tmp_path, labels, "CrossEntropyLoss")
    found = summarize(plan, dataset)
    assert found.classes == ("0", "1", "2", "3") and not found.masks
    assert list(found.parts) == ["train", "validation", "test"]
    assert sum(part.samples for part in found.parts.values()) == 500
    for name, part in found.parts.items():
        held = dataset.parts[name].labels.tolist()
        assert isinstance(part.targets, Counts)
        assert part.targets.classes == tuple(held.count(label) for label in range(4))
        assert part.targets.ignored == held.count(-100) > 0
        assert sum(part.targets.classes) + part.targets.ignored == part.samples == len(held)
        assert part.origin == ("source" if name == "train" else "split")


@pytest.mark.parametrize("together", [1, 7, 1 << 20])
def test_figures_are_numpys_however_many_numbers_are_taken_at_a_time(
    together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a mean a million times the deviation too."""
    monkeypatch.setattr(summary, "TOGETHER", together)
    rows = np.random.default_rng(0).normal(size=(50, 3, 4)) + np.array([[[1e6], [0], [-3]]])
    found = figures(torch.from_numpy(rows), detailed=True)
    channels = [rows[:, at] for at in range(3)]
    for spread, numbers in zip((found.whole, *found.each), (rows, *channels), strict=True):
        wanted = [numbers.min(), numbers.max(), numbers.mean(), numbers.std()]
        np.testing.assert_allclose(spread, wanted, rtol=1e-9)
    assert found.samples == 50
    assert figures(torch.from_numpy(rows)).each == ()
    assert figures(torch.tensor([[3], [5]])).whole == (3, 5, 4, 1)


def test_inputs_are_what_the_network_gets() -> None:
    plan = make_plan(loads(DIGITS))
    dataset = load(plan)
    for name, part in summarize(plan, dataset).parts.items():
        inputs = dataset.parts[name].inputs
        assert isinstance(inputs, Tensor)
        wanted = (inputs.double() / 255 - 0.3) / 0.4
        spread = [wanted.min(), wanted.max(), wanted.mean(), wanted.std(correction=0)]
        np.testing.assert_allclose(part.inputs.whole, spread, rtol=1e-5)
        assert part.inputs.samples == len(inputs)
        assert (part.shape, part.dtype, part.images) == (
            (1, 8, 8),
            "float32",
            (len(inputs), (8, 8), (8, 8)),
        )


def test_float_targets_have_figures_each(tmp_path: Path) -> None:
    targets = np.random.default_rng(0).normal([0, 9, 0, 0], 2, (300, 4)).astype(np.float32)
    plan, dataset = table(tmp_path, targets, "MSELoss")
    found = summarize(plan, dataset)
    assert found.classes is None
    for name, part in found.parts.items():
        held = dataset.parts[name].labels
        assert isinstance(part.targets, Figures)
        assert part.targets.samples == len(held)
        np.testing.assert_allclose([each.mean for each in part.targets.each], held.mean(0), 1e-5)
        np.testing.assert_allclose([each.most for each in part.targets.each], held.amax(0))


def test_of_much_a_stated_sample_is_looked_at_and_every_label(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plan, dataset = table(tmp_path, np.arange(1000) % 4, "CrossEntropyLoss")
    whole = summarize(plan, dataset).parts["train"]
    monkeypatch.setattr(summary, "SAMPLES", 100)
    part = summarize(plan, dataset).parts["train"]
    assert (whole.inputs.samples, part.inputs.samples) == (720, 100)
    assert part.targets == whole.targets
    assert part.inputs.whole.mean == pytest.approx(whole.inputs.whole.mean, abs=1)
    assert summarize(plan, dataset).parts["train"] == part

    monkeypatch.setattr(summary, "NUMBERS", 31)
    assert summarize(plan, dataset).parts["train"].inputs.samples == 10
    monkeypatch.setattr(summary, "NUMBERS", 1)
    assert summarize(plan, dataset).parts["train"].inputs.samples == 1

    plan, dataset = table(tmp_path, np.ones((1000, 4), np.float32), "MSELoss")
    monkeypatch.setattr(summary, "WHOLE", 2879)
    targets = summarize(plan, dataset).parts["train"].targets
    ones = Spread(1, 1, 1, 0)
    assert targets == Figures(1, ones, (ones,) * 4)
    monkeypatch.setattr(summary, "WHOLE", 2880)
    targets = summarize(plan, dataset).parts["train"].targets
    assert isinstance(targets, Figures) and targets.samples == 720


def test_rows_are_drawn_by_the_seed_from_everywhere() -> None:
    found = summary.drawn(10**12, 1000, 3)  # without making a list of them all
    assert len(found.unique()) == 1000
    assert torch.equal(found, summary.drawn(10**12, 1000, 3))
    assert not torch.equal(found, summary.drawn(10**12, 1000, 4))
    assert abs(float(found.double().mean()) / 10**12 - 0.5) < 0.05
    assert sorted(summary.drawn(9, 1000, 0).tolist()) == list(range(9))


def test_image_files_are_told_by_their_headers(tmp_path: Path) -> None:
    sizes = {"train": [(30, 20), (41, 20), (9, 60)], "val": [(8, 8)]}
    for part, each in sizes.items():
        for number, size in enumerate(each):
            for name in ("ant", "bee"):
                (tmp_path / part / name).mkdir(parents=True, exist_ok=True)
                Image.new("RGB", size).save(tmp_path / part / name / f"{number}.png")
    plan = make_plan(
        loads(
            "netspec: 1\ninput: [3, 8, 8]\nmodel: [Flatten]\n"
            f"data: {{source: {{ImageFolder: {{root: '{tmp_path}'}}}}, "
            "evaluate: [Resize: {size: [8, 8]}]}\n"
        )
    )
    found = summarize(plan, load(plan))
    assert found.classes == ("ant", "bee")
    train, validation = found.parts["train"], found.parts["validation"]
    assert train.images == (6, (9, 41), (20, 60))
    assert validation.images == (2, (8, 8), (8, 8))
    assert train.targets == Counts(6, (3, 3), 0)
    assert (train.shape, train.inputs.whole) == ((3, 8, 8), (0, 0, 0, 0))
    assert len(train.inputs.each) == 3
    assert found.batch_size is None


def test_of_masks_pixels_are_counted() -> None:
    plan = make_plan(loads(DIGITS))
    masks = torch.randint(0, 3, (20, 8, 8), generator=torch.Generator().manual_seed(0))
    masks[:, 0] = 255
    images = torch.zeros((20, 1, 8, 8), dtype=torch.uint8)
    dataset = Dataset({"train": Part(images, masks)}, Classes(3, ("a", "b", "c")), ("a", "b", "c"))
    found = summarize(plan, dataset)
    counts = tuple(int((masks == label).sum()) for label in range(3))
    assert found.masks
    assert found.parts["train"].targets == Counts(20, counts, 20 * 8)


def test_a_sample_that_is_its_own_target_has_no_other() -> None:
    plan = make_plan(loads(DIGITS.replace("source:", "target: input\n  source:")))
    images = torch.zeros((5, 1, 8, 8), dtype=torch.uint8)
    dataset = Dataset({"train": Part(images, torch.zeros(5, 1, 8, 8))}, Values((1, 8, 8)))
    found = summarize(plan, dataset)
    assert (found.target, found.parts["train"].targets) == ("input", None)
    # The classes of a folder are still told.
    labelled = Dataset({"train": Part(images, torch.arange(5) % 2)}, Classes(2))
    assert summarize(plan, labelled).parts["train"].targets == Counts(5, (3, 2), 0)


def test_one_part_may_be_asked_for_and_has_to_be_there() -> None:
    plan = make_plan(loads(DIGITS.replace("split: {validation: 0.25, seed: 7}", "split: {}")))
    dataset = load(plan)
    assert list(summarize(plan, dataset, "test").parts) == ["test"]
    with pytest.raises(InputError, match="the data have no validation part, but train, test"):
        summarize(plan, dataset, "validation")


def test_json_is_plain_and_says_how_the_data_are_read() -> None:
    plan = make_plan(loads(DIGITS))
    found = summarize(plan, load(plan)).as_json()
    plain = json.loads(json.dumps(found))
    assert (plain["source"], plain["cache"], plain["workers"]) == ("Digits", "auto", 0)
    assert (plain["split"]["validation"], plain["split"]["seed"]) == (0.25, 7)
    for name, part in plain["parts"].items():
        assert sum(part["targets"]["classes"]) == part["samples"], name
        assert set(part["inputs"]) == {"samples", "least", "most", "mean", "deviation", "each"}
