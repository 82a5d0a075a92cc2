"""Every layer type, a module per family."""

from netspec.catalogue.layers import (
    attention,
    convolution,
    elementwise,
    linear,
    normalization,
    padding,
    pooling,
    pretrained,
    recurrent,
    resampling,
    steps,
    structure,
)
from netspec.catalogue.layers.layer import Layer

FAMILIES = {
    "Structure": structure,
    "Convolution": convolution,
    "Pooling": pooling,
    "Padding": padding,
    "Resampling": resampling,
    "Linear": linear,
    "Normalisation": normalization,
    "Elementwise": elementwise,
    "Recurrent": recurrent,
    "Attention": attention,
    "Steps": steps,
    "Pretrained": pretrained,
}

LAYERS: dict[str, Layer] = {
    layer.name: layer for family in FAMILIES.values() for layer in family.LAYERS
}

__all__ = ["FAMILIES", "LAYERS", "Layer"]
