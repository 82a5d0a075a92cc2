"""Plans: inferred parameters, named dimensions, counts, recovery from mistakes, digests."""

from __future__ import annotations

from pathlib import Path
from textwrap import dedent, indent

import pytest

from netspec.diagnostics import Code, Diagnostic, SpecError
from netspec.planning import Plan, make_plan
from netspec.shapes import Tensor, parse, show
from netspec.spec.loading import load, loads

ROOT = Path(__file__).parents[2]

CIFAR_QUICK = 145_578
ALEXNET = """
    - Conv2d: {out_channels: 64, kernel_size: 11, stride: 4, padding: 2}
    - ReLU
    - MaxPool2d: {kernel_size: 3, stride: 2}
    - Conv2d: {out_channels: 192, kernel_size: 5, padding: 2}
    - ReLU
    - MaxPool2d: {kernel_size: 3, stride: 2}
    - Conv2d: {out_channels: 384, kernel_size: 3, padding: 1}
    - ReLU
    - Conv2d: {out_channels: 256, kernel_size: 3, padding: 1}
    - ReLU
    - Conv2d: {out_channels: 256, kernel_size: 3, padding: 1}
    - ReLU
    - MaxPool2d: {kernel_size: 3, stride: 2}
    - AdaptiveAvgPool2d: {output_size: 6}
    - Flatten
    - Dropout
    - Linear: {out_features: 4096}
    - ReLU
    - Dropout
    - Linear: {out_features: 4096}
    - ReLU
    - Linear: {out_features: 1000}
"""


def planned(model: str, shape: str = "[3, 32, 32]", more: str = "") -> Plan:
    body = indent(dedent(model).strip("\n"), "  ")
    text = f"netspec: 1\ninput: {shape}\nmodel:\n{body}\n{dedent(more)}"
    return make_plan(loads(text))


def findings(model: str, shape: str = "[3, 32, 32]", more: str = "") -> list[Diagnostic]:
    with pytest.raises(SpecError) as caught:
        planned(model, shape, more)
    return list(caught.value.diagnostics)


def test_what_follows_from_the_input_is_filled_in() -> None:
    made = planned("""
        - Conv2d: {out_channels: 8, kernel_size: 3}
        - BatchNorm2d
        - GroupNorm: {num_groups: 2}
        - Flatten
        - LayerNorm
        - Linear: {out_features: 10}
    """)
    args = [node.args for node in made.root.children]
    assert args[0]["in_channels"] == 3
    assert args[1]["num_features"] == args[2]["num_channels"] == 8
    assert args[4]["normalized_shape"] == [7200]
    assert args[5]["in_features"] == 7200
    assert args[0]["stride"] == 1, "defaults are filled in too"


def test_written_out_it_is_accepted_where_it_agrees() -> None:
    made = planned("- Conv2d: {in_channels: 3, out_channels: 8, kernel_size: 3}")
    assert made.output == Tensor((8, 30, 30))


def test_a_linear_layer_acts_on_the_last_dimension() -> None:
    assert planned("- Linear: {out_features: 5}", "[7, 4]").output.shape == (7, 5)
    made = planned("- Linear: {in_features: 32, out_features: 5}")
    assert made.output.shape == (3, 32, 5)


def test_weights_are_named_as_in_the_state_dict() -> None:
    made = planned(
        """
        - LSTM: {hidden_size: 5, num_layers: 2, bidirectional: true, proj_size: 2}
        """,
        "[7, 4]",
    )
    (lstm,) = made.root.children
    assert lstm.weights["weight_ih_l0"] == (20, 4)
    assert lstm.weights["weight_hr_l1_reverse"] == (2, 5)
    assert lstm.output.shape == (7, 4)
    assert len(lstm.weights) == 20


@pytest.mark.parametrize(
    ("model", "shape", "parameters", "macs"),
    [
        ("- Linear: {out_features: 10}", "[784]", 7850, 7840),
        ("- Conv2d: {out_channels: 6, kernel_size: 5}", "[1, 32, 32]", 156, 117_600),
        (
            "- Conv2d: {out_channels: 4, kernel_size: 3, groups: 2, bias: false}",
            "[4, 5, 5]",
            72,
            648,
        ),
        ("- ConvTranspose2d: {out_channels: 2, kernel_size: 2, stride: 2}", "[3, 4, 4]", 26, 384),
        ("- Linear: {out_features: 3}", "[5, 2]", 9, 30),
        ("- GRU: {hidden_size: 4}", "[10, 3]", 108, 840),
        ("- LSTM: {hidden_size: 4, bias: false}", "[10, 3]", 112, 1120),
        ("- BatchNorm1d", "[4]", 8, 0),
        (ALEXNET, "[3, 224, 224]", 61_100_840, 714_188_480),
    ],
)
def test_counts_of_known_nets(model: str, shape: str, parameters: int, macs: int) -> None:
    made = planned(model, shape)
    assert made.parameters == parameters
    assert made.root.macs == macs


def test_counts_of_cifar_quick() -> None:
    made = make_plan(load(ROOT / "specs" / "cifar_quick.yaml"))
    assert made.parameters == CIFAR_QUICK
    assert made.root.macs == 12_354_176
    assert [node.name for node in made.root.children][:2] == ["conv1", "1"]


def test_counts_sum_over_the_tree() -> None:
    model = "- Residual: {body: [Linear: {out_features: 4}], shortcut: [Linear: {out_features: 4}]}"
    made = planned(model, "[4]")
    (residual,) = made.root.children
    assert (residual.parameters, residual.macs) == (40, 32)
    assert made.root.memory == 16


# Named dimensions.


def test_arithmetic_on_names_is_carried_along() -> None:
    made = planned(
        """
        - Conv2d: {out_channels: 4, kernel_size: 3, stride: 2, padding: 1}
        - MaxPool2d: {kernel_size: 2}
        """,
        "[3, H, W]",
    )
    assert show(made.output.shape) == "[4, (H + 1)//4, (W + 1)//4]"
    assert made.least == {"H": 3, "W": 3}
    assert made.root.macs == parse("108*((H + 1)//2)*((W + 1)//2)")


def test_halving_and_doubling_needs_multiples() -> None:
    model = """
        - Residual:
            body:
              - MaxPool2d: {kernel_size: 2}
              - ConvTranspose2d: {out_channels: 3, kernel_size: 2, stride: 2}
    """
    (found,) = findings(model, "[3, H, W]")
    assert "Residual adds [3, 2*(H//2), 2*(W//2)]" in found.message
    assert planned(model, "[3, 2*H, 2*W]").output.shape == (3, parse("2*H"), parse("2*W"))


def test_least_values_come_from_every_layer() -> None:
    assert planned("- Conv2d: {out_channels: 1, kernel_size: 7}", "[3, H, W]").least["H"] == 7
    assert planned("- Conv2d: {out_channels: 1, kernel_size: 7}", "[3, 4*H, 4*W]").least["H"] == 2
    model = "- Repeat: {times: 3, body: [MaxPool2d: {kernel_size: 2}]}"
    assert planned(model, "[3, H, 8]").least == {"H": 8}


def test_the_input_itself_sets_a_least_value() -> None:
    assert planned("[]", "[3, H-5, W//4]").least == {"H": 6, "W": 4}, "no layer asks for it"


def test_concatenation_adds_names() -> None:
    model = "- Parallel: {branches: [[], []], dim: 2}"
    assert planned(model, "[3, H]").output.shape == (3, parse("2*H"))


def test_expect_takes_names() -> None:
    model = "- MaxPool2d: {kernel_size: 2}\n- ReLU:\n  expect: [3, H//2, W//2]"
    assert show(planned(model, "[3, H, W]").output.shape) == "[3, H//2, W//2]"
    (found,) = findings(model.replace("W//2", "W"), "[3, H, W]")
    assert found.message == "the output is [3, H//2, W//2], not the [3, H//2, W] expected"


def test_a_layer_that_needs_a_number_says_what_would_make_one() -> None:
    (found,) = findings("- Flatten\n- Linear: {out_features: 10}", "[3, H, W]")
    assert "the number of features must be a number here, but is 3*H*W" in found.message
    assert found.remedy is not None and "AdaptiveAvgPool2d" in found.remedy


def test_token_ids() -> None:
    model = """
        - Embedding: {num_embeddings: 100, embedding_dim: 8}
        - GRU: {hidden_size: 4, output: last}
    """
    made = planned(model, "{shape: [T], dtype: int64}")
    assert made.output == Tensor((4,))
    assert made.root.children[0].output == Tensor((parse("T"), 8))


# Recovery.


def test_one_run_tells_several_mistakes_and_expect_goes_on_from_there() -> None:
    found = findings("""
        - Conv2d: {in_channels: 1, out_channels: 4, kernel_size: 3}
          expect: [4, 30, 30]
        - MaxPool2d: {kernel_size: 64}
        - Conv2d: {out_channels: 4, kernel_size: 99}
        - ReLU:
          expect: [9, 2, 2]
        - Linear: {out_features: 3}
    """)
    assert [(each.code, each.place.line) for each in found] == [
        (Code.SHAPE, 4),
        (Code.SHAPE, 6),
        (Code.SHAPE, 10),
    ], "the layer after an unknown shape is passed over"


def test_a_mistake_in_one_branch_leaves_the_other_checked() -> None:
    found = findings("""
        - Parallel:
            branches:
              - [Conv2d: {out_channels: 4, kernel_size: 99}]
              - [MaxPool2d: {kernel_size: 64}]
        - ReLU
    """)
    assert [each.place.line for each in found] == [6, 7]


def test_a_wrong_expect_does_not_hide_what_comes_after() -> None:
    found = findings("- ReLU:\n  expect: [9]\n- MaxPool2d: {kernel_size: 64}")
    assert [each.code for each in found] == [Code.EXPECT, Code.SHAPE]


def test_a_huge_layer_is_planned_without_its_memory() -> None:
    made = planned("- Linear: {out_features: 1000000000}", "[1000000000]")
    assert made.parameters == 10**18 + 10**9


# Digests.

NET = "- Conv2d: {out_channels: 4, kernel_size: 3}\n- ReLU"
DATA = "data: {source: {CIFAR10: {root: data}}, preprocess: [Normalize: {mean: [0.5], std: [0.5]}]}"


def test_the_same_plan_has_the_same_digest() -> None:
    assert planned(NET).digest == planned(NET).digest
    assert len(planned(NET).digest) == 64


@pytest.mark.parametrize(
    "more",
    [
        "description: another",
        "expect: {parameters: 112}",
        "vars: {unused: 3}",
        "train: {epochs: 1, loss: MSELoss, optimizer: SGD}",
        "init: [{match: Conv2d, weight: zeros_}]",
    ],
)
def test_what_does_not_make_another_network(more: str) -> None:
    assert planned(NET, more=more).digest == planned(NET).digest


@pytest.mark.parametrize(
    "model",
    [
        NET.replace("Conv2d: {", "Conv2d: {in_channels: 3, "),
        NET.replace("kernel_size: 3", "kernel_size: 3, stride: 1"),
        "- Repeat: {times: 1, body: [Conv2d: {out_channels: 4, kernel_size: 3}]}\n- ReLU: {}",
    ],
)
def test_another_way_to_write_the_same_network(model: str) -> None:
    assert planned(model).digest == planned(NET).digest


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("kernel_size: 3", "kernel_size: 1"),
        ("kernel_size: 3", "kernel_size: 3, padding_mode: reflect"),
        ("- ReLU", "- ReLU6"),
        ("- ReLU", "- ReLU:\n  name: act"),
        ("- ReLU", "- ReLU\n- Identity"),
    ],
)
def test_what_makes_another_network(old: str, new: str) -> None:
    assert planned(NET.replace(old, new)).digest != planned(NET).digest


def test_the_input_and_the_preprocessing_belong_to_the_network() -> None:
    assert planned(NET, "[3, 16, 16]").digest != planned(NET).digest
    assert planned(NET, more=DATA).digest != planned(NET).digest
    assert planned(NET, more=DATA).digest != planned(NET, more=DATA.replace("0.5", "0.4")).digest
    assert (
        planned(NET, more=DATA).digest
        == planned(NET, more=DATA.replace("root: data", "root: x")).digest
    )


def test_planning_leaves_the_spec_as_it_is() -> None:
    spec = loads(f"netspec: 1\ninput: [3, 8, 8]\nmodel:\n  {NET.splitlines()[0]}\n")
    before = dict(spec.layers[0].args)
    make_plan(spec)
    assert spec.layers[0].args == before
