"""The classes of torchvision.transforms.v2 that no spec names, and why: what a user who writes the
name reads. A test holds the list complete."""

from __future__ import annotations

_SCALED = "images of every source are scaled to floats in [0, 1], first of all"
_BOXES = "targets are classes, numbers or masks, not bounding boxes"
_KEY_POINTS = "targets are classes, numbers or masks, not key points"
_CROPS = "it makes several images of one; `CenterCrop` gives one, `RandomCrop` another each time"

LEFT_OUT: dict[str, str] = {
    "Compose": "a list of transforms is one already: write its transforms in the list itself",
    **dict.fromkeys(("ToTensor", "ToImage", "PILToTensor", "ToPureTensor"), _SCALED),
    **dict.fromkeys(("ToDtype", "ConvertImageDtype"), _SCALED),
    "ToPILImage": "images are tensors from end to end",
    "Lambda": "a spec holds no code; prepare the data with it, and give them as `Tensors`",
    "LinearTransformation": "its matrix has a row and a column for every value of the image; a "
    "frozen `Linear` in `model`, with weights from a file, computes the same",
    **dict.fromkeys(("FiveCrop", "TenCrop"), _CROPS),
    **dict.fromkeys(
        (
            "ClampBoundingBoxes",
            "ConvertBoundingBoxFormat",
            "RandomIoUCrop",
            "SanitizeBoundingBoxes",
            "SetClampingMode",
        ),
        _BOXES,
    ),
    **dict.fromkeys(("ClampKeyPoints", "SanitizeKeyPoints"), _KEY_POINTS),
    "UniformTemporalSubsample": "samples are images, not videos",
    "Transform": "a base class",
}
