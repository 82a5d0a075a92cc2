"""What a metric counts."""

from __future__ import annotations

import math

import pytest
import torch

from netspec.spec.model import Named
from netspec.training.metrics import metrics_of

SCORES = torch.tensor([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2], [0.0, 0.4, 0.6], [0.9, 0.1, 0.0]])


def tally(name: str, output: torch.Tensor, target: torch.Tensor, **settings: object) -> list[float]:
    """The sum and the count of a batch."""
    ignored, args = settings.pop("ignored", None), settings
    probabilities = bool(args.pop("probabilities", False))
    assert ignored is None or isinstance(ignored, int)
    made = metrics_of([Named(name, args, ())], probabilities=probabilities, ignored=ignored)
    found = made[name].tally(output, target)
    assert found.dtype == torch.float64
    return [float(each) for each in found]


def test_accuracy_counts_targets() -> None:
    assert tally("accuracy", SCORES, torch.tensor([1, 0, 0, 1])) == [2, 4]


@pytest.mark.parametrize("ignored", [-100, 1])
def test_ignored_targets_are_not_counted(ignored: int) -> None:
    target = torch.tensor([ignored, 0, 0, ignored])
    assert tally("accuracy", SCORES, target, ignored=ignored) == [1, 2]
    assert tally("top_k", SCORES, target, k=3, ignored=ignored) == [2, 2]


def test_positions_are_counted_each() -> None:
    output = SCORES.reshape(2, 2, 3).movedim(-1, 1)
    assert tally("accuracy", output, torch.tensor([[1, 0], [7, 7]]), ignored=7) == [2, 2]
    assert tally("top_k", output, torch.tensor([[2, 2], [1, 1]]), k=2) == [3, 4]


def test_more_than_there_are_classes_are_all() -> None:
    assert tally("top_k", SCORES, torch.tensor([2, 2, 0, 2]), k=5) == [4, 4]


@pytest.mark.parametrize(("probabilities", "right"), [(False, 3), (True, 4)])
def test_each_output_of_0_or_1_is_counted(probabilities: bool, right: int) -> None:
    output, target = torch.tensor([[0.2, 0.9], [-0.1, 0.6]]), torch.tensor([[0.0, 1], [0, 1]])
    assert tally("accuracy", output, target, probabilities=probabilities) == [right, 4]


def test_errors_are_summed_over_every_output_in_double_precision() -> None:
    output, target = torch.tensor([[1.0, 3.0], [2.0, 0.0]]), torch.zeros(2, 2)
    assert tally("mae", output, target) == [6, 4]
    assert tally("mse", output, target) == [14, 4]
    # In float32, the ones would be lost beside 2 ** 25.
    many = torch.cat((torch.tensor([[2.0**25]]), torch.ones(99, 1)))
    assert tally("mae", many, torch.zeros(100, 1)) == [2**25 + 99, 100]


def figure(name: str, output: torch.Tensor, target: torch.Tensor, ignored: int | None) -> float:
    metric = metrics_of([Named(name, {}, ())], probabilities=False, ignored=ignored)[name]
    return metric.figure(metric.tally(output, target))


PIXELS = torch.eye(4)[torch.tensor([[[0, 0, 1], [1, 1, 0]]])].movedim(-1, 1)  # taken for these
MASKS = torch.tensor([[[0, 1, 1], [1, 2, 255]]])


def test_iou_is_the_mean_of_the_classes_that_there_are() -> None:
    """Class 0: one of two places; 1: two of four; 2: none of one; 3 is nowhere."""
    assert figure("iou", PIXELS, MASKS, ignored=255) == pytest.approx((1 / 2 + 2 / 4 + 0) / 3)


def test_iou_of_an_ignored_class_is_not_among_them() -> None:
    target = MASKS.where(MASKS != 255, 0)
    assert figure("iou", PIXELS, target, ignored=0) == pytest.approx((2 / 4 + 0) / 2)


def test_iou_of_nothing_that_counts_is_no_number() -> None:
    assert math.isnan(figure("iou", PIXELS, torch.full((1, 2, 3), 255), ignored=255))
