"""Whether output, target, loss, metrics and export fit one another."""

from __future__ import annotations

from netspec.catalogue.component import Refusal
from netspec.catalogue.layers import LAYERS
from netspec.catalogue.losses import LOSSES, Loss
from netspec.catalogue.metrics import METRICS
from netspec.catalogue.optimizers import OPTIMIZERS, SPARSE
from netspec.catalogue.schedulers import SCHEDULERS
from netspec.catalogue.sources import Classes, Target, Unknown, Values
from netspec.diagnostics import Code
from netspec.planning.plans import Node, Plan
from netspec.planning.refusing import refuse
from netspec.shapes import Tensor, show
from netspec.spec.findings import Findings
from netspec.spec.model import Named, Train


def check_training(plan: Plan, findings: Findings) -> None:
    train = plan.spec.train
    if train is None:
        return
    try:
        _check_optimizer(train.optimizer, plan)
    except Refusal as refusal:
        refuse(refusal, train.optimizer, findings, Code.TRAIN)
    if train.scheduler:
        _check_scheduler(train.scheduler, train, findings)
    target = plan.pipeline.target if plan.pipeline else Unknown()
    try:
        check_target(train.loss, plan.output, target)
        _check_values(LOSSES[train.loss.type], plan.root)
    except Refusal as refusal:
        refuse(refusal, train.loss, findings, Code.TRAIN)
    listed: set[str] = set()
    for metric in train.metrics:
        try:
            if metric.type in listed:
                raise Refusal("it is listed twice, and has one column", "leave one out")
            listed.add(metric.type)
            _check_metric(metric, LOSSES[train.loss.type], target)
        except Refusal as refusal:
            refuse(refusal, metric, findings, Code.TRAIN)


def interval(scheduler: Named, train: Train) -> str:
    """What a step of the scheduler counts: `epoch` or `step`."""
    default = "step" if train.steps is not None else SCHEDULERS[scheduler.type].interval
    return scheduler.siblings.get("interval") or default


def _check_optimizer(named: Named, plan: Plan) -> None:
    entry = OPTIMIZERS[named.type]
    args = entry.complete(named.args)
    entry.check(args)
    if not plan.parameters and not plan.root.opaque:
        raise Refusal("there is nothing to learn: the network has no parameters")
    sparse = next((node.type for node in plan.root.walk() if node.args.get("sparse")), None)
    if sparse and (named.type not in SPARSE or args["weight_decay"] or args["fused"]):
        raise Refusal(
            f"it can't step with the sparse gradients of {sparse}",
            f"use {' or '.join(SPARSE)} without weight_decay and fused, or `sparse: false` there",
        )


def _check_scheduler(named: Named, train: Train, findings: Findings) -> None:
    entry, optimizer = SCHEDULERS[named.type], OPTIMIZERS[train.optimizer.type]
    args = entry.complete(named.args)
    try:
        entry.check(args)
        alone = named is train.scheduler  # among others it is refused already
        if alone and named.type == "ReduceLROnPlateau" and interval(named, train) == "step":
            raise Refusal("it follows an epoch's loss", "write `interval: epoch` beside it")
        momentum = optimizer.param("momentum") or optimizer.param("betas")
        if args.get("cycle_momentum") and not momentum:
            raise Refusal(
                f"{optimizer.name} has no momentum to cycle",
                "write `cycle_momentum: false`",
                "cycle_momentum",
            )
    except Refusal as refusal:
        refuse(refusal, named, findings, Code.TRAIN)
    for each in args.get("schedulers", ()):
        _check_scheduler(each, train, findings)


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


def _check_values(loss: Loss, root: Node) -> None:
    last = root.last
    if loss.probabilities and (last is None or LAYERS[last.type].values != "unit"):
        raise Refusal(
            f"it takes outputs between 0 and 1, and {last.type if last else 'the input'} gives "
            "any number",
            "use BCEWithLogitsLoss, or end with Sigmoid",
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
