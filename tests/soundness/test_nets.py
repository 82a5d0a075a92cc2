"""What is accepted of random nets builds, runs forward and backward, and has the shapes it said."""

from __future__ import annotations

import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from netspec import compiler, emit
from netspec.catalogue.layers import FAMILIES
from netspec.data.reading.sources import vocabulary
from netspec.diagnostics import SpecError
from netspec.export import writing
from netspec.introspection import from_module
from netspec.planning import Plan, check_export, make_plan
from netspec.shapes import Shape, at
from netspec.spec.findings import Findings
from netspec.spec.loading import loads
from netspec.spec.writing import resolved, to_yaml
from tests.soundness.nets import nets

LEAST_ACCEPTED = 0.6
UNDRAWN = {"Pretrained"}  # see `nets.LEAVES`


@dataclass(frozen=True)
class Net:
    text: str
    plan: Plan


@dataclass(frozen=True)
class Nets:
    drawn: int
    accepted: list[Net]

    def check(self, law: Callable[[Plan], None]) -> None:
        """`law` for each accepted net; a failure shows its spec."""
        for net in self.accepted:
            try:
                with quiet():
                    law(net.plan)
            except Exception as error:
                error.add_note(net.text)
                raise


@pytest.fixture(scope="module")
def found(request: pytest.FixtureRequest) -> Nets:
    total: int = request.config.getoption("--nets")
    accepted = []
    for data in nets(total):
        text = to_yaml(data)
        try:
            accepted.append(Net(text, make_plan(loads(text))))
        except SpecError:
            continue
        except Exception as error:
            error.add_note(text)
            raise
    return Nets(total, accepted)


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """These nets are too small for more."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@contextmanager
def quiet() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch warns of much that is fine
        yield


def batch(made: Plan, values: Mapping[str, int], size: int) -> torch.Tensor:
    shape = [size, *(at(dim, values) for dim in made.input.shape)]
    if made.input.dtype == "float32":
        return torch.randn(shape)
    return torch.randint(0, vocabulary(made), shape)


def outputs(model: nn.Sequential, made: Plan, x: torch.Tensor) -> dict[str, tuple[Any, ...]]:
    """Every module's output, as shape and dtype, by its dotted name; the root's too."""
    seen: dict[str, tuple[Any, ...]] = {}

    def hook(name: str) -> Callable[..., None]:
        def note(_module: nn.Module, _inputs: Any, output: torch.Tensor) -> None:
            seen[name] = (*output.shape, str(output.dtype).removeprefix("torch."))

        return note

    handles = [
        model.get_submodule(node.name).register_forward_hook(hook(node.name))
        for node in made.root.walk()
    ]
    y = model(x)
    for handle in handles:
        handle.remove()
    if model.training and y.requires_grad:
        y.sum().backward()
    return seen


def sizes(made: Plan) -> list[dict[str, int]]:
    """Values of its names: the least, and others above."""
    least = dict(made.least)
    above = {name: value + 1 + index for index, (name, value) in enumerate(least.items())}
    return [least, above] if least else [least]


def test_most_drawn_nets_are_accepted(found: Nets) -> None:
    print(f"{len(found.accepted)} of {found.drawn} nets are accepted")
    assert len(found.accepted) >= LEAST_ACCEPTED * found.drawn


def test_the_nets_have_layers_of_every_family(found: Nets) -> None:
    drawn = Counter(node.type for net in found.accepted for node in net.plan.root.walk())
    missing = {
        family: [layer.name for layer in module.LAYERS if not drawn[layer.name]]
        for family, module in FAMILIES.items()
    }
    print("never drawn:", ", ".join(name for names in missing.values() for name in names))
    for family, module in FAMILIES.items():
        assert len(missing[family]) <= len(module.LAYERS) / 2 or set(missing[family]) <= UNDRAWN


def test_every_module_has_the_shape_the_plan_says(found: Nets) -> None:
    def law(made: Plan) -> None:
        model = compiler.build(made)
        assert sum(p.numel() for p in model.parameters()) == made.parameters
        for values in sizes(made):
            for training, size in ((True, 2), (False, 2), (False, 1)):
                model.train(training)
                seen = outputs(model, made, batch(made, values, size))
                assert seen == {
                    node.name: (size, *_at(node.output.shape, values), node.output.dtype)
                    for node in made.root.walk()
                }

    found.check(law)


def test_the_module_reads_back_as_the_same_model(found: Nets) -> None:
    def law(made: Plan) -> None:
        shape = [dim if isinstance(dim, int) else str(dim) for dim in made.input.shape]
        read = from_module(compiler.build(made), shape, dtype=made.input.dtype)
        again = make_plan(read)
        assert again.root.canonical() == made.root.canonical()
        assert again.digest == made.digest

    found.check(law)


def test_the_resolved_spec_is_the_same_model(found: Nets) -> None:
    def law(made: Plan) -> None:
        again = make_plan(loads(to_yaml(resolved(made.spec))))
        assert again.root.canonical() == made.root.canonical()
        assert again.digest == made.digest

    found.check(law)


def test_the_emitted_file_makes_the_same_model(found: Nets) -> None:
    def law(made: Plan) -> None:
        scope: dict[str, Any] = {"__name__": "emitted"}
        exec(emit.python(made), scope)
        ours, theirs = compiler.build(made).eval(), scope["build_model"]().eval()
        state = theirs.state_dict()
        assert list(ours.state_dict()) == list(state)
        for key, tensor in ours.state_dict().items():
            assert torch.equal(tensor, state[key]), key
        x = batch(made, made.least, 2)
        assert torch.equal(*map(torch.nan_to_num, (_seeded(ours, x), _seeded(theirs, x))))

    found.check(law)


def test_what_may_be_exported_is_exported(found: Nets, tmp_path: Path) -> None:
    """Of every twentieth net: the exporter takes a second for each."""
    tried = []

    def law(made: Plan) -> None:
        findings = Findings(made.spec.document)
        check_export(made, findings)
        if not findings.sorted():
            try:
                writing.write(made, compiler.build(made), tmp_path / "a.onnx")
            except SpecError as error:
                if "output is not finite" not in str(error):  # as torch's is
                    raise
            tried.append(made)

    Nets(found.drawn, found.accepted[::20]).check(law)
    assert len(tried) > len(found.accepted[::20]) / 2


def _seeded(model: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Its output; fractional pooling is random in evaluation, too."""
    torch.manual_seed(0)
    with torch.no_grad():
        output: torch.Tensor = model(x)
    return output


def _at(shape: Shape, values: Mapping[str, int]) -> list[int]:
    return [at(dim, values) for dim in shape]
