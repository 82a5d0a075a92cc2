"""Weights with the network that they belong to, which their file names."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from netspec import files
from netspec.diagnostics import Code, InputError
from netspec.planning import Plan
from netspec.training.run import WEIGHTS, Run, read_weights


def weights_of(run: Run) -> dict[str, Tensor]:
    """A run's best weights. Raises InputError where there are none, or its spec was edited."""
    found = run.weights()  # first: what is damaged says nothing of its network
    _check(run.directory / WEIGHTS, run.plan)
    return found


def weights_for(plan: Plan, path: Path) -> dict[str, Tensor]:
    """A .safetensors file's tensors. Raises InputError where the file says that they are another
    network's; one that netspec did not write says nothing, and its shapes decide."""
    found = read_weights(path)
    _check(path, plan)
    return found


def _check(path: Path, plan: Plan) -> None:
    model = _model(path)
    if model is not None and model != plan.digest:
        name = plan.spec.document.source.name
        raise InputError.of(
            Code.RUN,
            f"holds the weights of another network than {name}: model digest {model[:12]}…, and "
            f"{plan.digest[:12]}… of the spec",
            file=str(path),
            remedy="give the spec that they were trained with, or train this one",
        )


def _model(path: Path) -> str | None:
    """The model digest that the file carries."""
    files.size(path, code=Code.RUN)
    try:
        with safe_open(path, "pt") as file:
            text = (file.metadata() or {}).get("netspec")
    except (OSError, SafetensorError) as error:
        raise InputError.of(Code.RUN, f"is no .safetensors file: {error}", file=str(path)) from None
    if text is None:
        return None
    try:
        facts: Any = json.loads(text)
        return str(facts["model"])
    except (ValueError, TypeError, KeyError, RecursionError):
        raise InputError.of(
            Code.RUN, "does not say which network its weights are for", file=str(path)
        ) from None
