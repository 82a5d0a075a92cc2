"""Layers that hold lists of layers. `Repeat` and blocks are gone before these are planned."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from netspec.catalogue.component import Component, Param, Refusal
from netspec.catalogue.layers.layer import Call, Layer
from netspec.catalogue.types import INTEGER, NATURAL, TEXT, Choice, JsonSchema
from netspec.shapes import Dim, Tensor, show


class Layers:
    """A list of layer entries; the empty one is the identity."""

    expected = "a list of layers"

    def accepts(self, value: object) -> bool:
        return isinstance(value, list)

    def core(self) -> JsonSchema:
        return {"$ref": "#/$defs/layers"}


class Branches:
    """A list of such lists."""

    expected = "a list of lists of layers"

    def accepts(self, value: object) -> bool:
        return isinstance(value, list) and bool(value) and all(isinstance(v, list) for v in value)

    def core(self) -> JsonSchema:
        return {"$ref": "#/$defs/branches"}


def _alone(call: Call, outputs: list[Tensor]) -> Tensor:
    return outputs[0]


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Container(Layer):
    """A layer around lists of layers; `combine` makes its output of theirs.

    `bare`: the lists' one parameter is written without its name (`Sequential: [...]`), and its
    layers are the module's own children.
    """

    combine: Callable[[Call, list[Tensor]], Tensor] = _alone
    bare: bool = False

    @property
    def options(self) -> tuple[Param, ...]:
        """The parameters that are no lists of layers."""
        return tuple(p for p in self.params if not isinstance(p.type, Layers | Branches))

    def complete(self, args: Any) -> dict[str, Any]:
        return {param.name: args.get(param.name, param.default) for param in self.options}

    def schema(self) -> JsonSchema:
        return self.params[0].schema() if self.bare else super().schema()


def _arithmetic(outputs: list[Tensor]) -> None:
    """Refuse sums and products of token ids: they may be larger than any id is."""
    if len(outputs) > 1 and any(output.dtype == "int64" for output in outputs):
        raise Refusal(
            "it would do arithmetic on token ids, and the result is no token's id",
            "turn them into floats before, with `Embedding`",
        )


def _residual(call: Call, outputs: list[Tensor]) -> Tensor:
    _arithmetic(outputs)
    body, shortcut = outputs
    if body != shortcut:
        raise Refusal(
            f"Residual adds {body} from its body to {shortcut} from its shortcut",
            "make the shapes agree, for example with a 1x1 convolution in `shortcut`",
        )
    return body


def _parallel(call: Call, outputs: list[Tensor]) -> Tensor:
    if len({output.dtype for output in outputs}) > 1:
        raise Refusal(f"the branches end in different dtypes: {_list(outputs)}")
    if call["merge"] != "cat":
        _arithmetic(outputs)
        merged = outputs[0].shape
        for output in outputs[1:]:
            merged = _broadcast(merged, output.shape, outputs)
        return Tensor(merged, outputs[0].dtype)
    first = outputs[0].shape
    if any(len(output.shape) != len(first) for output in outputs):
        raise Refusal(f"the branches end in different ranks: {_list(outputs)}")
    call.input = outputs[0]
    axis = call.axis("dim")
    for output in outputs[1:]:
        for index, (left, right) in enumerate(zip(first, output.shape, strict=True)):
            if index != axis and left != right:
                raise Refusal(
                    f"cat along dim {call['dim']} needs the other dimensions equal, "
                    f"but the branches end in {_list(outputs)}"
                )
    total: Dim = sum(output.shape[axis] for output in outputs)
    return Tensor((*first[:axis], total, *first[axis + 1 :]), outputs[0].dtype)


def _broadcast(
    left: tuple[Dim, ...], right: tuple[Dim, ...], outputs: list[Tensor]
) -> tuple[Dim, ...]:
    # The batch comes first, so torch aligns from the end only where the ranks agree.
    if len(left) != len(right) or any(
        a != b and a != 1 and b != 1 for a, b in zip(left, right, strict=True)
    ):
        raise Refusal(f"the branches do not broadcast: {_list(outputs)}")
    return tuple(b if a == 1 else a for a, b in zip(left, right, strict=True))


def _list(outputs: list[Tensor]) -> str:
    return ", ".join(show(output.shape) for output in outputs)


SEQUENTIAL = Container(
    name="Sequential",
    doc="a nested group",
    params=(Param("layers", Layers()),),
    bare=True,
    dtypes=None,
)

# Not a layer of the plan: expansion splices its copies into the list around it.
REPEAT = Component(
    name="Repeat",
    doc="`body`, `times` times over, spliced into the list around it; `$index` counts from 0",
    params=(
        Param("times", NATURAL),
        Param("index", TEXT, None, "the name of the counter"),
        Param("body", Layers()),
    ),
)

LAYERS = [
    SEQUENTIAL,
    Container(
        name="Residual",
        target="netspec.modules:Residual",
        doc="body(x) + shortcut(x); the shapes must agree",
        output_is="spare",
        params=(Param("body", Layers()), Param("shortcut", Layers(), [], "default: the identity")),
        combine=_residual,
        dtypes=None,
    ),
    Container(
        name="Parallel",
        target="netspec.modules:Parallel",
        doc="every branch gets the same input",
        params=(
            Param("branches", Branches()),
            Param("merge", Choice("cat", "add", "mul"), "cat"),
            Param("dim", INTEGER, 1, "of `cat`; the batch is 0"),
        ),
        combine=_parallel,
        dtypes=None,
    ),
]
