"""The plan completes and judges how the network learns."""

from __future__ import annotations

import pytest

import netspec
from netspec.catalogue.losses import LOSSES
from netspec.catalogue.metrics import METRICS
from netspec.diagnostics import Code, SpecError
from netspec.planning.plans import Training
from netspec.spec.loading import loads

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
