"""How the network learns: loss, optimizer, schedule, metrics and monitor, all of them complete."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from netspec.catalogue.component import Refusal
from netspec.catalogue.losses import LOSSES
from netspec.catalogue.metrics import METRICS
from netspec.catalogue.optimizers import OPTIMIZERS, Optimizer
from netspec.catalogue.schedulers import SCHEDULERS
from netspec.catalogue.sources import Classes, Target, Unknown
from netspec.catalogue.transforms import mixes
from netspec.diagnostics import Code, suggestion
from netspec.planning.fitting import (
    check_made,
    check_metric,
    check_mixing,
    check_target,
    check_values,
    doubt_values,
)
from netspec.planning.pipeline import complete
from netspec.planning.plans import Monitoring, Node, Pipeline, Scheduling, Training
from netspec.planning.refusing import refuse
from netspec.spec.document import Route
from netspec.spec.findings import Findings
from netspec.spec.model import Named, Spec, Train

MONITOR: Route = ("train", "checkpoint", "monitor")


def plan_training(
    spec: Spec, root: Node, pipeline: Pipeline | None, findings: Findings
) -> Training | None:
    """How the network learns, every default filled in; None where the spec has no `train`."""
    train = spec.train
    if train is None:
        return None
    loss = complete(LOSSES[train.loss.type], train.loss)
    optimizer = complete(OPTIMIZERS[train.optimizer.type], train.optimizer)
    metrics = tuple(complete(METRICS[each.type], each) for each in train.metrics)
    target = pipeline.target if pipeline else Unknown()
    made = spec.data.target if spec.data else None
    try:
        loss = _ignoring(loss, train.loss, target)
    except Refusal as refusal:
        refuse(refusal, train.loss, findings, Code.TRAIN)
    try:
        _check_optimizer(optimizer, root)
    except Refusal as refusal:
        refuse(refusal, train.optimizer, findings, Code.TRAIN)
    try:
        check_made(loss, made)
        check_target(loss, root.output, target)
        check_values(LOSSES[loss.type], root)
    except Refusal as refusal:
        refuse(refusal, train.loss, findings, Code.TRAIN)
    if pipeline and pipeline.augment and mixes(pipeline.augment[-1]):
        check_mixing(loss, pipeline, root.output, findings)
    try:
        doubt_values(LOSSES[loss.type], root)
    except Refusal as refusal:
        refuse(refusal, train.loss, findings, Code.TRAIN, warning=True)
    listed: set[str] = set()
    for metric in train.metrics:
        try:
            if metric.type in listed:
                raise Refusal("it is listed twice, and has one column", "leave one out")
            listed.add(metric.type)
            check_metric(metric, LOSSES[loss.type], target, made == "one_hot")
        except Refusal as refusal:
            refuse(refusal, metric, findings, Code.TRAIN)
    if pipeline:
        _check_parts(train, pipeline, findings)
    monitor = _monitor(train, pipeline, findings)
    return Training(
        epochs=train.epochs,
        steps=train.steps,
        batch_size=train.batch_size,
        seed=train.seed,
        shuffle=train.shuffle,
        clip_grad_norm=train.clip_grad_norm,
        loss=loss,
        optimizer=optimizer,
        schedule=_schedule(train, monitor, findings),
        metrics=metrics,
        monitor=monitor,
    )


def _ignoring(loss: Named, written: Named, target: Target) -> Named:
    """The loss, passing over what the target says has no class; raises Refusal where the spec names
    another index."""
    ignored = target.ignored if isinstance(target, Classes) else None
    if ignored is None or "ignore_index" not in loss.args:
        return loss
    if written.args.get("ignore_index", ignored) != ignored:
        raise Refusal(
            f"ignore_index is {written.args['ignore_index']}, but {ignored} is what masks have "
            "where there is no class",
            "leave it out; `weight` gives a class the weight 0",
            "ignore_index",
        )
    return replace(loss, args={**loss.args, "ignore_index": ignored})


def unvalidated(name: str) -> Refusal:
    """Of a monitor that is written where there is no validation part."""
    return Refusal(
        f"checkpoint.monitor is the validation part's {name}, but there is no validation part",
        "add data: {split: {validation: 0.1}}, or remove the monitor",
    )


def unmeasured(metrics: Collection[Named], parts: Collection[str]) -> Refusal | None:
    """Of metrics that no part is there to be measured on."""
    if not metrics or not {"validation", "test"}.isdisjoint(parts):
        return None
    return Refusal(
        "no part is held out, so that no metric is measured",
        "add data: {split: {validation: 0.1}}, or remove the metrics",
    )


def _check_parts(train: Train, pipeline: Pipeline, findings: Findings) -> None:
    """What the parts and their sizes, as far as they are known, leave nothing to do for."""
    if pipeline.parts is not None and (refusal := unmeasured(train.metrics, pipeline.parts)):
        findings.warn(Code.TRAIN, refusal.message, ("train", "metrics"), refusal.remedy, key=True)
    if (pipeline.sizes or {}).get("train") == 1 and train.batch_size > 1:
        findings.add(
            Code.TRAIN,
            "a single training sample makes no batch of two or more",
            pipeline.source.path,
            "use more samples",
            key=True,
        )


def _monitor(train: Train, pipeline: Pipeline | None, findings: Findings) -> Monitoring:
    """What `checkpoint.monitor` names; the loss where it is left out or names nothing."""
    measured = ["loss", *(metric.type for metric in train.metrics)]
    name = (train.monitor or "loss").removeprefix("validation_")
    if name not in measured:
        each = [f"validation_{name}" for name in measured]
        near = None if name in METRICS else suggestion(str(train.monitor), each)
        findings.add(
            Code.TRAIN,
            f"checkpoint.monitor is '{train.monitor}', but each epoch measures {', '.join(each)}",
            MONITOR,
            near or ("add it to train.metrics" if name in METRICS else f"use {' or '.join(each)}"),
        )
        name = "loss"
    elif train.monitor and pipeline and "validation" not in (pipeline.parts or ("validation",)):
        refusal = unvalidated(name)
        findings.add(Code.TRAIN, refusal.message, MONITOR, refusal.remedy)
    rising = name in METRICS and METRICS[name].rising
    return Monitoring(name, rising, written=train.monitor is not None)


def _check_optimizer(named: Named, root: Node) -> None:
    entry, args = OPTIMIZERS[named.type], dict(named.args)
    entry.check(args)
    if not root.parameters and not root.opaque:
        raise Refusal("there is nothing to learn: the network has no parameters")
    sparse = next((node.type for node in root.walk() if node.args.get("sparse")), None)
    if sparse and (not entry.sparse or args["weight_decay"] or args["fused"]):
        able = " or ".join(each.name for each in OPTIMIZERS.values() if each.sparse)
        raise Refusal(
            f"it can't step with the sparse gradients of {sparse}",
            f"use {able} without weight_decay and fused, or `sparse: false` there",
        )


def _schedule(train: Train, monitor: Monitoring, findings: Findings) -> Scheduling | None:
    named = train.scheduler
    if named is None:
        return None
    entry = SCHEDULERS[named.type]
    default = "step" if train.steps is not None else entry.interval
    interval = named.siblings.get("interval") or default
    directed = entry.directed(monitor.rising)
    try:
        if entry.direction and interval == "step":
            raise Refusal("it follows an epoch's measure", "write `interval: epoch` beside it")
        for param, wanted in directed.items():
            if named.args.get(param, wanted) != wanted:
                better = "rises" if monitor.rising else "falls"
                raise Refusal(
                    f"{param} is {named.args[param]}, but it follows validation_{monitor.name}, "
                    f"which gets better as it {better}",
                    f"leave {param} out, or name another checkpoint.monitor",
                    param,
                )
    except Refusal as refusal:
        refuse(refusal, named, findings, Code.TRAIN)
    made = _scheduler(named, OPTIMIZERS[train.optimizer.type], findings)
    return Scheduling(replace(made, args={**made.args, **directed}), interval)


def _scheduler(named: Named, optimizer: Optimizer, findings: Findings) -> Named:
    """With every default filled in, its nested schedulers' too."""
    entry = SCHEDULERS[named.type]
    args = entry.complete(named.args)
    try:
        entry.check(args)
        if args.get("cycle_momentum") and not optimizer.has_momentum:
            raise Refusal(
                f"{optimizer.name} has no momentum to cycle",
                "write `cycle_momentum: false`",
                "cycle_momentum",
            )
    except Refusal as refusal:
        refuse(refusal, named, findings, Code.TRAIN)
    if entry.nested:
        children = args[entry.nested]
        args[entry.nested] = tuple(_scheduler(each, optimizer, findings) for each in children)
    return replace(named, args=args)
