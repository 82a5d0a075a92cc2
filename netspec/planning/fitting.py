"""Whether output, target, loss and metrics fit one another."""

from __future__ import annotations

from typing import Literal

from netspec.catalogue.component import Refusal
from netspec.catalogue.layers import LAYERS
from netspec.catalogue.losses import LOSSES, Loss
from netspec.catalogue.metrics import METRICS
from netspec.catalogue.sources import Classes, Target, Values
from netspec.catalogue.transforms import mixers
from netspec.diagnostics import Code
from netspec.planning.exporting import FITS
from netspec.planning.plans import Node, Pipeline
from netspec.planning.refusing import refuse
from netspec.shapes import Tensor, show
from netspec.spec.findings import Findings
from netspec.spec.model import Named


def check_made(named: Named, made: Literal["input", "one_hot"] | None) -> None:
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


def check_values(loss: Loss, root: Node) -> None:
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


def check_mixing(loss: Named, pipeline: Pipeline, output: Tensor, findings: Findings) -> None:
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


def doubt_values(loss: Loss, root: Node) -> None:
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


def check_metric(named: Named, loss: Loss, target: Target, one_hot: bool) -> None:
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
