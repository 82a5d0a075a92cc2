"""One ONNX file: written, proved against torch, and only then kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from netspec import files
from netspec.catalogue.losses import LOSSES
from netspec.catalogue.sources import Classes
from netspec.diagnostics import Code, InputError, NetspecError, SpecError
from netspec.export.graph import Deployed, convert, deployed, example, input_shape, takes_images
from netspec.planning import Plan, check_export
from netspec.runtime import Session, integrity, metadata
from netspec.runtime.metadata import (
    Activation,
    Array,
    Input,
    Metadata,
    Output,
    Task,
    Tolerance,
    Vector,
)
from netspec.runtime.verification import agree, distance
from netspec.shapes import Expr
from netspec.spec.findings import Findings
from netspec.spec.writing import resolved, to_yaml
from netspec.version import VERSION

BATCHES = (1, 2, 7)
# Bilinear resizing differs by up to 2.5e-5 between the engines; fused batch norms by less.
TOLERANCE = Tolerance(rtol=1e-3, atol=1e-4)


@dataclass(frozen=True)
class Export:
    """What was written: `difference` is the largest from torch over all batches compared."""

    path: Path
    bytes: int
    difference: float
    batches: tuple[int, ...] = BATCHES


def write(
    plan: Plan, model: nn.Module, path: Path, classes: tuple[str, ...] | None = None
) -> Export:
    """Write `model`, a plan's, as one self-contained ONNX file with a dynamic batch.

    The file replaces what is at `path` only after onnxruntime gives what torch gives for batches
    of 1, 2 and 7. Raises SpecError where it does not, or where the network cannot be exported.
    """
    findings = Findings(plan.spec.document)
    check_export(plan, findings)
    if findings.errors:
        raise SpecError(findings.sorted())
    training = model.training
    try:
        module = deployed(plan, model)
        proto = convert(plan, module)
        account = _metadata(plan, module, classes)
        onnx.helper.set_model_props(
            proto,
            {metadata.KEY: account.encode(), integrity.SEAL_KEY: integrity.PLACEHOLDER},
        )
        content = integrity.seal(proto.SerializeToString())
        differences: list[float] = []
        files.write(path, content, lambda file: differences.extend(_prove(plan, module, file)))
    finally:
        model.train(training)
    return Export(path, len(content), max(differences))


def _prove(plan: Plan, module: Deployed, file: Path) -> list[float]:
    """The difference from torch for each batch. Raises SpecError where it is too large."""
    found = []
    try:
        session = Session(file)
        for batch in BATCHES:
            # A named size is tried at its least and beyond, so that none is fixed by the example.
            sample = example(plan, batch, seed=batch, larger=0 if batch == 1 else 3 * batch)
            wanted, got = _run(module, sample), session.run(sample.numpy())
            if not agree(got, wanted, TOLERANCE):
                raise _unproved(
                    plan,
                    f"onnxruntime differs from torch by {distance(got, wanted):.2g} at batch "
                    f"{batch}",
                )
            found.append(distance(got, wanted))
    except InputError as error:  # about a temporary file, which says nothing to a user
        raise _unproved(plan, error.diagnostics[0].message) from None
    return found


def _unproved(plan: Plan, message: str) -> NetspecError:
    return SpecError.of(
        Code.EXPORT,
        f"{message}, so the file was not kept",
        file=plan.spec.document.source.name,
        remedy="replace the layer that torch's exporter or onnxruntime gets wrong",
    )


def _run(module: Deployed, sample: Tensor) -> Array:
    with torch.inference_mode():
        return np.asarray(module(sample.clone()).numpy())  # the first layer may work in place


def _metadata(plan: Plan, module: Deployed, classes: tuple[str, ...] | None) -> Metadata:
    shape = input_shape(plan)
    images = takes_images(plan)
    names = set().union(*(dim.names for dim in shape if isinstance(dim, Expr)))
    samples = [example(plan, batch, seed=100 + batch) for batch in (1, 3)]
    task = _task(plan)
    if classes is None and plan.pipeline and isinstance(plan.pipeline.target, Classes):
        classes = plan.pipeline.target.names
    if task != "classes" or classes is None or len(classes) != plan.output.shape[0]:
        classes = None
    return Metadata(
        version=VERSION,
        name=plan.name,
        spec=to_yaml(resolved(plan.spec, paths=False)),
        digest=plan.digest,
        classes=classes,
        input=Input(
            "images" if images else "tensor", shape, "uint8" if images else plan.input.dtype
        ),
        least={name: plan.least.get(name, 1) for name in sorted(names)},
        output=Output(_activation(plan), task, plan.output.shape),
        vectors=tuple(Vector(each.numpy(), _run(module, each)) for each in samples),
        tolerance=TOLERANCE,
    )


def _task(plan: Plan) -> Task:
    """What the outputs mean, by the loss; without one, by the activation."""
    train = plan.spec.train
    if train is None:
        by_activation: dict[str, Task] = {"softmax": "classes", "sigmoid": "binary"}
        return by_activation.get(plan.spec.onnx.output, "values")
    return LOSSES[train.loss.type].task


def _activation(plan: Plan) -> Activation:
    """What the graph's outputs have gone through; a network for BCELoss ends in probabilities."""
    train = plan.spec.train
    if plan.spec.onnx.output == "none" and train and LOSSES[train.loss.type].probabilities:
        return "sigmoid"
    return plan.spec.onnx.output
