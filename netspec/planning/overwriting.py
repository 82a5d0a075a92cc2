"""Whether in-place layers spare what somebody else still needs.

An in-place layer writes over its input. Where the layer before needs its own output to learn (ReLU,
Sigmoid, …), torch fails in the backward pass; where another branch reads the same tensor, it
silently gets the wrong values.
"""

from __future__ import annotations

from netspec.catalogue.layers import LAYERS
from netspec.catalogue.layers.structure import Container
from netspec.diagnostics import Code
from netspec.planning.plans import Node
from netspec.spec.findings import Findings


def check_overwriting(root: Node, findings: Findings) -> None:
    _after(root, True, findings)


def _after(node: Node, spare: bool, findings: Findings) -> bool:
    """Whether the output of `node` may be overwritten, where `spare` says so of its input."""
    layer = LAYERS[node.type]
    if isinstance(layer, Container) and layer.bare:
        for child in node.children:
            spare = _after(child, spare, findings)
        return spare
    for child in node.children:  # the branches share their input
        _after(child, False, findings)
    inplace = node.args.get("inplace")
    if inplace and not spare and node.entry is not None:
        findings.add(
            Code.SHAPE,
            f"{node.type} would overwrite its input in place, which the layer before it or another "
            "branch still needs",
            (*node.entry.path, node.type, "inplace"),
            "leave inplace out: the result is the same",
            via=node.entry.via,
        )
    match layer.output_is:
        case "as input":
            return spare
        case "kept in place":
            return not inplace
    return layer.output_is == "spare"
