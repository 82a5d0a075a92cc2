"""What mixes the samples of a batch, and their classes as probabilities."""

from __future__ import annotations

from netspec.catalogue.component import Param
from netspec.catalogue.transforms.transform import Transform
from netspec.catalogue.types import ABOVE_ZERO, POSITIVE, optional

TRANSFORMS = [
    Transform(
        name=name,
        params=(
            Param("alpha", ABOVE_ZERO, 1.0, "both parameters of the share's beta distribution"),
            Param("num_classes", optional(POSITIVE), None, "inferred; written out, it is checked"),
        ),
        masks="refused",
        mixes=True,
        doc="of whole batches, last in `augment`",
    )
    for name in ("MixUp", "CutMix")
]
