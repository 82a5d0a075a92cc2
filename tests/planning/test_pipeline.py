"""The data's pipeline: which parts there will be, and what reaches the network."""

from __future__ import annotations

from dataclasses import replace

import pytest

from netspec.catalogue.component import Refusal
from netspec.catalogue.sources import SOURCES, Classes
from netspec.data.loading import load
from netspec.diagnostics import SpecError
from netspec.planning import make_plan
from netspec.planning.pipeline import divide
from netspec.planning.plans import Pipeline
from netspec.spec.loading import loads
from netspec.spec.model import Split

DIGITS = "Digits"
MNIST = "MNIST: {root: x}"
FOLDER = "ImageFolder: {root: x}"
TENSORS = "Tensors: {path: x.npz}"


def synthetic(samples: int) -> str:
    return f"Synthetic: {{samples: {samples}, classes: 10}}"


def text(source: str, split: str = "{}", steps: str = "", input: str = "[1, 28, 28]") -> str:
    return (
        f"netspec: 1\ninput: {input}\nmodel: [Flatten]\ndata:\n  source:\n    {source}\n"
        f"  split: {split}\n{steps}"
    )


def planned(*args: str, **rest: str) -> Pipeline:
    found = make_plan(loads(text(*args, **rest))).pipeline
    assert found is not None
    return found


def findings(*args: str, **rest: str) -> list[str]:
    """As `LINE:COLUMN: message`."""
    with pytest.raises(SpecError) as caught:
        planned(*args, **rest)
    return [
        f"{each.place.line}:{each.place.column}: {each.message}"
        for each in caught.value.diagnostics
    ]


@pytest.mark.parametrize(
    ("source", "split", "parts", "samples"),
    [
        (MNIST, "{}", {"train", "test"}, {"train": 60_000, "test": 10_000}),
        (
            MNIST,
            "{validation: 0.1}",
            {"train", "validation", "test"},
            {"train": 54_000, "validation": 6_000, "test": 10_000},
        ),
        (synthetic(1), "{}", {"train"}, {"train": 1}),
        (
            synthetic(100),
            "{validation: 0.25, test: 0.2}",
            {"train", "validation", "test"},
            {"train": 60, "validation": 20, "test": 20},
        ),
        (TENSORS, "{}", {"train"}, None),
        (TENSORS, "{test: 0.5}", {"train", "test"}, None),
        (FOLDER, "{}", None, None),
        (FOLDER, "{validation: 0.1}", None, None),
    ],
)
def test_the_parts_after_the_split(
    source: str, split: str, parts: set[str] | None, samples: dict[str, int] | None
) -> None:
    steps = "  evaluate: [Resize: {size: [28, 28]}]\n" if source == FOLDER else ""
    found = planned(source, split, steps)
    assert found.parts == parts
    assert found.samples == samples


@pytest.mark.parametrize("split", ["{}", "{validation: 0.1}", "{validation: 0.003}"])
def test_what_is_said_of_digits_is_what_is_loaded(split: str) -> None:
    plan = make_plan(loads(text(DIGITS, split, input="[1, 8, 8]")))
    assert plan.pipeline is not None
    loaded = {name: len(part) for name, part in load(plan).parts.items()}
    assert plan.pipeline.samples == loaded


@pytest.mark.parametrize("share", [0.001, 0.05, 0.1, 0.125, 1 / 3, 0.5, 0.75, 0.999])
@pytest.mark.parametrize("samples", [2, 3, 7, 10, 101, 1000])
def test_what_is_said_of_a_split_is_what_is_loaded(samples: int, share: float) -> None:
    split = f"{{test: {share}}}"
    try:
        said = planned(synthetic(samples), split).samples
    except SpecError:
        with pytest.raises(Refusal):
            divide(Split(0, share, True, None, None, None), {"train": samples})
        return
    plan = make_plan(loads(text(synthetic(samples), split)))
    assert said == {name: len(part) for name, part in load(plan).parts.items()}
    assert said is not None and all(said.values())


@pytest.mark.parametrize("source", [MNIST, "CIFAR10: {root: x}", DIGITS])
def test_a_part_that_the_source_brings_is_not_split_off(source: str) -> None:
    size = {MNIST: "[1, 28, 28]", DIGITS: "[1, 8, 8]"}.get(source, "[3, 32, 32]")
    assert findings(source, "{test: 0.1}", input=size) == [
        "7:17: the source brings its own test part, so split.test has nothing to do"
    ]


@pytest.mark.parametrize(
    ("samples", "split", "message"),
    [
        (1, "{validation: 0.5}", "validation 0.5 of 1 sample leaves a part empty"),
        (4, "{validation: 0.1}", "validation 0.1 of 4 samples leaves a part empty"),
        (4, "{test: 0.9}", "test 0.9 of 4 samples leaves a part empty"),
        (3, "{validation: 0.2, test: 0.6}", "validation 0.2 of 1 sample leaves a part empty"),
    ],
)
def test_a_split_that_leaves_a_part_empty(samples: int, split: str, message: str) -> None:
    (found,) = findings(synthetic(samples), split)
    assert found.endswith(f": split.{message}")
    assert found.startswith("7:")


def test_shares_that_leave_nothing_are_said_once() -> None:
    assert findings(synthetic(10), "{validation: 0.5, test: 0.5}") == [
        "7:3: validation 0.5 and test 0.5 leave nothing to train on"
    ]


def test_every_source_says_which_parts_it_brings() -> None:
    told = {
        "root": "x", "path": "x", "samples": 5, "classes": 2, "targets": None, "binary": False,
    }  # fmt: skip
    for source in SOURCES.values():
        needed = {name: "letters" for name in source.required if name not in told}
        parts = source.parts({**source.complete({}), **needed, **told})
        assert parts is None or "train" in parts, source.name


NORMALIZE = "  preprocess: [Normalize: {{mean: {mean}, std: {std}}}]\n"


def normalized(mean: str, std: str) -> list[str]:
    """What is said of these statistics, as `SEVERITY COLUMN: message (remedy)`."""
    made = loads(text(DIGITS, "{}", NORMALIZE.format(mean=mean, std=std), "[1, 8, 8]"))
    try:
        found = make_plan(made).warnings
    except SpecError as error:
        found = error.diagnostics
    return [
        f"{each.severity} {each.place.column}: {each.message} ({each.remedy})" for each in found
    ]


def test_statistics_of_8_bits_are_refused_with_those_of_floats() -> None:
    assert normalized("[123.675]", "[58.395]") == [
        "error 34: Normalize: mean 123.675 is no mean of pixels, which lie between 0 and 1 "
        "(of 8-bit statistics write mean: [0.485], std: [0.229])"
    ]


@pytest.mark.parametrize(
    ("mean", "std", "said"),
    [
        ("[0.5]", "[58.4]", "warning 46: Normalize: std 58.4 is more than pixels between 0 and 1"),
        ("[0]", "[255]", "warning 44: Normalize: std 255 is more than pixels between 0 and 1"),
        ("[-0.5]", "[0.5]", "warning 34: Normalize: mean -0.5 is no mean of pixels, which lie"),
    ],
)
def test_statistics_that_are_hardly_meant_are_doubted(mean: str, std: str, said: str) -> None:
    (found,) = normalized(mean, std)
    assert found.startswith(said)


@pytest.mark.parametrize(("mean", "std"), [("[0]", "[1]"), ("[1]", "[0.5]"), ("[0.13]", "[0.3]")])
def test_statistics_of_floats_are_fine(mean: str, std: str) -> None:
    assert normalized(mean, std) == []


PHOTOGRAPHS = """\
  augment:
    - RandomResizedCrop: {size: 64}
    - RandomHorizontalFlip
    - RandomApply: {transforms: [ColorJitter: {brightness: 0.4, hue: 0.1}], p: 0.8}
    - RandomGrayscale: {p: 0.2}
    - RandomChoice: {transforms: [TrivialAugmentWide, AutoAugment: {policy: cifar10}]}
    - RandomErasing: {value: random}
  evaluate: [Resize: {size: 70, interpolation: bicubic}, CenterCrop: {size: 64}]
  preprocess: [Normalize: {mean: 0.5, std: 0.25}]
"""
STREETS = """\
  augment:
    - RandomResize: {min_size: 50, max_size: 200}
    - RandomCrop: {size: 64, pad_if_needed: true}
    - RandomPhotometricDistort
  evaluate: [Resize: {size: [64, 64]}]
"""


@pytest.mark.parametrize("steps", [PHOTOGRAPHS, STREETS])
def test_recipes_of_papers_are_taken(steps: str) -> None:
    found = planned(FOLDER, steps=steps, input="[3, 64, 64]")
    assert found.preprocess == () or found.preprocess[0].args == {"mean": [0.5], "std": [0.25]}


def test_one_number_for_every_channel_is_a_list_of_one() -> None:
    steps = "  preprocess: [Normalize: {{mean: {0}, std: {0}}}]\n"
    one, other = (
        make_plan(loads(text(MNIST, steps=steps.format(each)))).digest for each in ("0.5", "[0.5]")
    )
    assert one == other


def test_masks_do_not_go_with_what_moves_no_masks(monkeypatch: pytest.MonkeyPatch) -> None:
    masked = replace(SOURCES["ImageFolder"], labels=lambda args: Classes(3, shape=(64, 64)))
    monkeypatch.setitem(SOURCES, "ImageFolder", masked)
    planned(FOLDER, steps=STREETS, input="[3, 64, 64]")

    (found,) = findings(FOLDER, steps=PHOTOGRAPHS, input="[3, 64, 64]")
    assert found.startswith("13:7: RandomChoice moves no masks")
