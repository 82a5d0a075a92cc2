"""Blocks, Repeat, `when` and expressions: what is left are plain layers."""

from __future__ import annotations

from textwrap import dedent, indent
from typing import Any

import pytest

from netspec.diagnostics import SpecError
from netspec.planning import Plan, make_plan
from netspec.spec.loading import loads
from netspec.spec.model import Entry
from netspec.spec.writing import resolved, to_yaml


def planned(model: str, head: str = "") -> Plan:
    body = indent(dedent(model).strip("\n"), "  ")
    return make_plan(loads(f"netspec: 1\ninput: [4]\n{dedent(head)}\nmodel:\n{body}\n"))


def layers(made: Plan) -> list[tuple[str, str]]:
    """Name and type of every module that is no Sequential."""
    return [(n.name, n.type) for n in made.root.walk() if n.type != "Sequential"]


def sizes(made: Plan) -> list[Any]:
    return [node.args["out_features"] for node in made.root.walk() if node.type == "Linear"]


def messages(model: str, head: str = "") -> list[str]:
    with pytest.raises(SpecError) as caught:
        planned(model, head)
    return [found.message for found in caught.value.diagnostics]


def test_repeat_splices_its_copies_into_the_list_around_it() -> None:
    made = planned("""
        - ReLU
        - Repeat: {times: 2, body: [Linear: {out_features: 4}, Tanh]}
        - Sigmoid
    """)
    assert layers(made) == [
        ("0", "ReLU"), ("1", "Linear"), ("2", "Tanh"), ("3", "Linear"), ("4", "Tanh"),
        ("5", "Sigmoid"),
    ]  # fmt: skip


def test_an_index_counts_from_zero_and_names_its_copies() -> None:
    made = planned("""
        - Repeat:
            times: 3
            index: i
            body:
              - Linear: {out_features: $(8 * 2 ** i)}
                name: dense$i
    """)
    assert layers(made) == [("dense0", "Linear"), ("dense1", "Linear"), ("dense2", "Linear")]
    assert sizes(made) == [8, 16, 32]


def test_repeats_nest_and_inner_names_shadow_outer_ones() -> None:
    made = planned("""
        - Repeat:
            times: 2
            index: i
            body:
              - Linear: {out_features: $(i + 1)}
              - Repeat:
                  times: 2
                  index: i
                  body: [Linear: {out_features: $(i + 10)}]
              - Linear: {out_features: $(i + 1)}
    """)
    assert sizes(made) == [1, 10, 11, 1, 2, 10, 11, 2]


@pytest.mark.parametrize("times", ["0", "$(3 - 3)"])
def test_no_times_is_the_identity(times: str) -> None:
    made = planned(f"""
        - Repeat: {{times: {times}, body: [Linear: {{out_features: 3}}]}}
        - ReLU
    """)
    assert layers(made) == [("0", "ReLU")]
    assert made.parameters == 0


def test_an_empty_model_is_the_identity() -> None:
    made = make_plan(loads("netspec: 1\ninput: [4]\nmodel: []\n"))
    assert made.output == made.input


def test_a_block_is_one_nested_group_even_of_one_layer() -> None:
    made = planned(
        "- dense\n- dense: {units: 5}\n- Sequential: [ReLU]",
        "blocks: {dense: {params: {units: 3}, body: [Linear: {out_features: $units}]}}",
    )
    assert layers(made) == [("0.0", "Linear"), ("1.0", "Linear"), ("2.0", "ReLU")]
    assert sizes(made) == [3, 5]


BLOCKS = """
    vars: {width: 2}
    blocks:
      inner:
        params: {units: $width, twice: $(units * 2)}
        body: [Linear: {out_features: $twice}]
      outer:
        params: {width: 7}
        body: [inner, inner: {units: $width}]
"""


def test_defaults_see_vars_and_earlier_parameters_but_never_the_caller() -> None:
    made = planned("- outer", BLOCKS)
    assert sizes(made) == [4, 14]
    assert layers(made) == [("0.0.0", "Linear"), ("0.1.0", "Linear")]


def test_a_block_does_not_see_the_index_of_a_repeat_around_its_call() -> None:
    head = "blocks: {b: {body: [Linear: {out_features: $i}]}}"
    model = "- Repeat: {times: 2, index: i, body: [b]}"
    assert messages(model, head) == ["$i is not defined"]


def test_a_mistake_inside_a_block_is_told_once_with_the_call_that_led_there() -> None:
    head = "blocks: {b: {body: [Conv2d: {out_channels: 3, kernel_size: 3}]}}"
    with pytest.raises(SpecError) as caught:
        planned("- b\n- b", head)
    (found,) = caught.value.diagnostics
    assert found.place.line == 3
    assert [(message, place.line) for message, place in found.notes] == [("used here", 5)]


def test_vars_may_use_earlier_vars_only() -> None:
    assert sizes(planned("- Linear: {out_features: $b}", "vars: {a: 3, b: $(a * 2)}")) == [6]
    assert messages("- Linear: {out_features: $a}", "vars: {a: $b, b: 2}") == ["$b is not defined"]


def test_when_drops_an_entry_and_indices_count_what_is_left() -> None:
    made = planned(
        """
        - ReLU:
          when: $(mode == 'a')
        - Tanh:
          when: $(mode == 'b')
        - Sigmoid
        """,
        "vars: {mode: b}",
    )
    assert layers(made) == [("0", "Tanh"), ("1", "Sigmoid")]


def test_a_dropped_entry_s_other_expressions_are_not_evaluated() -> None:
    made = planned("""
        - Linear: {out_features: $(1 // 0)}
          name: $nowhere
          when: false
        - Repeat: {times: $nowhere, body: [ReLU]}
          when: false
    """)
    assert layers(made) == []


def test_names_are_unique_among_siblings_only() -> None:
    made = planned("""
        - Sequential:
            - ReLU:
              name: act
          name: one
        - Sequential:
            - ReLU:
              name: act
          name: two
    """)
    assert layers(made) == [("one.act", "ReLU"), ("two.act", "ReLU")]


def test_children_of_residual_and_parallel_have_their_own_names() -> None:
    made = planned("""
        - Residual: {body: [ReLU, Tanh], shortcut: [Sigmoid]}
        - Parallel: {branches: [[ReLU], []], merge: add}
          name: both
    """)
    assert layers(made) == [
        ("0", "Residual"), ("0.body.0", "ReLU"), ("0.body.1", "Tanh"), ("0.shortcut.0", "Sigmoid"),
        ("both", "Parallel"), ("both.0.0", "ReLU"),
    ]  # fmt: skip


def test_an_expression_keeps_its_type_and_text_takes_it_in() -> None:
    spec = loads("""
        netspec: 1
        vars: {size: [3, 5], bias: false, mode: reflect}
        input: [1, 8, 8]
        model:
          - Conv2d: {out_channels: 1, kernel_size: $size, bias: $bias, padding_mode: $mode}
            name: conv$(1 + 1)
    """)
    (entry,) = spec.layers
    assert isinstance(entry, Entry)
    assert entry.name == "conv2"
    assert entry.args == {
        "out_channels": 1, "kernel_size": [3, 5], "bias": False, "padding_mode": "reflect",
    }  # fmt: skip


def test_expressions_in_expect_and_in_the_other_sections() -> None:
    spec = loads("""
        netspec: 1
        vars: {n: 4, rate: 0.1}
        input: ["$n"]
        model: [Linear: {out_features: $(n * 2)}]
        expect: {output: [$(n * 2)], parameters: $(n * n * 2 + n * 2)}
        train: {epochs: $n, loss: MSELoss, optimizer: {SGD: {lr: $rate}}}
    """)
    made = make_plan(spec)
    assert made.output.shape == (8,)
    assert spec.train is not None
    assert (spec.train.epochs, spec.train.optimizer.args) == (4, {"lr": 0.1})


def test_the_description_is_no_expression() -> None:
    text = "netspec: 1\ndescription: costs $5\ninput: [4]\nmodel: []\n"
    assert loads(text).description == "costs $5"


def test_names_that_nn_sequential_has_are_refused() -> None:
    """The list of them is kept current."""
    from torch import nn

    from netspec.spec import module_names

    taken = [name for name in dir(nn.Sequential()) if not name.startswith("_")]
    assert [name for name in taken if module_names.problem(name) is None] == []
    assert module_names.problem("conv1") is None


def test_an_expect_beside_a_repeat_is_the_output_of_its_last_copy() -> None:
    made = planned("""
        - Repeat: {times: 3, index: i, body: [Linear: {out_features: $(i + 1)}, Tanh]}
          expect: [3]
        - Sequential:
            - Repeat: {times: 0, body: [Linear: {out_features: 1}]}
              expect: {output: [3]}
        - Linear: {out_features: 5}
    """)
    assert [name for name, _ in layers(made)] == ["0", "1", "2", "3", "4", "5", "7"]
    again = make_plan(loads(to_yaml(resolved(made.spec))))
    assert again.digest == made.digest


@pytest.mark.parametrize(("times", "output"), [(2, 6), (1, 5), (0, 4)])
def test_a_wrong_expect_beside_a_repeat_is_found(times: int, output: int) -> None:
    model = f"""
        - Repeat: {{times: {times}, index: i, body: [Linear: {{out_features: $(i + 5)}}]}}
          expect: [7]
    """
    assert messages(model) == [f"the output is [{output}], not the [7] expected"]


def test_an_expect_beside_a_repeat_makes_the_shape_behind_it_known_again() -> None:
    model = """
        - Repeat: {times: 2, body: [Linear: {in_features: 5, out_features: 3}]}
          expect: [3]
        - Linear: {in_features: 9, out_features: 3}
    """
    assert messages(model) == [
        "Linear: in_features is 5, but the input [4] makes it 4",
        "Linear: in_features is 9, but the input [3] makes it 3",
    ]


def test_a_repeat_has_no_parameters_of_its_own_to_count() -> None:
    model = """
        - Repeat: {times: 2, body: [Linear: {out_features: 3}]}
          expect: {output: [3], parameters: 3}
    """
    (found,) = messages(model)
    assert "parameters" in found
