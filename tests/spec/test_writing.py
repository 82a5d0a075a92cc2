"""A resolved spec, written as YAML, is a valid spec that says the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from netspec.planning import make_plan
from netspec.spec.loading import load, loads
from netspec.spec.model import Spec
from netspec.spec.reading import parse
from netspec.spec.writing import differences, digest, resolved, to_yaml

SPECS = sorted((Path(__file__).parents[2] / "specs").glob("*.yaml"))

FULL = """\
netspec: 1
name: full
description: "costs $5, \\u00fc: # - {not YAML}\\n second line"
vars: {width: 4, rate: 1e-3}
blocks:
  conv:
    params: {channels: , act: ReLU}
    body:
      - Conv2d: {out_channels: $channels, kernel_size: 3, padding: same}
      - Dropout: {p: 0.25}
        when: $(channels > 4)
input: [3, 16, 16]
model:
  - conv: {channels: $width}
    name: stem
    freeze: {until: 2}
  - Repeat:
      times: 2
      index: i
      body:
        - Residual:
            body:
              - conv: {channels: 4}
                expect: [4, 16, 16]
  - Parallel:
      branches: [[ReLU], [Tanh, Identity], []]
      merge: cat
  - Conv2d: {out_channels: $(width * 2), kernel_size: [3, 1], bias: true}
    freeze: [bias]
    init: {weight: {normal_: {std: 0.01}}, bias: zeros_}
  - Sequential: [ReLU]
    name: inner
  - Flatten
  - Linear: {out_features: 10}
    name: head
init:
  - {match: [Conv2d, "*.bias"], weight: xavier_uniform_}
  - {match: head, bias: {constant_: {val: 1}}}
expect: {output: [10]}
data:
  source: {ImageFolder: {root: "a$$b"}}
  split: {validation: 0.1, shuffle: false}
  augment: [RandomResizedCrop: {size: 16, scale: [0.5, 1.0]}]
  evaluate: [Resize: {size: [16, 16]}]
  preprocess: [Normalize: {mean: [0.5], std: [0.25]}]
train:
  steps: 10
  seed: 1234567890123456789
  shuffle: false
  loss: {CrossEntropyLoss: {label_smoothing: 0.1}}
  optimizer: {SGD: {lr: $rate, nesterov: true, momentum: 0.9}}
  scheduler:
    SequentialLR:
      schedulers: [LinearLR: {total_iters: 3}, CosineAnnealingLR]
      milestones: [3]
    interval: step
  metrics: [accuracy, {top_k: {k: 3}}]
  clip_grad_norm: 1.5
  checkpoint: {monitor: validation_accuracy}
export: {onnx: {opset: 20, output: softmax, preprocess: true}}
"""


def again(spec: Spec) -> Spec:
    return loads(to_yaml(resolved(spec)), folder=spec.folder)


@pytest.mark.parametrize("path", SPECS, ids=lambda path: path.stem)
def test_shipped_specs_come_back_the_same(path: Path) -> None:
    spec = load(path)
    back = again(spec)
    assert resolved(back) == resolved(spec)
    assert digest(back) == digest(spec)
    assert make_plan(back).digest == make_plan(spec).digest


def test_everything_that_a_spec_can_say_comes_back() -> None:
    spec = loads(FULL)
    back = again(spec)
    assert resolved(back) == resolved(spec)
    assert back.description == spec.description == "costs $5, ü: # - {not YAML}\n second line"
    assert back.data is not None and back.data.source.args["root"] == "a$b"
    assert make_plan(back).digest == make_plan(spec).digest
    text = to_yaml(resolved(spec))
    assert not {"vars", "blocks"} & parse(text, "written").data.keys()
    assert "$" not in text.replace("$5", "").replace("$$", "")


def test_what_is_left_at_its_default_is_not_written() -> None:
    data = resolved(loads("netspec: 1\nname: a\ninput: [3]\nmodel: [Linear: {out_features: 1}]\n"))
    assert data == {
        "netspec": 1,
        "name": "a",
        "input": [3],
        "model": [{"Linear": {"out_features": 1}}],
    }


SCALARS: list[Any] = [
    "yes", "on", "no", "null", "~", "", "1", "1.0", "1e-3", "1e3", ".5", "+1", "0x10", "0o7", "010",
    "12:30", "2020-01-01", "=", "<<", "- a", "a: b", "a #b", "'", '"', "\t", "\n", " a ", "{", "&a",
    "*a", "!a", "%a", "@a", "`a", "é", "\u2028", "\U0001f600", "true", "True", ".inf", ".nan",
    True, False, None, 0, -1, 10**18, 1e-5, 1e20, 0.1, 1.0, -2.5e-7, 123456.789,
]  # fmt: skip


@pytest.mark.parametrize("value", SCALARS, ids=repr)
def test_scalars_keep_their_type(value: Any) -> None:
    back = parse(to_yaml({"value": value}), "written").data["value"]
    assert (type(back), back) == (type(value), value)


# The spec digest: what makes it another run


def small(**changes: str) -> Spec:
    text = {
        "netspec": "1",
        "name": "small",
        "description": "one",
        "input": "[4]",
        "model": "[Linear: {out_features: 2}]",
        "expect": "{output: [2]}",
        "data": "{source: {Tensors: {path: a.npz}}}",
        "train": "{epochs: 1, loss: MSELoss, optimizer: SGD}",
        **changes,
    }
    return loads("".join(f"{key}: {value}\n" for key, value in text.items()))


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("description", "two"),
        ("expect", "{output: [2], parameters: 10}"),
        ("data", "{source: {Tensors: {path: elsewhere/b.npz}}}"),
        ("model", "[Linear: {out_features: $(1 + 1)}]"),
        ("model", "[{Linear: {out_features: 2}, expect: [2]}]"),
        ("train", "{epochs: 1, loss: MSELoss, optimizer: SGD, batch_size: 32}"),
    ],
)
def test_descriptions_expectations_and_paths_make_no_other_run(key: str, value: str) -> None:
    assert digest(small(**{key: value})) == digest(small())


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("name", "other"),
        ("data", "{source: {Tensors: {path: a.npz, inputs: x}}}"),
        ("model", "[{Linear: {out_features: 2}, name: first}]"),
        ("model", "[{Linear: {out_features: 2}, freeze: [bias]}]"),
        ("train", "{epochs: 2, loss: MSELoss, optimizer: SGD}"),
        ("train", "{epochs: 1, loss: MSELoss, optimizer: SGD, seed: 1}"),
        ("init", "[{match: Linear, weight: zeros_}]"),
    ],
)
def test_anything_else_does(key: str, value: str) -> None:
    other = small(**{key: value})
    assert digest(other) != digest(small())
    assert differences(other, small())


def test_differences_are_named() -> None:
    other = small(
        model="[Linear: {out_features: 3}, Flatten]",
        expect="{output: [3]}",
        train="{epochs: 1, loss: MSELoss, optimizer: {SGD: {lr: 0.5}}}",
    )
    assert differences(small(), other) == [
        "model.0.Linear.out_features is 2 and 3",
        "train.optimizer is SGD and absent",
        "model.1 is absent and Flatten",
        "train.optimizer.SGD.lr is absent and 0.5",
    ]
    assert differences(small(), small(description="another")) == []


def test_paths_are_left_out_where_asked() -> None:
    source = resolved(small(), paths=False)["data"]["source"]
    assert source == "Tensors"
