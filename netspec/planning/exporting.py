"""Whether the network can be exported to ONNX. The export proves it; this tells it at once."""

from __future__ import annotations

from netspec.catalogue.component import Refusal
from netspec.catalogue.layers import LAYERS
from netspec.catalogue.layers.layer import Call
from netspec.diagnostics import Code
from netspec.planning.plans import Plan
from netspec.planning.refusing import refuse_layer
from netspec.spec.findings import Findings


def check_export(plan: Plan, findings: Findings) -> None:
    """Softmax needs classes to share the probability; layers say themselves what they need."""
    if plan.spec.onnx.output == "softmax" and plan.output.shape[:1] in ((), (1,)):
        findings.add(
            Code.EXPORT,
            f"softmax over the one output {plan.output} is always 1",
            ("export", "onnx", "output"),
            "use sigmoid",
        )
    for node in plan.root.walk():
        if node.entry is None:
            continue
        try:
            LAYERS[node.type].exportable(Call(node.input, dict(node.args)))
        except Refusal as refusal:
            refuse_layer(refusal, node.entry, findings, Code.EXPORT)
