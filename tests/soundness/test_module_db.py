"""What torch tests its own layers with: each case is accepted and computes the same, or is refused
for a stated reason."""

from __future__ import annotations

import inspect
import typing
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from netspec import compiler
from netspec.catalogue.layers import LAYERS
from netspec.diagnostics import SpecError
from netspec.introspection import from_module
from netspec.planning import make_plan
from netspec.spec.loading import loads
from netspec.spec.writing import resolved, to_yaml

# Words of a refusal → why netspec refuses what torch runs.
REFUSED = {
    "shape is [], but must be a list": "a sample has a dimension",
    "cannot evaluate a single sample": "torch trains it, and evaluates batches alone",
    "it would make the layer return two tensors": "a layer gives one",
    "must be true: netspec's sequences": "torch's are batch first or second",
    "[C, L] or [C, H, W], but its input is [5, 7, 7, 7]": "LocalResponseNorm fails on a volume "
    "that a Permute or Select has left behind; a Reshape to [C, D*H, W] makes it a plane",
}


@dataclass(frozen=True)
class Case:
    """One construction of a layer by torch's tests, and what they give it.

    `input`: a batch, or where `alone` a sample without one.
    """

    kind: type[nn.Module]
    arguments: dict[str, Any]
    input: Tensor
    alone: bool
    training: bool
    described: str

    def __str__(self) -> str:
        return f"{self.kind.__name__} {self.described}, training {self.training}"

    @property
    def sample(self) -> list[int]:
        return list(self.input.shape if self.alone else self.input.shape[1:])


def database() -> list[Any]:
    """torch's `module_db`. Its import would forbid all other tests to set torch.backends."""
    flag = "__allow_nonbracketed_mutation_flag"
    before = getattr(torch.backends, flag)
    from torch.testing._internal.common_modules import module_db

    setattr(torch.backends, flag, before)
    return list(module_db)


def cases() -> Iterator[Case]:
    """Those of the layers in the catalogue. Masks, initial states and the like are left out: a
    layer of netspec's takes one tensor."""
    for info in database():
        layer = LAYERS.get(info.module_cls.__name__)
        if layer is None:
            continue
        ranks = {layout.count(",") + 1 for layout in layer.layouts}
        for training in (False, True):
            for each in info.module_inputs_func(
                info, device="cpu", dtype=torch.float32, requires_grad=False, training=training
            ):
                given = each.forward_input
                x = next(iter((*given.args, *given.kwargs.values())))
                yield Case(
                    info.module_cls,
                    bound(info.module_cls, each.constructor_input),
                    x,
                    "no_batch_dim" in each.desc or x.dim() in ranks - {rank + 1 for rank in ranks},
                    training,
                    each.desc,
                )


def bound(kind: type[nn.Module], given: Any) -> dict[str, Any]:
    """The arguments by name, without what places the module or pins what is random in it."""
    # RNN, LSTM and GRU say `*args` otherwise.
    overloads: list[Callable[..., Any]] = list(typing.get_overloads(kind.__init__))
    signature = inspect.signature(overloads[0] if overloads else kind.__init__)
    named = signature.bind(None, *given.args, **given.kwargs).arguments
    named |= named.pop("kwargs", {})
    if "batch_first" in signature.parameters:
        named["batch_first"] = True  # as netspec's sequences are; the cases hold either way
    return {
        name: value
        for name, value in named.items()
        if name not in ("self", "device", "dtype") and not name.startswith("_")
    }


def spoken(value: Any, sample: list[int]) -> Any:
    """An argument as a spec has it; a layer inside a layer is read back from its module."""
    if isinstance(value, nn.Module):
        read = resolved(from_module(nn.Sequential(value), sample))
        return read["model"][0]
    if callable(value):  # torch takes a function where a spec has its name
        return value.__name__
    return list(value) if isinstance(value, tuple) else value


def spec(case: Case) -> str:
    arguments = {name: spoken(value, case.sample) for name, value in case.arguments.items()}
    return to_yaml(
        {
            "netspec": 1,
            "input": {
                "shape": case.sample,
                "dtype": str(case.input.dtype).removeprefix("torch."),
            },
            "model": [{case.kind.__name__: arguments}],
        }
    )


def computed(module: nn.Module, *inputs: Tensor) -> Tensor:
    with torch.random.fork_rng(devices=[]), torch.no_grad():
        torch.manual_seed(1)
        output = module(*inputs)
    found: Tensor = output[0] if isinstance(output, tuple) else output
    return found


def difference(case: Case, text: str) -> str | None:
    """What the layer that is built of `text` has or gives otherwise than torch's; None: nothing."""
    theirs = case.kind(**case.arguments).train(case.training)
    plan = make_plan(loads(text))
    (ours,) = compiler.build(plan).train(case.training)
    if not isinstance(ours, case.kind):
        return f"it is a {type(ours).__name__}"
    state = theirs.state_dict()
    shapes = {name: list(value.shape) for name, value in ours.state_dict().items()}
    if shapes != {name: list(value.shape) for name, value in state.items()}:
        return f"its state is {shapes}"
    if type(ours) is case.kind:
        read = from_module(nn.Sequential(theirs), case.sample, dtype=plan.input.dtype)
        if make_plan(read).digest != plan.digest:
            return f"it is read back as {resolved(read)['model']}"
    ours.load_state_dict(state)
    # Attention takes query, key and value.
    wanted = computed(theirs, *[case.input] * (3 if case.kind is nn.MultiheadAttention else 1))
    found = computed(ours, case.input[None] if case.alone else case.input)
    found = found[0] if case.alone else found
    if found.shape != wanted.shape:
        return f"its output is {list(found.shape)}, not {list(wanted.shape)}"
    return None if torch.allclose(found, wanted, atol=1e-6, equal_nan=True) else "it differs"


@pytest.mark.filterwarnings("ignore")  # torch's tests make what torch warns of
def test_torch_s_own_cases(capsys: pytest.CaptureFixture[str]) -> None:
    wrong: list[str] = []
    counts = Counter[str]()
    for case in cases():
        try:
            text = spec(case)
            found = difference(case, text)
        except SpecError as error:
            said = [each.message for each in error.diagnostics]
            reason = next((why for words, why in REFUSED.items() if words in said[0]), None)
            counts[f"refused: {reason}"] += 1
            if len(said) > 1 or reason is None:
                wrong.append(f"{case} is refused: {said}")
        else:
            counts["equal"] += found is None
            if found is not None:
                wrong.append(f"{case}: {found}")
    with capsys.disabled():
        print(f"\ntorch's module_db: {counts.total()} cases, {dict(counts)}")
    assert not wrong, "\n".join(wrong)
    assert counts.total() >= 1_000
    assert counts["equal"] >= 900
