"""What torch's exporter can't do, or onnxruntime does badly, computed, in evaluation mode, by what
they can.

Each function stands for the `forward` of the layer whose catalogue entry is `exported_as` it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from netspec import compiler
from netspec.catalogue.layers import LAYERS
from netspec.catalogue.types import spread


@contextmanager
def rewritten(module: nn.Module) -> Iterator[None]:
    """While it lasts, `module`'s layers compute as their entries are exported."""
    known = {
        compiler.attribute(layer): compiler.resolve(layer.exported_as)
        for layer in LAYERS.values()
        if layer.exported_as
    }
    found = [each for each in module.modules() if type(each) in known]
    for each in found:
        each.forward = MethodType(known[type(each)], each)
    try:
        yield
    finally:
        for each in found:
            del each.forward


def max_pool1d(pool: nn.MaxPool1d, x: Tensor) -> Tensor:
    """The exporter would fix the length."""

    def across(size: Any) -> tuple[int, int]:
        return 1, size if isinstance(size, int) else size[0]

    kernel, stride, dilation = map(across, (pool.kernel_size, pool.stride, pool.dilation))
    padding = (0, across(pool.padding)[1])
    image = functional.max_pool2d(x.unsqueeze(2), kernel, stride, padding, dilation, pool.ceil_mode)
    return image.squeeze(2)


def adaptive_max_pool(pool: Any, x: Tensor) -> Tensor:
    """The exporter has none before torch 2.13. Other sizes than 1 divide the input's: the check
    lets no others through."""
    for axis, size in enumerate(spread(pool.output_size, x.dim() - 2), start=2):
        if size is not None:
            x = torch.unflatten(x, axis, (size, -1)).amax(axis + 1)
    return x


def rrelu(layer: nn.RReLU, x: Tensor) -> Tensor:
    """The exporter has none."""
    return functional.leaky_relu(x, (layer.lower + layer.upper) / 2)


def glu(layer: nn.GLU, x: Tensor) -> Tensor:
    """onnxruntime's sigmoid is off by some 1e-7, which is much of a gate that is all but shut."""
    dim = layer.dim % x.dim()
    values, gates = torch.unflatten(x, dim, (2, -1)).unbind(dim)
    return values / (1 + torch.exp(-gates))
