"""Netspec: one YAML file to a checked, trained and exported neural network.

The names below are loaded when first used, so that importing `netspec` itself costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from netspec import version

if TYPE_CHECKING:
    from netspec.api import build as build
    from netspec.api import check as check
    from netspec.api import evaluate as evaluate
    from netspec.api import export_onnx as export_onnx
    from netspec.api import inspect_data as inspect_data
    from netspec.api import predict as predict
    from netspec.api import train as train
    from netspec.api import verify as verify
    from netspec.diagnostics import Diagnostic as Diagnostic
    from netspec.diagnostics import NetspecError as NetspecError
    from netspec.diagnostics import SpecError as SpecError
    from netspec.introspection import from_module as from_module
    from netspec.planning import Plan as Plan
    from netspec.planning import make_plan
    from netspec.runtime import Session as Session
    from netspec.spec.loading import load as load
    from netspec.spec.loading import loads as loads
    from netspec.spec.model import Spec as Spec
    from netspec.training.run import Run as Run

    plan = make_plan


__version__ = version.VERSION

_HOMES = {
    "Diagnostic": "netspec.diagnostics",
    "NetspecError": "netspec.diagnostics",
    "Plan": "netspec.planning",
    "Run": "netspec.training.run",
    "Session": "netspec.runtime",
    "Spec": "netspec.spec.model",
    "SpecError": "netspec.diagnostics",
    "build": "netspec.api",
    "check": "netspec.api",
    "evaluate": "netspec.api",
    "export_onnx": "netspec.api",
    "from_module": "netspec.introspection",
    "inspect_data": "netspec.api",
    "load": "netspec.spec.loading",
    "loads": "netspec.spec.loading",
    "plan": "netspec.planning:make_plan",
    "predict": "netspec.api",
    "train": "netspec.api",
    "verify": "netspec.api",
}

__all__ = [*sorted(_HOMES), "__version__"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'netspec' has no attribute '{name}'")
    module, _, attribute = _HOMES[name].partition(":")
    return getattr(importlib.import_module(module), attribute or name)
