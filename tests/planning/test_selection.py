"""Which parameters `init` and `freeze` mean, and whether what fills them can."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from netspec.planning import Plan, check, check_tensor_files
from netspec.spec.findings import Findings
from netspec.spec.loading import loads

NET = """\
netspec: 1
input: [1, 8, 8]
model:
  - Conv2d: {out_channels: 2, kernel_size: 3}
    name: stem
  - Sequential:
      - Conv2d: {out_channels: 2, kernel_size: 3}
      - BatchNorm2d
    name: backbone
  - Flatten
  - Linear: {out_features: 3}
    name: head
"""
STEM, BODY = ["stem.bias", "stem.weight"], ["backbone.0.bias", "backbone.0.weight"]
NORM, HEAD = ["backbone.1.bias", "backbone.1.weight"], ["head.bias", "head.weight"]


def planned(text: str, folder: Path | None = None) -> tuple[Plan, list[str]]:
    """The plan, and what is found, as `CODE, LINE: message`."""
    spec = loads(dedent(text), folder=folder)
    findings = Findings(spec.document)
    plan = check(spec, findings)
    assert plan is not None
    check_tensor_files(plan, findings)
    return plan, [f"{each.code}, {each.place.line}: {each.message}" for each in findings.sorted()]


def filled(rules: str) -> dict[str, str]:
    plan, found = planned(f"{NET}init: {rules}\n")
    assert found == []
    return {each.key: each.initializer.type for each in plan.initialization}


@pytest.mark.parametrize(
    ("match", "keys"),
    [
        ("Conv2d", STEM + BODY),
        ("Conv", None),
        ("[Linear, BatchNorm2d]", HEAD + NORM),
        ("stem", STEM),
        ("backbone", BODY + NORM),
        ("backbone.1", NORM),
        ('"*.bias"', ["stem.bias", "backbone.0.bias", "backbone.1.bias", "head.bias"]),
        ('"back*.weight"', ["backbone.0.weight", "backbone.1.weight"]),
        ("[head.weight, stem]", ["head.weight", *STEM]),
        ("head.weigh", None),
        ("ackbone", None),
    ],
)
def test_a_pattern_matches_a_class_or_a_name_or_what_is_above_it(
    match: str, keys: list[str] | None
) -> None:
    rule = f"[{{match: {match}, weight: ones_, bias: ones_}}]"
    if keys is None:
        _, found = planned(f"{NET}init: {rule}\n")
        assert [each for each in found if "matches no layer that learns" in each] == found
        assert found
    else:
        assert sorted(filled(rule)) == sorted(keys)


def test_later_rules_win_and_siblings_over_all() -> None:
    rules = "[{match: '*', bias: zeros_}, {match: backbone, bias: ones_}]"
    assert filled(rules) == {
        "stem.bias": "zeros_", "head.bias": "zeros_",
        "backbone.0.bias": "ones_", "backbone.1.bias": "ones_",
    }  # fmt: skip
    plan, found = planned(f"{NET}    init: {{bias: {{constant_: {{val: 2}}}}}}\ninit: {rules}\n")
    assert found == []
    assert {each.key: each.initializer.type for each in plan.initialization}["head.bias"] == (
        "constant_"
    )


def test_a_rule_passes_over_layers_that_lack_the_parameter_and_a_sibling_does_not() -> None:
    text = NET.replace("3}\n    name: head", "3, bias: false}\n    name: head")
    plan, found = planned(f"{text}init: [{{match: '*', bias: zeros_}}]\n")
    assert found == []
    assert "head.bias" not in [each.key for each in plan.initialization]
    _, found = planned(f"{text}    init: {{bias: zeros_}}\n")
    assert found == ["init, 13: Linear has no parameter 'bias' here"]


def test_freezing_names_modules_parameters_and_epochs() -> None:
    text = NET.replace("name: stem", "name: stem\n    freeze: [bias]").replace(
        "name: backbone", "name: backbone\n    freeze: {until: 3}"
    )
    plan, found = planned(text + "    freeze: true\n")
    assert found == []
    assert [tuple(each) for each in plan.freezing] == [
        ("stem", ("bias",), None),
        ("backbone", None, 3),
        ("head", None, None),
    ]
    _, found = planned(text.replace("[bias]", "[bias, gain]"))
    assert found == ["init, 6: Conv2d has no parameter 'gain' here"]


@pytest.mark.parametrize(
    ("initializer", "message"),
    [
        ("{uniform_: {a: 1, b: 0}}", "uniform_: a 1 must lie below b 0"),
        ("{trunc_normal_: {a: 3}}", "trunc_normal_: a 3 must lie below b 2"),
        (
            "{uniform_: {a: -3e38, b: 3e38}}",
            "uniform_: from a -3e+38 to b 3e+38 is further than float32 goes",
        ),
        ("orthogonal_", "orthogonal_ cannot fill head.bias: it has 1 dimension, [3]"),
    ],
)
def test_what_torch_cannot_draw_is_found(initializer: str, message: str) -> None:
    _, found = planned(f"{NET}    init: {{bias: {initializer}}}\n")
    assert found == [f"init, 13: {message}"]


# Tensor files: what a file's header says, as it is laid out here by hand.

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
WEIGHT = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}


def laid_out(header: Any, data: int = 24) -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + bytes(data)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inside = tmp_path / "spec"
    inside.mkdir()
    for place in (tmp_path, inside):
        (place / "w.safetensors").write_bytes(
            laid_out({"__metadata__": {"by": "hand"}, "there": WEIGHT})
        )
    return inside


def found_in(text: str, folder: Path) -> str:
    (found,) = planned(text, folder)[1]
    return found


def test_a_tensor_file_that_fits_is_taken(folder: Path) -> None:
    plan, found = planned(TENSOR, folder)
    assert found == []
    assert [each.key for each in plan.initialization] == ["0.weight"]


def test_a_wrong_key_or_shape_is_found_at_the_key(folder: Path) -> None:
    assert found_in(TENSOR.replace("there", "their"), folder) == (
        "init, 9: tensor: 'their' is not in w.safetensors"
    )
    assert found_in(TENSOR.replace("out_features: 2", "out_features: 4"), folder) == (
        "init, 9: tensor: 'there' has the shape [2, 3] in w.safetensors, but 0.weight is [4, 3]"
    )


@pytest.mark.parametrize("path", ["../w.safetensors", "{above}/w.safetensors", "link", "up/w"])
def test_a_tensor_file_lies_below_the_specs_folder(path: str, folder: Path) -> None:
    (folder / "link").symlink_to(folder.parent / "w.safetensors")
    (folder / "up").symlink_to(folder.parent, target_is_directory=True)
    path = path.format(above=folder.parent)
    assert found_in(TENSOR.replace("w.safetensors", path), folder) == (
        f"init, 8: tensor: '{path}' leaves the spec's folder"
    )


@pytest.mark.parametrize("path", ["absent", "sub", "pipe", "loop", '"a\\0b"', "a" * 300])
def test_what_is_no_file_is_found_at_its_path(path: str, folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "loop").symlink_to("loop")
    os.mkfifo(folder / "pipe")  # nobody writes into it: opened, it would wait for ever
    told: list[str] = []
    text = TENSOR.replace("w.safetensors", path)
    reading = threading.Thread(target=lambda: told.append(found_in(text, folder)), daemon=True)
    reading.start()
    reading.join(10)
    assert told[0].startswith("init, 8: tensor: ")


@pytest.mark.parametrize(
    "content",
    [
        b"", b"\1", b"text, and more of it", bytes(8), (2**40).to_bytes(8, "little") + bytes(99),
        laid_out(b""), laid_out(b"{"), laid_out(b"[]"), laid_out(b"\xff"), laid_out(b"[" * 9**5),
        laid_out({"there": []}), laid_out({"there": None}), laid_out({"there": {"shape": [2, 3]}}),
        laid_out({"there": {**WEIGHT, "shape": 3}}), laid_out({"there": {**WEIGHT, "shape": None}}),
        laid_out({"there": {**WEIGHT, "data_offsets": ["0", "24"]}}),
        laid_out({"there": WEIGHT}, data=23),
    ],
)  # fmt: skip
def test_what_is_no_tensor_file_is_found_at_its_path(content: bytes, folder: Path) -> None:
    (folder / "w.safetensors").write_bytes(content)
    assert found_in(TENSOR, folder).startswith("init, 8: tensor: 'w.safetensors' cannot be read: ")


def test_a_file_that_no_parameter_takes_from_is_not_looked_at(folder: Path) -> None:
    text = TENSOR.replace("path: w.safetensors", "path: absent") + "init: []\n"
    rules = "init: [{match: Linear, weight: {tensor: {path: absent, key: w}}}, "
    rules += "{match: Linear, weight: ones_}]\n"
    assert planned(TENSOR[: TENSOR.index("    init:")] + rules, folder)[1] == []
    assert len(planned(text, folder)[1]) == 1
