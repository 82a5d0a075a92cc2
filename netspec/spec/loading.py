"""A spec file to a `Spec`, with everything that is wrong with it on the way."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from netspec.catalogue import installed, sections
from netspec.catalogue.layers import LAYERS, Layer
from netspec.catalogue.sources import SOURCES, Source
from netspec.diagnostics import Code, SpecError
from netspec.shapes import Expr, Tensor, problem
from netspec.spec import checking, model, siblings
from netspec.spec.binding import Binder
from netspec.spec.document import Document, Route, override
from netspec.spec.expansion import Expansion, TooMany
from netspec.spec.expressions import name_problem
from netspec.spec.findings import Findings
from netspec.spec.model import Spec
from netspec.spec.reading import parse, parse_value, read
from netspec.spec.schema import SIBLINGS


def load(path: str | Path, overrides: Mapping[str, Any] | None = None) -> Spec:
    """The spec of a file. `overrides`: `{"train.epochs": 1}`, as `--set` on the command line.

    Raises SpecError with every finding.
    """
    settings = {key: repr_yaml(value) for key, value in (overrides or {}).items()}
    spec, findings = interpret(document(Path(path), settings), Path(path).parent)
    if spec is None or findings.errors:
        raise SpecError(findings.sorted())
    return spec


def loads(text: str, name: str = "<spec>", folder: Path | None = None) -> Spec:
    """The spec of a text. Raises SpecError with every finding."""
    spec, findings = interpret(parse(text, name), folder or Path())
    if spec is None or findings.errors:
        raise SpecError(findings.sorted())
    return spec


def repr_yaml(value: Any) -> str:
    """A Python value as YAML on one line."""
    import json

    return value if isinstance(value, str) else json.dumps(value)


def document(path: Path, settings: Mapping[str, str]) -> Document:
    """The document of a file, `--set` applied; its values are YAML. Raises SpecError."""
    nodes = [(key, parse_value(text, f"--set {key}")) for key, text in settings.items()]
    return override(read(path), nodes)


def interpret(source: Document, folder: Path) -> tuple[Spec | None, Findings]:
    """The spec, as far as it can be known, and the findings. None where a bound was passed."""
    findings = Findings(source)
    checking.check(findings)
    if _load_installed(findings):
        checking.refresh()
        findings = Findings(source)
        checking.check(findings)
    try:
        return _Reader(findings).spec(folder), findings
    except TooMany:
        return None, findings


def _load_installed(findings: Findings) -> bool:
    """Whether other packages bring what has no such name here."""
    layers = findings.has(Code.UNKNOWN_LAYER) and installed.load("netspec.layers", Layer, LAYERS)
    if not (findings.has(Code.UNKNOWN_NAME) and findings.within(("data", "source"))):
        return layers
    return installed.load("netspec.sources", Source, SOURCES) or layers


def _block_problem(name: str) -> str | None:
    """Why a name cannot be a block's, or None."""
    if name[:1].isupper():
        return f"'{name}': a block's name begins with a small letter, CapWords are torch's"
    if name in SIBLINGS:
        return f"'{name}' stands beside a layer's name and cannot be a block's"
    return None


class _Reader:
    """Reads the sections of one document whose schema findings are made."""

    def __init__(self, findings: Findings) -> None:
        self.findings = findings
        self.data: dict[str, Any] = findings.document.data
        self.vars = self._vars()
        self.binder = Binder(findings, self.vars)

    def spec(self, folder: Path) -> Spec:
        blocks = self._mapping("blocks")
        for name in blocks:
            if wrong := name_problem(name) or _block_problem(name):
                self.findings.add(Code.NAME, wrong, ("blocks", name), key=True)
        exported = self._section(sections.EXPORT, "export") or sections.EXPORT.complete({})
        return Spec(
            name=self._name(),
            description=str(self.data.get("description", "")),
            input=self._input(),
            layers=Expansion(self.findings, blocks, self.vars).layers(
                self.data.get("model"), ("model",), self.binder
            ),
            init=self._init(),
            expect=siblings.expect(self.data["expect"], ("expect",), self.binder)
            if "expect" in self.data
            else None,
            data=self._data(),
            train=self._train(),
            onnx=model.Onnx(**exported["onnx"]),
            exports="export" in self.data,
            document=self.findings.document,
            folder=folder,
        )

    def _mapping(self, key: str) -> dict[str, Any]:
        value = self.data.get(key)
        return value if isinstance(value, dict) else {}

    def _vars(self) -> dict[str, Any]:
        scope: dict[str, Any] = {}
        for name, value in self._mapping("vars").items():
            if wrong := name_problem(name):
                self.findings.add(Code.NAME, wrong, ("vars", name), key=True)
            scope[name] = Binder(self.findings, scope).value(value, ("vars", name))
        return scope

    def _name(self) -> str:
        written = self.data.get("name")
        if written:
            return str(written)
        stem = Path(self.findings.document.source.name).stem
        return re.sub(r"[^A-Za-z0-9_.-]+", "_", stem).strip("_.-") or "spec"

    def _input(self) -> Tensor | None:
        if "input" not in self.data:
            return None
        bound = self.binder.bind(sections.WHAT_COMES_IN, self.data["input"], ("input",))
        path: Route = ("input", "shape") if isinstance(bound, dict) else ("input",)
        args = sections.INPUT.complete(bound if isinstance(bound, dict) else {"shape": bound})
        shape = siblings.dimensions(args.get("shape"), path, self.binder)
        if shape is None or self.findings.within(("input",)):
            return None
        for index, dim in enumerate(shape):
            if isinstance(dim, Expr) and not dim.monotone:
                self.findings.add(
                    Code.VALUE,
                    f"{dim} falls as a name in it grows, and a dimension must grow with its names",
                    (*path, index),
                )
        if wrong := problem(shape):
            self.findings.add(Code.LIMIT, f"the input {wrong}", path)
        if self.findings.within(("input",)):
            return None
        return Tensor(shape, args["dtype"])

    def _init(self) -> tuple[model.InitRule, ...]:
        rules = self.data.get("init")
        found = []
        for index, rule in enumerate(rules if isinstance(rules, list) else []):
            path: Route = ("init", index)
            if not isinstance(rule, dict) or "match" not in rule:
                continue
            match = self.binder.bind(sections.PATTERN, rule["match"], (*path, "match"))
            parameters = siblings.initializers(rule, path, self.binder)
            if not self.findings.within(path):
                patterns: tuple[str, ...] = (match,) if isinstance(match, str) else tuple(match)
                found.append(model.InitRule(patterns, parameters, path))
        return tuple(found)

    def _section(self, component: Any, key: str) -> dict[str, Any] | None:
        """A section's keys with defaults; None where it is absent or findings stand in it."""
        if key not in self.data:
            return None
        args = self.binder.args(component, self.data[key], (key,))
        return None if self.findings.within((key,)) else component.complete(args)

    def _data(self) -> model.Data | None:
        args = self._section(sections.DATA, "data")
        if args is None:
            return None
        return model.Data(split=model.Split(**args.pop("split")), **args)

    def _train(self) -> model.Train | None:
        args = self._section(sections.TRAIN, "train")
        if args is None:
            return None
        if (args["epochs"] is None) == (args["steps"] is None):
            self.findings.add(
                Code.TRAIN, "train needs exactly one of epochs and steps", ("train",), key=True
            )
            return None
        return model.Train(**args.pop("checkpoint"), **args)
