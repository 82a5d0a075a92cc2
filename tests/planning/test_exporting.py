"""What `export.onnx.output` applies has to suit what the network and its loss give."""

from __future__ import annotations

import pytest

import netspec
from netspec.diagnostics import Code, SpecError
from netspec.planning.exporting import activation
from netspec.spec.loading import loads

SPEC = """\
netspec: 1
input: [6]
model: [Linear: {{out_features: {out}}}{last}]
{train}export: {{onnx: {{output: {applied}}}}}
"""
TRAIN = "train: {{epochs: 1, loss: {loss}, optimizer: SGD}}\n"


def plan(applied: str, last: str = "", loss: str = "", out: int = 4) -> netspec.Plan:
    train = TRAIN.format(loss=loss) if loss else ""
    last = f", {last}" if last else ""
    return netspec.plan(loads(SPEC.format(applied=applied, last=last, train=train, out=out)))


REFUSED = [
    ("softmax", "Softmax: {dim: 1}", "", "ends in Softmax already"),
    ("softmax", "Softmax: {dim: 1}, Flatten", "", "ends in Softmax already"),
    ("softmax", "Sequential: [Softmin: {dim: 1}]", "", "ends in Softmin already"),
    ("softmax", "Sigmoid", "BCELoss", "ends in Sigmoid already"),
    ("sigmoid", "Sigmoid", "", "ends in Sigmoid already"),
    ("sigmoid", "Hardsigmoid", "", "ends in Hardsigmoid already"),
    ("sigmoid", "Softmax: {dim: 1}", "", "ends in Softmax already"),
    ("softmax", "", "BCEWithLogitsLoss", "softmax is not what BCEWithLogitsLoss teaches"),
    ("softmax", "", "MultiLabelSoftMarginLoss", "softmax is not what MultiLabel"),
]


@pytest.mark.parametrize(("applied", "last", "loss", "words"), REFUSED)
def test_what_cannot_be_meant_is_refused(applied: str, last: str, loss: str, words: str) -> None:
    with pytest.raises(SpecError, match=words) as caught:
        plan(applied, last, loss)
    (found,) = caught.value.diagnostics
    assert (found.code, found.place.line) == (Code.EXPORT, 5 if loss else 4)
    assert found.remedy is not None and found.remedy.startswith("write `output: ")


WARNED = [
    ("softmax", "MSELoss", "write `output: none`"),
    ("sigmoid", "L1Loss", "write `output: none`"),
    ("sigmoid", "CrossEntropyLoss", "write `output: softmax`"),
]


@pytest.mark.parametrize(("applied", "loss", "remedy"), WARNED)
def test_what_could_be_meant_is_warned_of(applied: str, loss: str, remedy: str) -> None:
    (found,) = plan(applied, loss=loss).warnings
    assert f"{applied} is not what {loss} teaches" in found.message
    assert (found.severity, found.remedy) == ("warning", remedy)


FINE = [
    ("none", "Softmax: {dim: 1}", "", "softmax"),
    ("none", "Softmax: {dim: -1}, Identity", "", "softmax"),
    ("none", "Sigmoid", "BCELoss", "sigmoid"),
    ("none", "Hardsigmoid", "BCELoss", "none"),
    ("none", "Unflatten: {dim: 1, unflattened_size: [2, 2]}, Softmax: {dim: 2}", "", "none"),
    ("none", "", "MSELoss", "none"),
    ("none", "", "CrossEntropyLoss", "none"),
    ("softmax", "", "CrossEntropyLoss", "softmax"),
    ("softmax", "LogSoftmax: {dim: 1}", "NLLLoss", "softmax"),
    ("sigmoid", "", "BCEWithLogitsLoss", "sigmoid"),
    ("sigmoid", "", "", "sigmoid"),
]


@pytest.mark.parametrize(("applied", "last", "loss", "gone_through"), FINE)
def test_what_suits_is_taken(applied: str, last: str, loss: str, gone_through: str) -> None:
    made = plan(applied, last, loss)
    assert made.warnings == ()
    assert activation(made) == gone_through
