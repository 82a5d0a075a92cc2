"""Emitted files against what netspec builds itself; the other forms against the plan."""

from __future__ import annotations

import ast
import inspect
import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import torch
import torchvision
from torch import nn

from netspec import compiler, emit
from netspec.catalogue.layers import LAYERS
from netspec.catalogue.layers.structure import Container
from netspec.diagnostics import Code, SpecError
from netspec.emit import definitions, torchvision_ops
from netspec.emit.calls import arguments
from netspec.planning import Plan, make_plan
from netspec.planning.plans import Node
from netspec.shapes import Tensor, at
from netspec.spec.loading import load, loads
from netspec.spec.model import Named
from tests.soundness.cases import Said, cases, say

ROOT = Path(__file__).parents[1]
SPECS = sorted((ROOT / "specs").glob("*.yaml"))
NETS = {
    "residual": """
        name: residual
        description: 'Quotes "", a \\ and \"\"\" three of them; (naïve) {braces} 名前'
        input: [3, 8, 8]
        blocks:
          basic:
            params: {channels: , stride: 1}
            body:
              - Residual:
                  body:
                    - Conv2d: {out_channels: $channels, kernel_size: 3, stride: $stride, padding: 1}
                    - BatchNorm2d: {eps: 1e-3}
                  shortcut:
                    - Conv2d: {out_channels: $channels, kernel_size: 1, stride: $stride}
                      when: $(stride != 1)
              - ReLU: {inplace: true}
        model:
          - basic: {channels: 3}
          - basic: {channels: 3}
            name: second
          - Repeat: {times: 3, body: [basic: {channels: 3}]}
          - basic: {channels: 6, stride: 2}
          - basic: {channels: 6}
          - basic: {channels: 6}
            freeze: true
          - AdaptiveAvgPool2d: {output_size: [1, null]}
          - Flatten
          - Linear: {out_features: 2}
        init:
          - {match: Conv2d, weight: {kaiming_normal_: {mode: fan_out}}, bias: zeros_}
          - {match: BatchNorm2d, weight: {uniform_: {a: 0.5, b: 1.5}}}
          - {match: second, weight: ones_}
        train: {epochs: 1, seed: 7, loss: CrossEntropyLoss, optimizer: {SGD: {lr: 0.1}}}
        data: {source: {Synthetic: {samples: 8, classes: 2}}}
    """,
    "parallel": """
        name: parallel
        input: {shape: [3, 2*H, 2*W]}
        model:
          - Parallel:
              branches:
                - [Conv2d: {out_channels: 4, kernel_size: 3, padding: 1}]
                - []
                - [Sequential: []]
          - Parallel: {branches: [[Conv2d: {out_channels: 1, kernel_size: 1}], []], merge: mul}
            name: gate
          - StochasticDepth: {p: 0.2, mode: row}
          - SqueezeExcitation: {squeeze_channels: 2, activation: SiLU}
          - MaxPool2d: {kernel_size: 2}
          - Upsample: {scale_factor: 2}
          - LayerScale
          - Scale: {factor: 0.111}
          - Mean: {dim: [2, 3]}
          - Linear: {out_features: 2}
            name: a_last_layer_whose_name_is_so_long_that_a_line_has_to_be_broken_in_many_places
            freeze: [weight]
            init: {weight: {trunc_normal_: {std: 1e-2}}, bias: {constant_: {val: -1e-05}}}
    """,
    "recurrent": """
        name: recurrent
        input: [5, 4]
        model:
          - GRU: {hidden_size: 6, bidirectional: true}
            freeze: {until: 5}
          - LSTM: {hidden_size: 6, num_layers: 2, dropout: 0.1, proj_size: 3}
          - RNN: {hidden_size: 3, nonlinearity: relu, output: last}
          - Linear: {out_features: 2}
        init: [{match: LSTM, weight_hh_l0: orthogonal_}]
    """,
    "attention": """
        name: attention
        input: {shape: [6], dtype: int64}
        model:
          - Embedding: {num_embeddings: 11, embedding_dim: 8}
            name: tokens
          - ClassToken
          - PositionalEmbedding
          - Repeat:
              times: 3
              body:
                - Residual:
                    body: [LayerNorm, MultiheadAttention: {num_heads: 2, is_causal: true}]
                - Residual:
                    body: [LayerNorm, Linear: {in_features: 8, out_features: 8}, GELU]
          - TransformerEncoderLayer: {nhead: 2, dim_feedforward: 16, activation: gelu}
          - TransformerEncoder:
              encoder_layer: {TransformerEncoderLayer: {nhead: 2, dim_feedforward: 16}}
              num_layers: 2
              norm: LayerNorm
          - Permute: {dims: [0, 2, 1]}
          - Narrow: {dim: 2, start: 1, length: 3}
          - Select: {dim: 2, index: 0}
          - Reshape: {shape: [2, -1]}
    """,
    "empty": """
        input: [3]
        model: []
    """,
}
LEAVES = {
    name: layer
    for name, layer in LAYERS.items()
    if not isinstance(layer, Container) and not layer.opaque
}
# Runs each file where the packages of the first argument cannot be imported, and saves what it
# makes: the initial state, the names that learn, and the outputs in evaluation and in training.
RUNNER = """
import runpy, sys, warnings
import torch

warnings.simplefilter("ignore")
torch.set_num_threads(1)
blocked = sys.argv[1].split()
sys.modules.update(dict.fromkeys(blocked))
for source, file in zip(*[iter(sys.argv[2:])] * 2, strict=True):
    before = torch.random.get_rng_state()
    model = runpy.run_path(source)["build_model"]()
    assert torch.equal(before, torch.random.get_rng_state()), source
    state = {name: value.clone() for name, value in model.state_dict().items()}
    learned = [name for name, each in model.named_parameters() if each.requires_grad]
    batch = torch.load(file)
    torch.manual_seed(1)
    evaluated = model.eval()(batch.clone())
    torch.save((str(model), state, learned, evaluated, model.train()(batch)), file)
assert not set(blocked) & {name for name, each in sys.modules.items() if each is not None}
"""


def planned(text: str, name: str = "spec.yaml") -> Plan:
    return make_plan(loads(f"netspec: 1\n{dedent(text)}", name))


def batch(made: Plan) -> torch.Tensor:
    """Two samples; each named dimension a little above its least value."""
    sizes = {name: least + 2 for name, least in made.least.items()}
    shape = (2, *(at(dim, sizes) for dim in made.input.shape))
    generator = torch.Generator().manual_seed(0)
    if made.input.dtype == "int64":
        return torch.randint(0, 2, shape, generator=generator)
    return torch.rand(shape, generator=generator)


def check(plans: Mapping[str, Plan], folder: Path, blocked: str = "netspec torchvision") -> None:
    """Each plan's file makes what the compiler makes, and is formatted."""
    files: list[Path] = []
    for name, made in plans.items():
        source = folder / f"{name}.py"
        source.write_text(emit.python(made), encoding="utf-8")
        torch.save(batch(made), folder / f"{name}.pt")
        files += [source, folder / f"{name}.pt"]
    run(sys.executable, "-c", RUNNER, blocked, *files)
    run("ruff", "format", "--isolated", "--diff", *files[::2])
    run("ruff", "check", "--isolated", "--extend-select", "I,UP,B,C4,SIM", *files[::2])
    for name, made in plans.items():
        ours, inputs = compiler.build(made), batch(made)
        shown, state, learned, evaluated, trained = torch.load(folder / f"{name}.pt")
        if "torchvision" not in str({LAYERS[node.type].target for node in made.root.walk()}):
            assert numbers(shown) == numbers(str(ours)), name
        assert list(state) == list(ours.state_dict()), name
        for key, value in ours.state_dict().items():
            assert same(state[key], value), f"{name}: {key}"
        assert learned == [key for key, each in ours.named_parameters() if each.requires_grad]
        torch.manual_seed(1)
        assert same(evaluated, ours.eval()(inputs.clone())), name
        assert same(trained, ours.train()(inputs)), name


def numbers(text: str) -> str:
    """Where the spec's float 1.0 is torch's default, the int 1, the file leaves it out."""
    return re.sub(r"(\d)\.0\b", r"\1", text)


def plain(value: Any) -> Any:
    """Arguments as drawn, as a spec writes them."""
    if isinstance(value, Named):
        return {value.type: plain(value.args)}
    if isinstance(value, Mapping):
        return {name: plain(each) for name, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, list | tuple) else value


def same(left: torch.Tensor, right: torch.Tensor) -> bool:
    return torch.allclose(left, right, rtol=0, atol=0, equal_nan=True)


def run(*command: str | Path) -> str:
    if command[0] == "ruff":
        command = (sys.executable, "-m", *command)
    done = subprocess.run(
        list(map(str, command)), capture_output=True, text=True, timeout=300, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Bitwise equality needs one order of summation on both sides."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def test_shipped_specs(tmp_path: Path) -> None:
    check({path.stem: make_plan(load(path)) for path in SPECS}, tmp_path)


@pytest.mark.filterwarnings("ignore:LSTM with projections")
def test_nets(tmp_path: Path) -> None:
    check({name: planned(text, f"{name}.yaml") for name, text in NETS.items()}, tmp_path)


@pytest.mark.filterwarnings("ignore")  # torch's, of slow paths and odd combinations
def test_every_layer(tmp_path: Path) -> None:
    """The first cases of each that the static check accepts, as a network of that one layer."""
    plans = {}
    for layer in LEAVES.values():
        drawn = cases(layer, 60, "eject")
        accepted = (case for case in drawn if case.input.shape and isinstance(say(case), Said))
        for index, case in enumerate(islice(accepted, 2)):
            spec = {
                "netspec": 1,
                "input": {"shape": case.input.shape, "dtype": case.input.dtype},
                "model": [{layer.name: plain(case.args)}],
            }
            plans[f"{layer.name}_{index}"] = make_plan(loads(json.dumps(spec)))
    assert {name.rpartition("_")[0] for name in plans} == set(LEAVES)
    check(plans, tmp_path)


def test_a_torchvision_model(tmp_path: Path) -> None:
    text = """
        input: [3, 64, 64]
        model:
          - Pretrained: {model: squeezenet1_1, weights: null, until: features.3}
            expect: [128, 15, 15]
            freeze: true
          - AdaptiveAvgPool2d: {output_size: 1}
    """
    check({"pretrained": planned(text)}, tmp_path, blocked="netspec")
    source = emit.python(planned(text.replace("null", "DEFAULT")))
    assert "needs torch and torchvision." in source
    assert 'pretrained(model="squeezenet1_1", weights="DEFAULT", until="features.3")' in source


def test_positional_arguments_are_the_first_of_torch_s_signature() -> None:
    for layer in LEAVES.values():
        required = [param.name for param in layer.params if param.required]
        positional, _ = arguments(layer, dict.fromkeys(set(required) - set(layer.nested), 0))
        if positional:
            signature = inspect.signature(getattr(nn, layer.name))
            first = slice(len(positional))
            assert list(signature.parameters)[first] == required[first]


def test_repeated_parts_are_written_once() -> None:
    source = emit.python(planned(NETS["residual"]))
    assert source.count("def basic_block") == 2
    assert source.count("kernel_size=3") == 3


def test_every_module_of_netspec_s_can_be_copied(tmp_path: Path) -> None:
    """Also those that no net above takes: each stays as ruff formats it."""
    for file in definitions.COPIED:
        tree = ast.parse((ROOT / "netspec" / file).read_text(encoding="utf-8"))
        for node in tree.body:
            if isinstance(node, ast.ClassDef):
                needs = definitions.needs(node.name)
                texts = [each.text for each in needs.definitions]
                copied = "\n\n\n".join([definitions.statements(needs.imports), *texts])
                (tmp_path / f"{node.name}.py").write_text(f"{copied.strip()}\n", encoding="utf-8")
    run("ruff", "format", "--isolated", "--diff", tmp_path)
    run("ruff", "check", "--isolated", tmp_path)


def test_stand_ins_take_what_torchvision_s_take() -> None:
    own = torchvision_ops.__name__
    for name, ours in vars(torchvision_ops).items():
        if getattr(ours, "__module__", None) != own:
            continue
        real = getattr(torchvision.ops, name)
        theirs = inspect.signature(real).parameters.values()
        assert [(p.name, p.default) for p in inspect.signature(ours).parameters.values()] == [
            (p.name, p.default) for p in theirs
        ]


def test_weights_from_a_file_are_refused() -> None:
    made = planned("""
        input: [3]
        model:
          - Linear: {out_features: 2}
            init: {weight: {tensor: {path: w.safetensors, key: w}}}
    """)
    with pytest.raises(SpecError) as caught:
        emit.python(made)
    (found,) = caught.value.diagnostics
    assert found.code == Code.EXPORT
    assert found.place.line == 6
    assert found.remedy and "load_state_dict" in found.remedy
    assert json.loads(emit.json(made))["init"][0]["type"] == "tensor"


def test_the_file_shows_itself_when_run(tmp_path: Path) -> None:
    file = tmp_path / "net.py"
    file.write_text(emit.python(planned(NETS["parallel"])), encoding="utf-8")
    shown = run(sys.executable, file)
    assert shown.startswith("Sequential(")
    assert shown.rstrip().endswith("[2, 3, 2, 2] → [2, 2]")


@pytest.mark.parametrize("name", NETS)
def test_json(name: str) -> None:
    made = planned(NETS[name])
    data = json.loads(emit.json(made))
    assert data["digest"] == made.digest
    assert (data["parameters"], data["output"]["shape"]) == (made.parameters, dims(made.output))

    def compare(rows: list[dict[str, Any]], nodes: tuple[Node, ...]) -> None:
        assert len(rows) == len(nodes)
        for row, node in zip(rows, nodes, strict=True):
            assert (row["name"], row["type"]) == (node.name, node.type)
            assert row["args"] == json.loads(json.dumps(dict(node.args)))
            assert row["input"]["shape"] == dims(node.input)
            assert row["output"]["shape"] == dims(node.output)
            assert row["parameters"] == node.parameters
            assert str(row["macs"]) == str(node.macs)
            compare(row["layers"], node.children)

    compare(data["layers"], made.root.children)


def dims(tensor: Tensor) -> list[int | str]:
    return [dim if isinstance(dim, int) else str(dim) for dim in tensor.shape]


@pytest.mark.parametrize("text", [*NETS.values(), *(path.read_text() for path in SPECS)])
def test_yaml_has_the_same_digest(text: str) -> None:
    made = planned(text.replace("netspec: 1", ""))
    again = make_plan(loads(emit.yaml(made)))
    assert again.digest == made.digest
    assert emit.json(again) == emit.json(made)


BOX = re.compile(r'^\s+(n\d+|input|output)(?:\[|\(\[)"([^"]*)"')
EDGE = re.compile(r'^    (\w+) -->\|"[^"]*"\| (\w+)$')


@pytest.mark.parametrize("name", NETS)
def test_mermaid(name: str) -> None:
    made = planned(NETS[name])
    rows = emit.mermaid(made).splitlines()
    assert rows[0] == "flowchart TD"
    boxes = {found[1] for row in rows if (found := BOX.match(row))}
    edges = [found.groups() for row in rows if (found := EDGE.match(row))]
    frames = [row for row in rows if row.lstrip().startswith("subgraph ")]
    assert len(frames) == sum(row.strip() == "end" for row in rows)
    assert 1 + len(boxes) + len(edges) + 2 * len(frames) == len(rows), "nothing else is there"

    nodes = [node for node in made.root.walk() if node.name]
    leaves = [node for node in nodes if not isinstance(LAYERS[node.type], Container)]
    joins = [node for node in nodes if node.children and node.type != "Sequential"]
    empty = [node for node in nodes if {each.type for each in node.walk()} == {"Sequential"}]
    assert len(boxes) == len(leaves) + len(joins) + 2
    assert len(frames) == len(nodes) - len(leaves) - len(empty)
    assert {end for edge in edges for end in edge} == boxes
    assert len(edges) == len(leaves) + 1 + sum(len(node.children) for node in joins)


def test_mermaid_labels_are_escaped() -> None:
    chart = emit.mermaid(planned("input: [1]\nmodel: [StochasticDepth: {p: 0.5, mode: row}]"))
    assert '["0: StochasticDepth(p=0.5, mode=#34;row#34;)"]' in chart
