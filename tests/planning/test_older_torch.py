"""What an older torch cannot export is said of the layer, before anything is tried."""

from __future__ import annotations

import pytest

from netspec.diagnostics import Diagnostic
from netspec.planning import check_export, make_plan
from netspec.spec.findings import Findings
from netspec.spec.loading import loads

SPEC = """\
netspec: 1
input: [{length}, 5]
model:
  - ReLU
  - {layer}: {{hidden_size: 3}}
export: {{onnx: {{}}}}
"""


def found(layer: str, length: int | str, torch: str | None) -> list[Diagnostic]:
    plan = make_plan(loads(SPEC.format(layer=layer, length=length)))
    findings = Findings(plan.spec.document)
    check_export(plan, findings, torch)
    return findings.errors


@pytest.mark.parametrize("layer", ["GRU", "LSTM"])
def test_a_recurrence_over_a_named_length_needs_a_newer_torch(layer: str) -> None:
    (said,) = found(layer, "T", "2.11.0+cu130")
    assert said.message == f"{layer}: torch 2.11.0+cu130 cannot export it to ONNX over [T, 5]"
    assert said.remedy == "update torch, to 2.13 at least, or declare its input's sizes as numbers"
    assert (said.place.line, said.place.column) == (5, 5)
    for length, torch in ((7, "2.11.0"), ("T", "2.13.0"), ("T", "3.0.1"), ("T", None)):
        assert found(layer, length, torch) == []
