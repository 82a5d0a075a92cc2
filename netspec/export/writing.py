"""One ONNX file: written, proved against torch, and only then kept."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from netspec import files
from netspec.catalogue.component import Refusal
from netspec.catalogue.losses import LOSSES
from netspec.catalogue.sources import Classes
from netspec.data.dataset import PartRows, Statistics
from netspec.data.reading.sources import vocabulary
from netspec.data.splitting import digests
from netspec.diagnostics import (
    Code,
    Diagnostic,
    InputError,
    NetspecError,
    Place,
    Severity,
    SpecError,
    spoken,
)
from netspec.export.graph import (
    Deployed,
    Taken,
    convert,
    deployed,
    example,
    example_shape,
    in_float64,
)
from netspec.planning import Plan, check_export
from netspec.planning.exporting import activation, check_size
from netspec.runtime import Session, integrity, metadata
from netspec.runtime.metadata import Input, Metadata, Output, Task, Tolerance
from netspec.runtime.vectors import MAX_VALUES, Array, Vector, probes
from netspec.runtime.verification import compare, scale
from netspec.shapes import Expr
from netspec.spec.findings import Findings
from netspec.spec.writing import resolved, to_yaml
from netspec.version import VERSION

BATCHES = (1, 2, 7)
# The test vectors' batches, and how much larger than need be their named sizes are: a recurrence
# over one step shows nothing of its own weights.
VECTORS = ((3, 0), (2, 16))
# Against what the outputs differ by from sample to sample. The engines differ by 3 % of it at most
# for the shipped specs, by less than 1 % for single layers.
TOLERANCE = Tolerance(rtol=1e-5, atol=1e-3)
# How many times further from torch onnxruntime may lie than torch from itself in float64.
ROUNDING = 10


@dataclass(frozen=True)
class Export:
    """What was written: `difference` is the largest from torch over all batches compared,
    `warnings` what is legal and probably not meant."""

    path: Path
    bytes: int
    difference: float
    batches: tuple[int, ...] = BATCHES
    warnings: tuple[Diagnostic, ...] = ()


def write(
    plan: Plan,
    model: nn.Module,
    path: Path,
    classes: tuple[str, ...] | None = None,
    statistics: Statistics | None = None,
    rows: PartRows | None = None,
) -> Export:
    """Write `model`, a plan's, as one self-contained ONNX file with a dynamic batch.

    statistics: what its pipeline's preparation learned, where the graph begins with it. rows: of
    the parts that a split made when it was trained.

    The file replaces what is at `path` only after onnxruntime gives what torch gives for batches
    of 1, 2 and 7. Raises SpecError where it does not, or where the network cannot be exported.
    """
    files.check(path)
    warnings = check(plan)
    _check_state(plan, model)
    training = model.training
    try:
        module = deployed(plan, model, statistics)
        exact = in_float64(module)
        vectors = _try_vectors(plan, module, exact)
        # A named size is tried at its least and beyond, so that none is fixed by the example.
        proofs = [
            _try(plan, module, exact, batch, seed=batch, larger=0 if batch == 1 else 3 * batch)
            for batch in BATCHES
        ]
        # One for all: what rounding does to the outputs of one batch, it may do to another's.
        lost = max(each.lost for each in (*proofs, *vectors))
        account = _metadata(plan, module.takes, vectors, lost, classes, rows or {})
        proto = convert(plan, module)
        onnx.helper.set_model_props(
            proto,
            {metadata.KEY: account.encode(), integrity.SEAL_KEY: integrity.PLACEHOLDER},
        )
        content = integrity.seal(proto.SerializeToString())
        differences: list[float] = []
        least = account.vectors[0].scale
        files.write(
            path, content, lambda file: differences.extend(_prove(plan, proofs, least, file))
        )
    finally:
        model.train(training)
    if TOLERANCE.atol * ROUNDING * lost >= max(each.apart for each in vectors) > 0:
        warnings = (*warnings, _unprovable(plan))
    return Export(path, len(content), max(differences), warnings=warnings)


def check(plan: Plan) -> tuple[Diagnostic, ...]:
    """The warnings about a network's export. Raises SpecError where it cannot be exported."""
    findings = Findings(plan.spec.document)
    check_export(plan, findings, torch.__version__)
    if findings.errors:
        raise SpecError(findings.sorted())
    return tuple(findings.sorted())


def _check_state(plan: Plan, model: nn.Module) -> None:
    """That an ONNX file can hold the weights, and that all of them are numbers."""
    state = model.state_dict()
    try:
        check_size(sum(tensor.numel() * tensor.element_size() for tensor in state.values()))
    except Refusal as refusal:
        raise _refused(plan, refusal.message, spoken(refusal.remedy)) from None
    wrong = [key for key, tensor in state.items() if not torch.isfinite(tensor).all()]
    if wrong:
        more = f" and {len(wrong) - 1} more" * (len(wrong) > 1)
        raise _refused(
            plan,
            f"the weights hold values that are not finite: {wrong[0]}{more}",
            "export weights from before the training diverged, or train with a lower lr",
        )


class _Tried(NamedTuple):
    """What torch gives for a batch of noise, and what is kept of it.

    apart: how far the outputs lie apart from sample to sample. lost: as far as they would have to,
    for what float32 itself loses of them to be tolerated, as in a mean of what sums to zero.
    """

    sample: Callable[[], Tensor]  # drawn again where it is needed, since it may be large
    seed: int
    output: Array
    kept: Array
    apart: float
    lost: float


def _try(
    plan: Plan,
    module: Deployed,
    exact: Deployed,
    batch: int,
    seed: int,
    larger: int,
    keep: Callable[[Array], Array] = lambda output: output,
) -> _Tried:
    """exact: `module` in float64."""

    def sample() -> Tensor:
        return example(plan, module.takes, batch, seed, larger)

    output, kind = _run(plan, module, sample()), activation(plan)
    kept, wanted = keep(output), keep(_run(plan, exact, sample()))
    apart = max(scale(kept, kind), scale(wanted, kind))
    lost = apart * compare(kept, wanted, apart, kind, TOLERANCE).share
    return _Tried(sample, seed, output, kept, apart, lost)


def _prove(plan: Plan, proofs: list[_Tried], least: float, file: Path) -> list[float]:
    """The difference from torch for each batch, held against a scale of `least` or more. Raises
    SpecError where it is too large."""
    found = []
    try:
        session = Session(file)
        for each in proofs:
            got, against = session.run(each.sample().numpy()), max(least, each.apart)
            apart = compare(got, each.output, against, activation(plan), TOLERANCE)
            if not apart.ok:
                raise _unproved(
                    plan,
                    f"onnxruntime differs from torch by {apart.difference:.2g} "
                    f"at batch {len(each.output)}",
                )
            found.append(apart.difference)
    except InputError as error:  # about a temporary file, which says nothing to a user
        raise _unproved(plan, error.diagnostics[0].message) from None
    return found


def _unproved(plan: Plan, message: str) -> NetspecError:
    return _refused(
        plan,
        f"{message}, so the file was not kept",
        "replace the layer that torch's exporter or onnxruntime gets wrong",
    )


def _refused(plan: Plan, message: str, remedy: str | None = None) -> NetspecError:
    return SpecError.of(Code.EXPORT, message, file=plan.spec.document.source.name, remedy=remedy)


def _unprovable(plan: Plan) -> Diagnostic:
    return Diagnostic(
        Code.EXPORT,
        "of what the network's outputs differ by from sample to sample, float32 itself loses a "
        "tenth or more, so the proof against onnxruntime says little",
        Place(plan.spec.document.source.name),
        "look for what cancels to zero before it is normalized or multiplied",
        severity=Severity.WARNING,
    )


def _run(plan: Plan, module: Deployed, sample: Tensor) -> Array:
    """torch's output. Raises SpecError where it is not finite: equal to it would say nothing."""
    with torch.inference_mode():
        found = np.asarray(module(sample.clone()).numpy())  # the first layer may work in place
    if not np.isfinite(found).all():
        raise _refused(
            plan,
            "the network's output is not finite, though its inputs are of order 1",
            "look for a layer that overflows or has no value for a negative input, such as LPPool",
        )
    return found


def _metadata(
    plan: Plan,
    takes: Taken,
    vectors: list[_Tried],
    lost: float,
    classes: tuple[str, ...] | None,
    rows: PartRows,
) -> Metadata:
    names = set().union(*(dim.names for dim in takes.shape if isinstance(dim, Expr)))
    task = _task(plan)
    if classes is None and plan.pipeline and isinstance(plan.pipeline.labels, Classes):
        classes = plan.pipeline.labels.names
    scored = task == "classes" or plan.one_hot
    if not scored or classes is None or len(classes) != plan.output.shape[0]:
        classes = None
    return Metadata(
        version=VERSION,
        name=plan.name,
        spec=to_yaml(resolved(plan.spec, paths=False)),
        digest=plan.digest,
        classes=classes,
        input=Input(takes.kind, takes.shape, takes.dtype, takes.table),
        least={name: plan.least.get(name, 1) for name in sorted(names)},
        output=Output(activation(plan), task, plan.output.shape),
        vectors=tuple(
            Vector(
                shape=tuple(each.sample().shape),
                seed=each.seed,
                below=vocabulary(plan),
                output=each.output.shape,
                values=each.kept,
                scale=max(each.apart, ROUNDING * lost),
            )
            for each in vectors
        ),
        tolerance=TOLERANCE,
        rows=digests(rows),
    )


def _try_vectors(plan: Plan, module: Deployed, exact: Deployed) -> list[_Tried]:
    """The test vectors. Raises SpecError where a sample is too large."""
    found = []
    for seed, (batch, larger) in enumerate(VECTORS, start=101):
        size = math.prod(example_shape(plan, module.takes, 1, larger))
        if size > MAX_VALUES:
            raise _refused(
                plan,
                f"one input has {size:,} values, and a test vector at most {MAX_VALUES:,}",
                "make `input` smaller",
            )
        batch = min(batch, MAX_VALUES // size)
        found.append(_try(plan, module, exact, batch, seed, larger, probes))
    return found


def _task(plan: Plan) -> Task:
    """What the outputs mean, by the loss; without one, by the activation."""
    if plan.training is None:
        by_activation: dict[str, Task] = {"softmax": "classes", "sigmoid": "binary"}
        return by_activation.get(plan.spec.onnx.output, "values")
    return LOSSES[plan.training.loss.type].task
