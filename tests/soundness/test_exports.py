"""What the check lets a spec export, torch exports and onnxruntime runs with the same result."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
import torch

from netspec import compiler
from netspec.catalogue.layers import LAYERS
from netspec.catalogue.layers.layer import Call, Layer, unexportable
from netspec.diagnostics import Code, SpecError
from netspec.export import writing
from netspec.planning import Plan, make_plan
from netspec.spec.loading import loads
from netspec.spec.writing import to_yaml
from tests.soundness.cases import APPLIED, Case, by_name, cases
from tests.soundness.nets import plain

LARGEST = 40  # of the least values of the names


@pytest.mark.parametrize("layer", APPLIED, ids=by_name)
def test_what_may_be_exported_is_exported(layer: Layer, exports: int, tmp_path: Path) -> None:
    refused, made = 0, []
    for found in plans(layer):
        if isinstance(found, Plan):
            made.append(found)
        refused += found is Code.EXPORT
        if len(made) == exports or refused == 50 * exports:
            break
    assert not made if layer.exportable is unexportable else made
    for each in made:
        try:
            writing.write(each, compiler.build(each), tmp_path / "a.onnx")
        except SpecError as error:
            if "output is not finite" in str(error):  # a root of a negative number, in torch too
                continue
            if old(each):
                assert "cannot export it to ONNX over [" in str(error)
                assert error.diagnostics[0].place.line is not None
                continue
            error.add_note(each.spec.document.source.text)
            raise
        assert not old(each)


def old(plan: Plan) -> bool:
    """Whether this torch is older than the one that its layer needs."""
    (node,) = plan.root.children
    since = LAYERS[node.type].exported_since(Call(node.input, dict(node.args)))
    return since is not None and torch.__version__ < since


def plans(layer: Layer) -> Iterator[Plan | Code]:
    """Of random specs that hold the layer alone, the plan or the first finding."""
    random = Random(f"exported {layer.name}")
    for case in cases(layer, 2_000, "exported"):
        try:
            made = make_plan(loads(_spec(case, random)))
        except SpecError as error:
            yield error.diagnostics[0].code
        else:
            if max(made.least.values(), default=0) <= LARGEST:
                yield made


def _spec(case: Case, random: Random) -> str:
    """Half of them have names among their dimensions."""
    share = random.choice([0, 0.6])
    shape = [
        name if random.random() < share else size
        for name, size in zip("HWDT", case.input.shape, strict=False)
    ]
    return to_yaml(
        {
            "netspec": 1,
            "name": "exported",
            "input": {"shape": shape, "dtype": case.input.dtype},
            "model": [{case.layer.name: plain(case.args)} if case.args else case.layer.name],
            "export": {"onnx": {}},
        }
    )
