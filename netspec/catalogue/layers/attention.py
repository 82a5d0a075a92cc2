"""Self-attention over sequences [T, features], batch first.

They compile to thin subclasses of torch's own (same `state_dict` keys) that take one tensor and
give one. The counts follow Vaswani et al., 2017 (arXiv:1706.03762).
"""

from __future__ import annotations

from dataclasses import replace

from netspec.catalogue.component import OneOf, Param, Refusal
from netspec.catalogue.layers.layer import Call, Layer, Weights, features, inferred
from netspec.catalogue.layers.normalization import LAYER_NORM, RMS_NORM
from netspec.catalogue.layers.recurrent import BATCH_FIRST
from netspec.catalogue.types import (
    ABOVE_ZERO,
    BOOLEAN,
    DEPTH,
    POSITIVE,
    PROBABILITY,
    Choice,
    optional,
)
from netspec.shapes import Dim, Shape

IS_CAUSAL = Param("is_causal", BOOLEAN, False, "each position sees none after it")
BIAS = Param("bias", BOOLEAN, True)


def _check_heads(call: Call, width: str, heads: str) -> Shape:
    if call[width] % call[heads]:
        raise Refusal(f"{heads} {call[heads]} does not divide {width} {call[width]}", param=heads)
    return call.shape


def _attention(width: int, bias: bool, prefix: str = "") -> Weights:
    found: Weights = {f"{prefix}in_proj_weight": (3 * width, width)}
    if bias:
        found[f"{prefix}in_proj_bias"] = (3 * width,)
    found[f"{prefix}out_proj.weight"] = (width, width)
    if bias:
        found[f"{prefix}out_proj.bias"] = (width,)
    return found


def _attention_macs(length: Dim, width: int, keys: Dim) -> Dim:
    """Projections in and out, then every query with every key, and the sum of the values."""
    return 4 * length * width * width + 2 * length * keys * width


def _multihead_weights(call: Call) -> Weights:
    width = call["embed_dim"]
    extra = {"bias_k": (1, 1, width), "bias_v": (1, 1, width)} if call["add_bias_kv"] else {}
    return {**_attention(width, call["bias"]), **extra}


def _multihead_macs(call: Call) -> Dim:
    length = call.shape[0]
    keys = length + call["add_bias_kv"] + call["add_zero_attn"]
    return _attention_macs(length, call["embed_dim"], keys)


def encoder_weights(call: Call) -> Weights:
    width, inner, bias = call["d_model"], call["dim_feedforward"], call["bias"]
    found = _attention(width, bias, "self_attn.")
    for name, shape in (("linear1", (inner, width)), ("linear2", (width, inner))):
        found[f"{name}.weight"] = shape
        if bias:
            found[f"{name}.bias"] = shape[:1]
    for name in ("norm1", "norm2"):
        found[f"{name}.weight"] = (width,)
        if bias:
            found[f"{name}.bias"] = (width,)
    return found


def encoder_macs(call: Call) -> Dim:
    length, width = call.shape[0], call["d_model"]
    forward: Dim = 2 * length * width * call["dim_feedforward"]
    return _attention_macs(length, width, length) + forward


ENCODER_LAYER = Layer(
    name="TransformerEncoderLayer",
    target="netspec.modules:TransformerEncoderLayer",
    doc="self-attention and a feed-forward network, each with its norm",
    output_is="spare",
    layouts=("T, features",),
    params=(
        inferred("d_model", POSITIVE),
        Param("nhead", POSITIVE),
        Param("dim_feedforward", POSITIVE, 2048),
        Param("dropout", PROBABILITY, 0.1),
        Param("activation", Choice("relu", "gelu"), "relu"),
        Param("layer_norm_eps", ABOVE_ZERO, 1e-5),
        BATCH_FIRST,
        Param("norm_first", BOOLEAN, False),
        BIAS,
        IS_CAUSAL,
    ),
    inferred={"d_model": features},
    kept={
        "d_model": "self_attn.embed_dim",
        "nhead": "self_attn.num_heads",
        "dim_feedforward": "linear1.out_features",
        "dropout": "dropout.p",
        "layer_norm_eps": "norm1.eps",
        "batch_first": "self_attn.batch_first",
        "bias": "linear1.bias",
    },
    alike="torch.nn:TransformerEncoderLayer",
    output=lambda call: _check_heads(call, "d_model", "nhead"),
    weights=encoder_weights,
    macs=encoder_macs,
)

# Inside TransformerEncoder, which hands each of its layers the mask.
INNER = {
    ENCODER_LAYER.name: replace(
        ENCODER_LAYER,
        target="torch.nn:TransformerEncoderLayer",
        params=tuple(param for param in ENCODER_LAYER.params if param is not IS_CAUSAL),
    )
}
NORMS = {layer.name: layer for layer in (LAYER_NORM, RMS_NORM)}
NESTED = (OneOf("encoder_layer", INNER), OneOf("norm", NORMS))


def _inside(call: Call, param: str) -> tuple[Layer, Call]:
    """A nested layer, resolved, and its own call."""
    ((name, args),) = call[param].items()
    return {**INNER, **NORMS}[name], Call(call.input, args, call.conditions)


def _stack_weights(call: Call) -> Weights:
    found: Weights = {}
    layer, inner = _inside(call, "encoder_layer")
    for index in range(call["num_layers"]):
        found |= {f"layers.{index}.{key}": size for key, size in layer.weights(inner).items()}
    if call["norm"] is not None:
        layer, inner = _inside(call, "norm")
        found |= {f"norm.{key}": size for key, size in layer.weights(inner).items()}
    return found


def _stack_macs(call: Call) -> Dim:
    layer, inner = _inside(call, "encoder_layer")
    layers: int = call["num_layers"]
    return layers * layer.macs(inner)


LAYERS = [
    Layer(
        name="MultiheadAttention",
        target="netspec.modules:MultiheadAttention",
        doc="self-attention: the input is query, key and value",
        output_is="spare",
        layouts=("T, features",),
        params=(
            inferred("embed_dim", POSITIVE),
            Param("num_heads", POSITIVE),
            Param("dropout", PROBABILITY, 0.0),
            BIAS,
            Param("add_bias_kv", BOOLEAN, False, "a learned key and value beside the sequence's"),
            Param("add_zero_attn", BOOLEAN, False, "a zero key and value beside them"),
            BATCH_FIRST,
            IS_CAUSAL,
        ),
        inferred={"embed_dim": features},
        kept={"bias": "in_proj_bias", "add_bias_kv": "bias_k"},
        output=lambda call: _check_heads(call, "embed_dim", "num_heads"),
        weights=_multihead_weights,
        macs=_multihead_macs,
        withheld=dict.fromkeys(("kdim", "vdim"), "in self-attention it is the input's"),
    ),
    ENCODER_LAYER,
    Layer(
        name="TransformerEncoder",
        target="netspec.modules:TransformerEncoder",
        doc="a stack of copies of one encoder layer, equal at first as in torch",
        output_is="spare",
        layouts=("T, features",),
        params=(
            Param("encoder_layer", NESTED[0]),
            Param("num_layers", DEPTH),
            Param("norm", optional(NESTED[1]), None, "after the last layer"),
            IS_CAUSAL,
        ),
        nested={"encoder_layer": INNER, "norm": NORMS},
        kept={"encoder_layer": "layers"},
        alike="torch.nn:TransformerEncoder",
        weights=_stack_weights,
        macs=_stack_macs,
        withheld=dict.fromkeys(
            ("enable_nested_tensor", "mask_check"),
            "it is about padding masks, which there are none",
        ),
    ),
]
