"""The few modules that netspec adds to torch's. Shapes include the batch, N."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn


class Residual(nn.Module):
    """`body(x) + shortcut(x)`, both of one shape."""

    def __init__(self, body: nn.Module, shortcut: nn.Module) -> None:
        super().__init__()
        self.body = body
        self.shortcut = shortcut

    def forward(self, x: Tensor) -> Tensor:
        total: Tensor = self.body(x) + self.shortcut(x)
        return total


class Parallel(nn.Module):
    """Every branch gets the same input; their outputs are joined by `merge`.

    merge: `cat` along `dim` (0 is the batch), or `add` or `mul`, which broadcast.
    """

    def __init__(self, *branches: nn.Module, merge: str = "cat", dim: int = 1) -> None:
        super().__init__()
        for index, branch in enumerate(branches):
            self.add_module(str(index), branch)
        self.merge = merge
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        outputs: list[Tensor] = [branch(x) for branch in self.children()]
        if self.merge == "cat":
            return torch.cat(outputs, self.dim)
        return reduce(torch.add if self.merge == "add" else torch.mul, outputs)

    def extra_repr(self) -> str:
        return f"merge={self.merge!r}" + (f", dim={self.dim}" if self.merge == "cat" else "")


class BCELoss(nn.BCELoss):
    """torch's, but not a number where an output is not; torch raises an error that hides why."""

    def forward(self, input: Tensor, target: Tensor) -> Tensor:
        return super().forward(input.nan_to_num(0.5), target) + 0 * input.sum()


class Reshape(nn.Module):
    """[N, …] → [N, *shape]; `shape` may hold one -1."""

    def __init__(self, shape: Sequence[int]) -> None:
        super().__init__()
        self.shape = tuple(shape)

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], *self.shape)

    def extra_repr(self) -> str:
        return f"shape={self.shape}"


class Mean(nn.Module):
    """The mean over `dim`, one dimension or several; 0 is the batch."""

    def __init__(self, dim: int | tuple[int, ...], keepdim: bool = False) -> None:
        super().__init__()
        self.dim = dim
        self.keepdim = keepdim

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(self.dim, self.keepdim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, keepdim={self.keepdim}"


class Select(nn.Module):
    """One index of a dimension, which goes."""

    def __init__(self, dim: int, index: int) -> None:
        super().__init__()
        self.dim = dim
        self.index = index

    def forward(self, x: Tensor) -> Tensor:
        return x.select(self.dim, self.index)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, index={self.index}"


class Narrow(nn.Module):
    """`length` indices of a dimension, from `start`."""

    def __init__(self, dim: int, start: int, length: int) -> None:
        super().__init__()
        self.dim = dim
        self.start = start
        self.length = length

    def forward(self, x: Tensor) -> Tensor:
        return x.narrow(self.dim, self.start, self.length)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, start={self.start}, length={self.length}"


class ClassToken(nn.Module):
    """[N, T, D] → [N, T + 1, D]: a learned token before the others (torchvision's
    VisionTransformer.class_token)."""

    def __init__(self, embed_dim: int) -> None:
        super().__init__()
        self.class_token = nn.Parameter(torch.zeros(1, 1, embed_dim))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.class_token.expand(x.shape[0], -1, -1), x], dim=1)


class PositionalEmbedding(nn.Module):
    """A learned vector added at each position of [N, T, D] (torchvision's Encoder.pos_embedding),
    drawn from a normal distribution with `std`."""

    def __init__(self, num_positions: int, embed_dim: int, std: float = 0.02) -> None:
        super().__init__()
        self.std = std
        self.pos_embedding = nn.Parameter(torch.empty(1, num_positions, embed_dim).normal_(std=std))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.pos_embedding


class LayerScale(nn.Module):
    """A learned factor for each index of `dim` (Touvron et al., 2021, arXiv:2103.17239)."""

    def __init__(self, num_channels: int, init_values: float = 1e-6, dim: int = 1) -> None:
        super().__init__()
        self.init_values = init_values
        self.weight = nn.Parameter(torch.full((num_channels,), init_values))
        self.dim = dim

    def forward(self, x: Tensor) -> Tensor:
        shape = [1] * x.dim()
        shape[self.dim] = -1
        return x * self.weight.view(shape)

    def extra_repr(self) -> str:
        return f"{self.weight.shape[0]}, dim={self.dim}"


class Scale(nn.Module):
    """Multiplies by a constant."""

    def __init__(self, factor: float) -> None:
        super().__init__()
        self.factor = factor

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factor

    def extra_repr(self) -> str:
        return f"factor={self.factor}"


# `forward` takes and gives one tensor below, as nn.Sequential wants it; torch's own take and give
# more, which mypy rightly calls another signature.
class _OneTensor(nn.Module):
    """Makes a recurrent module of torch return one tensor.

    output: `sequence`: [N, T, D·H]; `last`: [N, D·H], the last layer's final hidden state with its
    D directions concatenated.
    """

    bidirectional: bool

    def __init__(self, *, output: str = "sequence", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.output = output

    def forward(self, x: Tensor) -> Tensor:
        sequence: Tensor
        sequence, state = super().forward(x)
        if self.output == "sequence":
            return sequence
        hidden: Tensor = state[0] if isinstance(state, tuple) else state
        directions = 2 if self.bidirectional else 1
        return torch.cat(tuple(hidden[-directions:]), dim=1)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, output={self.output!r}"


class RNN(_OneTensor, nn.RNN):  # type: ignore[misc]
    """`torch.nn.RNN`, batch first, with one output."""


class LSTM(_OneTensor, nn.LSTM):  # type: ignore[misc]
    """`torch.nn.LSTM`, batch first, with one output."""


class GRU(_OneTensor, nn.GRU):  # type: ignore[misc]
    """`torch.nn.GRU`, batch first, with one output."""


def _causal_mask(x: Tensor) -> Tensor:
    """[T, T] for [N, T, D]: minus infinity where a position would see one after it."""
    return nn.Transformer.generate_square_subsequent_mask(
        x.shape[1], device=x.device, dtype=x.dtype
    )


class MultiheadAttention(nn.MultiheadAttention):
    """`torch.nn.MultiheadAttention` of a sequence [N, T, D] with itself, batch first."""

    def __init__(self, *args: Any, is_causal: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.is_causal = is_causal

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        mask = _causal_mask(x) if self.is_causal else None
        output, _ = super().forward(
            x, x, x, need_weights=False, attn_mask=mask, is_causal=self.is_causal
        )
        return output


class TransformerEncoderLayer(nn.TransformerEncoderLayer):
    """`torch.nn.TransformerEncoderLayer` over [N, T, D], batch first."""

    def __init__(self, *args: Any, is_causal: bool = False, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.is_causal = is_causal

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        mask = _causal_mask(x) if self.is_causal else None
        return super().forward(x, src_mask=mask, is_causal=self.is_causal)


class TransformerEncoder(nn.TransformerEncoder):
    """`torch.nn.TransformerEncoder` over [N, T, D], batch first."""

    def __init__(
        self,
        encoder_layer: nn.TransformerEncoderLayer,
        num_layers: int,
        norm: nn.Module | None = None,
        is_causal: bool = False,
    ) -> None:
        # Nested tensors are for padding masks, and torch warns where a layer has none.
        super().__init__(encoder_layer, num_layers, norm, enable_nested_tensor=False)
        self.is_causal = is_causal

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        mask = _causal_mask(x) if self.is_causal else None
        return super().forward(x, mask=mask, is_causal=self.is_causal)


class Cut(nn.Module):
    """A torchvision model up to one of its nodes; `model` is torchvision's feature extractor."""

    def __init__(self, model: nn.Module, until: str) -> None:
        from torchvision.models.feature_extraction import create_feature_extractor

        super().__init__()
        self.model = create_feature_extractor(model, return_nodes={until: "output"})

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.model(x)["output"]
        return output


def pretrained(model: str, weights: str | None = None, until: str | None = None) -> nn.Module:
    """A torchvision model by its builder's name, cut after the node `until`.

    Raises ValueError for a node or weights that there are not, URLError where the weights cannot be
    fetched.
    """
    from torchvision.models import get_model  # takes seconds to import

    made = get_model(model, weights=weights)
    return Cut(made, until) if until is not None else made
