"""What the network learns of a batch: the source's own targets, or what `data.target` makes."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from netspec.catalogue.losses import LOSSES
from netspec.planning import Plan


def learned(plan: Plan, labels: Tensor, inputs: Callable[[], Tensor]) -> Tensor:
    """The targets [N, …] of samples with the source's targets `labels` [N, …].

    inputs: gives the samples as the network takes them, without augmentation; of `target: input`
    they are their own targets. Of `one_hot`, a label becomes a row of floats, one for each output:
    1 for its class and 0 for the others, or the two numbers that the loss takes alone.
    """
    if plan.spec.data and plan.spec.data.target == "input":
        return inputs()
    return one_hot(plan, labels) if plan.one_hot else labels


def one_hot(plan: Plan, labels: Tensor) -> Tensor:
    """float32 [N, C] of class indices [N]."""
    no, yes = 0.0, 1.0
    if plan.training:
        loss = plan.training.loss
        no, yes = LOSSES[loss.type].no_and_yes(dict(loss.args))
    (count,) = plan.output.shape
    assert isinstance(count, int)
    made = torch.full((len(labels), count), no, dtype=torch.float32, device=labels.device)
    return made.scatter_(1, labels.unsqueeze(1), yes)
