"""Every transform of torchvision.transforms.v2, a module per family."""

from netspec.catalogue.transforms.choosing import (
    TRANSFORMS,
    Step,
    applied,
    masks,
    mixers,
    mixes,
    settled,
)
from netspec.catalogue.transforms.transform import (
    AtLeast,
    Image,
    Size,
    Stage,
    Transform,
    least,
    most,
    pair,
)

__all__ = [
    "TRANSFORMS",
    "AtLeast",
    "Image",
    "Size",
    "Stage",
    "Step",
    "Transform",
    "applied",
    "least",
    "masks",
    "mixers",
    "mixes",
    "most",
    "pair",
    "settled",
]
