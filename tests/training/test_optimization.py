"""Losses, optimizers and schedulers become torch's own objects, with lengths filled in."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.optim import Optimizer
from torch.optim import lr_scheduler as torchs

from netspec.catalogue.optimizers import OPTIMIZERS
from netspec.diagnostics import SpecError
from netspec.planning import check
from netspec.planning.plans import Training
from netspec.spec.findings import Findings
from netspec.spec.loading import loads
from netspec.spec.model import Spec
from netspec.training.optimization import Length, make_loss, make_optimizer, make_schedule

LENGTH = Length(epochs=4, steps=12, steps_per_epoch=3)


def spec(scheduler: str = "null", optimizer: str = "{SGD: {lr: 0.1}}", **train: str) -> Spec:
    written = {
        "epochs": "4",
        "loss": "MSELoss",
        "optimizer": optimizer,
        "scheduler": scheduler,
        **train,
    }
    lines = "\n".join(f"  {key}: {text}" for key, text in written.items())
    return loads(f"netspec: 1\ninput: [3]\nmodel: [Linear: {{out_features: 2}}]\ntrain:\n{lines}\n")


def training(made: Spec) -> Training:
    """As planned, whatever was found against it."""
    plan = check(made, Findings(made.document))
    assert plan is not None and plan.training is not None
    return plan.training


def optimizer_of(made: Spec) -> Optimizer:
    torch.manual_seed(0)
    return make_optimizer(made, training(made).optimizer, nn.Linear(3, 2).parameters())


def rates(made: Spec) -> list[float]:
    """The learning rate of each of the run's twelve steps."""
    optimizer = optimizer_of(made)
    length = Length(4, 12, 3)
    schedule = make_schedule(made, training(made).schedule, optimizer, length)
    found = []
    for _ in range(length.epochs):
        for _ in range(length.steps_per_epoch):
            found.append(optimizer.param_groups[0]["lr"])
            optimizer.step()
            schedule.step("step")
        schedule.step("epoch", 1.0)
    return found


def torchs_rates(scheduler: Callable[[Optimizer], Any], every: int) -> list[float]:
    optimizer = torch.optim.SGD(nn.Linear(3, 2).parameters(), lr=0.1)
    made = scheduler(optimizer)
    found = []
    for step in range(1, 13):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        if step % every == 0:
            made.step()
    return found


def finding(made: Spec) -> str:
    with pytest.raises(SpecError) as caught:
        rates(made)
    (found,) = caught.value.diagnostics
    return f"{found.place.line}: {found.message}"


def warmup(optimizer: Optimizer) -> torchs.SequentialLR:
    return torchs.SequentialLR(
        optimizer,
        [torchs.LinearLR(optimizer, total_iters=3), torchs.CosineAnnealingLR(optimizer, 9)],
        [3],
    )


def both(optimizer: Optimizer) -> torchs.ChainedScheduler:
    return torchs.ChainedScheduler(
        [torchs.ExponentialLR(optimizer, 0.9), torchs.CosineAnnealingLR(optimizer, 4)]
    )


SCHEDULES: dict[str, tuple[str, Callable[[Optimizer], Any], int]] = {
    "counts epochs": ("{StepLR: {step_size: 2}}", lambda o: torchs.StepLR(o, 2), 3),
    "counts steps where asked": (
        "{StepLR: {step_size: 2}, interval: step}",
        lambda o: torchs.StepLR(o, 2),
        1,
    ),
    "T_max is the epochs": ("CosineAnnealingLR", lambda o: torchs.CosineAnnealingLR(o, 4), 3),
    "T_max is the steps": (
        "{CosineAnnealingLR: {}, interval: step}",
        lambda o: torchs.CosineAnnealingLR(o, 12),
        1,
    ),
    "T_max written out": (
        "{CosineAnnealingLR: {T_max: 7}}",
        lambda o: torchs.CosineAnnealingLR(o, 7),
        3,
    ),
    "one cycle counts steps": (
        "{OneCycleLR: {max_lr: 0.4}}",
        lambda o: torchs.OneCycleLR(o, 0.4, total_steps=12),
        1,
    ),
    "one cycle of epochs": (
        "{OneCycleLR: {max_lr: 0.4, epochs: 5}}",
        lambda o: torchs.OneCycleLR(o, 0.4, epochs=5, steps_per_epoch=3),
        1,
    ),
    "cyclic counts steps": (
        "{CyclicLR: {base_lr: 0.1, max_lr: 0.5, step_size_up: 4, cycle_momentum: false}}",
        lambda o: torchs.CyclicLR(o, 0.1, 0.5, 4, cycle_momentum=False),
        1,
    ),
    "lists": (
        "{MultiStepLR: {milestones: [1, 3], gamma: 0.5}}",
        lambda o: torchs.MultiStepLR(o, [1, 3], 0.5),
        3,
    ),
    "in a row, the last as long as what is left": (
        "{SequentialLR: {schedulers: [LinearLR: {total_iters: 3}, CosineAnnealingLR], "
        "milestones: [3]}, interval: step}",
        warmup,
        1,
    ),
    "all at once": (
        "{ChainedScheduler: {schedulers: [ExponentialLR: {gamma: 0.9}, CosineAnnealingLR]}}",
        both,
        3,
    ),
}


@pytest.mark.parametrize("case", SCHEDULES)
def test_schedules_are_torchs(case: str) -> None:
    written, scheduler, every = SCHEDULES[case]
    assert rates(spec(written)) == torchs_rates(scheduler, every)


def test_a_run_of_steps_counts_steps() -> None:
    made = loads(
        "netspec: 1\ninput: [3]\nmodel: [Linear: {out_features: 2}]\n"
        "train: {steps: 12, loss: MSELoss, optimizer: {SGD: {lr: 0.1}}, "
        "scheduler: CosineAnnealingLR}\n"
    )
    assert rates(made) == torchs_rates(lambda o: torchs.CosineAnnealingLR(o, 12), 1)


def test_a_plateau_is_the_losss() -> None:
    made = spec("{ReduceLROnPlateau: {patience: 0, factor: 0.5}}")
    # The first epoch's loss is the best so far; the others are no better.
    assert rates(made) == [0.1] * 6 + [0.05] * 3 + [0.025] * 3


WRONG = {
    "a cycle that ends before the run": (
        "{OneCycleLR: {max_lr: 0.4, total_steps: 11}}",
        "its cycle ends after 11 steps of the run's 12",
    ),
    "a cycle that rises in no time": (
        "{OneCycleLR: {max_lr: 0.4, total_steps: 12, pct_start: $(1 / 12)}}",
        "torch can't compute it: float division by zero",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_schedules_that_cannot_be(case: str) -> None:
    written, words = WRONG[case]
    found = finding(spec(written))
    assert found.startswith("8: ")
    assert words in found


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_takes_a_step(name: str) -> None:
    made = spec(optimizer=name)
    optimizer = optimizer_of(made)
    (weight, _) = optimizer.param_groups[0]["params"]
    assert type(optimizer) is getattr(torch.optim, name)
    before = weight.detach().clone()
    weight.grad = torch.ones_like(weight)
    optimizer.step()
    assert not torch.equal(weight, before)


def test_what_torch_refuses_is_a_finding_at_the_optimizer() -> None:
    found = finding(spec(optimizer="{SGD: {lr: 0.1, foreach: true, fused: true}}"))
    assert found.startswith("7: SGD: `fused` and `foreach` cannot be `True` together")


def test_loss_weights_are_tensors() -> None:
    made = spec(loss="{CrossEntropyLoss: {weight: [1, 3], label_smoothing: 0.1}}")
    loss = make_loss(training(made).loss)
    wanted = nn.CrossEntropyLoss(torch.tensor([1.0, 3.0]), label_smoothing=0.1)
    output, target = torch.tensor([[0.2, 0.5], [1.0, -1.0]]), torch.tensor([0, 1])
    assert torch.equal(loss(output, target), wanted(output, target))
