"""`Plan` → a Mermaid flowchart: a box a layer, a frame a container, shapes on the arrows."""

from __future__ import annotations

from netspec.catalogue.layers import LAYERS
from netspec.catalogue.layers.structure import SEQUENTIAL, Container
from netspec.emit.calls import arguments, leaf
from netspec.emit.layout import INDENT, call, flat
from netspec.planning import Node, Plan
from netspec.shapes import Tensor


def mermaid(plan: Plan) -> str:
    """Containers other than `Sequential` hand their input to every child and join the outputs."""
    chart = _Chart()
    chart.rows.append(f"{INDENT}input([{_quoted(plan.name)}])")
    end = "input"
    for child in plan.root.children:
        end = chart.draw(child, end, 1)
    chart.rows.append(f"{INDENT}output([{_quoted('output')}])")
    chart.connect(end, "output", plan.output)
    return "\n".join(["flowchart TD", *chart.rows, *chart.edges]) + "\n"


class _Chart:
    def __init__(self) -> None:
        self.rows: list[str] = []
        self.edges: list[str] = []
        self.number = 0

    def draw(self, node: Node, source: str, depth: int) -> str:
        """Add the node, which takes the output of the box `source`; the box its own comes from."""
        layer = LAYERS[node.type]
        if not isinstance(layer, Container):
            text = flat(leaf(layer, node.args)).removeprefix("nn.")
            box = self._box(f"{node.label}: {text}", depth)
            self.connect(source, box, node.input)
            return box
        if all(each.type == SEQUENTIAL.name for each in node.walk()):
            return source
        self.number += 1
        margin = INDENT * depth
        _, options = arguments(layer, node.args)
        title = f"{node.label}: {flat(call(node.type, **options)).removesuffix('()')}"
        self.rows.append(f"{margin}subgraph g{self.number}[{_quoted(title)}]")
        if layer.bare:
            end = source
            for child in node.children:
                end = self.draw(child, end, depth + 1)
        else:
            ends = [self.draw(child, source, depth + 1) for child in node.children]
            end = self._box("join", depth + 1)
            for branch, child in zip(ends, node.children, strict=True):
                self.connect(branch, end, child.output)
        self.rows.append(f"{margin}end")
        return end

    def _box(self, text: str, depth: int) -> str:
        self.number += 1
        self.rows.append(f"{INDENT * depth}n{self.number}[{_quoted(text)}]")
        return f"n{self.number}"

    def connect(self, source: str, target: str, tensor: Tensor) -> None:
        self.edges.append(f"{INDENT}{source} -->|{_quoted(str(tensor))}| {target}")


def _quoted(text: str) -> str:
    """Text that Mermaid takes as it is: neither markup nor the end of the label."""
    return '"' + "".join(f"#{ord(each)};" if each in '"#&<>`' else each for each in text) + '"'
