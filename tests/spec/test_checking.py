"""What the schema says against a document, in a user's words and at its place."""

from __future__ import annotations

from textwrap import dedent

import pytest

from netspec.catalogue import sections
from netspec.diagnostics import Code
from netspec.spec import checking
from netspec.spec.findings import Findings
from netspec.spec.reading import parse

HEAD = "netspec: 1\ninput: [3, 8, 8]\n"


def findings(text: str, head: str = HEAD) -> list[tuple[str, int | None, str, str | None]]:
    """Code, column, message and remedy of each finding."""
    found = Findings(parse(head + dedent(text), "a.yaml"))
    checking.check(found)
    return [(each.code, each.place.column, each.message, each.remedy) for each in found.sorted()]


def test_a_spec_that_fits_has_no_finding() -> None:
    assert (
        findings("model: [ReLU, Conv2d: {out_channels: $n, kernel_size: [3, $k]}, own: {a: 1}]")
        == []
    )


@pytest.mark.parametrize(
    ("text", "code", "column", "message", "remedy"),
    [
        # Keys and names that are not known stand for themselves, and the nearest one is offered.
        ("model: []\nmodle: 3", "unknown-key", 1, "the spec has no key 'modle'", "'model'"),
        ("model: [Relu]", "unknown-layer", 9, "there is no layer 'Relu'", "'ReLU'"),
        ("model: [Relu: {}]", "unknown-layer", 9, "there is no layer 'Relu'", "'ReLU'"),
        (
            "model: [ReLU: {in_place: true}]", "unknown-parameter", 16,
            "ReLU has no parameter 'in_place'", "'inplace'",
        ),
        (
            "model: []\nexport: {onnx: {opsett: 18}}", "unknown-key", 17,
            "onnx has no key 'opsett'", "'opset'",
        ),
        # What is missing is said at the key of what lacks it.
        ("model: [Linear]", "missing-parameter", 9, "Linear needs out_features", "`Linear: {"),
        (
            "model: [Conv2d: {out_channels: 1}]", "missing-parameter", 9,
            "Conv2d needs kernel_size", "kernel_size: …",
        ),
        ("model: []\nblocks: {b: {params: {}}}", "missing-key", 10, "block needs body", None),
        # A value is shown as it is written, with what it has to be.
        (
            "model: [Linear: {out_features: 0}]", "value", 32,
            "out_features is 0, but must be an integer of at least 1", None,
        ),
        (
            "model: [ReLU: {inplace: yes}]", "value", 25,
            "inplace is 'yes', but must be true or false", "YAML 1.2",
        ),
        (
            'model: [Conv2d: {out_channels: 1, kernel_size: "(3, 3)"}]', "value", 48,
            "kernel_size is '(3, 3)', but must be an integer of at least 1, or a list of 2",
            "[3, 3]",
        ),
        (
            "model: [Conv2d: {out_channels: 1, kernel_size: [3, 0]}]", "value", 52,
            "kernel_size[1] is 0, but must be an integer of at least 1", None,
        ),
        ("model: [Conv2d: $all]", "value", 17, "Conv2d is '$all', but must be a map", "write it"),
        ("model: {ReLU: }", "value", 8, "model is {ReLU: null}, but must be a list", None),
        ("model: []\ntrain: 3", "value", 8, "train is 3, but must be a mapping of train", None),
        # A mapping where one name is wanted.
        (
            "model: []\ninit: [{match: Linear}]", "entry", 8,
            "init[0] names no parameter to fill", None,
        ),
        (
            "model: []\ndata: {source: {Digits: , MNIST: {root: a}}}", "entry", 16,
            "one name is wanted here, not Digits, MNIST", None,
        ),
    ],
)  # fmt: skip
def test_a_mistake_is_told_once_in_words_and_at_its_place(
    text: str, code: str, column: int, message: str, remedy: str | None
) -> None:
    ((found_code, found_column, found, help_),) = findings(text)
    assert (found_code, found_column) == (code, column)
    assert found.startswith(message)
    assert (help_ is None) if remedy is None else remedy in str(help_)


def test_a_key_that_is_misspelt_is_not_missing_too() -> None:
    assert [code for code, *_ in findings("modle: []")] == [Code.UNKNOWN_KEY]
    assert [code for code, *_ in findings("model: [Linear: {out_feature: 3}]")] == [
        Code.UNKNOWN_PARAMETER
    ]


def test_a_misspelt_sibling_is_left_to_the_expansion() -> None:
    """Beside a layer it is no block's call, whatever its value is."""
    assert findings("model: [{ReLU: , freze: true}]") == []
    assert findings("model: [{freze: true}]") != []


@pytest.mark.parametrize(
    ("value", "code", "message"),
    [
        ({"SGD": {"lr": 0.1}}, None, ""),
        ("SGD", None, ""),
        ("SDG", Code.UNKNOWN_NAME, "there is no optimizer 'SDG'"),
        ({"SGD": {"rate": 1}}, Code.UNKNOWN_PARAMETER, "SGD has no parameter 'rate'"),
        ({"SGD": {"lr": -1}}, Code.VALUE, "lr is -1, but must be a number of at least 0"),
        (3, Code.VALUE, "optimizer is 3, but must be the name of an optimizer"),
    ],
)
def test_a_value_is_judged_as_if_it_were_written_in_its_place(
    value: object, code: Code | None, message: str
) -> None:
    found = Findings(parse("train: {optimizer: $best}\n", "a.yaml"))
    checking.check_value(sections.OPTIMIZER, value, ("train", "optimizer"), found.add)
    assert [each.code for each in found.sorted()] == ([code] if code else [])
    for each in found.sorted():
        assert each.message.startswith(message)
        assert (each.place.line, each.place.text) == (1, "train: {optimizer: $best}")


def test_a_label_is_the_value_s_name_to_a_person() -> None:
    assert checking.label(("model", 3, "Conv2d", "kernel_size")) == "kernel_size"
    assert checking.label(("train", "metrics", 1)) == "metrics[1]"
    assert checking.label(()) == "the spec"
