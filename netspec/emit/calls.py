"""A plan's nodes as the Python expressions that make them: what `compiler` does, in writing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netspec.catalogue.component import Component
from netspec.catalogue.layers import LAYERS, Layer
from netspec.catalogue.layers.structure import Container
from netspec.catalogue.types import ClassOf
from netspec.emit.layout import Brackets, Expression, call, literal
from netspec.planning import Node

Args = Mapping[str, Any]

# Modules whose classes an emitted file defines itself.
DEFINED = ("netspec.modules", "torchvision.ops")


def reference(entry: Component) -> str:
    """The entry's class or function as the emitted file names it, where netspec's own modules
    and the stand-ins for torchvision's are defined."""
    module, _, name = entry.target.partition(":")
    if module in DEFINED:
        return name
    return f"{module.removeprefix('torch.')}.{name}"


def installed(node: Node) -> set[str]:
    """The modules of other packages that the classes of a node and all below it come from."""
    modules = {LAYERS[each.type].target.partition(":")[0] for each in node.walk()}
    return {each for each in modules if each not in DEFINED and each.partition(".")[0] != "torch"}


def arguments(entry: Component, args: Args) -> tuple[list[Expression], dict[str, Expression]]:
    """Positional and named: those that torch requires or whose value is not torch's default.

    The first two that a class of torch.nn requires are positional, as torch's own documentation
    writes them: `nn.Conv2d(3, 32, kernel_size=5)`. An opaque layer's builder has defaults of its
    own, so all of its parameters are written.
    """
    opaque = isinstance(entry, Layer) and entry.opaque
    leading = 2 if entry.target.startswith("torch.nn:") else 0
    positional: list[Expression] = []
    named: dict[str, Expression] = {}
    for index, param in enumerate(entry.params):
        if param.name not in args:
            continue
        value = args[param.name]
        # A parameter of one value stands in the catalogue because torch's default is another.
        fixed = "const" in param.type.core()
        if param.required and index < leading:
            positional.append(_value(entry, param.name, value))
        elif opaque or fixed or param.required or not _same(value, param.default):
            named[param.name] = _value(entry, param.name, value)
    return positional, named


def leaf(entry: Component, args: Args) -> Brackets:
    """A layer without children."""
    positional, named = arguments(entry, args)
    return call(reference(entry), *positional, **named)


def module(node: Node, functions: Mapping[str, str]) -> Expression:
    """A node and all below it; `functions`: the key of a subtree → the function that makes it."""
    if (function := functions.get(key(node))) is not None:
        return f"{function}()"
    return definition(node, functions)


def definition(node: Node, functions: Mapping[str, str]) -> Brackets:
    """As `module`, but written out at its top."""
    layer = LAYERS[node.type]
    children = [module(child, functions) for child in node.children]
    if not isinstance(layer, Container):
        return leaf(layer, node.args)
    if not layer.bare:
        _, named = arguments(layer, node.args)
        return call(reference(layer), *children, **named)
    labels = [child.label for child in node.children]
    if labels == [str(index) for index in range(len(labels))]:
        items = tuple(("", child) for child in children)
        return Brackets(f"{reference(layer)}(", items, ")", spread=len(items) > 1)
    pairs = zip(labels, children, strict=True)
    names = Brackets("{", tuple((f'"{label}": ', made) for label, made in pairs), "}", spread=True)
    return call(reference(layer), call("OrderedDict", names))


def key(node: Node) -> str:
    """Equal for nodes whose modules are made alike, whatever they are called."""
    children = ", ".join(f"{child.label}: {key(child)}" for child in node.children)
    return f"{node.type}{dict(node.args)}[{children}]"


def _value(entry: Component, name: str, value: Any) -> Expression:
    param = entry.param(name)
    if param is not None and isinstance(param.type, ClassOf):
        return reference(LAYERS[value])
    if isinstance(entry, Layer) and name in entry.nested and value is not None:
        ((kind, args),) = value.items()
        return leaf(entry.nested[name][kind], args)
    return literal(value)


def _same(value: object, default: object) -> bool:
    return type(value) is type(default) and value == default
