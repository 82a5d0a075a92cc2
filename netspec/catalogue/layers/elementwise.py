"""Layers whose output has their input's shape: rows of one table."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from netspec.catalogue.component import Param, Refusal
from netspec.catalogue.layers.convolution import LAYOUTS
from netspec.catalogue.layers.layer import Activation, Call, Layer, Weights, channels
from netspec.catalogue.types import (
    ABOVE_ZERO,
    BOOLEAN,
    INTEGER,
    NONNEGATIVE,
    NUMBER,
    POSITIVE,
    PROBABILITY,
    Choice,
)
from netspec.shapes import Shape, divisible

INPLACE = Param("inplace", BOOLEAN, False, "write the result over the input")
SOFTMAX_DIM = Param("dim", INTEGER, doc="the batch is 0")


def _softmax(call: Call) -> Shape:
    call.axis("dim")
    return call.shape


def _over_classes(call: Call) -> Activation:
    return "softmax" if call.axis("dim") == 0 else "none"


def _slope(param: str) -> Callable[[Call], Shape]:
    """The input's shape. In place, torch has no gradient of what falls below zero."""

    def output(call: Call) -> Shape:
        if call["inplace"] and call[param] < 0:
            raise Refusal(
                f"with a negative {param} torch cannot train it in place",
                "leave inplace out",
                "inplace",
            )
        return call.shape

    return output


def _prelu_weights(call: Call) -> Weights:
    return {"weight": (call["num_parameters"],)}


def _prelu(call: Call) -> Shape:
    slopes = call["num_parameters"]
    if slopes > 1 and channels(call) != slopes:
        raise Refusal(
            f"num_parameters is {slopes}, but the input {call.input} has {call.shape[0]} channels",
            "use 1 or the number of channels",
            "num_parameters",
        )
    return call.shape


ACTIVATIONS = [
    Layer(name="ReLU", params=(INPLACE,)),
    Layer(name="ReLU6", params=(INPLACE,)),
    Layer(
        name="LeakyReLU",
        params=(Param("negative_slope", NUMBER, 0.01), INPLACE),
        output=_slope("negative_slope"),
    ),
    Layer(
        name="PReLU",
        params=(Param("num_parameters", POSITIVE, 1), Param("init", NUMBER, 0.25)),
        output=_prelu,
        weights=_prelu_weights,
    ),
    Layer(name="ELU", params=(Param("alpha", NUMBER, 1.0), INPLACE), output=_slope("alpha")),
    Layer(name="CELU", params=(Param("alpha", ABOVE_ZERO, 1.0), INPLACE)),
    Layer(name="SELU", params=(INPLACE,)),
    Layer(name="GELU", params=(Param("approximate", Choice("none", "tanh"), "none"),)),
    Layer(name="SiLU", params=(INPLACE,)),
    Layer(name="Mish", params=(INPLACE,)),
    Layer(name="Hardswish", params=(INPLACE,)),
    Layer(name="Hardsigmoid", params=(INPLACE,), values="unit"),
    Layer(name="Softplus", params=(Param("beta", NUMBER, 1.0), Param("threshold", NUMBER, 20.0))),
    Layer(name="Sigmoid", values="unit", activation=lambda _: "sigmoid"),
    Layer(name="LogSigmoid", values="log"),
    Layer(name="Tanh"),
    Layer(name="Softsign"),
    Layer(name="Tanhshrink"),
    Layer(
        name="Softmax",
        params=(SOFTMAX_DIM,),
        output=_softmax,
        values="unit",
        activation=_over_classes,
    ),
    Layer(name="LogSoftmax", params=(SOFTMAX_DIM,), output=_softmax, values="log"),
]


def _glu(call: Call) -> Shape:
    axis = call.axis("dim")
    length = call.shape[axis]
    if not divisible(length, 2):
        raise Refusal(
            f"GLU halves dimension {call['dim']} of {call.input}, and {length} may be odd",
            "make it even; a named one can be declared as 2*N",
            "dim",
        )
    return (*call.shape[:axis], length // 2, *call.shape[axis + 1 :])


def _ordered(lower: str, upper: str, *, equal: bool) -> Callable[[dict[str, Any]], None]:
    """Refuse two parameters of which one does not lie below the other."""

    def check(args: dict[str, Any]) -> None:
        low, high = args[lower], args[upper]
        if low > high or (low == high and not equal):
            raise Refusal(f"{lower} {low:g} must lie below {upper} {high:g}", param=lower)

    return check


MORE_ACTIVATIONS = [
    Layer(
        name="Hardtanh",
        params=(Param("min_val", NUMBER, -1.0), Param("max_val", NUMBER, 1.0), INPLACE),
        check=_ordered("min_val", "max_val", equal=False),
    ),
    Layer(name="Hardshrink", params=(Param("lambd", NUMBER, 0.5),)),
    Layer(name="Softshrink", params=(Param("lambd", NONNEGATIVE, 0.5),)),
    Layer(name="Threshold", params=(Param("threshold", NUMBER), Param("value", NUMBER), INPLACE)),
    Layer(
        name="RReLU",
        params=(Param("lower", NUMBER, 1 / 8), Param("upper", NUMBER, 1 / 3), INPLACE),
        check=_ordered("lower", "upper", equal=True),
        exported_as="netspec.export.rewriting:rrelu",
        doc="random slopes in training, their mean in evaluation",
    ),
    Layer(
        name="GLU",
        params=(Param("dim", INTEGER, -1, "the batch is 0"),),
        output=_glu,
        exported_as="netspec.export.rewriting:glu",
        doc="halves `dim` (Dauphin et al., 2016, arXiv:1612.08083)",
    ),
    Layer(
        name="Softmin",
        params=(SOFTMAX_DIM,),
        output=_softmax,
        values="unit",
        activation=_over_classes,
    ),
    Layer(name="Softmax2d", layouts=("C, H, W",), values="unit", activation=lambda _: "softmax"),
]

P = Param("p", PROBABILITY, 0.5, "probability of an element to be zeroed")

DROPOUTS = [
    Layer(name="Dropout", params=(P, INPLACE)),
    Layer(name="Dropout1d", params=(P, INPLACE), layouts=("C, L",)),
    Layer(name="Dropout2d", params=(P, INPLACE), layouts=("C, H, W",)),
    Layer(name="Dropout3d", params=(P, INPLACE), layouts=("C, D, H, W",)),
    Layer(name="AlphaDropout", params=(P, INPLACE)),
    Layer(name="FeatureAlphaDropout", params=(P, INPLACE), layouts=("C", *LAYOUTS.values())),
]

IDENTITY = Layer(name="Identity", dtypes=None, values="as input")

# Those whose derivative is computed from the output. Others compute it from the input, and in
# place some of them from the output again, which by then is all that is left.
FROM_OUTPUT = "ReLU Sigmoid Tanh Softmax LogSoftmax Softmin Softmax2d".split()
IN_PLACE_FROM_OUTPUT = "LeakyReLU ELU CELU SELU RReLU".split()


def _overwritable(layer: Layer) -> Layer:
    if layer.name in FROM_OUTPUT:
        return layer
    return replace(
        layer, output_is="kept in place" if layer.name in IN_PLACE_FROM_OUTPUT else "spare"
    )


LAYERS = [
    *(replace(each, output_is="as input") for each in (IDENTITY, *DROPOUTS)),
    *map(_overwritable, ACTIVATIONS),
    *map(_overwritable, MORE_ACTIVATIONS),
]
