"""The tensor steps that nets need between layers, and the learned parameters that netspec adds."""

from netspec.catalogue.component import Param, Refusal
from netspec.catalogue.layers.layer import Call, Layer, Weights, channels, features, inferred
from netspec.catalogue.layers.linear import SIZES, fill
from netspec.catalogue.types import (
    BOOLEAN,
    INTEGER,
    NATURAL,
    NONNEGATIVE,
    NUMBER,
    POSITIVE,
    PROBABILITY,
    Choice,
    ClassOf,
    Either,
    ListOf,
)
from netspec.shapes import MAX_RANK, Shape, numel

DIM = Param("dim", INTEGER, doc="the batch is 0")


def _permute(call: Call) -> Shape:
    dims = call["dims"]
    if sorted(dims) != list(range(len(call.shape) + 1)) or dims[0] != 0:
        raise Refusal(
            f"dims {dims} does not reorder the {len(call.shape) + 1} dimensions of {call.input} "
            "and the batch",
            "name each once, 0 (the batch) first",
            "dims",
        )
    return tuple(call.shape[dim - 1] for dim in dims[1:])


def _mean(call: Call) -> Shape:
    written = call["dim"] if isinstance(call["dim"], list) else [call["dim"]]
    axes = [call.index(dim, "dim") for dim in written]
    if len(set(axes)) < len(axes):
        raise Refusal(f"dim {call['dim']} names a dimension twice", param="dim")
    return tuple(
        1 if axis in axes else size
        for axis, size in enumerate(call.shape)
        if call["keepdim"] or axis not in axes
    )


def _select(call: Call) -> Shape:
    axis, index = call.axis("dim"), call["index"]
    call.require(
        call.shape[axis],
        index + 1 if index >= 0 else -index,
        f"index {index} lies outside dimension {call['dim']} of {call.input}",
        param="index",
    )
    return call.shape[:axis] + call.shape[axis + 1 :]


def _narrow(call: Call) -> Shape:
    axis, start, length = call.axis("dim"), call["start"], call["length"]
    call.require(
        call.shape[axis],
        start + length if start >= 0 else -start,
        f"start {start} and length {length} reach beyond dimension {call['dim']} of {call.input}",
        param="length",
    )
    if start < 0 and length > -start:
        raise Refusal(f"length {length} reaches beyond the end from start {start}", param="length")
    return (*call.shape[:axis], length, *call.shape[axis + 1 :])


def _positions(call: Call) -> int:
    return call.number(
        call.shape[0],
        "the number of positions",
        "a learned embedding has one row for each: declare the length as a number",
    )


def _scaled_size(call: Call) -> int:
    axis = call.index(call.args.get("dim", 1), "dim")
    return call.number(call.shape[axis], "the scaled dimension", "choose a `dim` of fixed size")


def _squeeze_weights(call: Call) -> Weights:
    width, inner = call["input_channels"], call["squeeze_channels"]
    return {
        "fc1.weight": (inner, width, 1, 1),
        "fc1.bias": (inner,),
        "fc2.weight": (width, inner, 1, 1),
        "fc2.bias": (width,),
    }


LAYERS = [
    Layer(
        name="Permute",
        values="as input",
        output_is="as input",
        target="torchvision.ops:Permute",
        doc="reorders the dimensions",
        params=(Param("dims", ListOf(NATURAL, 1, MAX_RANK + 1), doc="starts with 0, the batch"),),
        dtypes=None,
        output=_permute,
    ),
    Layer(
        name="Reshape",
        values="as input",
        output_is="as input",
        target="netspec.modules:Reshape",
        doc="a view of the same elements",
        params=(Param("shape", SIZES, doc="leaves the batch out; may hold one -1"),),
        dtypes=None,
        output=lambda call: fill(call["shape"], numel(call.shape), call, "shape"),
    ),
    Layer(
        name="Mean",
        output_is="spare",
        target="netspec.modules:Mean",
        doc="the mean over one or more dimensions",
        params=(
            Param("dim", Either(INTEGER, ListOf(INTEGER, 1, MAX_RANK)), doc="the batch is 0"),
            Param("keepdim", BOOLEAN, False),
        ),
        output=_mean,
    ),
    Layer(
        name="Select",
        values="as input",
        output_is="as input",
        target="netspec.modules:Select",
        doc="one index of a dimension, which goes",
        params=(DIM, Param("index", INTEGER)),
        dtypes=None,
        output=_select,
    ),
    Layer(
        name="Narrow",
        values="as input",
        output_is="as input",
        target="netspec.modules:Narrow",
        doc="`length` indices of a dimension, from `start`",
        params=(DIM, Param("start", INTEGER), Param("length", POSITIVE)),
        dtypes=None,
        output=_narrow,
    ),
    Layer(
        name="ClassToken",
        output_is="spare",
        target="netspec.modules:ClassToken",
        doc="a learned token before the others, zero at first, as in torchvision's ViT",
        layouts=("T, features",),
        params=(inferred("embed_dim", POSITIVE),),
        inferred={"embed_dim": features},
        kept={"embed_dim": "class_token.shape.2"},
        output=lambda call: (call.shape[0] + 1, call["embed_dim"]),
        weights=lambda call: {"class_token": (1, 1, call["embed_dim"])},
    ),
    Layer(
        name="PositionalEmbedding",
        output_is="spare",
        target="netspec.modules:PositionalEmbedding",
        doc="a learned vector added at each position, as in torchvision's ViT",
        layouts=("T, features",),
        params=(
            inferred("num_positions", POSITIVE),
            inferred("embed_dim", POSITIVE),
            Param("std", NONNEGATIVE, 0.02, "of its normal initialisation"),
        ),
        inferred={"num_positions": _positions, "embed_dim": features},
        kept={"num_positions": "pos_embedding.shape.1", "embed_dim": "pos_embedding.shape.2"},
        weights=lambda call: {"pos_embedding": (1, call["num_positions"], call["embed_dim"])},
    ),
    Layer(
        name="LayerScale",
        output_is="spare",
        target="netspec.modules:LayerScale",
        doc="a learned factor for each channel (Touvron et al., 2021, arXiv:2103.17239)",
        params=(
            inferred("num_channels", POSITIVE),
            Param("init_values", NUMBER, 1e-6),
            Param("dim", INTEGER, 1, "-1 for tokens"),
        ),
        inferred={"num_channels": _scaled_size},
        kept={"num_channels": "weight.shape.0"},
        weights=lambda call: {"weight": (call["num_channels"],)},
    ),
    Layer(
        name="Scale",
        output_is="spare",
        target="netspec.modules:Scale",
        doc="multiplies by a constant",
        params=(Param("factor", NUMBER),),
    ),
    Layer(
        name="StochasticDepth",
        output_is="as input",
        target="torchvision.ops:StochasticDepth",
        doc="zeroes whole samples (row) or batches in training (Huang et al., arXiv:1603.09382)",
        params=(Param("p", PROBABILITY), Param("mode", Choice("batch", "row"))),
    ),
    Layer(
        name="SqueezeExcitation",
        output_is="spare",
        target="torchvision.ops:SqueezeExcitation",
        doc="channels weighed by their means (Hu et al., arXiv:1709.01507)",
        layouts=("C, H, W",),
        params=(
            inferred("input_channels", POSITIVE),
            Param("squeeze_channels", POSITIVE),
            Param("activation", ClassOf("ReLU", "SiLU", "Hardswish", "GELU"), "ReLU"),
            Param("scale_activation", ClassOf("Sigmoid", "Hardsigmoid"), "Sigmoid"),
        ),
        inferred={"input_channels": channels},
        kept={"input_channels": "fc1.in_channels", "squeeze_channels": "fc1.out_channels"},
        weights=_squeeze_weights,
        macs=lambda call: 2 * call["input_channels"] * call["squeeze_channels"],
    ),
]
