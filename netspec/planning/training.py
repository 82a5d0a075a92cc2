"""How the network learns, and whether output, target, loss and metrics fit one another."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Literal

from netspec.catalogue.component import Refusal
from netspec.catalogue.layers import LAYERS
from netspec.catalogue.losses import LOSSES, Loss
from netspec.catalogue.metrics import METRICS
from netspec.catalogue.optimizers import OPTIMIZERS, Optimizer
from netspec.catalogue.schedulers import SCHEDULERS
from netspec.catalogue.sources import Classes, Target, Unknown, Values
from netspec.catalogue.transforms import mixers, mixes
from netspec.diagnostics import Code, suggestion
from netspec.planning.exporting import FITS
from netspec.planning.pipeline import complete
from netspec.planning.plans import Monitoring, Node, Pipeline, Scheduling, Training
from netspec.planning.refusing import refuse
from netspec.shapes import Tensor, show
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
        _check_made(loss, made)
        check_target(loss, root.output, target)
        _check_values(LOSSES[loss.type], root)
    except Refusal as refusal:
        refuse(refusal, train.loss, findings, Code.TRAIN)
    if pipeline and pipeline.augment and mixes(pipeline.augment[-1]):
        _check_mixing(loss, pipeline, root.output, findings)
    try:
        _doubt_values(LOSSES[loss.type], root)
    except Refusal as refusal:
        refuse(refusal, train.loss, findings, Code.TRAIN, warning=True)
    listed: set[str] = set()
    for metric in train.metrics:
        try:
            if metric.type in listed:
                raise Refusal("it is listed twice, and has one column", "leave one out")
            listed.add(metric.type)
            _check_metric(metric, LOSSES[loss.type], target, made == "one_hot")
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


def _check_made(named: Named, made: Literal["input", "one_hot"] | None) -> None:
    """Refuse a loss that takes no such targets as `data.target` makes."""
    loss = LOSSES[named.type]
    if made and loss.wants == "classes":
        raise Refusal(
            f"it takes class indices, but `data.target: {made}` makes floats",
            "remove data.target" if made == "one_hot" else "use MSELoss or L1Loss",
        )
    args = dict(named.args)
    bounds, (no, yes) = loss.bounds(args), loss.no_and_yes(args)
    if made == "one_hot" and not bounds.low <= no < yes <= bounds.high:
        raise Refusal(
            f"it takes targets {bounds}, but `data.target: one_hot` makes {no:g} and {yes:g}",
            "use another loss",
        )


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
    """Refuse outputs that the loss cannot be meant for."""
    last = root.last
    values = LAYERS[last.type].values if last else "any"
    if loss.probabilities and values != "unit":
        raise Refusal(
            f"it takes outputs between 0 and 1, and {last.type if last else 'the input'} gives "
            "any number",
            "use BCEWithLogitsLoss, or end with Sigmoid",
        )
    if loss.unbounded and values == "any" and not _hidden(root):
        raise Refusal(
            f"it takes log-probabilities, and {last.type if last else 'the input'} gives any "
            "number: the loss has no least value",
            "use CrossEntropyLoss, or end with `LogSoftmax: {dim: 1}`",
        )


def _check_mixing(loss: Named, pipeline: Pipeline, output: Tensor, findings: Findings) -> None:
    """The loss takes the classes' probabilities that a batch's mixed targets are."""
    step, ignored = pipeline.augment[-1], "ignore_index"
    try:
        if not LOSSES[loss.type].blended:
            fitting = " or ".join(each.name for each in LOSSES.values() if each.blended)
            raise Refusal(
                f"{step.type} mixes the targets to probabilities of classes, which {loss.type} "
                "does not take",
                f"use {fitting}, or leave {step.type} out",
            )
        default = LOSSES[loss.type].complete({})[ignored]
        if loss.args[ignored] != default:
            raise Refusal(
                f"{step.type} mixes the targets to probabilities, of which none is ignored",
                f"leave {ignored} out, or {step.type}",
                ignored,
            )
    except Refusal as refusal:
        refuse(refusal, loss, findings, Code.TRAIN)
    for each in mixers(step):
        try:
            _check_mixer(each, pipeline.target, output)
        except Refusal as refusal:
            refuse(refusal, each, findings, Code.DATA)


def _check_mixer(step: Named, target: Target, output: Tensor) -> None:
    if isinstance(target, Values):
        raise Refusal("it mixes classes, and the targets are numbers", "leave it out")
    if len(output.shape) != 1:
        raise Refusal(
            f"it mixes one class for each sample, and the output is {output}", "leave it out"
        )
    if not isinstance(output.shape[0], int):
        raise Refusal(
            f"it mixes a known number of classes, and the output is {output}",
            "end with `Linear: {out_features: …}`, or write `input` as numbers",
        )
    written = step.args["num_classes"]
    if written not in (None, output.shape[0]):
        raise Refusal(
            f"num_classes is {written}, but the output is {output}",
            "leave num_classes out: it is inferred",
            "num_classes",
        )


def _hidden(root: Node) -> bool:
    """Whether the output may hold logarithms that its last layer does not make: what an average
    leaves of them, or what torch alone knows."""
    return root.opaque or any(LAYERS[node.type].values == "log" for node in root.walk())


def _doubt_values(loss: Loss, root: Node) -> None:
    """Refuse, as a warning, outputs that the loss is probably not meant for."""
    last = root.last
    values = LAYERS[last.type].values if last else "any"
    if last and loss.takes == "scores" and values == "unit":
        fits = FITS[loss.task]
        remedy = f"leave {last.type} out"
        if fits != "none":
            remedy += f"; `export: {{onnx: {{output: {fits}}}}}` adds it to the file"
        raise Refusal(
            f"it takes scores of any size, and {last.type} has made them numbers from 0 to 1, "
            "of which it learns little",
            remedy,
        )
    surely = values == "any" and loss.unbounded and not _hidden(root)  # refused already
    if loss.takes == "log-probabilities" and values != "log" and not surely:
        raise Refusal(
            f"it takes log-probabilities, and {last.type if last else 'the input'} may give others",
            "end with `LogSoftmax: {dim: 1}`",
        )


def _check_classes(loss: Loss, output: Tensor, target: Target) -> None:
    """Refuse other outputs than scores [C, …], for each class at each place of the target."""
    if isinstance(target, Values):
        raise Refusal(
            f"{loss.name} takes class indices, but the targets are floats",
            "use MSELoss, L1Loss or BCEWithLogitsLoss",
        )
    if not isinstance(target, Classes):
        return
    scores, *places = output.shape
    if target.shape == () and places:
        raise Refusal(
            f"{loss.name} needs one score for each class, but the output is {output}",
            "end with `Flatten` and `Linear`; a recurrent layer can give its `output: last`",
        )
    if target.shape is not None and tuple(places) != target.shape:
        classes = "classes" if target.count is None else str(target.count)
        raise Refusal(
            f"{loss.name} needs scores [{classes}, {show(target.shape)[1:-1]}], as each target is "
            f"{show(target.shape)} class indices, but the output is {output}",
            "end with `Permute: {dims: [0, 2, 1]}`, as torch has classes first"
            if output.shape[:-1] == target.shape and len(places) == 1
            else "make the network end in a score for each class at each place"
            + ("" if places else ", or store one class index a sample"),
        )
    if target.count is not None and isinstance(scores, int) and scores < target.count:
        raise Refusal(
            f"the output {output} has fewer scores than the data's {target.count} classes",
            f"end with `Linear: {{out_features: {target.count}}}`"
            if not places
            else f"make it {target.count} in the first dimension",
        )


def _check_metric(named: Named, loss: Loss, target: Target, one_hot: bool) -> None:
    """Refuse a metric that judges other targets; those of one_hot are classes too."""
    task = loss.task
    if task == "values" and isinstance(target, Values) and target.binary:
        task = "binary"
    tasks = METRICS[named.type].tasks
    if task not in tasks and not (one_hot and "classes" in tasks):
        fitting = " or ".join(each.name for each in METRICS.values() if task in each.tasks)
        raise Refusal(
            f"{named.type} needs targets that are {' or '.join(sorted(tasks))}, but {loss.name} "
            f"has {task}",
            f"use {fitting}",
        )
