"""`Plan` → `nn.Sequential`; the one place that turns a catalogue target into a class."""

from __future__ import annotations

import importlib
import inspect
import math
import os
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor, nn

from netspec import files, opaque
from netspec.catalogue.component import Component
from netspec.catalogue.initializers import INITIALIZERS
from netspec.catalogue.layers import LAYERS, Layer
from netspec.catalogue.layers.structure import Container
from netspec.catalogue.types import ClassOf
from netspec.diagnostics import Code, SetupError, SpecError
from netspec.planning import Node, Plan, check_tensor_files
from netspec.planning.plans import BYTES
from netspec.planning.tensor_files import locate
from netspec.spec.findings import Findings
from netspec.spec.model import Named, Spec


def attribute(entry: Component) -> Any:
    """The class or function of a catalogue entry; a spec never names one itself."""
    return resolve(entry.target)


def resolve(target: str) -> Any:
    """What the catalogue names `module:attribute`. Raises SetupError where another package states
    what it does not have."""
    module, _, name = target.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        # What a module imports may be an extra that is not installed.
        if isinstance(error, ModuleNotFoundError) and not module.startswith(str(error.name)):
            raise
        raise SetupError.of(
            Code.ENVIRONMENT,
            f"cannot be loaded: {error}",
            file=target,
            remedy="update or remove the package that brings it",
        ) from error


def build(plan: Plan, *, initialize: bool = True) -> nn.Sequential:
    """The plan's module on the CPU, initialised with `train.seed` and then by the `init` rules.

    The global random state is left as it was. `initialize=False`: for weights that are loaded
    next. Raises SpecError where a tensor file of `init` cannot be used, SetupError where the
    parameters do not fit into this machine's memory.
    """
    _check_memory(plan)
    if initialize:
        _check_tensor_files(plan)
    with torch.random.fork_rng(devices=[]):
        # The CPU's generator alone: torch.manual_seed would reseed every GPU's too.
        torch.default_generator.manual_seed(plan.spec.seed)
        model = _module(plan.root, plan.spec, initialize)
        assert isinstance(model, nn.Sequential)
        if initialize:
            for each in plan.initialization:
                _initialize(model.get_parameter(each.key), each.initializer, plan.spec)
    held = frozen(plan, model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad = name not in held
    if plan.root.opaque:
        opaque.check(plan, model)
    return model


def _check_tensor_files(plan: Plan) -> None:
    findings = Findings(plan.spec.document)
    check_tensor_files(plan, findings)
    if findings.errors:
        raise SpecError(findings.sorted())


def frozen(plan: Plan, model: nn.Module, epoch: float = 0) -> set[str]:
    """The names of the parameters that do not learn in an epoch; `math.inf`: that never do."""
    return {
        f"{each.module}.{name}"
        for each in plan.freezing
        if each.until is None or epoch < each.until
        for name, _ in model.get_submodule(each.module).named_parameters()
        if each.parameters is None or name in each.parameters
    }


def _check_memory(plan: Plan) -> None:
    needed, there = plan.parameters * BYTES["float32"], memory()
    if needed > there:
        raise SetupError.of(
            Code.ENVIRONMENT,
            f"its {plan.parameters:,} parameters take {needed / 2**30:,.0f} GiB, and this machine "
            f"has {there / 2**30:,.0f}",
            file=plan.spec.document.source.name,
        )


def memory() -> float:
    """This machine's memory in bytes; infinite where the system does not say (Windows)."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError):
        return math.inf


def _module(node: Node, spec: Spec, initialize: bool) -> nn.Module:
    children = OrderedDict(
        (child.label, _module(child, spec, initialize)) for child in node.children
    )
    layer = LAYERS[node.type]
    args = arguments(layer, node.args)
    made: nn.Module
    if isinstance(layer, Container):
        made = (
            nn.Sequential(children) if layer.bare else attribute(layer)(*children.values(), **args)
        )
    elif layer.opaque:
        made = opaque.make(attribute(layer), args, node, spec, initialize)
    else:
        _check_recent(layer, args, node, spec)
        made = attribute(layer)(**args)
    return made


def lacking(layer: Layer) -> set[str]:
    """Those of a layer's recent parameters that this torch's class does not have."""
    recent = {param.name for param in layer.params if param.recent}
    return recent - set(inspect.signature(attribute(layer)).parameters) if recent else recent


def _check_recent(layer: Layer, args: Mapping[str, Any], node: Node, spec: Spec) -> None:
    """Raises SpecError where the layer cannot be made with this torch."""
    for param in lacking(layer) & args.keys():
        assert node.entry is not None
        raise spec.document.error(
            Code.ENVIRONMENT,
            f"{layer.name} has no {param} in torch {torch.__version__}",
            (*node.entry.path, layer.name, param),
            "install a newer torch, or leave it out",
            key=True,
        )


def arguments(layer: Layer, args: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments as torch takes them: tuples for lists, classes and modules for their names."""
    return {name: _argument(layer, name, value) for name, value in layer.said(args).items()}


def _argument(layer: Layer, name: str, value: Any) -> Any:
    if isinstance(value, list):
        return tuple(value)
    param = layer.param(name)
    if param is not None and isinstance(param.type, ClassOf):
        return attribute(LAYERS[value])
    if name in layer.nested and value is not None:
        ((kind, args),) = value.items()
        inner = layer.nested[name][kind]
        return attribute(inner)(**arguments(inner, args))
    return value


def _initialize(parameter: Tensor, initializer: Named, spec: Spec) -> None:
    entry = INITIALIZERS[initializer.type]
    with torch.no_grad():
        if entry.target:
            attribute(entry)(parameter, **entry.complete(initializer.args))
        else:
            parameter.copy_(_tensor(initializer, spec))


def keep_tensors(plan: Plan, folder: Path) -> Spec:
    """The plan's spec as one that builds from `folder`: the tensors that `init` takes from files,
    and they alone, are copied to `init/` below it.

    Raises SpecError as `build` does, SetupError where they cannot be written.
    """
    _check_tensor_files(plan)
    found: dict[str, dict[str, Tensor]] = {}
    for _, initializer in plan.initialization:
        if not INITIALIZERS[initializer.type].target:
            args = initializer.args
            found.setdefault(args["path"], {})[args["key"]] = _tensor(initializer, plan.spec)
    copies = {path: f"init/{index}.safetensors" for index, path in enumerate(found)}
    for path, tensors in found.items():
        files.write(folder / copies[path], save(tensors))

    def copied(named: Named) -> Named:
        path = named.args.get("path")
        return (
            replace(named, args={**named.args, "path": copies[path]}) if path in copies else named
        )

    return replace(plan.spec.with_initializers(copied), folder=folder)


def _tensor(initializer: Named, spec: Spec) -> Tensor:
    """A tensor of a .safetensors file, which was there and fitted a moment ago."""
    path = locate(spec.folder, initializer.args["path"])
    try:
        with safe_open(path, framework="pt") as file:
            found: Tensor = file.get_tensor(initializer.args["key"])
            return found
    except (OSError, SafetensorError) as error:
        raise spec.document.error(
            Code.INIT,
            f"'{path.name}' cannot be read: {error}",
            (*initializer.path, "path"),
            "it has to be a .safetensors file",
        ) from None
