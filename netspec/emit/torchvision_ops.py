"""Stand-ins for classes of torchvision.ops, for emitted files, which need torch alone.

Never imported by netspec: `definitions` copies their text. A test holds them against torchvision.
"""

from __future__ import annotations

from collections.abc import Callable

from torch import Tensor, nn


class Permute(nn.Module):
    """Reorders the dimensions; 0 is the batch."""

    def __init__(self, dims: tuple[int, ...]) -> None:
        super().__init__()
        self.dims = dims

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(self.dims)

    def extra_repr(self) -> str:
        return f"dims={self.dims}"


class StochasticDepth(nn.Module):
    """Zeroes, in training, whole samples (`row`) or the whole batch (`batch`), and scales
    what is left (Huang et al., 2016, arXiv:1603.09382)."""

    def __init__(self, p: float, mode: str) -> None:
        super().__init__()
        self.p = p
        self.mode = mode

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        rows = x.shape[0] if self.mode == "row" else 1
        survival = 1 - self.p
        noise = x.new_empty(rows, *[1] * (x.dim() - 1)).bernoulli_(survival)
        if survival > 0:
            noise.div_(survival)
        return x * noise

    def extra_repr(self) -> str:
        return f"p={self.p}, mode={self.mode!r}"


class SqueezeExcitation(nn.Module):
    """Channels weighed by what their means say (Hu et al., 2017, arXiv:1709.01507)."""

    def __init__(
        self,
        input_channels: int,
        squeeze_channels: int,
        activation: Callable[[], nn.Module] = nn.ReLU,
        scale_activation: Callable[[], nn.Module] = nn.Sigmoid,
    ) -> None:
        super().__init__()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc1 = nn.Conv2d(input_channels, squeeze_channels, 1)
        self.fc2 = nn.Conv2d(squeeze_channels, input_channels, 1)
        self.activation = activation()
        self.scale_activation = scale_activation()

    def forward(self, x: Tensor) -> Tensor:
        inner = self.activation(self.fc1(self.avgpool(x)))
        scale: Tensor = self.scale_activation(self.fc2(inner))
        return scale * x
