"""What the loop measures beside the loss: each function gives one value a sample."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn

from netspec.catalogue.metrics import METRICS
from netspec.compiler import attribute
from netspec.data.batches import Batch
from netspec.spec.model import Named

Metric = Callable[[Tensor, Tensor], Tensor]
Measures = dict[str, float]


def accuracy(output: Tensor, target: Tensor, threshold: float = 0.0) -> Tensor:
    """Class indices [N, …]: is the largest of the scores [N, C, …] the target's? 0/1 targets of
    the output's shape: which share is on its side of the threshold?"""
    if target.is_floating_point():
        return ((output > threshold) == (target > 0.5)).float().flatten(1).mean(1)
    return (output.argmax(1) == target).float().flatten(1 if target.dim() > 1 else 0)


def top_k(output: Tensor, target: Tensor, k: int) -> Tensor:
    """Is the target among the k largest of the scores [N, C]?"""
    largest = output.topk(min(k, output.shape[1]), dim=1).indices
    return (largest == target.unsqueeze(1)).any(1).float()


def mae(output: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error."""
    return (output - target).abs().flatten(1).mean(1)


def mse(output: Tensor, target: Tensor) -> Tensor:
    """Mean squared error."""
    return (output - target).square().flatten(1).mean(1)


def metrics_of(named: Iterable[Named], probabilities: bool) -> dict[str, Metric]:
    """The spec's metrics by name. probabilities: whether outputs for 0/1 targets lie in [0, 1],
    as `BCELoss` wants them."""
    return {each.type: _metric(each, probabilities) for each in named}


def _metric(named: Named, probabilities: bool) -> Metric:
    function, args = attribute(METRICS[named.type]), METRICS[named.type].complete(named.args)
    if named.type == "accuracy" and probabilities:
        args["threshold"] = 0.5
    return lambda output, target: function(output, target, **args)


def evaluate(
    predict: Callable[[Tensor], Tensor],
    batches: Iterable[Batch],
    loss: nn.Module,
    metrics: dict[str, Metric],
) -> Measures:
    """The loss and the metrics over all samples, each sample counting the same.

    A loss that sums is summed over all samples.
    """
    totals: dict[str, Tensor] = {}
    count = 0
    with torch.inference_mode():
        for batch in batches:
            output = predict(batch.inputs)
            value = loss(output, batch.targets).double()
            weight = 1 if getattr(loss, "reduction", "mean") == "sum" else len(batch)
            found = {"loss": value * weight}
            for name, metric in metrics.items():
                found[name] = metric(output, batch.targets).double().mean() * len(batch)
            for name, each in found.items():
                totals[name] = totals.get(name, torch.zeros_like(each)) + each
            count += len(batch)
    summed = getattr(loss, "reduction", "mean") == "sum"
    return {
        name: float(total) / (1 if name == "loss" and summed else count)
        for name, total in totals.items()
    }
