"""A plan becomes the `nn.Sequential` that one would write by hand, weights and all."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent, indent

import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

import netspec
from netspec import compiler
from netspec.catalogue.component import Param
from netspec.catalogue.layers import LAYERS, Layer
from netspec.catalogue.types import BOOLEAN, POSITIVE
from netspec.diagnostics import SetupError, SpecError
from netspec.planning import make_plan
from netspec.spec import checking
from netspec.spec.loading import load, loads
from netspec.spec.writing import digest, resolved, to_yaml

SPECS = Path(__file__).parents[1] / "specs"

SMALL = """\
netspec: 1
input: [3, 8, 8]
model:
  - Conv2d: {out_channels: 4, kernel_size: 3}
    name: first
  - BatchNorm2d
  - Sequential:
      - Conv2d: {out_channels: 4, kernel_size: 3}
    name: inner
  - Flatten
  - Linear: {out_features: 5}
"""
TRAIN = "train: {epochs: 1, seed: 7, loss: CrossEntropyLoss, optimizer: SGD}\n"


def small() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 4, 3),
        nn.BatchNorm2d(4),
        nn.Sequential(nn.Conv2d(4, 4, 3)),
        nn.Flatten(),
        nn.Linear(64, 5),
    )


def build(text: str, folder: Path | None = None) -> nn.Sequential:
    return netspec.build(loads(dedent(text), folder=folder))


def finding(text: str, folder: Path | None = None) -> str:
    """The one finding about a text, as `LINE: message`."""
    with pytest.raises(SpecError) as caught:
        build(text, folder)
    (found,) = caught.value.diagnostics
    return f"{found.place.line}: {found.message}"


def state(module: nn.Module) -> list[Tensor]:
    return list(module.state_dict().values())


def equal(a: nn.Module, b: nn.Module) -> bool:
    return all(torch.equal(x, y) for x, y in zip(state(a), state(b), strict=True))


# The module tree and its seed


def test_cifar_quick_is_the_sequential_written_by_hand() -> None:
    by_hand = nn.Sequential(
        nn.Conv2d(3, 32, 5, padding=2),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 32, 5, padding=2),
        nn.MaxPool2d(2),
        nn.Conv2d(32, 64, 5, padding=2),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(1024, 64),
        nn.Linear(64, 10),
    )
    made = netspec.build(load(SPECS / "cifar_quick.yaml"))

    by_hand.load_state_dict(
        {name.replace("conv1", "0"): each for name, each in made.state_dict().items()}
    )

    images = torch.randn(4, 3, 32, 32, generator=torch.Generator().manual_seed(1))
    assert torch.equal(made(images), by_hand(images))
    assert sum(each.numel() for each in made.parameters()) == 145_578


def test_initial_weights_are_those_of_the_same_seed() -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        by_hand = small()
    assert equal(build(SMALL + TRAIN), by_hand)
    assert not equal(build(SMALL + TRAIN.replace("7", "8")), by_hand)


def test_keys_are_names_where_given_and_indices_elsewhere() -> None:
    names = [name for name, _ in build(SMALL).named_parameters()]
    layers = ["first", "1", "inner.0", "4"]
    assert names == [f"{layer}.{each}" for layer in layers for each in ("weight", "bias")]


def test_building_leaves_the_random_state_alone() -> None:
    text = SMALL + TRAIN + "init: [{match: Conv2d, weight: xavier_normal_}]\n"
    before = torch.get_rng_state()
    build(text)
    assert torch.equal(torch.get_rng_state(), before)


def test_lists_become_the_tuples_that_torch_takes() -> None:
    made = build("""\
        netspec: 1
        input: [3, 9, 9]
        model:
          - Conv2d: {out_channels: 4, kernel_size: [3, 1], stride: [2, 1], padding: [1, 0]}
          - AvgPool2d: {kernel_size: [2, 1]}
        """)
    assert isinstance(made[0], nn.Conv2d)
    assert (made[0].kernel_size, made[0].stride, made[0].padding) == ((3, 1), (2, 1), (1, 0))
    assert made[1].kernel_size == (2, 1)


def test_containers_nest_as_the_language_says() -> None:
    made = build("""\
        netspec: 1
        input: [4, 6, 6]
        blocks: {twice: {body: [ReLU, ReLU]}}
        model:
          - Residual:
              body: [{Conv2d: {out_channels: 4, kernel_size: 3, padding: 1}}]
          - Parallel:
              branches: [[ReLU], [], [{Conv2d: {out_channels: 2, kernel_size: 1}}]]
          - Repeat: {times: 2, body: [Tanh]}
          - twice
        """)
    names = {name: type(module).__name__ for name, module in made.named_modules() if name}
    assert names == {
        "0": "Residual",
        "0.body": "Sequential",
        "0.body.0": "Conv2d",
        "0.shortcut": "Sequential",
        "1": "Parallel",
        "1.0": "Sequential",
        "1.0.0": "ReLU",
        "1.1": "Sequential",
        "1.2": "Sequential",
        "1.2.0": "Conv2d",
        "2": "Tanh",
        "3": "Tanh",
        "4": "Sequential",
        "4.0": "ReLU",
        "4.1": "ReLU",
    }
    assert made(torch.zeros(2, 4, 6, 6)).shape == (2, 10, 6, 6)


def test_more_parameters_than_memory_are_refused_before_they_are_made() -> None:
    text = """\
        netspec: 1
        input: [1000000]
        model: [{Linear: {out_features: 1000000}}]
        """
    with pytest.raises(SetupError, match=r"1,000,001,000,000 parameters take 3,725 GiB"):
        build(text)


class Older(nn.Identity):
    """A layer's class in a torch that has one parameter less."""

    def __init__(self, size: int) -> None:
        super().__init__()


def test_a_parameter_that_this_torch_lacks_is_passed_on_only_where_it_says_something(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    params = (Param("size", POSITIVE), Param("bias", BOOLEAN, True, recent=True))
    layer = Layer(name="Older", target=f"{__name__}:Older", params=params)
    monkeypatch.setitem(LAYERS, "Older", layer)
    checking.refresh()
    text = "netspec: 1\ninput: [3]\nmodel:\n  - Older: {size: 1}\n"
    try:
        assert isinstance(build(text)[0], Older)
        assert isinstance(build(text.replace("1}", "1, bias: true}"))[0], Older)
        found = finding(text.replace("1}", "1, bias: false}"))
    finally:
        monkeypatch.undo()
        checking.refresh()
    assert found == f"4: Older has no bias in torch {torch.__version__}"


@pytest.mark.parametrize(
    "layer",
    ["BatchNorm2d: {affine: true", "InstanceNorm2d: {affine: true", "GroupNorm: {num_groups: 3"],
)
def test_a_norm_has_no_bias_where_it_says_so(layer: str) -> None:
    text = f"netspec: 1\ninput: [3, 2, 2]\nmodel: [{layer}, bias: false}}]\n"
    assert make_plan(loads(text)).parameters == 3
    if not compiler.lacking(LAYERS[layer.partition(":")[0]]):
        assert "0.weight" in build(text).state_dict()
        assert "0.bias" not in build(text).state_dict()


def test_a_bias_that_is_not_written_leaves_the_digest_as_it_was_before_there_was_one() -> None:
    made = make_plan(loads("netspec: 1\ninput: [3, 2, 2]\nmodel: [BatchNorm2d]\n"))
    assert made.digest == "6131259cb578e123716def24cf9c89cb693088c07349828f74110b9aa3731235"


# init


def test_rules_match_classes_keys_and_wildcards_and_later_ones_win() -> None:
    made = build(
        SMALL
        + """\
init:
  - {match: [Conv2d, Linear], weight: {constant_: {val: 1}}}
  - {match: inner, weight: {constant_: {val: 2}}}
  - {match: "*.bias", bias: {constant_: {val: 3}}}
  - {match: first.bias, bias: {constant_: {val: 4}}}
"""
    )
    found = {name: each.unique().tolist() for name, each in made.named_parameters()}
    assert found == {
        "first.weight": [1],
        "first.bias": [4],
        "1.weight": [1],  # BatchNorm2d's own
        "1.bias": [3],
        "inner.0.weight": [2],
        "inner.0.bias": [3],
        "4.weight": [1],
        "4.bias": [3],
    }


def test_a_layers_own_init_wins_over_rules() -> None:
    made = build("""\
        netspec: 1
        input: [3]
        model:
          - Linear: {out_features: 2}
            init: {weight: zeros_, bias: {constant_: {val: 5}}}
          - Linear: {out_features: 2}
        init: [{match: Linear, weight: ones_}]
        """)
    assert [each.unique().tolist() for each in state(made)[:3]] == [[0], [5], [1]]


def test_initializers_draw_what_torch_draws() -> None:
    made = build(SMALL + TRAIN + "init: [{match: Conv2d, weight: {normal_: {std: 0.01}}}]\n")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(7)
        by_hand = small()
        for module in by_hand.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.normal_(module.weight, std=0.01)
    assert equal(made, by_hand)


# init: tensor

TENSOR = """\
netspec: 1
input: [3]
model:
  - Linear: {out_features: 2}
    init:
      weight:
        tensor:
          path: w.safetensors
          key: there
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inside = tmp_path / "spec"
    inside.mkdir()
    weights = {"there": torch.arange(6.0).reshape(2, 3), "wide": torch.zeros(3, 2)}
    for place in (tmp_path, inside):
        save_file(weights, place / "w.safetensors")
    return inside


def test_a_tensor_file_fills_a_parameter(folder: Path) -> None:
    assert state(build(TENSOR, folder))[0].tolist() == [[0, 1, 2], [3, 4, 5]]


def test_what_is_wrong_with_a_tensor_file_is_found_where_it_fills_a_parameter(folder: Path) -> None:
    text = TENSOR.replace("there", "their")
    assert finding(text, folder) == "9: tensor: 'their' is not in w.safetensors"
    made = compiler.build(make_plan(loads(text, folder=folder)), initialize=False)
    assert state(made)[0].shape == (2, 3)


def test_a_spec_that_keeps_its_tensors_builds_from_another_folder(
    folder: Path, tmp_path: Path
) -> None:
    inner = TENSOR.partition("model:\n")[2]
    model = TENSOR.replace("[3]", "[3, 3]") + "  - Permute: {dims: [0, 2, 1]}\n"
    model += "  - Sequential:\n" + indent(inner, " " * 4)
    rule = "init: [{match: '2.*.bias', bias: {tensor: {path: sub/b.safetensors, key: there}}}]\n"
    (folder / "sub").mkdir()
    save_file({"there": torch.ones(2)}, folder / "sub" / "b.safetensors")
    made = make_plan(loads(model + rule, folder=folder))
    run = tmp_path / "run"

    kept = compiler.keep_tensors(made, run)
    (run / "spec.yaml").write_text(to_yaml(resolved(kept)))
    again = load(run / "spec.yaml")

    assert equal(netspec.build(again), compiler.build(made))
    assert digest(again) == digest(made.spec)
    files = sorted(run.rglob("*.safetensors"))
    assert [sorted(load_file(file)) for file in files] == [["there"], ["there"]]


def test_a_tensor_file_that_only_looks_like_one_is_found_when_it_is_read(folder: Path) -> None:
    file = folder / "w.safetensors"
    header = b'{"there":{"dtype":"F99","shape":[2,3],"data_offsets":[0,24]}}'
    file.write_bytes(len(header).to_bytes(8, "little") + header + bytes(24))
    assert finding(TENSOR, folder).startswith("8: 'w.safetensors' cannot be read: ")


# freeze

FROZEN = """\
netspec: 1
input: [3]
model:
  - Sequential:
      - Linear: {out_features: 3}
      - Linear: {out_features: 3}
        freeze: true
    freeze: {until: 2}
  - Linear: {out_features: 3}
    freeze: [bias]
"""


def test_freeze_takes_gradients_away() -> None:
    learned = [name for name, each in build(FROZEN).named_parameters() if each.requires_grad]
    assert learned == ["1.weight"]


def test_what_is_frozen_for_good_stays_frozen_where_its_parent_is_released() -> None:
    made = make_plan(loads(FROZEN))
    model = compiler.build(made)
    for_good = {"0.1.weight", "0.1.bias", "1.bias"}
    assert compiler.frozen(made, model, 1) == for_good | {"0.0.weight", "0.0.bias"}
    assert compiler.frozen(made, model, 2) == for_good
    assert compiler.frozen(made, model, float("inf")) == for_good


def test_what_the_help_for_an_unknown_shape_says_leads_to_it() -> None:
    text = """\
netspec: 1
input: [3, 64, 64]
model:
  - Pretrained: {model: squeezenet1_1, weights: null, until: features.3}
"""
    with pytest.raises(SpecError) as caught:
        build(text)
    (found,) = caught.value.diagnostics
    assert "`expect: […]`" in str(found.remedy)
    assert "`netspec build` says" in str(found.remedy)
    told = finding(f"{text}    expect: [1]\n")
    assert told == "5: the output is [128, 15, 15], not the [1] expected"
    assert len(build(f"{text}    expect: [128, 15, 15]\n")) == 1
