"""What a layer states of itself: parameters, layouts, shape, weights and arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from netspec.catalogue.component import Component, Param, Refusal
from netspec.catalogue.types import Type, spread
from netspec.shapes import AtLeast, Dim, Shape, Tensor, numel, problem, show

Weights = dict[str, tuple[int, ...]]
Activation = Literal["none", "softmax", "sigmoid"]


@dataclass
class Call:
    """One layer applied to one input: what a rule reads, and the conditions it leaves behind."""

    input: Tensor
    args: dict[str, Any]
    conditions: list[AtLeast] = field(default_factory=list)

    @property
    def shape(self) -> Shape:
        return self.input.shape

    def __getitem__(self, param: str) -> Any:
        return self.args[param]

    def spread(self, param: str, rank: int) -> tuple[Any, ...]:
        return spread(self.args[param], rank)

    def require(
        self,
        dim: Dim,
        least: int,
        message: str,
        remedy: str | None = None,
        param: str | None = None,
    ) -> None:
        """Refuse where `dim < least`; where `dim` has names, the plan raises their least values."""
        if isinstance(dim, int):
            if dim < least:
                raise Refusal(message, remedy, param)
        elif dim.monotone:
            self.conditions.append(AtLeast(dim, least))
        else:
            raise Refusal(f"{message}: {dim} may be less than {least}", remedy, param)

    def number(self, dim: Dim, what: str, remedy: str) -> int:
        """`dim`, which has to be a number here."""
        if isinstance(dim, int):
            return dim
        raise Refusal(f"{what} must be a number here, but is {dim}", remedy)

    def axis(self, param: str, *, batch: bool = False) -> int:
        """The parameter's dimension as an index into the sample's shape; torch counts from the
        batch, which is 0, and from the end with negative numbers."""
        return self.index(self.args[param], param, batch=batch)

    def index(self, dim: int, param: str, *, batch: bool = False) -> int:
        rank = len(self.shape) + 1
        if not -rank <= dim < rank:
            raise Refusal(
                f"{param} {dim} is out of range: with the batch, the input has {rank} dimensions",
                param=param,
            )
        if dim % rank == 0 and not batch:
            raise Refusal(
                f"{param} {dim} is the batch, which a layer leaves alone",
                "the sample's own dimensions count from 1",
                param,
            )
        return dim % rank - 1


def _same(call: Call) -> Tensor:
    return call.input


def _none(_: Call) -> Weights:
    return {}


def _zero(_: Call) -> Dim:
    return 0


def _no_activation(_: Call) -> Activation:
    return "none"


def _any(_: Call) -> None:
    """Most layers are exported by every torch that netspec takes."""


def fine(_: Call) -> None:
    """Most layers can be exported, whatever their parameters are."""


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Layer(Component):
    """One layer type.

    layouts: the sample shapes it takes, as text (`"C, H, W"`); empty: any.
    inferred: parameter → what it must be, from the input; such a parameter may be left out.
    settled: parameter that says one thing in several ways → the way that the module keeps, so that
        equal modules have equal plans.
    output: the rule of the output's shape (a shape keeps the input's dtype).
    weights: the learned parameters' names and shapes, as in the module's own `state_dict`.
    macs: multiplications in convolutions, linear layers, attention and recurrences.
    exportable: refuses what torch's exporter or onnxruntime cannot do of it.
    exported_as: the `module:function` that computes it in an exported graph instead of its own
        `forward`, from the module and its input; empty: torch's exporter can do it as it is.
    exported_since: the first torch that can export it so, as `2.13`; None: any.
    withheld: parameters of the torch class that are not offered → the reason.
    output_is: whether a later layer may write over the output in place: `spare`: the backward pass
        does not need it; `as input`: it may be the input itself; `kept`: it is needed; `kept in
        place`: it is where the layer itself works in place.
    values: what its output holds: `any` numbers, those from 0 to 1 (`unit`), their
        logarithms (`log`), or `as input`.
    activation: whether that is a softmax over the sample's first dimension, or a sigmoid.
    opaque: its output and weights are torch's secret; the entry's `expect` stands for the output.
    nested: parameters that are layers themselves, applied to the same input → which may stand.
    vocabulary: the parameter that says how many token ids it knows, from 0.
    kept: parameter → where a module has it, `self_attn.embed_dim` or `weight.shape.0`; the rest are
        attributes of their own names.
    learned: the parameter that names weights learned before; with null it starts at random.
    alike: another class, as a target, that does the same as long as what it lacks is not asked for.
    """

    layouts: tuple[str, ...] = ()
    dtypes: tuple[str, ...] | None = ("float32",)
    inferred: Mapping[str, Callable[[Call], Dim | list[int]]] = field(default_factory=dict)
    settled: Mapping[str, Callable[[Call], Any]] = field(default_factory=dict)
    output: Callable[[Call], Tensor | Shape] = _same
    weights: Callable[[Call], Weights] = _none
    macs: Callable[[Call], Dim] = _zero
    exportable: Callable[[Call], None] = fine
    exported_as: str = ""
    exported_since: Callable[[Call], str | None] = _any
    withheld: Mapping[str, str] = field(default_factory=dict)
    nested: Mapping[str, Mapping[str, Layer]] = field(default_factory=dict)
    output_is: Literal["spare", "as input", "kept", "kept in place"] = "kept"
    values: Literal["any", "unit", "log", "as input"] = "any"
    activation: Callable[[Call], Activation] = _no_activation
    opaque: bool = False
    vocabulary: str | None = None
    kept: Mapping[str, str] = field(default_factory=dict)
    alike: str = ""
    learned: str | None = None

    def __post_init__(self) -> None:
        if not self.target:
            object.__setattr__(self, "target", f"torch.nn:{self.name}")

    @property
    def required(self) -> tuple[str, ...]:
        return tuple(name for name in super().required if name not in self.inferred)

    def check_layout(self, input: Tensor) -> None:
        """Refuse an input of the wrong rank or dtype."""
        ranks = [layout.count(",") + 1 for layout in self.layouts]
        if ranks and len(input.shape) not in ranks:
            wanted = " or ".join(f"[{layout}]" for layout in self.layouts)
            raise Refusal(
                f"{self.name} takes samples of shape {wanted}, but its input is {input}",
                _towards(ranks, len(input.shape)),
            )
        if self.dtypes and input.dtype not in self.dtypes:
            raise Refusal(
                f"{self.name} takes {' or '.join(self.dtypes)}, but its input is {input.dtype}",
                "`Embedding` turns token ids into floats" if input.dtype == "int64" else None,
            )

    def resolve(self, call: Call) -> None:
        """Fill in and check what follows from the input, then the defaults, settle them, and check
        how they go together."""
        for param, rule in self.inferred.items():
            found = rule(call)
            written = call.args.setdefault(param, found)
            if written != found:
                raise Refusal(
                    f"{param} is {written}, but the input {call.input} makes it {found}",
                    f"leave {param} out: it is inferred",
                    param,
                )
        for param, entries in self.nested.items():
            if param in call.args and call.args[param] is not None:
                call.args[param] = _nested(entries, call.args[param], call)
        call.args = self.complete(call.args)
        for param, rule in self.settled.items():
            call.args[param] = rule(call)
        self.check(call.args)

    def shape_of(self, call: Call) -> Tensor:
        """The output; every dimension of it holds at least one element."""
        output = self.output(call)
        if not isinstance(output, Tensor):
            output = replace(call.input, shape=output)
        self.check_size(output)
        if any(not isinstance(dim, int) or dim < 1 for dim in output.shape):
            message = f"{self.name} would turn {call.input} into {show(output.shape)}"
            for dim in output.shape:
                call.require(dim, 1, message)
        return output

    def check_size(self, output: Tensor) -> None:
        """Refuse an output that no tensor is, or whose dimensions can't be written out."""
        if wrong := problem(output.shape):
            raise Refusal(
                f"its output {wrong}",
                "make it smaller, or declare a named dimension as a number or a multiple, 4*H",
            )


def _nested(entries: Mapping[str, Layer], written: Any, call: Call) -> dict[str, Any]:
    """A layer inside another one, resolved: `{Name: {parameter: value}}`."""
    layer, inner = entries[written.type], Call(call.input, dict(written.args), call.conditions)
    layer.check_layout(call.input)
    layer.resolve(inner)
    layer.shape_of(inner)
    return {layer.name: inner.args}


def inferred(name: str, kind: Type, doc: str = "") -> Param:
    """A parameter that follows from the input; written out, it is checked."""
    return Param(name, kind, doc=doc or "inferred from the input; written out, it is checked")


def channels(call: Call) -> int:
    """The first dimension of the sample."""
    _dimensional(call)
    return call.number(
        call.shape[0], "the number of channels", "declare the first dimension as a number"
    )


def features(call: Call) -> int:
    """The last dimension of the sample."""
    _dimensional(call)
    return call.number(
        call.shape[-1],
        "the number of features",
        "fix it first, for example with `AdaptiveAvgPool2d: {output_size: 1}` before `Flatten`",
    )


def _dimensional(call: Call) -> None:
    if not call.shape:
        raise Refusal(
            "each sample is a single number here, with no dimension left",
            "keep one, for example with `keepdim: true`",
        )


def spatial(shape: Shape) -> Shape:
    return shape[1:]


def unexportable(call: Call) -> None:
    """Refuse to export the layer at all."""
    raise Refusal("it cannot be exported to ONNX", "use another layer")


def volume(values: Shape) -> Dim:
    return numel(values)


def _towards(ranks: list[int], found: int) -> str | None:
    if ranks == [1] or (max(ranks) <= 2 and found >= 3):
        return "add `- Flatten` before it"
    if found == 1 and min(ranks) > 1:
        return "the dimensions it needs are gone: is a Flatten before it too early?"
    return None
