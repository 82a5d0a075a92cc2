"""`nn.Sequential` → `Spec`: the way back, through the language itself.

The module is read as the text that one would have written for it; planning that text proves it.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from netspec import compiler, modules
from netspec.catalogue.component import Param, Refusal
from netspec.catalogue.layers import LAYERS, Layer
from netspec.catalogue.layers.elementwise import IDENTITY
from netspec.catalogue.layers.layer import Call
from netspec.catalogue.layers.structure import Branches, Container, Layers
from netspec.catalogue.types import BOOLEAN, Choice, canonical
from netspec.diagnostics import Code, Diagnostic, InputError, Place
from netspec.planning import Plan, make_plan
from netspec.shapes import Tensor as Sample
from netspec.spec import module_names
from netspec.spec.loading import loads
from netspec.spec.model import Spec
from netspec.spec.writing import to_yaml

HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def from_module(
    module: nn.Sequential,
    input: Sequence[int | str],
    *,
    dtype: str = "float32",
    name: str = "model",
) -> Spec:
    """The spec whose network `module` is.

    input: one sample's shape, as in a spec: no batch; a name is a dynamic dimension.
    dtype: the input's, `float32` or `int64`.

    Building the plan of that spec gives the same modules under the same names, with new weights:
    those of `module` are no part of a spec, and go beside it, as does how it was initialised.

        spec = netspec.from_module(module, [3, 32, 32], name="mine")
        netspec.export_onnx(spec, "mine.onnx", weights=module.state_dict())
        Path("mine.yaml").write_text(to_yaml(resolved(spec)))    # of netspec.spec.writing

    Raises InputError with everything in `module` that a spec cannot say, SpecError where its
    layers do not fit `input` or one another.
    """
    reader = _Reader()
    layers = reader.root(module)
    if reader.found:
        raise InputError(reader.found)
    shape = {"shape": list(input), "dtype": dtype}
    data = {"netspec": 1, "name": name, "input": shape, "model": layers}
    made = make_plan(loads(to_yaml(data), "<module>"))
    _compare_states(module, made)
    for node in made.root.walk():
        if node.entry is not None:
            _leave_out(LAYERS[node.type], _at(data, node.entry.path)[node.type], node.input)
    return loads(to_yaml(data), "<module>")


class _Reader:
    """Modules → layer entries; what cannot be said goes to `found`, under the module's path."""

    def __init__(self) -> None:
        self.found: list[Diagnostic] = []

    def root(self, module: nn.Module) -> list[Any]:
        layers: list[Any] = self.body(module, "module")
        if not self.found:
            self._check_ties(module)
        return layers

    def body(self, module: nn.Module, path: str) -> list[Any]:
        """The layers of what has to be an `nn.Sequential`."""
        if type(module) is not nn.Sequential:
            self._refuse(
                path,
                f"is {_class(type(module))}, and must be a torch.nn.Sequential",
                "put it into one: nn.Sequential(…)",
            )
            return []
        if _is_hooked([module]):
            self._refuse(path, *_HOOKED)
        children = enumerate(module._modules.items())
        return [self._entry(child, label, at, path) for at, (label, child) in children]

    def _entry(self, module: Any, label: str, index: int, parent: str) -> Any:
        path = f"{parent}.{label}"
        layer = _classes().get(type(module))
        if layer is None:
            self._refuse(path, *_unknown(module))
            return IDENTITY.name
        entry: dict[str, Any] = {}
        if isinstance(layer, Container):
            entry[layer.name] = self._bodies(layer, module, path)
        else:
            entry[layer.name] = self._arguments(layer, layer.params, module, path)
            for switch, reason in layer.withheld.items():
                if _switched_on(module, switch):
                    self._refuse(path, f"has {switch}=True: {reason}", "switch it off")
            if frozen := [key for key, p in module.named_parameters() if not p.requires_grad]:
                entry["freeze"] = frozen
        if _is_hooked([module] if isinstance(layer, Container) else module.modules()):
            self._refuse(path, *_HOOKED)
        if label != str(index):
            entry["name"] = label
            if wrong := module_names.problem(label):
                self._refuse(path, f"cannot keep its name: {wrong}", "rename it in its Sequential")
        return entry

    def _bodies(self, layer: Container, module: Any, path: str) -> Any:
        if layer.bare:
            return self.body(module, path)
        found = self._arguments(layer, layer.options, module, path)
        for param in layer.params:
            if isinstance(param.type, Layers):
                child = getattr(module, param.name)
                found[param.name] = self.body(child, f"{path}.{param.name}")
            elif isinstance(param.type, Branches):
                found[param.name] = [
                    self.body(child, f"{path}.{label}") for label, child in module._modules.items()
                ]
        return found

    def _arguments(
        self, layer: Layer, params: Iterable[Param], module: Any, path: str
    ) -> dict[str, Any]:
        """The parameters that differ from their defaults."""
        found: dict[str, Any] = {}
        for param in params:
            value = _kept(layer, param, module)
            if param.name in layer.nested and value is not None:
                value = self._nested(layer.nested[param.name], value, f"{path}.{param.name}")
            else:
                try:
                    value = _plain(value)
                except TypeError:
                    self._refuse(path, f"has {param.name}={value!r}", "a spec says plain values")
            if param.type.accepts(value):
                value = canonical(param.type, value)
            if param.required or value != param.default:
                found[param.name] = value
        return found

    def _nested(self, entries: Mapping[str, Layer], found: nn.Module, path: str) -> Any:
        """The layer that `found` is, or all of its copies, as `{Name: {parameter: value}}`."""
        copies = list(found) if isinstance(found, nn.ModuleList) else [found]
        classes = {compiler.attribute(layer): layer for layer in entries.values()}
        said: list[Any] = []
        for each in copies:
            layer = classes.get(type(each))
            if layer is None:
                self._refuse(path, f"is {_class(type(each))}", f"one of {', '.join(entries)} fits")
                return None
            said.append({layer.name: self._arguments(layer, layer.params, each, path)})
        if any(each != said[0] for each in said):
            self._refuse(path, "differs from copy to copy", "a spec says one layer for all")
        return said[0] if said else None

    def _check_ties(self, module: nn.Module) -> None:
        """Refuse a parameter or buffer that has two places. Modules without any may be shared."""
        first: dict[int, str] = {}
        for named in (module.named_parameters, module.named_buffers):
            for key, tensor in named(remove_duplicate=False):
                if first.setdefault(id(tensor), key) != key:
                    self._refuse(
                        f"module.{key}",
                        f"is module.{first[id(tensor)]} again, and a spec cannot tie parameters",
                        "give each layer its own",
                    )

    def _refuse(self, path: str, message: str, remedy: str) -> None:
        self.found.append(Diagnostic(Code.MODEL, f"{path} {message}", Place(path), remedy))


_HOOKED = ("has hooks, which a spec cannot say", "remove them: `remove()` of their handles")


@cache
def _classes() -> dict[type[nn.Module], Layer]:
    """Every class that a catalogue entry makes, or is like → that entry."""
    alike = {compiler.resolve(layer.alike): layer for layer in LAYERS.values() if layer.alike}
    return {compiler.attribute(layer): layer for layer in LAYERS.values()} | alike


def _unknown(module: Any) -> tuple[str, str]:
    """Why a module of no entry's class is refused, and what to do about it."""
    kind = type(module)
    if parametrize.is_parametrized(module):
        return "is parametrised, which a spec cannot say", "parametrize.remove_parametrizations"
    if hasattr(modules, kind.__name__) and kind.__module__.startswith("torch.nn."):
        return (
            f"is {_class(kind)}, which does not take and give one tensor",
            f"netspec.modules.{kind.__name__} does, with the same arguments and state_dict",
        )
    if isinstance(module, nn.modules.lazy.LazyModuleMixin):
        return f"is {_class(kind)}, of no shape yet", "run one batch through it first"
    above = next((LAYERS[c.__name__] for c in kind.__mro__[1:] if c.__name__ in LAYERS), None)
    if above is not None:
        return (
            f"is {_class(kind)}, a subclass of {above.name} that may compute anything",
            f"use {above.name} itself, if it computes the same",
        )
    return (
        f"is {_class(kind)}, which the catalogue does not have",
        "build it of layers of the catalogue, nn.Sequential, and netspec.modules' Residual and "
        "Parallel",
    )


def _class(kind: type) -> str:
    home = kind.__module__.partition(".modules.")[0]
    return f"a {kind.__name__}" if home == "__main__" else f"a {home}.{kind.__qualname__}"


def _switched_on(module: nn.Module, switch: str) -> bool:
    """Whether what torch has off by default is on."""
    default = inspect.signature(type(module)).parameters.get(switch)
    return default is not None and default.default is False and getattr(module, switch, False)


def _is_hooked(inside: Iterable[nn.Module]) -> bool:
    return any(getattr(module, hooks) for module in inside for hooks in HOOKS)


def _kept(layer: Layer, param: Param, module: Any) -> Any:
    """What `module` has for a parameter; the default where its class is alike and lacks it."""
    value: Any = module
    for step in layer.kept.get(param.name, param.name).split("."):
        if step.isdecimal():
            value = value[int(step)]
        elif hasattr(value, step) or type(module) is compiler.attribute(layer):
            value = getattr(value, step)
        else:
            return param.default
    if param.type is BOOLEAN and (value is None or isinstance(value, Tensor)):
        return value is not None  # a `bias` is kept as the bias itself
    if isinstance(param.type, Choice) and callable(value):
        # `relu` is kept as the function, `ReLU` as the module.
        return getattr(value, "__name__", type(value).__name__)
    return value


def _plain(value: Any) -> Any:
    """`value` as YAML has it. Raises TypeError."""
    match value:
        case None | bool():
            return value
        case int():
            return int(value)
        case float():
            return float(value)
        case str():
            return str(value)
        case list() | tuple():
            return [_plain(each) for each in value]
    raise TypeError


def _compare_states(module: nn.Module, made: Plan) -> None:
    """The proof: the spec's network has the same state, under the same names. Raises InputError."""
    with torch.device("meta"):
        twin = compiler.build(made, initialize=False)
    there, said = (
        {key: list(value.shape) for key, value in each.state_dict().items()}
        for each in (module, twin)
    )
    wrong = [
        f"module.{key} is {there.get(key, 'missing')}, but in the spec it is "
        f"{said.get(key, 'missing')}"
        for key in {**there, **said}
        if there.get(key) != said.get(key)
    ]
    if wrong:
        remedy = "a layer holds what its class, with these parameters, does not"
        raise InputError(Diagnostic(Code.MODEL, each, Place("module"), remedy) for each in wrong)


def _at(data: Any, path: Iterable[Any]) -> Any:
    for step in path:
        data = data[step]
    return data


def _leave_out(layer: Layer, args: Any, input: Sample) -> None:
    """Take out of `args` what would follow from `input` and the rest all the same."""
    for param, entries in layer.nested.items():
        for name, inner in (args.get(param) or {}).items():
            _leave_out(entries[name], inner, input)
    for param, rule in layer.inferred.items():
        rest = {key: value for key, value in args.items() if key != param}
        try:
            follows = rule(Call(input, rest)) == args[param]
        except Refusal:
            follows = False
        if follows:
            del args[param]
    for param in layer.settled:
        rest = {key: value for key, value in args.items() if key != param}
        if param in args and _resolved(layer, rest, input) == _resolved(layer, args, input):
            del args[param]


def _resolved(layer: Layer, args: Any, input: Sample) -> dict[str, Any]:
    call = Call(input, dict(args))
    layer.resolve(call)
    return call.args
