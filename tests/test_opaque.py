"""Layers that torch alone knows: built, counted, and held against what the spec expects."""

from __future__ import annotations

import pytest
from torch import nn

import netspec
from netspec.diagnostics import Severity, SpecError
from netspec.planning import make_plan
from netspec.spec.loading import loads

SPEC = """\
netspec: 1
input: [3, 64, 64]
model:
  - Pretrained: {model: squeezenet1_1, weights: null, until: features.12.cat}
    expect: {output: [512, 3, 3], parameters: 722496}
"""


def refused(text: str) -> str:
    """The one finding, as `LINE: message`."""
    with pytest.raises(SpecError) as caught:
        netspec.build(loads(text))
    (found,) = caught.value.diagnostics
    return f"{found.place.line}: {found.message}"


def test_it_is_built_where_it_is_as_expected() -> None:
    made = netspec.build(loads(SPEC))
    assert sum(each.numel() for each in made.parameters()) == 722_496
    assert made.training
    assert isinstance(made[0], nn.Module)


def test_a_wrong_output_is_found_at_expect() -> None:
    found = refused(SPEC.replace("[512, 3, 3]", "[512, 4, 4]"))
    assert found == "5: the output is [512, 3, 3], not the [512, 4, 4] expected"


def test_a_wrong_count_is_found_at_its_number() -> None:
    found = refused(SPEC.replace("722496", "722497"))
    assert found == "5: there are 722,496 parameters, not the 722,497 expected"


def test_an_unknown_node_is_found_at_the_layer() -> None:
    assert refused(SPEC.replace("features.12.cat", "nowhere")).startswith("4: Pretrained: ")


def test_an_input_that_it_cannot_take_is_found_at_the_layer() -> None:
    found = refused(SPEC.replace("[3, 64, 64]", "[4, 64, 64]"))
    assert found.startswith("4: Pretrained does not run on [4, 64, 64]: ")


@pytest.mark.parametrize(("freeze", "count"), [("true", 1), ("{until: 2}", 0)])
def test_frozen_at_random_is_warned_of(freeze: str, count: int) -> None:
    warned = make_plan(loads(SPEC + f"    freeze: {freeze}\n")).warnings
    assert [each.severity for each in warned] == [Severity.WARNING] * count
    named = SPEC.replace("null", "DEFAULT") + f"    freeze: {freeze}\n"
    assert not make_plan(loads(named)).warnings
