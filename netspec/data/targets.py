"""Targets that are made of the source's."""

from __future__ import annotations

import torch
from torch import Tensor

from netspec.catalogue.losses import LOSSES
from netspec.planning import Plan


def one_hot(plan: Plan, labels: Tensor) -> Tensor:
    """float32 [N, C] of class indices [N]: 1 for its class and 0 for the others, or the two numbers
    that the loss takes alone."""
    assert plan.training is not None
    loss, (count,) = plan.training.loss, plan.output.shape
    assert isinstance(count, int)
    no, yes = LOSSES[loss.type].no_and_yes(dict(loss.args))
    made = torch.full((len(labels), count), no, dtype=torch.float32, device=labels.device)
    return made.scatter_(1, labels.unsqueeze(1), yes)
