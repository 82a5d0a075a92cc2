"""Every layer type, a module per family."""

from netspec.catalogue.layers import (
    convolution,
    elementwise,
    linear,
    normalization,
    pooling,
    recurrent,
    steps,
    structure,
)
from netspec.catalogue.layers.layer import Layer

FAMILIES = {
    "Structure": structure,
    "Convolution": convolution,
    "Pooling": pooling,
    "Linear": linear,
    "Normalisation": normalization,
    "Elementwise": elementwise,
    "Recurrent": recurrent,
    "Steps": steps,
}

LAYERS: dict[str, Layer] = {
    layer.name: layer for family in FAMILIES.values() for layer in family.LAYERS
}

__all__ = ["FAMILIES", "LAYERS", "Layer"]
