"""Parts of a network that stand in it more than once, so that a file can write them once."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from netspec.emit.calls import key
from netspec.planning import Node, Plan
from netspec.spec.schema import SIBLINGS


@dataclass(frozen=True)
class Repeated:
    """One of the alike `node`s, and the name of the function that makes them."""

    function: str
    node: Node


def repeated(plan: Plan) -> dict[str, Repeated]:
    """By `calls.key`; what another one contains comes before it."""
    counts: Counter[str] = Counter()
    met: dict[str, Node] = {}

    def count(node: Node) -> None:
        """What is inside a repeated part counts once: the part is written once."""
        this = key(node)
        counts[this] += 1
        if counts[this] > 1:
            return
        for child in node.children:
            count(child)
        if _layers(node) > 1:
            met[this] = node

    for child in plan.root.children:
        count(child)
    found = {this: node for this, node in met.items() if counts[this] > 1}
    names = {this: _name(plan, node) for this, node in found.items()}
    totals = Counter(names.values())
    numbers: Counter[str] = Counter()
    functions: dict[str, Repeated] = {}
    for this, name in names.items():
        numbers[name] += 1
        suffix = f"_{numbers[name]}" if totals[name] > 1 else ""
        functions[this] = Repeated(f"{name}_block{suffix}", found[this])
    return functions


def _name(plan: Plan, node: Node) -> str:
    """The block or the layer that the spec names there."""
    if node.entry is None:
        return node.type.lower()
    written = plan.spec.document.node(node.entry.path).value
    return next(str(key) for key in written if key not in SIBLINGS).lower()


def _layers(node: Node) -> int:
    """How many layers that hold no others are in it."""
    return sum(not each.children for each in node.walk())
