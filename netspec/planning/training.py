"""Whether output, target, loss, metrics and export fit one another."""

from __future__ import annotations

from netspec.catalogue.component import Refusal
from netspec.catalogue.losses import LOSSES, Loss
from netspec.catalogue.metrics import METRICS
from netspec.catalogue.optimizers import OPTIMIZERS
from netspec.catalogue.sources import Classes, Target, Unknown, Values
from netspec.diagnostics import Code
from netspec.planning.pipeline import refuse
from netspec.planning.plans import Plan
from netspec.shapes import Tensor, show
from netspec.spec.findings import Findings
from netspec.spec.model import Named


def check_training(plan: Plan, findings: Findings) -> None:
    train = plan.spec.train
    if train is None:
        return
    optimizer = OPTIMIZERS[train.optimizer.type]
    try:
        optimizer.check(optimizer.complete(train.optimizer.args))
    except Refusal as refusal:
        refuse(refusal, train.optimizer, findings, Code.TRAIN)
    target = plan.pipeline.target if plan.pipeline else Unknown()
    try:
        check_target(train.loss, plan.output, target)
    except Refusal as refusal:
        refuse(refusal, train.loss, findings, Code.TRAIN)
    for metric in train.metrics:
        try:
            _check_metric(metric, LOSSES[train.loss.type], target)
        except Refusal as refusal:
            refuse(refusal, metric, findings, Code.TRAIN)


def check_target(named: Named, output: Tensor, target: Target) -> None:
    """Refuse a loss for which this output and this target do not belong together."""
    loss = LOSSES[named.type]
    if output.dtype != "float32":
        raise Refusal(f"the network ends in {output}, and a loss needs floats")
    if not output.shape:
        raise Refusal(
            "each sample's output is a single number without a dimension",
            "keep one, for example with `keepdim: true` in Mean: targets have the shape [1]",
        )
    for param in loss.tensors:
        # Class weights are one for each class; others broadcast along the last dimension.
        size, what = (
            (output.shape[0], "classes")
            if loss.wants == "classes"
            else (output.shape[-1], "values")
        )
        count = len(named.args.get(param) or ())
        if count and count != size and (count > 1 or loss.wants == "classes"):
            raise Refusal(
                f"{param} has {count} value{'s' * (count > 1)}, but the output {output} has "
                f"{size} {what}",
                param=param,
            )
    if loss.vector and len(output.shape) != 1:
        raise Refusal(
            f"{loss.name} takes a vector of scores, but the output is {output}",
            "end with `Flatten` and `Linear`",
        )
    if loss.wants == "classes":
        _check_classes(loss, output, target)
    elif isinstance(target, Classes):
        raise Refusal(
            f"{loss.name} compares floats, but the targets are class indices",
            "use CrossEntropyLoss",
        )
    elif isinstance(target, Values) and target.shape is not None and target.shape != output.shape:
        raise Refusal(
            f"the output is {output}, but the targets are {show(target.shape)}, "
            "and the loss would broadcast them",
            "make the network end in the targets' shape",
        )


def _check_classes(loss: Loss, output: Tensor, target: Target) -> None:
    if isinstance(target, Values):
        raise Refusal(
            f"{loss.name} takes class indices, but the targets are floats",
            "use MSELoss, L1Loss or BCEWithLogitsLoss",
        )
    if isinstance(target, Classes):
        if len(output.shape) != 1:
            raise Refusal(
                f"{loss.name} needs one score for each class, but the output is {output}",
                "end with `Flatten` and `Linear`; a recurrent layer can give its `output: last`",
            )
        scores = output.shape[0]
        if target.count is not None and isinstance(scores, int) and scores < target.count:
            raise Refusal(
                f"the output {output} has fewer scores than the data's {target.count} classes",
                f"end with `Linear: {{out_features: {target.count}}}`",
            )


def _check_metric(named: Named, loss: Loss, target: Target) -> None:
    wants = METRICS[named.type].wants
    binary = loss.name.startswith("BCE") or (isinstance(target, Values) and target.binary)
    kinds = (
        {"classes"} if loss.wants == "classes" else {"values", "binary"} if binary else {"values"}
    )
    if not kinds & set(wants.split(" or ")):
        raise Refusal(
            f"{named.type} needs targets that are {wants}, but {loss.name} has "
            f"{' or '.join(sorted(kinds))}",
            "use mae or mse" if "values" in kinds else "use accuracy",
        )
