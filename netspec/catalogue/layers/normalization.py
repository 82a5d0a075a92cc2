"""Normalisation layers: the output has the input's shape."""

from collections.abc import Callable

from netspec.catalogue.component import Param, Refusal
from netspec.catalogue.layers.convolution import LAYOUTS
from netspec.catalogue.layers.layer import (
    Call,
    Layer,
    Weights,
    channels,
    features,
    inferred,
    spatial,
    unexportable,
)
from netspec.catalogue.types import (
    ABOVE_ZERO,
    BOOLEAN,
    NONNEGATIVE,
    NUMBER,
    POSITIVE,
    PROBABILITY,
    Either,
    Integer,
    ListOf,
    optional,
)
from netspec.shapes import MAX_RANK, Shape, numel, show

EPS = Param("eps", NONNEGATIVE, 1e-5, "added to the denominator")
BIAS = Param("bias", BOOLEAN, True, "of `affine`; older releases of torch lack it", recent=True)


def _affine(count: str) -> Callable[[Call], Weights]:
    """`weight` and `bias`, one value for each of `count`."""

    def weights(call: Call) -> Weights:
        if not call["affine"]:
            return {}
        return dict.fromkeys(("weight", "bias")[: 1 + call["bias"]], (call[count],))

    return weights


def _affine_bias(call: Call) -> bool:
    """Without weights, `bias` says nothing."""
    return call["bias"] or not call["affine"]


def _batch_norm(name: str, *layouts: str) -> Layer:
    def output(call: Call) -> Shape:
        if not call["track_running_stats"]:
            call.require(
                numel(call.shape[1:]),
                2,
                f"without running statistics {name} cannot evaluate a single sample: each channel "
                f"of {call.input} has one value",
                "leave track_running_stats at true",
                "track_running_stats",
            )
        return call.shape

    return Layer(
        name=name,
        doc="batch normalisation over every dimension but the channels",
        output_is="spare",
        layouts=layouts,
        params=(
            inferred("num_features", POSITIVE),
            Param("eps", ABOVE_ZERO, 1e-5, "added to the denominator"),
            Param("momentum", optional(PROBABILITY), 0.1, "null: a cumulative average"),
            Param("affine", BOOLEAN, True),
            Param("track_running_stats", BOOLEAN, True),
            BIAS,
        ),
        inferred={"num_features": channels},
        settled={"bias": _affine_bias},
        output=output,
        weights=_affine("num_features"),
    )


def _instance_norm(rank: int) -> Layer:
    def output(call: Call) -> Shape:
        call.require(
            numel(spatial(call.shape)),
            2,
            f"InstanceNorm{rank}d needs more than one value a channel, but the input is "
            f"{call.input}",
            "pool less before it, or use GroupNorm",
        )
        return call.shape

    return Layer(
        name=f"InstanceNorm{rank}d",
        doc="normalisation over each channel of each sample",
        output_is="spare",
        layouts=(LAYOUTS[rank],),
        params=(
            inferred("num_features", POSITIVE),
            EPS,
            Param("momentum", PROBABILITY, 0.1),
            Param("affine", BOOLEAN, False),
            Param("track_running_stats", BOOLEAN, False),
            BIAS,
        ),
        inferred={"num_features": channels},
        settled={"bias": _affine_bias},
        output=output,
        weights=_affine("num_features"),
    )


def _group_norm(call: Call) -> Shape:
    if call["num_channels"] % call["num_groups"]:
        raise Refusal(
            f"num_groups {call['num_groups']} does not divide the {call['num_channels']} channels",
            param="num_groups",
        )
    call.require(
        numel(call.shape) // call["num_groups"],
        2,
        f"each of the {call['num_groups']} groups has a single value in {call.input}, "
        "which leaves nothing to normalise",
        "use fewer groups",
        "num_groups",
    )
    return call.shape


def normalized(call: Call) -> tuple[int, ...]:
    shape = call["normalized_shape"]
    return (shape,) if isinstance(shape, int) else tuple(shape)


def _trailing(call: Call) -> Shape:
    shape = normalized(call)
    if call.shape[-len(shape) :] != shape:
        raise Refusal(
            f"normalized_shape {show(shape)} is not how the input {call.input} ends",
            "leave it out to normalise over the last dimension",
            "normalized_shape",
        )
    return call.shape


def _layer_norm_weights(call: Call) -> Weights:
    if not call["elementwise_affine"]:
        return {}
    return {name: normalized(call) for name in ("weight", "bias")[: 1 + call["bias"]]}


def _last(call: Call) -> list[int]:
    """The last dimension, or what is written where that is a trailing shape."""
    written = call.args.get("normalized_shape")
    return written if written is not None else [features(call)]


LAYER_NORM = Layer(
    name="LayerNorm",
    doc="normalisation over the last dimensions",
    output_is="spare",
    params=(
        inferred("normalized_shape", Either(POSITIVE, ListOf(POSITIVE, 1, MAX_RANK))),
        EPS,
        Param("elementwise_affine", BOOLEAN, True),
        Param("bias", BOOLEAN, True),
    ),
    inferred={"normalized_shape": _last},
    output=_trailing,
    settled={
        "normalized_shape": lambda call: list(normalized(call)),
        "bias": lambda call: call["elementwise_affine"] and call["bias"],
    },
    weights=_layer_norm_weights,
)

RMS_NORM = Layer(
    name="RMSNorm",
    doc="root-mean-square normalisation (Zhang and Sennrich, 2019, arXiv:1910.07467)",
    output_is="spare",
    params=(
        inferred("normalized_shape", Either(POSITIVE, ListOf(POSITIVE, 1, MAX_RANK))),
        Param("eps", optional(NONNEGATIVE), None, "default: the dtype's own"),
        Param("elementwise_affine", BOOLEAN, True),
    ),
    inferred={"normalized_shape": _last},
    settled={"normalized_shape": lambda call: list(normalized(call))},
    output=_trailing,
    weights=lambda call: {"weight": normalized(call)} if call["elementwise_affine"] else {},
)

LAYERS = [
    _batch_norm("BatchNorm1d", "C", "C, L"),
    _batch_norm("BatchNorm2d", "C, H, W"),
    _batch_norm("BatchNorm3d", "C, D, H, W"),
    _batch_norm("SyncBatchNorm", "C", "C, L", "C, H, W", "C, D, H, W"),
    *map(_instance_norm, LAYOUTS),
    Layer(
        name="GroupNorm",
        doc="normalisation over groups of channels",
        output_is="spare",
        params=(
            Param("num_groups", POSITIVE),
            inferred("num_channels", POSITIVE),
            EPS,
            Param("affine", BOOLEAN, True),
            BIAS,
        ),
        inferred={"num_channels": channels},
        settled={"bias": _affine_bias},
        output=_group_norm,
        weights=_affine("num_channels"),
    ),
    LAYER_NORM,
    RMS_NORM,
    Layer(
        name="CrossMapLRN2d",
        doc="an older LocalResponseNorm; it cannot be exported",
        exportable=unexportable,
        layouts=("C, H, W",),
        params=(
            Param("size", Integer(2), doc="torch fails in training where it is 1"),
            Param("alpha", NUMBER, 1e-4),
            Param("beta", NUMBER, 0.75),
            Param("k", NUMBER, 1.0),
        ),
    ),
    Layer(
        name="LocalResponseNorm",
        doc="normalisation over neighbouring channels; volumes can be made planes by `Reshape`",
        output_is="spare",
        # [C, D, H, W] as well, but torch fails there on what a Permute or Select has left behind.
        layouts=("C, L", "C, H, W"),
        params=(
            Param("size", POSITIVE),
            Param("alpha", NUMBER, 1e-4),
            Param("beta", NUMBER, 0.75),
            Param("k", NUMBER, 1.0),
        ),
    ),
]
