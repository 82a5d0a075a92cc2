"""From a model's outputs to what they say: class names with probabilities, or values."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from netspec.plain import finite
from netspec.runtime import samples
from netspec.runtime.metadata import Metadata
from netspec.runtime.session import Session

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True, eq=False)
class Prediction:
    """What a model says of one input: either `top`, the likeliest first, or `values`.

    `values` are the outputs as they are (task `values`), the probability at each place (`binary`
    without names), or the likeliest class's index at each place (`classes` with more dimensions
    than one, such as a segmentation).
    """

    label: str
    top: tuple[tuple[str, float], ...] | None = None
    values: Array | None = None

    def as_json(self) -> dict[str, Any]:
        """Plain data; what is not finite is null, which JSON can say."""
        if self.top is not None:
            top = [{"class": name, "probability": finite(p)} for name, p in self.top]
            return {"input": self.label, "top": top}
        return {"input": self.label, "values": finite(np.asarray(self.values).tolist())}


def predictions(
    session: Session,
    inputs: samples.Inputs,
    top: int = 5,
    refuse: samples.Refuse = samples.stop,
) -> Iterator[Prediction]:
    """A prediction for each sample, in order, with the `top` likeliest classes; files are read as
    they come.

    `refuse` gets an InputError about each sample that has none, at once for paths that are missing;
    where it returns, the others follow.
    """
    found = samples.read(session.metadata, inputs, refuse)
    outputs = session.outputs(found, refuse)
    return (interpret(session.metadata, label, output, top) for label, output in outputs)


def interpret(metadata: Metadata, label: str, output: Array, top: int = 5) -> Prediction:
    """What `output`, one sample's, says; softmax or sigmoid applied where the graph applied none.

    A `binary` output of one number, with two class names, is the second one's probability.
    """
    task, names = metadata.output.task, metadata.classes
    if task == "values":
        return Prediction(label, values=output)
    scores = output.astype(np.float64)
    if task == "classes":
        if scores.ndim > 1:  # classes first, as in torch
            return Prediction(label, values=scores.argmax(axis=0))
        if metadata.output.activation == "none":
            scores = softmax(scores)
        if names is None:
            names = tuple(map(str, range(len(scores))))
    else:
        if metadata.output.activation == "none":
            scores = sigmoid(scores)
        if names is not None and len(names) == 2 and scores.shape == (1,):
            scores = np.array([1 - scores[0], scores[0]])
    if names is None or scores.shape != (len(names),):
        return Prediction(label, values=scores)
    order = np.argsort(-scores, kind="stable")[: max(top, 1)]
    return Prediction(label, top=tuple((names[i], float(scores[i])) for i in order))


def softmax(scores: Array) -> Array:
    """exp(s) / sum exp(s) over the first dimension, without overflow."""
    with np.errstate(invalid="ignore"):  # infinite scores give NaN, unsaid
        raised = np.exp(scores - scores.max(axis=0, keepdims=True))
    shares: Array = raised / raised.sum(axis=0, keepdims=True)
    return shares


def sigmoid(scores: Array) -> Array:
    """1 / (1 + exp(-s)), without overflow."""
    small = np.exp(-np.abs(scores))
    shares: Array = np.where(scores >= 0, 1, small) / (1 + small)
    return shares
