"""Whether the network can be exported to ONNX. The export proves it; this tells it at once."""

from __future__ import annotations

from netspec.catalogue.component import Refusal
from netspec.catalogue.layers import LAYERS
from netspec.catalogue.layers.layer import Activation, Call, Layer
from netspec.catalogue.losses import LOSSES
from netspec.diagnostics import Code
from netspec.planning.plans import BYTES, Node, Plan
from netspec.planning.refusing import refuse_layer
from netspec.spec.document import Route
from netspec.spec.findings import Findings

# Protobuf's own bound, with room for the graph and the metadata.
MAX_BYTES = (1 << 31) - (1 << 26)

OUTPUT: Route = ("export", "onnx", "output")


def check_export(plan: Plan, findings: Findings, torch: str | None = None) -> None:
    """Layers say themselves what they need; `output` has to suit what they give and the loss.

    `torch`: the version that is to export it; None: another machine may, with a newer one.
    """
    try:
        check_size(plan.parameters * BYTES["float32"])
    except Refusal as refusal:
        findings.add(Code.EXPORT, refusal.message, ("model",), refusal.remedy)
    _check_output(plan, findings)
    for node in plan.root.walk():
        if node.entry is None:
            continue
        try:
            _check_layer(LAYERS[node.type], Call(node.input, dict(node.args)), torch)
        except Refusal as refusal:
            refuse_layer(refusal, node.entry, findings, Code.EXPORT)


def _check_layer(layer: Layer, call: Call, torch: str | None) -> None:
    layer.exportable(call)
    since = layer.exported_since(call)
    if torch and since and _numbers(torch) < _numbers(since):
        raise Refusal(
            f"torch {torch} cannot export it to ONNX over {call.input}",
            f"update torch, to {since} at least, or declare its input's sizes as numbers",
        )


def _numbers(version: str) -> tuple[int, ...]:
    """`2.11.0+cu130` → (2, 11)"""
    return tuple(map(int, version.split(".")[:2]))


def check_size(size: int) -> None:
    """Refuse weights of so many bytes where no ONNX file can hold them."""
    if size > MAX_BYTES:
        raise Refusal(
            f"its weights take {size:,} bytes, and one ONNX file holds at most {MAX_BYTES:,}",
            "make the network smaller",
        )


def activation(plan: Plan) -> Activation:
    """What the outputs of the exported graph have gone through, last of all."""
    applied = plan.spec.onnx.output
    last = plan.root.last
    return _of(last) if applied == "none" and last else applied


def _of(last: Node) -> Activation:
    return LAYERS[last.type].activation(Call(last.input, dict(last.args)))


def _check_output(plan: Plan, findings: Findings) -> None:
    applied, last, train = plan.spec.onnx.output, plan.root.last, plan.training
    if applied == "none":
        return
    if last and LAYERS[last.type].values == "unit":
        findings.add(
            Code.EXPORT,
            f"the network ends in {last.type} already, and {applied} of its output says nothing",
            OUTPUT,
            "write `output: none`",
        )
    elif applied == "softmax" and plan.output.shape[:1] in ((), (1,)):
        findings.add(
            Code.EXPORT,
            f"softmax over the one output {plan.output} is always 1",
            OUTPUT,
            "use sigmoid",
        )
    elif train and (fits := FITS[LOSSES[train.loss.type].task]) != applied:
        add = findings.add if fits == "sigmoid" else findings.warn
        add(
            Code.EXPORT,
            f"{applied} is not what {train.loss.type} teaches the outputs to mean",
            OUTPUT,
            f"write `output: {fits}`",
        )


# What turns the outputs of a network into what its loss compared, by the loss's task.
FITS: dict[str, Activation] = {"classes": "softmax", "binary": "sigmoid", "values": "none"}
