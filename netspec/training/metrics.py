"""What the loop measures: each metric tallies a batch, and tallies add up (see `Criterion`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor, nn

from netspec.catalogue.metrics import METRICS
from netspec.compiler import attribute, resolve
from netspec.data.batches import Batch, Batches
from netspec.data.dataset import Dataset, PartName
from netspec.planning import Plan
from netspec.spec.model import Named
from netspec.training.criterion import Criterion, counted

Measures = dict[str, float]


class Metric(NamedTuple):
    """`tally` counts in a batch's output and target; `figure` is what all tallies' sum says."""

    tally: Callable[[Tensor, Tensor], Tensor]
    figure: Callable[[Tensor], float]


def accuracy(
    output: Tensor, target: Tensor, threshold: float = 0.0, ignored: int | None = None
) -> Tensor:
    """Class indices [N, …]: is the largest of the scores [N, C, …] the target's? 0/1 targets of
    the output's shape: is it on its side of the threshold?"""
    if target.is_floating_point():
        return _tally((output > threshold) == (target > 0.5))
    return _tally(output.argmax(1) == target, counted(target, ignored))


def top_k(output: Tensor, target: Tensor, k: int, ignored: int | None = None) -> Tensor:
    """Is the target among the k largest of the scores [N, C, …]?"""
    largest = output.topk(min(k, output.shape[1]), dim=1).indices
    return _tally((largest == target.unsqueeze(1)).any(1), counted(target, ignored))


def overlap(output: Tensor, target: Tensor, ignored: int | None = None) -> Tensor:
    """Of each class, by the scores [N, C, …]: how many targets are it and are taken for it, and how
    many are either, float64 [2, C]."""
    taken, counts = output.argmax(1), counted(target, ignored)
    there = (target * counts).long()
    hits, given, made = (
        torch.zeros(output.shape[1], dtype=torch.float64, device=output.device).index_add(
            0, chosen.flatten(), counts.flatten() * weights.flatten()
        )
        for chosen, weights in ((there, taken == there), (there, counts), (taken, counts))
    )
    either = given + made - hits
    if ignored is not None and 0 <= ignored < len(either):
        either[ignored] = hits[ignored] = 0
    return torch.stack((hits, either))


def mean_overlap(tally: Tensor) -> float:
    """The mean intersection over union of the classes that there are, as a target or as an answer:
    torchmetrics' `JaccardIndex` with `average: macro`
    (https://lightning.ai/docs/torchmetrics/stable/classification/jaccard_index.html)."""
    hits, either = tally
    there = either > 0
    return float((hits[there] / either[there]).mean())


def mae(output: Tensor, target: Tensor) -> Tensor:
    """Mean absolute error."""
    return _tally((output.double() - target).abs())


def mse(output: Tensor, target: Tensor) -> Tensor:
    """Mean squared error."""
    return _tally((output.double() - target).square())


def _tally(values: Tensor, counts: Tensor | None = None) -> Tensor:
    """The sum of the values that count and how many they are, float64 [2]."""
    counts = torch.ones_like(values, dtype=torch.float64) if counts is None else counts
    return torch.stack(((values.double() * counts).sum(), counts.sum()))


def metrics_of(
    named: Iterable[Named], *, probabilities: bool, ignored: int | None, one_hot: bool = False
) -> dict[str, Metric]:
    """The spec's metrics by name. probabilities: whether outputs for 0/1 targets lie in [0, 1],
    as `BCELoss` wants them. ignored: the class index that the loss passes over. one_hot: whether
    targets are floats made of classes, so that a metric of classes judges by the largest."""
    return {each.type: _metric(each, probabilities, ignored, one_hot) for each in named}


def _metric(named: Named, probabilities: bool, ignored: int | None, one_hot: bool) -> Metric:
    entry = METRICS[named.type]
    function, args, figure = attribute(entry), dict(named.args), resolve(entry.figure)
    if "classes" in entry.tasks:
        args["ignored"] = ignored
        if one_hot:
            return Metric(lambda output, target: function(output, target.argmax(1), **args), figure)
    if entry.halved and probabilities:
        args["threshold"] = 0.5
    return Metric(lambda output, target: function(output, target, **args), figure)


def evaluate(
    predict: Callable[[Tensor], Tensor],
    batches: Iterable[Batch],
    loss: Criterion,
    metrics: dict[str, Metric],
) -> Measures:
    """The loss and the metrics of all samples, as if they were one batch."""
    measured = {"loss": Metric(loss.account, loss.figure), **metrics}
    tallies: dict[str, Tensor] = {}
    with torch.inference_mode():
        for batch in batches:
            output = predict(batch.inputs)
            for name, metric in measured.items():
                found = metric.tally(output, batch.targets)
                tallies[name] = tallies[name] + found if name in tallies else found
    return {name: measured[name].figure(tally) for name, tally in tallies.items()}


def measure(
    plan: Plan,
    model: nn.Module,
    dataset: Dataset,
    part: PartName,
    device: torch.device,
    loss: Criterion,
    metrics: dict[str, Metric],
    between: Callable[[], None] | None = None,
) -> Measures:
    """Loss and metrics of a model on one part, in evaluation mode.

    between: is called before each batch; what it raises ends the measuring.
    """
    assert plan.training is not None
    size = plan.training.batch_size
    batches = Batches(
        plan, dataset.parts[part], device, batch_size=size, statistics=dataset.statistics
    )
    model.eval()
    return evaluate(model, _watched(batches.epoch(0), between), loss, metrics)


def _watched(batches: Iterator[Batch], between: Callable[[], None] | None) -> Iterator[Batch]:
    for batch in batches:
        if between is not None:
            between()
        yield batch
