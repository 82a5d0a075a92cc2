"""The loss that a batch teaches with is torch's; tallies of batches add up to that of them all."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from netspec.catalogue.losses import LOSSES
from netspec.training.criterion import Criterion

GENERATOR = torch.Generator().manual_seed(0)
OUTPUT = torch.randn(10, 3, 4, generator=GENERATOR)
CLASSES = torch.randint(0, 3, (10, 4), generator=GENERATOR)
WEIGHTED = {"weight": [0.1, 3.0, 0.7], "ignore_index": 2}


def criterion(name: str, **args: Any) -> Criterion:
    return Criterion(LOSSES[name], LOSSES[name].complete(args))


def gradient(loss: nn.Module, output: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    output = output.clone().requires_grad_()
    value = loss(output, target)
    value.backward()
    assert output.grad is not None
    return value.detach(), output.grad


@pytest.mark.parametrize("args", [{}, WEIGHTED, {**WEIGHTED, "label_smoothing": 0.3}])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_batch_teaches_what_torchs_loss_does_bit_for_bit(
    args: dict[str, Any], reduction: str
) -> None:
    made = criterion("CrossEntropyLoss", reduction=reduction, **args)
    weight = torch.tensor(args["weight"]) if "weight" in args else None
    torchs = nn.CrossEntropyLoss(**{**args, "weight": weight, "reduction": reduction})
    found, wanted = gradient(made, OUTPUT, CLASSES), gradient(torchs, OUTPUT, CLASSES)
    assert all(torch.equal(*pair) for pair in zip(found, wanted, strict=True))


@pytest.mark.parametrize("smoothing", [0.0, 0.3])
@pytest.mark.parametrize("args", [{"ignore_index": 1}, {"weight": [1.0, 0.0, 2.0]}])
def test_a_batch_of_which_no_target_counts_teaches_nothing(
    args: dict[str, Any], smoothing: float
) -> None:
    made = criterion("CrossEntropyLoss", label_smoothing=smoothing, **args)
    target = torch.ones_like(CLASSES)
    loss, grad = gradient(made, OUTPUT, target)
    assert loss == 0
    assert not grad.any()
    assert torch.equal(made.learned(loss, OUTPUT, target), torch.zeros(2))


def test_batches_of_which_no_target_counts_change_no_figure() -> None:
    made = criterion("CrossEntropyLoss", label_smoothing=0.3, **WEIGHTED)
    counting = made.account(OUTPUT, CLASSES)
    assert torch.equal(counting + made.account(OUTPUT, torch.full_like(CLASSES, 2)), counting)


def test_a_part_of_which_no_target_counts_has_no_figure() -> None:
    made = criterion("NLLLoss", ignore_index=1)
    assert torch.tensor(made.figure(made.account(OUTPUT, torch.ones_like(CLASSES)))).isnan()


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_losses_of_batches_add_up_without_another_pass(reduction: str) -> None:
    made = criterion("CrossEntropyLoss", reduction=reduction, **WEIGHTED)
    known = torch.zeros(2, dtype=torch.float64)
    for output, target in zip(OUTPUT.split(3), CLASSES.split(3), strict=True):
        known += made.learned(made(output, target), output, target)
    assert made.figure(known) == pytest.approx(float(made(OUTPUT, CLASSES)), rel=1e-6)


@pytest.mark.parametrize("args", [{}, {"weight": [0.1, 3.0, 0.7], "label_smoothing": 0.3}])
@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_probabilities_of_classes_teach_as_torch_has_it(args: Any, reduction: str) -> None:
    made = criterion("CrossEntropyLoss", reduction=reduction, **args)
    weight = torch.tensor(args["weight"]) if args else None
    torchs = nn.CrossEntropyLoss(**{**args, "weight": weight, "reduction": reduction})
    target = torch.rand(10, 3, 4, generator=torch.Generator().manual_seed(1)).softmax(1)
    found, wanted = gradient(made, OUTPUT, target), gradient(torchs, OUTPUT, target)
    assert all(torch.equal(*pair) for pair in zip(found, wanted, strict=True))
    known = torch.zeros(2, dtype=torch.float64)
    for output, each in zip(OUTPUT.split(3), target.split(3), strict=True):
        known += made.learned(made(output, each), output, each)
    assert made.figure(known) == pytest.approx(float(torchs(OUTPUT, target)), rel=1e-6)
    assert made.figure(made.account(OUTPUT, target)) == pytest.approx(made.figure(known), rel=1e-6)
