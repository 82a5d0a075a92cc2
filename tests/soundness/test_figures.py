"""A figure does not depend on how it was batched: it is torch's, of the part as one batch."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

import netspec
from netspec.catalogue.component import Refusal
from netspec.catalogue.losses import LOSSES
from netspec.catalogue.metrics import METRICS
from netspec.catalogue.sources import Unknown
from netspec.catalogue.types import canonical
from netspec.compiler import attribute
from netspec.data.batches import Batch
from netspec.planning.fitting import check_target
from netspec.shapes import Tensor as Shape
from netspec.spec.loading import loads
from netspec.spec.model import Named
from netspec.spec.writing import to_yaml
from netspec.training.metrics import Measures, evaluate, metrics_of
from netspec.training.optimization import make_loss
from tests.soundness.drawing import draw

# Both of the sum of the elements' sizes, since those of both signs cancel. Across batch sizes, and
# from torch's loss of the whole, which is summed in float32 and not in float64.
TOLERANCE, TORCHS = 1e-6, 1e-5


class Case(NamedTuple):
    loss: Named
    metrics: tuple[Named, ...]
    output: Tensor
    target: Tensor

    def figures(self, size: int) -> Measures:
        completed = LOSSES[self.loss.type].complete(self.loss.args)
        loss = make_loss(replace(self.loss, args=completed))
        probabilities = LOSSES[self.loss.type].probabilities
        metrics = metrics_of(self.metrics, probabilities=probabilities, ignored=loss.ignored)
        return evaluate(lambda output: output, self.batches(size), loss, metrics)

    def batches(self, size: int) -> Iterator[Batch]:
        pairs = zip(self.output.split(size), self.target.split(size), strict=True)
        return (Batch(output, target) for output, target in pairs)

    def torchs(self, **changed: Any) -> Tensor:
        """What torch's own module gives of all samples as one batch."""
        entry = LOSSES[self.loss.type]
        args = entry.complete(self.loss.args) | changed
        for name in entry.tensors:
            if args[name] is not None:
                args[name] = torch.tensor(args[name], dtype=torch.float32)
        found: Tensor = attribute(entry)(**args)(self.output, self.target)
        return found

    def expected(self, metric: Named) -> float:
        """The metric's definition, sample by sample."""
        ignored = LOSSES[self.loss.type].complete(self.loss.args).get("ignore_index")
        if self.target.is_floating_point():
            pairs = list(zip(self.output.flatten().tolist(), self.target.flatten(), strict=True))
            middle = 0.5 if LOSSES[self.loss.type].probabilities else 0.0
            found = {
                "accuracy": lambda said, true: float((said > middle) == (true > 0.5)),
                "mae": lambda said, true: abs(said - float(true)),
                "mse": lambda said, true: (said - float(true)) ** 2,
            }[metric.type]
            return sum(found(*pair) for pair in pairs) / len(pairs)
        if metric.type == "iou":
            return self.overlap(ignored)
        k = 1 if metric.type == "accuracy" else METRICS["top_k"].complete(metric.args)["k"]
        rows = self.output.movedim(1, -1).flatten(0, -2).tolist()
        labels = self.target.flatten().tolist()
        hits = [
            label in sorted(range(len(row)), key=row.__getitem__)[-k:]
            for row, label in zip(rows, labels, strict=True)
            if label != ignored
        ]
        return sum(hits) / len(hits)

    def overlap(self, ignored: int | None) -> float:
        """Of each class the places that are it and those that are taken for it, as sets."""
        places = list(enumerate(self.target.flatten().tolist()))
        answers = self.output.argmax(1).flatten().tolist()
        shares = []
        for label in range(self.output.shape[1]):
            are = {place for place, found in places if found == label != ignored}
            taken = {
                place for place, found in places if answers[place] == label and found != ignored
            }
            if label != ignored and are | taken:
                shares.append(len(are & taken) / len(are | taken))
        return sum(shares) / len(shares) if shares else math.nan


def _case(name: str, random: Random) -> Case | None:
    """A loss with random arguments and outputs that it takes; None where they do not fit."""
    entry, classes = LOSSES[name], LOSSES[name].wants == "classes"
    shape = random.choice([(1,), (2,), (3,), (4,), *[(3, 2), (2, 3, 4)] * (not entry.vector)])
    count = random.choice([1, 2, 7, random.randint(3, 40)])
    args: dict[str, Any] = {}
    for param in entry.params:
        if random.random() < 0.6:
            args[param.name] = canonical(param.type, draw(param.type, random))
        if param.name in entry.tensors and random.random() < 0.6:
            size = random.choice([1, shape[-1]]) if not classes else shape[0]
            args[param.name] = [random.choice([0.0, 0.5, 1.0, 30.0]) for _ in range(size)]
        if param.name == "ignore_index" and random.random() < 0.5:
            args[param.name] = random.randrange(shape[0])
    loss = Named(name, args, ())
    try:
        check_target(loss, Shape(shape), Unknown())
    except Refusal:
        return None
    generator = torch.Generator().manual_seed(random.randrange(2**32))
    output = torch.randn(count, *shape, generator=generator) * random.choice([0.1, 1, 10])
    completed = entry.complete(args)
    if entry.probabilities:
        output = output.sigmoid()
    elif completed.get("log_input") is False:
        output = output.exp()
    if not classes:
        bounds = entry.bounds(completed)
        target = torch.rand(output.shape, generator=generator)
        if bounds.ends or (entry.binary and random.random() < 0.5):
            target = torch.where(target < 0.4, float(bounds.low), float(bounds.high))
        target = target.clamp(bounds.low, bounds.high)
        kinds = ["mae", "mse", *["accuracy"] * (entry.binary)]
    else:
        target = torch.randint(0, shape[0], (count, *shape[1:]), generator=generator)
        ignored = completed.get("ignore_index")
        if ignored is not None and random.random() < 0.7:  # some batches of nothing else
            left_out = torch.rand(target.shape, generator=generator) < random.choice([0.2, 0.9])
            target = target.where(~left_out, ignored)
        weights = completed.get("weight") or [1.0] * shape[0]
        labels = target[target != ignored] if ignored is not None else target
        if not labels.numel() or not sum(weights[label] for label in labels.tolist()):
            return None  # a part without a target that counts has no figure
        kinds = ["accuracy", "top_k", "iou"]
    metrics = tuple(
        Named(kind, {"k": random.randint(1, 5)} if kind == "top_k" else {}, ()) for kind in kinds
    )
    return Case(loss, metrics, output, target)


def test_a_figure_is_that_of_the_part_as_one_batch(figures: int) -> None:
    random, tried, split = Random("figures"), Counter[tuple[str, str]](), 0
    names = list(LOSSES)
    for index in range(figures):
        name = names[index % len(names)]
        while (case := _case(name, random)) is None:
            pass
        tried.update((name, argument) for argument in case.loss.args)
        tried.update((name, metric.type) for metric in case.metrics)
        count = len(case.target)
        sizes = {1, count, *(random.randint(1, count) for _ in range(3))}
        split += len(sizes) - 1
        told = f"{case.loss.type} {case.loss.args} output {tuple(case.output.shape)}"
        wanted = float(case.torchs())
        scale, whole = _scale(case, wanted), case.figures(count)["loss"]
        for size in sizes:
            found = case.figures(size)
            assert abs(found["loss"] - whole) <= TOLERANCE * scale, (told, size, found, whole)
            assert abs(found["loss"] - wanted) <= TORCHS * scale, (told, size, found, wanted)
            for metric in case.metrics:
                expected = pytest.approx(
                    case.expected(metric), rel=TOLERANCE, abs=1e-12, nan_ok=True
                )
                assert found[metric.type] == expected, (told, metric.type, size)
    kinds = {(name, param.name) for name in names for param in LOSSES[name].params}
    assert min(tried[kind] for kind in kinds) >= figures // (5 * len(names)), tried
    assert {metric for _, metric in tried} >= METRICS.keys()
    assert split >= figures


def _scale(case: Case, wanted: float) -> float:
    """The loss if its elements were all of one sign."""
    each = case.torchs(reduction="none").double()
    total = float(each.sum())
    return abs(wanted / total) * float(each.abs().sum()) if total else 0.0


# A real training


SPEC = {
    "netspec": 1,
    "input": {"shape": [4]},
    "model": [{"Linear": {"out_features": 3}}],
    "data": {
        "source": {"Synthetic": {"samples": 200, "classes": 3}},
        "split": {"validation": 0.5},
    },
}
CLASS_WEIGHTS = {"CrossEntropyLoss": {"weight": [0.1, 1, 30], "ignore_index": 1}}


def _measured(loss: dict[str, Any], size: int, root: Path) -> tuple[float, float]:
    """train_loss and validation_loss of an epoch whose weights stay as they are."""
    train = {"epochs": 1, "batch_size": size, "loss": loss, "optimizer": {"SGD": {"lr": 0}}}
    made = loads(to_yaml({**SPEC, "train": {**train, "metrics": ["accuracy"]}}))
    (row,) = netspec.train(made, device="cpu", root=root).metrics
    return row["train_loss"], row["validation_loss"]


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_the_figures_of_a_training_do_not_depend_on_the_batch_size(
    reduction: str, tmp_path: Path
) -> None:
    loss = {name: {**args, "reduction": reduction} for name, args in CLASS_WEIGHTS.items()}
    wanted = pytest.approx(_measured(loss, 100, tmp_path), rel=TOLERANCE)
    for size in (2, 7, 32):
        assert _measured(loss, size, tmp_path) == wanted


def test_the_last_rows_of_an_epoch_weigh_like_the_others(tmp_path: Path) -> None:
    whole, _ = _measured({"CrossEntropyLoss": {}}, 100, tmp_path)
    cut, _ = _measured({"CrossEntropyLoss": {}}, 98, tmp_path)
    assert cut == pytest.approx(whole, rel=TOLERANCE)


def test_batches_of_ignored_targets_alone_do_not_end_a_training(tmp_path: Path) -> None:
    loss = {"CrossEntropyLoss": {"ignore_index": 1}}
    one = _measured(loss, 1, tmp_path)
    assert one == pytest.approx(_measured(loss, 100, tmp_path), rel=TOLERANCE)
