"""The network, its preprocessing and its last activation as one ONNX graph."""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO
from typing import Any, NamedTuple

import onnx
import onnx_ir
import torch
from torch import Tensor, nn

from netspec.catalogue import preparations as catalogue
from netspec.catalogue.transforms import AtLeast
from netspec.data.dataset import Statistics
from netspec.data.preparation import preparing
from netspec.data.preprocessing import Preprocessing
from netspec.data.reading.sources import vocabulary
from netspec.diagnostics import Code, SpecError
from netspec.export.rewriting import rewritten
from netspec.planning import Plan
from netspec.runtime.metadata import Kind, Table
from netspec.runtime.vectors import noise
from netspec.shapes import Dim, Expr, Shape, at, name


class Deployed(nn.Module):
    """What is exported: raw samples in, `none`, `softmax` or `sigmoid` of the output out.

    Takes what `preprocessing` takes, images as uint8 [N, H, W, C], or without it what the model
    takes.
    """

    def __init__(
        self, takes: Taken, model: nn.Module, preprocessing: nn.Module | None, activation: str
    ) -> None:
        super().__init__()
        self.takes = takes
        self.preprocessing = preprocessing
        self.model = model
        self.activation = activation

    def forward(self, x: Tensor) -> Tensor:
        if isinstance(self.preprocessing, Preprocessing):
            # Contiguous, or pooling exports an emulation of the strides.
            x = x.permute(0, 3, 1, 2).contiguous()
        if self.preprocessing is not None:
            x = self.preprocessing(x)
        output: Tensor = self.model(x)
        match self.activation:
            case "softmax":
                return output.softmax(1)
            case "sigmoid":
                return output.sigmoid()
        return output


def deployed(plan: Plan, model: nn.Module, statistics: Statistics | None = None) -> Deployed:
    """The module that is exported, in evaluation mode on the CPU."""
    whole = plan.pipeline if prepares(plan) else None
    preprocessing = preparing(whole, statistics) if whole else None
    takes = taken(plan, statistics)
    return Deployed(takes, model, preprocessing, plan.spec.onnx.output).cpu().eval()


def in_float64(module: Deployed) -> Deployed:
    """A copy whose network computes in float64 on what `module`'s gets in float32."""
    wide = copy.deepcopy(module)
    wide.model.double().register_forward_pre_hook(_widened)
    return wide


def _widened(_module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return tuple(x.double() if x.is_floating_point() else x for x in inputs)


def prepares(plan: Plan) -> bool:
    """Whether the graph takes what a caller has, and makes it what the network takes."""
    pipeline = plan.pipeline
    raw = pipeline is not None and (pipeline.raw or pipeline.preparation) is not None
    return raw and plan.spec.onnx.preprocess is not False


def learns(plan: Plan) -> bool:
    """Whether the graph begins with what is learned of the data."""
    return prepares(plan) and plan.pipeline is not None and plan.pipeline.preparation is not None


class Taken(NamedTuple):
    """One sample as the graph takes it; sizes that differ from image to image have names."""

    kind: Kind
    shape: Shape
    dtype: str
    table: Table | None = None


def taken(plan: Plan, statistics: Statistics | None = None) -> Taken:
    """What the graph takes."""
    pipeline = plan.pipeline if prepares(plan) else None
    if pipeline and pipeline.raw:
        raw = pipeline.raw
        height: Dim = name("height") if isinstance(raw.height, AtLeast) else raw.height
        width: Dim = name("width") if isinstance(raw.width, AtLeast) else raw.width
        return Taken("images", (height, width, raw.channels), "uint8")
    if pipeline and pipeline.preparation:
        stated = pipeline.preparation
        table = None
        if isinstance(stated, catalogue.Table):
            assert statistics is not None
            columns = tuple(feature.column for feature in stated.features)
            mean, deviation = (
                tuple(map(float, statistics[name])) for name in ("mean", "deviation")
            )
            table = Table(columns, mean, deviation, stated.layout)
        return Taken(stated.kind, stated.shape, stated.dtype, table)
    return Taken("tensor", plan.input.shape, plan.input.dtype)


def example(plan: Plan, takes: Taken, batch: int, seed: int = 1, larger: int = 0) -> Tensor:
    """Seeded noise as the graph takes it; named sizes are `larger` than they need to be."""
    shape = example_shape(plan, takes, batch, larger)
    draws = takes.table.draws if takes.table else ()
    return torch.from_numpy(noise(shape, takes.dtype, seed, vocabulary(plan), draws))


def example_shape(plan: Plan, takes: Taken, batch: int, larger: int = 0) -> tuple[int, ...]:
    """The shape of `example`."""
    shape = takes.shape
    names = sorted(set().union(*(dim.names for dim in shape if isinstance(dim, Expr))))
    values = {each: plan.least.get(each, 32) + larger + offset for offset, each in enumerate(names)}
    return (batch, *(at(dim, values) for dim in shape))


def convert(plan: Plan, module: Deployed) -> onnx.ModelProto:
    """The graph: inputs and outputs named `input` and `output`, the batch and named sizes dynamic.

    Raises SpecError where torch cannot export the network.
    """
    names: dict[int, Any] = {0: "batch"}
    for axis, dim in enumerate(module.takes.shape, start=1):
        if isinstance(dim, Expr):
            names[axis] = str(dim) if str(dim).isidentifier() else torch.export.Dim.DYNAMIC
    try:
        with _quiet(), rewritten(module):
            program = torch.onnx.export(
                module,
                (example(plan, module.takes, batch=2, larger=16),),
                dynamo=True,
                dynamic_shapes=(names,),
                input_names=["input"],
                output_names=["output"],
                opset_version=plan.spec.onnx.opset,
                external_data=False,
                verbose=False,
            )
    except (torch.onnx.OnnxExporterError, onnx_ir.passes.PassError) as error:
        cause = error.__cause__ or error
        reason = (str(cause).strip() or type(cause).__name__).splitlines()[0]
        raise SpecError.of(
            Code.EXPORT,
            f"torch {torch.__version__} cannot export this network: {reason}",
            file=plan.spec.document.source.name,
            remedy="replace the layer that it names, or fix the input's size",
        ) from None
    assert program is not None
    return _bare(program.model_proto)


def _bare(model: onnx.ModelProto) -> onnx.ModelProto:
    """Without the exporter's stack traces, which hold this machine's paths."""
    graphs: list[Any] = [model.graph, *model.functions]
    while graphs:
        graph = graphs.pop()
        del graph.metadata_props[:]
        graph.doc_string = ""
        for field in ("value_info", "input", "output", "initializer"):
            for value in getattr(graph, field, ()):
                if hasattr(value, "metadata_props"):
                    del value.metadata_props[:]
        for node in graph.node:
            del node.metadata_props[:]
            node.doc_string = ""
            graphs += [attribute.g for attribute in node.attribute if attribute.HasField("g")]
    del model.metadata_props[:]
    return model


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter's chatter is not the user's."""
    before = logging.root.manager.disable
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
                yield
        finally:
            logging.disable(before)
