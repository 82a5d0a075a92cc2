"""`Spec` → `Plan`: the static check of shapes, data and training. Imports no torch."""

from __future__ import annotations

from dataclasses import replace

from netspec.diagnostics import SpecError
from netspec.planning.exporting import check_export
from netspec.planning.network import plan_network
from netspec.planning.overwriting import check_overwriting
from netspec.planning.pipeline import plan_pipeline
from netspec.planning.plans import Freezing, Initialization, Node, Plan
from netspec.planning.selection import plan_freezing, plan_initialization
from netspec.planning.tensor_files import check_tensor_files
from netspec.planning.training import plan_training
from netspec.spec.findings import Findings
from netspec.spec.model import Spec

__all__ = [
    "Freezing",
    "Initialization",
    "Node",
    "Plan",
    "check",
    "check_export",
    "check_tensor_files",
    "make_plan",
]


def make_plan(spec: Spec) -> Plan:
    """Every parameter resolved, every shape known. Raises SpecError with every finding."""
    findings = Findings(spec.document)
    made = check(spec, findings)
    if made is None or findings.errors:
        raise SpecError(findings.sorted())
    return replace(made, warnings=tuple(findings.sorted()))


def check(spec: Spec, findings: Findings) -> Plan | None:
    """As `make_plan`, but adds to `findings`; None where the network's shapes cannot be known."""
    network = plan_network(spec, findings)
    pipeline = plan_pipeline(spec, findings) if spec.data and spec.input else None
    if network is None:
        return None
    made = Plan(
        spec=spec,
        root=network.root,
        least=network.least,
        initialization=plan_initialization(spec, network.root, findings),
        freezing=plan_freezing(network.root, findings),
        pipeline=pipeline,
        training=plan_training(spec, network.root, pipeline, findings),
    )
    check_overwriting(network.root, findings)
    if spec.exports:
        check_export(made, findings)
    return made
