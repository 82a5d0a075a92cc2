"""Every layer's rule against torch itself, on random parameters and inputs."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from netspec import shapes
from netspec.catalogue.component import Refusal
from netspec.catalogue.layers.layer import Call, Layer
from netspec.catalogue.types import problem
from netspec.shapes import Tensor, least_values, names
from tests.soundness.cases import APPLIED, Case, Said, by_name, cases, say
from tests.soundness.oracle import Ran, multiply_accumulates, run

# What torch would run and netspec refuses on purpose: words of the refusal → why.
DELIBERATE = {
    "takes samples of shape": "torch reads a missing batch into an input of too low a rank",
    "takes float32": "torch computes some of it on integers, then fails in training",
    "is the batch, which a layer leaves alone": "samples must not mix",
    "would act on the last dimension": "the forgotten Flatten",
    "makes it": "torch ignores or broadcasts what contradicts the input",
    "dropout acts between layers": "torch only warns that it does nothing",
    "lies wholly in the padding": "torch's backward pass writes out of bounds",
    "would turn": "torch goes on with an empty tensor",
    "leaves nothing": "torch goes on with an empty tensor",
}


@pytest.mark.parametrize("layer", APPLIED, ids=by_name)
def test_what_is_accepted_runs_with_the_shapes_it_said(layer: Layer, draws: int) -> None:
    accepted = 0
    for case in cases(layer, draws):
        said = say(case)
        if isinstance(said, Refusal):
            continue
        accepted += 1
        ran = run(case, said.args)
        assert not isinstance(ran, Exception), f"{case} is said to give {said.output}: {ran}"
        assert ran.output == said.output, case
        assert ran.weights == said.weights, case
    assert accepted >= draws // 20, "hardly any case is drawn that the layer accepts"


@pytest.mark.parametrize("layer", APPLIED, ids=by_name)
def test_multiply_accumulates_are_those_that_torch_counts(layer: Layer, draws: int) -> None:
    for case in cases(layer, draws, "counted"):
        said = say(case)
        if not isinstance(said, Refusal):
            assert multiply_accumulates(case, said.args) == said.macs, case


@pytest.mark.parametrize("layer", APPLIED, ids=by_name)
def test_what_is_refused_fails_in_torch_or_is_refused_on_purpose(layer: Layer, draws: int) -> None:
    for case in cases(layer, draws, "refused"):
        said = say(case)
        if not isinstance(said, Refusal) or any(words in said.message for words in DELIBERATE):
            continue
        args = as_written(case)
        if args is not None:
            ran = run(case, args)
            assert not isinstance(ran, Ran), f"{case} runs, but is refused: {said.message}"


def as_written(case: Case) -> dict[str, Any] | None:
    """The parameters to call torch with where the check has none; None where they are unknown."""
    if case.layer.nested:
        return None  # a nested layer is known once it is resolved
    call = Call(case.input, dict(case.args))
    try:
        for param, rule in case.layer.inferred.items():
            call.args.setdefault(param, rule(call))
    except (Refusal, IndexError):  # a rule may count on the layout, which is wrong here
        return None
    return case.layer.complete(call.args)


@pytest.mark.parametrize("layer", APPLIED, ids=by_name)
def test_named_dimensions_hold_from_their_least_values_up(layer: Layer, draws: int) -> None:
    """A rule applied to names says, at every value it admits, what it says of the number."""
    random = Random(f"named {layer.name}")
    for case in cases(layer, draws, "named"):
        named = _named(case, random)
        said = say(named)
        if isinstance(said, Refusal) or not names(named.input.shape):
            continue
        least = least_values(said.conditions, names(named.input.shape))
        for _ in range(4):
            values = {name: low + random.choice([0, 0, 1, 2, 7]) for name, low in least.items()}
            number = Case(case.layer, case.args, _at(named.input, values))
            there = say(number)
            assert isinstance(there, Said), f"{named} at {values}: {there}"
            assert there.output == _at(said.output, values), f"{named} at {values}"
            assert there.macs == shapes.at(said.macs, values), f"{named} at {values}"
            assert there.weights == said.weights, f"{named} at {values}"


def _named(case: Case, random: Random) -> Case:
    names = [shapes.name("H"), shapes.name("W"), shapes.name("H") * 2, shapes.name("T") * 4 + 3]
    shape = tuple(
        random.choice(names) if random.random() < 0.6 else size for size in case.input.shape
    )
    return Case(case.layer, case.args, Tensor(shape, case.input.dtype))


def _at(tensor: Tensor, values: dict[str, int]) -> Tensor:
    return Tensor(tuple(shapes.at(dim, values) for dim in tensor.shape), tensor.dtype)


@pytest.mark.parametrize("layer", APPLIED, ids=by_name)
def test_drawn_parameters_are_ones_the_catalogue_accepts(layer: Layer) -> None:
    for case in cases(layer, 30):
        for name, value in case.args.items():
            param = layer.param(name)
            if name in layer.nested:  # bound already, and drawn parameter by parameter
                continue
            assert param is not None
            assert problem(param.type, value) is None, (case, name)
