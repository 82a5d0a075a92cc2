"""Layer entries → nodes: inferred parameters, static shapes, counts, `expect`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from netspec.catalogue.component import Refusal
from netspec.catalogue.layers import LAYERS
from netspec.catalogue.layers.layer import Call, Weights
from netspec.catalogue.layers.structure import SEQUENTIAL, Container
from netspec.diagnostics import Code
from netspec.planning.plans import Node
from netspec.planning.refusing import refuse_layer
from netspec.shapes import LARGEST, AtLeast, Expr, Tensor, least_values, names, problem, show
from netspec.spec.document import Route
from netspec.spec.findings import Findings
from netspec.spec.model import Entry, Expect, Spec

MAX_WEIGHTS = 100_000


class Network(NamedTuple):
    """`least`: the smallest value of each named dimension from which all shapes hold."""

    root: Node
    least: dict[str, int]


def plan_network(spec: Spec, findings: Findings) -> Network | None:
    """The network's nodes, or None where a finding leaves a shape unknown."""
    planner = _Planner(findings)
    children, output = planner.sequence(spec.layers, spec.input, "")
    if spec.input is None or children is None or output is None:
        return None
    root = Node("", SEQUENTIAL.name, {}, spec.input, output, children=children)
    if spec.expect:
        planner.expect(spec.expect, output, root)
    present = [AtLeast(dim, 1) for dim in spec.input.shape if isinstance(dim, Expr)]
    least = least_values([*present, *planner.conditions], names(spec.input.shape))
    for name, value in least.items():
        if value > LARGEST:
            findings.add(
                Code.SHAPE,
                f"{name} would have to be {value} or more, and a dimension is less than 2**31",
                ("input",),
                "shrink less on the way",
            )
    return Network(root, least)


class _Planner:
    """Follows one sample through the layers.

    After a finding the shape is unknown (None): what follows is checked as far as that goes, and
    an `expect` makes it known again, so that one run reports as much as it can.
    """

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.conditions: list[AtLeast] = []
        self.weights = 0

    def sequence(
        self, entries: Iterable[Entry], at: Tensor | None, prefix: str
    ) -> tuple[tuple[Node, ...] | None, Tensor | None]:
        """The children of one `nn.Sequential`, and its output."""
        nodes: list[Node | None] = []
        for entry in entries:
            if not entry.is_module:
                at = self._copied(entry, at)
                continue
            node = self.entry(entry, at, f"{prefix}{entry.name or len(nodes)}")
            nodes.append(node)
            at = node.output if node else _believed(entry, at)
        known = tuple(node for node in nodes if node is not None)
        return (known if len(known) == len(nodes) else None), at

    def _copied(self, entry: Entry, at: Tensor | None) -> Tensor | None:
        """What a Repeat's copies, if any, have made of its input, held against its `expect`."""
        if at is None:
            return _believed(entry, at)
        if entry.expect:
            self._check_output(entry.expect, at, entry.via)
        return at

    def entry(self, entry: Entry, at: Tensor | None, name: str) -> Node | None:
        layer = LAYERS[entry.type]
        if isinstance(layer, Container):
            return self._container(layer, entry, at, name)
        if at is None or entry.broken or self.weights > MAX_WEIGHTS:
            return None
        call = Call(at, dict(entry.args), self.conditions)
        try:
            layer.check_layout(at)
            layer.resolve(call)
            output = _expected(entry, at) if layer.opaque else layer.shape_of(call)
            weights = layer.weights(call)
            self._check_weights(weights)
        except Refusal as refusal:
            refuse_layer(refusal, entry, self.findings, Code.SHAPE)
            return None
        node = Node(
            name,
            entry.type,
            call.args,
            at,
            output,
            weights,
            layer.macs(call),
            entry=entry,
        )
        self._check_expect(entry, node)
        return node

    def _check_weights(self, weights: Weights) -> None:
        """Refuse weights that no tensor holds, and more of them than the check can follow."""
        self.weights += len(weights)
        if self.weights > MAX_WEIGHTS:
            raise Refusal(
                f"with it the network has more than {MAX_WEIGHTS:,} weights and biases",
                "stack fewer layers",
            )
        for name, shape in weights.items():
            if wrong := problem(shape):
                raise Refusal(f"its {name} {wrong}", "make it smaller")

    def _container(
        self, layer: Container, entry: Entry, at: Tensor | None, name: str
    ) -> Node | None:
        children: list[Node] = []
        outputs: list[Tensor] = []
        complete = not entry.broken
        for body, entries in entry.bodies.items():
            inside = f"{name}.{body}" if body else name
            found, output = self.sequence(entries, at, f"{inside}.")
            if found is None or output is None or at is None:
                complete = False
                continue
            outputs.append(output)
            children += (
                [Node(inside, SEQUENTIAL.name, {}, at, output, children=found)] if body else found
            )
        if not complete or at is None:
            return None
        call = Call(at, layer.complete(entry.args), self.conditions)
        try:
            layer.check(call.args)
            output = layer.combine(call, outputs)
            layer.check_size(output)
        except Refusal as refusal:
            refuse_layer(refusal, entry, self.findings, Code.SHAPE)
            return None
        node = Node(name, entry.type, call.args, at, output, children=tuple(children), entry=entry)
        self._check_expect(entry, node)
        return node

    def _check_expect(self, entry: Entry, node: Node) -> None:
        if entry.expect:
            self.expect(entry.expect, node.output, node, entry.via)

    def expect(
        self, expect: Expect, output: Tensor, node: Node, via: tuple[Route, ...] = ()
    ) -> None:
        self._check_output(expect, output, via)
        if node.opaque:
            return  # the compiler counts, and checks
        if expect.parameters is not None and expect.parameters != node.parameters:
            self.findings.add(
                Code.EXPECT,
                f"there are {node.parameters:,} parameters, not the {expect.parameters:,} expected",
                (*expect.path, "parameters"),
                via=via,
            )

    def _check_output(self, expect: Expect, output: Tensor, via: tuple[Route, ...]) -> None:
        if expect.output is not None and expect.output != output.shape:
            self.findings.add(
                Code.EXPECT,
                f"the output is {output}, not the {show(expect.output)} expected",
                expect.path,
                via=via,
            )


def _expected(entry: Entry, at: Tensor) -> Tensor:
    """The output of a layer whose shape torch alone knows."""
    if found := _believed(entry, at):
        return found
    raise Refusal(
        f"the shape of {entry.type}'s output is known to torch alone",
        "write it beside the layer, `expect: […]`; where it is another, `netspec build` says which",
    )


def _believed(entry: Entry, at: Tensor | None) -> Tensor | None:
    """Where the layer itself is in doubt, what its author expects."""
    if entry.expect is None or entry.expect.output is None:
        return None
    return Tensor(entry.expect.output, at.dtype if at else "float32")
