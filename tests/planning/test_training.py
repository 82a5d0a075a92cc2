"""The plan completes and judges how the network learns."""

from __future__ import annotations

from itertools import product

import pytest
import torch

import netspec
from netspec.catalogue.component import Refusal
from netspec.catalogue.losses import LOSSES
from netspec.catalogue.metrics import METRICS
from netspec.catalogue.sources import Classes
from netspec.diagnostics import Code, SpecError
from netspec.planning.fitting import check_target
from netspec.planning.plans import Training
from netspec.shapes import Tensor, name
from netspec.spec.loading import loads
from netspec.spec.model import Named

SPEC = """\
netspec: 1
input: [4]
model: [Linear: {{out_features: 3}}{last}]
data: {{source: {{Synthetic: {{samples: 20, {target}}}}}, split: {{validation: 0.5}}}}
train:
  {length}
  loss: {loss}
  optimizer: {optimizer}
  {rest}
"""


def plan(
    loss: str = "CrossEntropyLoss",
    last: str = "",
    rest: str = "",
    optimizer: str = "SGD",
    length: str = "epochs: 4",
    target: str = "",
) -> netspec.Plan:
    wants = LOSSES[loss.strip("{").split(":")[0]].wants
    target = target or ("classes: 3" if wants == "classes" else "targets: 3")
    last = f", {last}" if last else ""
    text = SPEC.format(
        loss=loss, last=last, rest=rest, optimizer=optimizer, length=length, target=target
    )
    return netspec.plan(loads(text))


def training(**changes: str) -> Training:
    found = plan(**changes).training
    assert found is not None
    return found


def test_every_default_is_filled_in() -> None:
    made = training(
        rest="scheduler: {SequentialLR: {schedulers: [LinearLR, StepLR: {step_size: 2}], "
        "milestones: [1]}}\n  metrics: [top_k]"
    )
    assert made.loss.args == LOSSES["CrossEntropyLoss"].complete({})
    assert (made.optimizer.args["lr"], made.optimizer.args["momentum"]) == (1e-3, 0)
    assert made.metrics[0].args == {"k": 5}
    assert made.schedule is not None
    first, second = made.schedule.scheduler.args["schedulers"]
    assert first.args["total_iters"] == 5
    assert second.args == {"step_size": 2, "gamma": 0.1}
    assert made.monitor == ("loss", False, False)
    assert (made.epochs, made.steps, made.batch_size) == (4, None, 32)


def test_a_spec_without_train_has_no_training() -> None:
    assert netspec.plan(loads("netspec: 1\ninput: [4]\nmodel: [ReLU]\n")).training is None


@pytest.mark.parametrize(
    ("scheduler", "length", "interval"),
    [
        ("{StepLR: {step_size: 2}}", "epochs: 4", "epoch"),
        ("{StepLR: {step_size: 2}}", "steps: 4", "step"),
        ("{StepLR: {step_size: 2}, interval: epoch}", "steps: 4", "epoch"),
        ("{OneCycleLR: {max_lr: 1}}", "epochs: 4", "step"),
    ],
)
def test_what_a_step_of_the_scheduler_counts(scheduler: str, length: str, interval: str) -> None:
    optimizer = "{SGD: {momentum: 0.9}}"
    made = training(rest=f"scheduler: {scheduler}", length=length, optimizer=optimizer)
    assert made.schedule is not None
    assert made.schedule.interval == interval


@pytest.mark.parametrize(
    ("monitor", "mode", "wanted"),
    [
        ("validation_loss", "", "min"),
        ("validation_accuracy", "", "max"),
        ("validation_accuracy", "mode: max", "max"),
    ],
)
def test_a_plateau_is_the_monitors(monitor: str, mode: str, wanted: str) -> None:
    rest = (
        f"metrics: [accuracy]\n  scheduler: {{ReduceLROnPlateau: {{{mode}}}}}\n"
        f"  checkpoint: {{monitor: {monitor}}}"
    )
    made = training(rest=rest)
    assert made.schedule is not None
    assert made.schedule.scheduler.args["mode"] == wanted
    assert made.monitor == (monitor.removeprefix("validation_"), wanted == "max", True)


WARNED = [
    ("CrossEntropyLoss", "Softmax: {dim: 1}", "leave Softmax out"),
    ("CrossEntropyLoss", "Softmax: {dim: 1}, Flatten", "leave Softmax out"),
    ("CrossEntropyLoss", "Sigmoid", "leave Sigmoid out"),
    ("BCEWithLogitsLoss", "Sigmoid", "`export: {onnx: {output: sigmoid}}`"),
    ("MultiLabelSoftMarginLoss", "Sigmoid", "leave Sigmoid out"),
    ("NLLLoss", "Softmax: {dim: 1}", "LogSoftmax"),
    ("NLLLoss", "LogSoftmax: {dim: 1}, Dropout", "LogSoftmax"),
    ("KLDivLoss", "", "LogSoftmax"),
]


@pytest.mark.parametrize(("loss", "last", "remedy"), WARNED)
def test_outputs_probably_not_meant(loss: str, last: str, remedy: str) -> None:
    (found,) = plan(loss, last).warnings
    assert (found.code, found.place.line) == (Code.TRAIN, 7)
    assert remedy in str(found.remedy)


FINE = [
    ("CrossEntropyLoss", ""),
    ("CrossEntropyLoss", "LogSoftmax: {dim: 1}"),
    ("NLLLoss", "LogSoftmax: {dim: 1}"),
    ("KLDivLoss", "LogSoftmax: {dim: 1}"),
    ("BCELoss", "Sigmoid"),
    ("MSELoss", "Sigmoid"),
]


@pytest.mark.parametrize(("loss", "last"), FINE)
def test_outputs_that_fit(loss: str, last: str) -> None:
    assert not plan(loss, last).warnings


@pytest.mark.parametrize("last", ["", "ReLU", "Flatten"])
def test_a_loss_without_a_least_value_is_refused(last: str) -> None:
    with pytest.raises(SpecError, match="the loss has no least value"):
        plan("NLLLoss", last)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("metric", METRICS)
def test_the_remedy_names_metrics_that_fit(loss: str, metric: str) -> None:
    ends = {"probabilities": "Sigmoid", "log-probabilities": "LogSoftmax: {dim: 1}"}
    last = ends.get(LOSSES[loss].takes, "")
    try:
        plan(loss, last, f"metrics: [{metric}]")
    except SpecError as error:
        (found,) = error.diagnostics
        assert metric not in str(found.remedy)
        for fitting in str(found.remedy).removeprefix("use ").split(" or "):
            plan(loss, last, f"metrics: [{fitting}]")
    else:
        assert LOSSES[loss].task in METRICS[metric].tasks


def test_binary_targets_have_an_accuracy_under_any_loss() -> None:
    plan("MSELoss", rest="metrics: [accuracy]", target="targets: 3, binary: true")
    plan("MultiLabelSoftMarginLoss", rest="metrics: [accuracy]")


@pytest.mark.parametrize("loss", ["CrossEntropyLoss", "NLLLoss"])
def test_class_indices_of_any_shape_are_taken_where_torch_takes_them(loss: str) -> None:
    named = Named(loss, LOSSES[loss].complete({}), ())
    shapes = [shape for rank in range(3) for shape in product((1, 2, 3), repeat=rank)]
    taken = 0
    for output, places in product(filter(None, shapes), shapes):
        scores = torch.randn(2, *output).log_softmax(1)
        try:
            getattr(torch.nn, loss)()(scores, torch.zeros(2, *places, dtype=torch.int64))
            fits = True
        except (RuntimeError, ValueError):
            fits = False
        target = Classes(output[0], shape=places)
        if fits:
            taken += 1
            check_target(named, Tensor(output), target)
            with pytest.raises(Refusal, match="fewer scores than the data's 4 classes"):
                check_target(named, Tensor(output), Classes(4, shape=places))
        else:
            with pytest.raises(Refusal, match=r"needs (one score|scores)"):
                check_target(named, Tensor(output), target)
    assert taken == 12


def test_class_indices_of_a_shape_that_only_the_data_know() -> None:
    named = Named("CrossEntropyLoss", LOSSES["CrossEntropyLoss"].complete({}), ())
    for output in ((3,), (3, 5), (3, name("H"), name("W"))):
        check_target(named, Tensor(output), Classes(3, shape=None))
        with pytest.raises(Refusal, match="fewer scores"):
            check_target(named, Tensor(output), Classes(4, shape=None))


def test_a_sequence_s_classes_come_first() -> None:
    named = Named("CrossEntropyLoss", LOSSES["CrossEntropyLoss"].complete({}), ())
    with pytest.raises(Refusal) as caught:
        check_target(named, Tensor((7, 3)), Classes(3, shape=(7,)))
    assert caught.value.message == (
        "CrossEntropyLoss needs scores [3, 7], as each target is [7] class indices, but the output "
        "is [7, 3]"
    )
    assert "Permute: {dims: [0, 2, 1]}" in str(caught.value.remedy)
