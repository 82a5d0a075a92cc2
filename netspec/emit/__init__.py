"""`Plan` → text for people and other programs, without torch: Python, JSON, YAML, Mermaid."""

from __future__ import annotations

from collections.abc import Callable

from netspec.emit.diagram import mermaid
from netspec.emit.python import python
from netspec.emit.record import json
from netspec.planning import Plan
from netspec.spec.writing import resolved, to_yaml

__all__ = ["FORMATS", "json", "mermaid", "python", "yaml"]


def yaml(plan: Plan) -> str:
    """The resolved spec: itself a spec, of the same digest."""
    return to_yaml(resolved(plan.spec))


FORMATS: dict[str, Callable[[Plan], str]] = {
    "python": python,
    "json": json,
    "yaml": yaml,
    "mermaid": mermaid,
}
