"""The classes of torchvision.datasets that no spec names, and why: what a user who writes the name
reads. A test holds the list complete."""

from __future__ import annotations

_VIDEO = "its samples are videos, and a sample of a spec is one image, table row or array"
_PAIRS = "a sample of it is two images"
_FLOW = "its targets are the flow from one image to the next"
_STEREO = "a sample of it is two images, its target their disparity"
_BOXES = "its targets are bounding boxes; targets are classes, numbers or masks"
_CAPTIONS = "its targets are sentences"

LEFT_OUT: dict[str, str] = {
    "DatasetFolder": "it needs a function that loads a file: use `ImageFolder`",
    "FakeData": "use `Synthetic`",
    "VisionDataset": "a base class",
    **dict.fromkeys(("HMDB51", "Kinetics", "UCF101", "MovingMNIST"), _VIDEO),
    **dict.fromkeys(("LFWPairs", "PhotoTour"), _PAIRS),
    **dict.fromkeys(("FlyingChairs", "FlyingThings3D", "HD1K", "KittiFlow", "Sintel"), _FLOW),
    **dict.fromkeys(
        (
            "CarlaStereo",
            "CREStereo",
            "ETH3DStereo",
            "FallingThingsStereo",
            "InStereo2k",
            "Kitti2012Stereo",
            "Kitti2015Stereo",
            "Middlebury2014Stereo",
            "SceneFlowStereo",
            "SintelStereo",
        ),
        _STEREO,
    ),
    **dict.fromkeys(("CocoDetection", "Kitti", "VOCDetection", "WIDERFace"), _BOXES),
    **dict.fromkeys(("CocoCaptions", "Flickr8k", "Flickr30k", "SBU"), _CAPTIONS),
    **dict.fromkeys(
        ("LSUN", "LSUNClass"),
        "torchvision reads it through a cache that it unpickles, which runs whatever is in it: "
        "write the images out, and use `ImageFolder`",
    ),
}
