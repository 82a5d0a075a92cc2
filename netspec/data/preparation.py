"""What makes a source's raw samples the network's input: one module, for training, evaluation,
prediction and export."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Self

from torch import nn

from netspec.catalogue.preparations import Preparation
from netspec.compiler import resolve
from netspec.data.dataset import Part, Pictures, Statistics
from netspec.data.preprocessing import Preprocessing
from netspec.planning.plans import Pipeline


class Prepared(nn.Module, ABC):
    """Raw samples [N, …] → the network's input, by statistics that are its buffers."""

    @classmethod
    @abstractmethod
    def learn(cls, stated: Any, inputs: Any) -> Statistics:
        """Of the training part's raw samples [N, …], a tensor or stored, whatever their order: the
        numbers that `stated.statistics` names. Raises Refusal where they have none."""

    @classmethod
    @abstractmethod
    def made(cls, stated: Any, statistics: Statistics) -> Self:
        """The module that does what is stated, by what was learned."""


def learn(pipeline: Pipeline, train: Part) -> Statistics | None:
    """The statistics of a training part; None where the pipeline needs none. Raises Refusal."""
    stated = pipeline.preparation
    if stated is None:
        return None
    assert not isinstance(train.inputs, Pictures)
    return _kind(stated).learn(stated, train.inputs)


def preparing(pipeline: Pipeline, statistics: Statistics | None) -> nn.Module | None:
    """What stands between raw samples and the network; None where they are its input already.

    statistics: what `learn` found, where the pipeline has a preparation.
    """
    if pipeline.raw:
        return Preprocessing(pipeline)
    if pipeline.preparation is None:
        return None
    assert statistics is not None
    return _kind(pipeline.preparation).made(pipeline.preparation, statistics)


def _kind(stated: Preparation) -> type[Prepared]:
    kind: type[Prepared] = resolve(stated.target)
    return kind
