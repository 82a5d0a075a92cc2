"""The classes of torch.nn that are no layers of a spec, and why. A test holds the list complete."""

from __future__ import annotations

from netspec.catalogue.losses import LOSSES

_TWO_INPUTS = "takes two tensors"
_LAZY = "inferred parameters make it pointless: write the class without Lazy"
_CONTAINER = "a container; lists of layers, `Sequential`, `Residual` and `Parallel` stand for it"
_BASE = "a base class"
_LOSS = "a loss that needs more than output and target"

LEFT_OUT: dict[str, str] = {
    **dict.fromkeys(
        ("BCELoss", *(name for name, loss in LOSSES.items() if loss.target == f"torch.nn:{name}")),
        "a loss: `train.loss`",
    ),
    **dict.fromkeys(
        ("Bilinear", "CosineSimilarity", "PairwiseDistance", "Transformer"), _TWO_INPUTS
    ),
    **dict.fromkeys(("TransformerDecoder", "TransformerDecoderLayer"), _TWO_INPUTS),
    **dict.fromkeys(
        ("MaxUnpool1d", "MaxUnpool2d", "MaxUnpool3d"), "needs the indices of an earlier pooling"
    ),
    "MultiLabelMarginLoss": "its targets are lists of labels, ended by -1",
    "NLLLoss2d": "deprecated for `NLLLoss`",
    "LSTMCell": "returns two tensors",
    "AdaptiveLogSoftmaxWithLoss": "returns two values, and needs the target",
    "LinearCrossEntropyLoss": "a layer and a loss in one",
    **dict.fromkeys(("CosineEmbeddingLoss", "MarginRankingLoss", "TripletMarginLoss"), _LOSS),
    **dict.fromkeys(("TripletMarginWithDistanceLoss", "CTCLoss", "GaussianNLLLoss"), _LOSS),
    **dict.fromkeys(
        (
            *(f"LazyBatchNorm{rank}d" for rank in (1, 2, 3)),
            *(f"LazyConv{rank}d" for rank in (1, 2, 3)),
            *(f"LazyConvTranspose{rank}d" for rank in (1, 2, 3)),
            *(f"LazyInstanceNorm{rank}d" for rank in (1, 2, 3)),
            "LazyLinear",
        ),
        _LAZY,
    ),
    **dict.fromkeys(
        ("Container", "ModuleDict", "ModuleList", "ParameterDict", "ParameterList"), _CONTAINER
    ),
    **dict.fromkeys(("Module", "RNNBase", "RNNCellBase"), _BASE),
    "DataParallel": "deprecated for `torchrun`",
}
