"""What happens to an image is torchvision's, bit for bit."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision import tv_tensors
from torchvision.transforms import v2
from torchvision.transforms.functional import to_tensor

from netspec.catalogue.transforms import TRANSFORMS, Transform, masks, mixers, mixes, settled
from netspec.data.preprocessing import (
    CenterCrop,
    EightBit,
    GaussianBlur,
    Pad,
    Preprocessing,
    Resize,
    deployed,
    drawn,
    eight_bits,
    scale,
)
from netspec.planning import make_plan
from netspec.planning.pipeline import completed
from netspec.planning.plans import Pipeline
from netspec.spec.loading import loads
from netspec.spec.model import Named


def image(height: int, width: int, channels: int = 3, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    size = (channels, height, width)
    return torch.randint(0, 256, size, dtype=torch.uint8, generator=generator)


def pipeline(input: str, **steps: str) -> Pipeline:
    written = "\n".join(f"  {stage}: {text}" for stage, text in steps.items())
    found = make_plan(
        loads(
            f"netspec: 1\ninput: {input}\nmodel: [Flatten]\n"
            f"data:\n  source: {{ImageFolder: {{root: photos}}}}\n{written}\n"
        )
    ).pipeline
    assert found is not None
    return found


def step(name: str, **args: Any) -> Named:
    return completed(Named(name, args, ()))


def module(name: str, args: dict[str, Any]) -> nn.Module:
    return drawn(step(name, **args), classes=4)


def sizes(count: int, least: int, most: int, seed: int) -> list[tuple[int, int]]:
    draw = random.Random(seed)
    return [(draw.randint(least, most), draw.randint(least, most)) for _ in range(count)]


SIZES = [(17, 17), (32, 32), (24, 200), (200, 24), (1, 1), (1, 9), *sizes(12, 5, 90, seed=1)]


@pytest.mark.parametrize("size", [17, 32, [24], [20, 33], [7, 7]])
@pytest.mark.parametrize("mode", ["nearest", "nearest-exact", "bilinear", "bicubic"])
@pytest.mark.parametrize("antialias", [True, False])
def test_resize(size: Any, mode: str, antialias: bool) -> None:
    interpolation = v2.InterpolationMode(mode)
    theirs = v2.Resize(size, interpolation, antialias=antialias)
    ours = Resize(size, interpolation, antialias=antialias)
    for height, width in SIZES:
        one = scale(image(height, width))
        assert torch.equal(ours(one[None])[0], theirs(one)), (height, width)


@pytest.mark.parametrize("size", [17, [24], None])
@pytest.mark.parametrize("max_size", [25, 31, 60])
def test_resize_within_a_longest_side(size: Any, max_size: int) -> None:
    theirs, ours = v2.Resize(size, max_size=max_size), Resize(size, max_size=max_size)
    for height, width in SIZES:
        one = scale(image(height, width))
        made, wanted = ours(one[None])[0], theirs(one)
        if wanted.shape[-1] == 1:  # see the next test
            wanted = theirs(one.mT.contiguous()).mT
        assert torch.equal(made, wanted), (height, width)


@pytest.mark.parametrize("mode", ["bilinear", "bicubic"])
@pytest.mark.parametrize("antialias", [True, False])
def test_a_single_column_is_what_a_single_row_is(mode: str, antialias: bool) -> None:
    """torch's own, with antialias, is another image."""
    interpolation = v2.InterpolationMode(mode)
    for height, width in [(90, 1), (90, 5), (3, 90)]:
        one = scale(image(height, width))[None]
        column = Resize([40, 1], interpolation, antialias=antialias)(one)
        row = Resize([1, 40], interpolation, antialias=antialias)(one.mT)
        assert torch.allclose(column, row.mT, atol=1e-6)


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
def test_the_nearest_pixel_is_torchs(mode: str) -> None:
    """At every size: a float less decides which pixel is the nearest."""
    interpolation = v2.InterpolationMode(mode)
    one = torch.arange(140, dtype=torch.float32).expand(1, 140, 140)
    for there in range(1, 141, 3):
        for size in range(1, 141, 2):
            part = one[:, :2, :there]
            theirs = v2.Resize([2, size], interpolation)(part)
            assert torch.equal(Resize([2, size], interpolation)(part[None])[0], theirs)


@pytest.mark.parametrize("size", [8, [8], [5, 8], [8, 7], 1, 11, [16, 3]])
def test_center_crop(size: Any) -> None:
    theirs, ours = v2.CenterCrop(size), CenterCrop(size)
    for height in range(1, 16):
        for width in range(1, 16):
            one = scale(image(height, width))
            assert torch.equal(ours(one[None])[0], theirs(one)), (height, width)


@pytest.mark.parametrize("padding", [3, [2], [1, 2], [0, 1, 2, 3], 0])
@pytest.mark.parametrize("mode", ["constant", "edge", "reflect", "symmetric"])
@pytest.mark.parametrize("fill", [0.0, [0.25], [0.1, 0.2, 0.3]])
def test_pad(padding: Any, mode: str, fill: Any) -> None:
    if mode != "constant" and isinstance(fill, list):
        fill = 0.5
    theirs, ours = v2.Pad(padding, fill, mode), Pad(padding, fill, mode)
    for height, width in [(4, 4), (4, 9), (30, 7)]:
        one = scale(image(height, width))
        assert torch.equal(ours(one[None])[0], theirs(one)), (height, width)


@pytest.mark.parametrize("kernel", [1, 3, [5], [3, 7]])
@pytest.mark.parametrize("sigma", [0.1, 2.0, [1.3], [0.7, 0.7]])
def test_gaussian_blur(kernel: Any, sigma: Any) -> None:
    theirs, ours = v2.GaussianBlur(kernel, sigma), GaussianBlur(kernel, sigma)
    for height, width in [(4, 4), (9, 30)]:
        one = scale(image(height, width))
        assert torch.equal(ours(one[None])[0], theirs(one)), (height, width)


def test_eight_bits_are_the_pixels_again() -> None:
    every = torch.arange(256).to(torch.uint8)
    assert torch.equal(eight_bits(scale(every)), every)
    beyond = torch.tensor([-0.5, -0.001, 0.0019, 0.002, 1.001, 9.0])
    assert eight_bits(beyond).tolist() == [0, 0, 0, 1, 255, 255]


# torchvision's codecs are to move to another package; its JPEG says so each time.
MOVING = pytest.mark.filterwarnings("ignore:The image decoding and encoding:DeprecationWarning")


@MOVING
@pytest.mark.parametrize("name", [each.name for each in TRANSFORMS.values() if each.eight_bit])
def test_what_is_made_for_8_bits_is_given_them(name: str) -> None:
    written: dict[str, dict[str, Any]]
    written = {"RandomPosterize": {"bits": 3}, "JPEG": {"quality": [5, 90]}}
    args = written.get(name, {})
    ours, theirs = module(name, args), getattr(v2, name)(**args)
    one = image(9, 9)
    with torch.random.fork_rng(devices=[]):
        for seed in range(40):
            torch.manual_seed(seed)
            made = ours(scale(one))
            torch.manual_seed(seed)
            assert torch.equal(made, scale(theirs(one)))


def test_the_fill_of_8_bits_is_a_pixel_too() -> None:
    ours = module("AutoAugment", {"policy": "svhn", "fill": [1.0, 0.0, 0.2]})
    theirs = v2.AutoAugment(v2.AutoAugmentPolicy.SVHN, fill=[255, 0, 51])
    one = image(9, 9)
    with torch.random.fork_rng(devices=[]):
        for seed in range(40):
            torch.manual_seed(seed)
            made = ours(scale(one))
            torch.manual_seed(seed)
            assert torch.equal(made, scale(theirs(one)))


ARGS: dict[str, dict[str, Any]] = {
    "Resize": {"size": [20, 20]},
    "CenterCrop": {"size": 20},
    "Pad": {"padding": 3},
    "RandomCrop": {"size": 20},
    "RandomResizedCrop": {"size": 20},
    "RandomResize": {"min_size": 10, "max_size": 20},
    "RandomShortestSize": {"min_size": [10, 20]},
    "ScaleJitter": {"target_size": [20, 20]},
    "RandomRotation": {"degrees": 90},
    "RandomAffine": {"degrees": 90},
    "ElasticTransform": {"sigma": 1.0},
    "Normalize": {"mean": [0.5], "std": [0.5]},
    "GaussianBlur": {"kernel_size": 3},
    "RandomSolarize": {"threshold": 0.5},
    "RandomPosterize": {"bits": 2},
    "RandomAdjustSharpness": {"sharpness_factor": 2.0},
    "JPEG": {"quality": 50},
}


@MOVING
@pytest.mark.filterwarnings("ignore:RandomErasing:UserWarning")  # it says what is tested here
@pytest.mark.parametrize("entry", TRANSFORMS.values(), ids=lambda entry: entry.name)
def test_masks_move_or_stay_or_are_refused(entry: Transform) -> None:
    if entry.nested:
        return
    made = module(entry.name, ARGS.get(entry.name, {}))
    one, mask = tv_tensors.Image(scale(image(28, 28))), tv_tensors.Mask(image(28, 28, 1))
    moved = False
    with torch.random.fork_rng(devices=[]):
        for seed in range(10):
            torch.manual_seed(seed)
            try:
                _, found = made(one, mask)
            except (TypeError, ValueError):
                assert entry.masks == "refused"
                return
            moved |= not torch.equal(found, mask)
    assert entry.masks == ("move" if moved else "stay")


def test_a_choice_of_several_does_with_masks_what_the_boldest_does() -> None:
    def choice(*names: str) -> Named:
        steps = tuple(Named(name, {}, ()) for name in names)
        return Named("RandomChoice", {"transforms": steps, "p": None}, ())

    assert masks(choice("Identity", "RGB")) == "stay"
    assert masks(choice("Identity", "RandomHorizontalFlip")) == "move"
    assert masks(choice("RandomHorizontalFlip", "AugMix")) == "refused"


def test_no_pixel_of_a_perspective_is_nan() -> None:
    """torchvision's has some, where a pixel lies on the horizon."""
    fills = [0.25, 0.5, 0.75]
    args = {"distortion_scale": 0.9, "p": 1.0, "fill": fills}
    ours, theirs = module("RandomPerspective", args), v2.RandomPerspective(**args)
    one, there = scale(image(8, 8)), 0
    with torch.random.fork_rng(devices=[]):
        for seed in range(100):
            torch.manual_seed(seed)
            made = ours(one)
            torch.manual_seed(seed)
            wanted = theirs(one)
            lost = wanted.isnan()
            assert torch.equal(made[~lost], wanted[~lost])
            for channel, fill in enumerate(fills):
                assert (made[channel][lost[channel]] == fill).all()
            there += int(lost.any())
    assert there


CHOICE = {"transforms": (Named("MixUp", {}, ()), Named("CutMix", {}, ()))}


@pytest.mark.parametrize(
    "found", [step("MixUp"), step("CutMix"), step("RandomChoice", **CHOICE)], ids=str
)
def test_mixing(found: Named) -> None:
    assert mixes(found) and {each.type for each in mixers(found)} <= {"MixUp", "CutMix"}
    mixed = drawn(found, classes=4)
    batch, classes = torch.rand(5, 3, 8, 8), torch.tensor([0, 1, 2, 3, 3])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(1)
        images, shares = mixed(batch, classes)
    assert images.shape == batch.shape and shares.shape == (5, 4)
    assert torch.allclose(shares.sum(1), torch.ones(5))
    assert not torch.equal(shares, functional.one_hot(classes, 4))


def test_masks_get_a_class_of_their_own_from_around() -> None:
    made = drawn(step("RandomRotation", degrees=[45.0, 45.0], fill=0.5), around=255)
    ones = torch.ones(1, 8, 8)
    moved, mask = made(tv_tensors.Image(ones), tv_tensors.Mask(ones.to(torch.uint8)))
    assert set(moved.unique().tolist()) == {0.5, 1.0}
    assert set(mask.unique().tolist()) == {1, 255}


@pytest.mark.parametrize("name", TRANSFORMS)
def test_what_is_settled_draws_nothing(name: str) -> None:
    """And has a module that does the same."""
    if TRANSFORMS[name].nested:
        return
    found = step(name, **ARGS.get(name, {}))
    if "p" in found.args and not isinstance(found.args["p"], list):
        found = step(name, **{**found.args, "p": 1.0})
    if "sigma" in found.args and name == "GaussianBlur":
        found = step(name, **{**found.args, "sigma": 1.5})
    if not settled(found):
        return
    one = scale(image(28, 28))
    with torch.random.fork_rng(devices=[]):
        made = [drawn(found)(one) for _ in range(3)]
    assert all(torch.equal(each, made[0]) for each in made)
    assert torch.equal(deployed(found)(one[None])[0], made[0])


def test_nested_transforms_are_torchvisions() -> None:
    found = pipeline(
        "[3, 16, 16]",
        augment="""[RandomResizedCrop: {size: 16},
          RandomApply:
            {p: 0.8, transforms: [ColorJitter: {brightness: 0.4}, RandomPosterize: {bits: 3}]},
          RandomOrder: {transforms: [RandomHorizontalFlip, RandomGrayscale]}]""",
        evaluate="[Resize: {size: [16, 16]}]",
    )
    ours = v2.Compose([drawn(each) for each in found.augment])
    theirs = v2.Compose(
        [
            v2.RandomResizedCrop(16),
            v2.RandomApply([v2.ColorJitter(0.4), EightBit(v2.RandomPosterize(3))], p=0.8),
            v2.RandomOrder([v2.RandomHorizontalFlip(), v2.RandomGrayscale()]),
        ]
    )
    one = scale(image(40, 30))
    with torch.random.fork_rng(devices=[]):
        for seed in range(10):
            torch.manual_seed(seed)
            made = ours(one)
            torch.manual_seed(seed)
            assert torch.equal(made, theirs(one))


def test_pixels_become_the_floats_that_to_tensor_makes() -> None:
    every = np.arange(256, dtype=np.uint8).reshape(16, 16, 1)
    ours = scale(torch.from_numpy(every).permute(2, 0, 1))
    assert torch.equal(ours, to_tensor(every))
    assert (float(ours.min()), float(ours.max())) == (0, 1)


def test_the_whole_of_evaluation_at_random_sizes() -> None:
    ours = Preprocessing(
        pipeline(
            "[3, 24, 20]",
            evaluate="[Resize: {size: 32}, CenterCrop: {size: [24, 20]}]",
            preprocess="[Normalize: {mean: [0.4, 0.5, 0.6], std: [0.2, 0.3, 0.4]}]",
        )
    )
    theirs = v2.Compose(
        [
            v2.Lambda(lambda pixels: to_tensor(pixels.permute(1, 2, 0).numpy())),
            v2.Resize(32),
            v2.CenterCrop([24, 20]),
            v2.Normalize([0.4, 0.5, 0.6], [0.2, 0.3, 0.4]),
        ]
    )
    for seed, (height, width) in enumerate(sizes(20, 3, 120, seed=2)):
        one = image(height, width, seed=seed)
        assert torch.equal(ours(one[None])[0], theirs(one)), (height, width)
