"""Linear layers, embeddings and what reshapes on the way to them."""

from netspec.catalogue.component import Param, Refusal
from netspec.catalogue.layers.layer import Call, Layer, Weights, features, inferred, volume
from netspec.catalogue.types import (
    ABOVE_ZERO,
    BOOLEAN,
    INTEGER,
    POSITIVE,
    Choice,
    Either,
    Integer,
    ListOf,
    optional,
)
from netspec.shapes import MAX_RANK, Dim, Shape, Tensor, divisible, numel, show


def _in_features(call: Call) -> int:
    if len(call.shape) >= 3 and "in_features" not in call.args:
        flat = numel(call.shape)
        raise Refusal(
            f"Linear would act on the last dimension of {call.input} alone",
            f"add `- Flatten` before it, which gives [{flat}], or write "
            f"in_features: {call.shape[-1]} if that is meant",
        )
    return features(call)


def _linear_weights(call: Call) -> Weights:
    found = {"weight": (call["out_features"], call["in_features"])}
    return found | ({"bias": (call["out_features"],)} if call["bias"] else {})


def _linear_macs(call: Call) -> Dim:
    macs: Dim = volume(call.shape) * call["out_features"]
    return macs


def _flatten(call: Call) -> Shape:
    start, end = call.axis("start_dim"), call.axis("end_dim")
    if start > end:
        raise Refusal(
            f"start_dim {call['start_dim']} lies after end_dim {call['end_dim']} in {call.input}",
            param="start_dim",
        )
    return (*call.shape[:start], numel(call.shape[start : end + 1]), *call.shape[end + 1 :])


def fill(sizes: list[int], total: Dim, call: Call, param: str) -> Shape:
    """`sizes`, with their one -1 worked out from the number of elements."""
    known = numel(size for size in sizes if size != -1)
    assert isinstance(known, int)
    fits = divisible(total, known) if -1 in sizes else total == known
    if not fits or sizes.count(-1) > 1:
        raise Refusal(
            f"{param} {show(sizes)} cannot hold the {total} elements of {call.input}", param=param
        )
    return tuple(total // known if size == -1 else size for size in sizes)


def _unflatten(call: Call) -> Shape:
    axis = call.axis("dim")
    split = fill(call["unflattened_size"], call.shape[axis], call, "unflattened_size")
    return (*call.shape[:axis], *split, *call.shape[axis + 1 :])


def _padding_idx(call: Call) -> int | None:
    """Counted from the first embedding."""
    index, count = call["padding_idx"], call["num_embeddings"]
    if index is None:
        return None
    if not -count <= index < count:
        raise Refusal(
            f"padding_idx {index} lies outside the {count} embeddings", param="padding_idx"
        )
    return int(index % count)


def _embedding(call: Call) -> Tensor:
    if call["sparse"] and call["scale_grad_by_freq"]:
        raise Refusal("sparse gradients cannot be scaled by frequency", param="scale_grad_by_freq")
    return Tensor((*call.shape, call["embedding_dim"]))


def _embedding_bag(call: Call) -> Tensor:
    for param in ("sparse", "scale_grad_by_freq"):
        if call["mode"] == "max" and call[param]:
            raise Refusal(f"mode 'max' has no {param}", param=param)
    return Tensor(_embedding(call).shape[1:])


SIZES = ListOf(Either(Integer(-1, -1), POSITIVE), 1, MAX_RANK)

LAYERS = [
    Layer(
        name="Linear",
        doc="y = x A^T + b on the last dimension",
        output_is="spare",
        layouts=(),
        params=(
            inferred("in_features", POSITIVE),
            Param("out_features", POSITIVE),
            Param("bias", BOOLEAN, True),
        ),
        inferred={"in_features": _in_features},
        output=lambda call: (*call.shape[:-1], call["out_features"]),
        weights=_linear_weights,
        macs=_linear_macs,
    ),
    Layer(
        name="Flatten",
        doc="joins the dimensions from start_dim to end_dim",
        output_is="as input",
        values="as input",
        params=(
            Param("start_dim", INTEGER, 1, "the batch is 0"),
            Param("end_dim", INTEGER, -1),
        ),
        dtypes=None,
        output=_flatten,
    ),
    Layer(
        name="Unflatten",
        doc="splits one dimension into several",
        output_is="as input",
        values="as input",
        params=(
            Param("dim", INTEGER, doc="the batch is 0"),
            Param("unflattened_size", SIZES, doc="at most one -1 is worked out"),
        ),
        dtypes=None,
        output=_unflatten,
    ),
    Layer(
        name="Embedding",
        doc="a learned vector for each token id",
        params=(
            Param("num_embeddings", POSITIVE),
            Param("embedding_dim", POSITIVE),
            Param("padding_idx", optional(INTEGER), None),
            Param("max_norm", optional(ABOVE_ZERO), None),
            Param("norm_type", ABOVE_ZERO, 2.0),
            Param("scale_grad_by_freq", BOOLEAN, False),
            Param("sparse", BOOLEAN, False),
        ),
        dtypes=("int64",),
        vocabulary="num_embeddings",
        settled={"padding_idx": _padding_idx},
        output=_embedding,
        weights=lambda call: {"weight": (call["num_embeddings"], call["embedding_dim"])},
    ),
    Layer(
        name="EmbeddingBag",
        doc="the sum, mean or largest of the token ids' learned vectors",
        layouts=("T",),
        params=(
            Param("num_embeddings", POSITIVE),
            Param("embedding_dim", POSITIVE),
            Param("max_norm", optional(ABOVE_ZERO), None),
            Param("norm_type", ABOVE_ZERO, 2.0),
            Param("scale_grad_by_freq", BOOLEAN, False),
            Param("mode", Choice("sum", "mean", "max"), "mean"),
            Param("sparse", BOOLEAN, False),
            Param("padding_idx", optional(INTEGER), None),
        ),
        dtypes=("int64",),
        vocabulary="num_embeddings",
        settled={"padding_idx": _padding_idx},
        output=_embedding_bag,
        weights=lambda call: {"weight": (call["num_embeddings"], call["embedding_dim"])},
        withheld={"include_last_offset": "a sample is one bag and has no offsets"},
    ),
]
