"""The proof that a file carries notices any layer whose weights stand in another order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from torch import nn

import netspec
from netspec import compiler
from netspec.export import writing
from netspec.runtime import integrity
from netspec.runtime.verification import verify
from netspec.spec.loading import loads

HEAD = "netspec: 1\nname: proved\n"
BODY = """\
input: [12]
model: [Linear: {out_features: 16}, ReLU, Linear: {out_features: 5}%s]
"""
SOFTMAX, SIGMOID = "export: {onnx: {output: softmax}}\n", "export: {onnx: {output: sigmoid}}\n"
IMAGES = """\
input: [3, 16, 16]
model:
  - Conv2d: {out_channels: 4, kernel_size: 3}
  - BatchNorm2d
  - ReLU
  - Conv2d: {out_channels: 21, kernel_size: 3}
"""
TOKENS = """\
input: {shape: [9], dtype: int64}
model:
  - Embedding: {num_embeddings: 50, embedding_dim: 8}
  - LSTM: {hidden_size: 6, output: last}
  - LayerNorm
  - Linear: {out_features: 4}
"""

# A network, the export's part of its spec, and what its last layer's weights are multiplied by.
NETS = {
    "values": (BODY % "", "", 1),
    "tiny values": (BODY % "", "", 1e-6),
    "huge values": (BODY % "", "", 1e6),
    "softmax": (BODY % "", SOFTMAX, 1),
    "a softmax that is sure": (BODY % "", SOFTMAX, 30),
    "sigmoid": (BODY % "", SIGMOID, 1),
    "a sigmoid that is sure": (BODY % "", SIGMOID, 20),
    "a network that ends in Softmax": (BODY % ", Softmax: {dim: 1}", "", 1),
    "a network that ends in Sigmoid": (BODY % ", Sigmoid", "", 1),
    "softmax over many classes": (
        "input: [12]\nmodel: [Linear: {out_features: 6}, Tanh, Linear: {out_features: 20000}]\n",
        SOFTMAX,
        1,
    ),
    "a small part of values that are far from 0": (BODY % ", LayerNorm", "", 1e-2),
    "images": (IMAGES, "", 1),
    "classes at each place": (IMAGES, SOFTMAX, 1),
    "tokens": (TOKENS, "", 1),
}


def exported(case: str, path: Path) -> onnx.ModelProto:
    body, export, factor = NETS[case]
    plan = netspec.plan(loads(HEAD + body + export))
    model = compiler.build(plan)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d | nn.LayerNorm):  # which are born with equal ones
                module.weight.normal_(1, 0.1, generator=generator)
                module.bias.normal_(1000 * (factor == 1e-2), 0.1, generator=generator)
        last = [each for each in model.modules() if isinstance(each, nn.Linear | nn.Conv2d)][-1]
        last.weight *= factor
        if last.bias is not None:
            last.bias *= factor
    writing.write(plan, model, path)
    return onnx.load(path)


def resealed(model: onnx.ModelProto, path: Path) -> None:
    for each in model.metadata_props:
        if each.key == integrity.SEAL_KEY:
            each.value = integrity.PLACEHOLDER
    path.write_bytes(integrity.seal(model.SerializeToString()))


@pytest.mark.parametrize("case", NETS)
def test_a_shuffled_layer_is_noticed_whatever_the_outputs_are(case: str, tmp_path: Path) -> None:
    path = tmp_path / "a.onnx"
    model = exported(case, path)
    found = verify(netspec.Session(path))
    assert found.ok and found.distance.share < 0.1
    draw, tried = np.random.default_rng(0), 0
    for tensor in model.graph.initializer:
        before = numpy_helper.to_array(tensor)
        if before.dtype != np.float32 or len(np.unique(before)) < 4:
            continue
        whole = tensor.SerializeToString()
        shuffled = draw.permutation(before.reshape(-1)).reshape(before.shape)
        tensor.CopyFrom(numpy_helper.from_array(shuffled, tensor.name))
        resealed(model, path)
        assert not verify(netspec.Session(path)).ok, tensor.name
        tensor.ParseFromString(whole)
        tried += 1
    assert tried >= 3
    resealed(model, path)
    assert verify(netspec.Session(path)).ok
