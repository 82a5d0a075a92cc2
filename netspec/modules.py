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
        return self.body(x) + self.shortcut(x)


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
        outputs = [branch(x) for branch in self.children()]
        if self.merge == "cat":
            return torch.cat(outputs, self.dim)
        return reduce(torch.add if self.merge == "add" else torch.mul, outputs)

    def extra_repr(self) -> str:
        return f"merge={self.merge!r}" + (f", dim={self.dim}" if self.merge == "cat" else "")


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

    def __init__(self, dim: int | Sequence[int], keepdim: bool = False) -> None:
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
        self.pos_embedding = nn.Parameter(torch.empty(1, num_positions, embed_dim).normal_(std=std))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.pos_embedding


class LayerScale(nn.Module):
    """A learned factor for each index of `dim` (Touvron et al., 2021, arXiv:2103.17239)."""

    def __init__(self, num_channels: int, init_values: float = 1e-6, dim: int = 1) -> None:
        super().__init__()
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


class _OneTensor(nn.Module):
    """Makes a recurrent module of torch return one tensor.

    output: `sequence`: [N, T, D·H]; `last`: [N, D·H], the last layer's final hidden state with its
    D directions concatenated.
    """

    num_directions = property(lambda self: 2 if self.bidirectional else 1)

    def __init__(self, *, output: str = "sequence", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.output = output

    def forward(self, x: Tensor) -> Tensor:
        sequence, state = super().forward(x)
        if self.output == "sequence":
            return sequence
        hidden = state[0] if isinstance(state, tuple) else state
        return torch.cat(tuple(hidden[-self.num_directions :]), dim=1)

    def extra_repr(self) -> str:
        return f"{super().extra_repr()}, output={self.output!r}"


class RNN(_OneTensor, nn.RNN):
    """`torch.nn.RNN`, batch first, with one output."""


class LSTM(_OneTensor, nn.LSTM):
    """`torch.nn.LSTM`, batch first, with one output."""


class GRU(_OneTensor, nn.GRU):
    """`torch.nn.GRU`, batch first, with one output."""
