"""8-bit images to what the network takes: one module, for evaluation, prediction and export.

`Resize` and `CenterCrop` equal torchvision.transforms.v2's bit for bit (a test holds them to it);
theirs fix the image's size when exported, these carry it along as an expression.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision.transforms import v2

from netspec.catalogue.transforms import TRANSFORMS, pair
from netspec.compiler import resolve
from netspec.planning.plans import Pipeline
from netspec.spec.model import Named


def scale(images: Tensor) -> Tensor:
    """8-bit pixels as floats in [0, 1]."""
    return images.to(torch.float32) / 255


class Resize(nn.Module):
    """[N, C, H, W] floats, bilinear; one number is the shorter side's new length."""

    def __init__(self, size: int | list[int], antialias: bool = True) -> None:
        super().__init__()
        self.size = size
        self.antialias = antialias

    def forward(self, x: Tensor) -> Tensor:
        return functional.interpolate(
            x, size=self._target(x), mode="bilinear", antialias=self.antialias
        )

    def _target(self, x: Tensor) -> tuple[int, int]:
        if isinstance(self.size, list) and len(self.size) == 2:
            return (self.size[0], self.size[1])
        short = self.size if isinstance(self.size, int) else self.size[0]
        height, width = x.shape[-2:]
        # The exporter's sizes are torch.SymInt, which mimic int.
        least: int = torch.sym_min(height, width)  # type: ignore[assignment]
        return (short * height // least, short * width // least)


class CenterCrop(nn.Module):
    """The middle of [N, C, H, W], which is at least `size`."""

    def __init__(self, size: int | list[int]) -> None:
        super().__init__()
        self.height, self.width = pair(size)

    def forward(self, x: Tensor) -> Tensor:
        top = _half(x.shape[-2] - self.height)
        left = _half(x.shape[-1] - self.width)
        # Indices, not a slice: the exporter cannot know the size of a slice with a moving start.
        rows = torch.arange(self.height, device=x.device) + top
        columns = torch.arange(self.width, device=x.device) + left
        return x.index_select(-2, rows).index_select(-1, columns)


def _half(margin: int) -> int:
    """margin / 2, a half rounded to even as Python's `round`, in integer arithmetic."""
    return (margin + margin // 2 % 2) // 2


class Preprocessing(nn.Module):
    """uint8 images [N, C, H, W] → the network's input: scaled to [0, 1], then `evaluate`, then
    `preprocess`."""

    def __init__(self, pipeline: Pipeline) -> None:
        super().__init__()
        self.steps = nn.Sequential(*map(deployed, (*pipeline.evaluate, *pipeline.preprocess)))

    def forward(self, images: Tensor) -> Tensor:
        result: Tensor = self.steps(scale(images))
        return result


def deployed(step: Named) -> nn.Module:
    """What does a step of `evaluate` and `preprocess` on floats [N, C, H, W]."""
    entry = TRANSFORMS[step.type]
    args = dict(step.args) if entry.deployed else arguments(step)
    made: nn.Module = resolve(entry.deployed or entry.target)(**args)
    return made


def arguments(step: Named) -> dict[str, object]:
    """As torchvision's class takes them: interpolation modes are an enumeration there."""
    args = dict(step.args)
    if "interpolation" in args:
        args["interpolation"] = v2.InterpolationMode(args["interpolation"])
    return args
