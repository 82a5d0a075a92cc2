"""8-bit images to what the network takes: one module, for evaluation, prediction and export.

`Resize`, `CenterCrop`, `Pad` and `GaussianBlur` equal torchvision.transforms.v2's bit for bit (a
test holds them to it); theirs fix the image's size when exported, or leave something to chance,
these carry it along as an expression.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torchvision import tv_tensors
from torchvision.transforms import v2

from netspec.catalogue.transforms import TRANSFORMS, pair
from netspec.catalogue.transforms.geometry import edges
from netspec.compiler import resolve
from netspec.planning.plans import Pipeline
from netspec.spec.model import Named

WHITE = 255


def scale(images: Tensor) -> Tensor:
    """8-bit pixels as floats in [0, 1]."""
    return images.to(torch.float32) / WHITE


def eight_bits(images: Tensor) -> Tensor:
    """Floats in [0, 1] as 8-bit pixels, the nearest ones; what lies outside is cut off."""
    return (images * WHITE).round().clamp(0, WHITE).to(torch.uint8)


class Resize(nn.Module):
    """[N, C, H, W] floats. One number is the shorter side's new length, `max_size` the most that
    the longer one may have; `size` None makes it that long. A single column that comes out is what
    a single row would be, as in onnxruntime; torchvision's is not."""

    def __init__(
        self,
        size: int | list[int] | None,
        interpolation: v2.InterpolationMode = v2.InterpolationMode.BILINEAR,
        max_size: int | None = None,
        antialias: bool = True,
    ) -> None:
        super().__init__()
        self.size, self.max_size, self.antialias = size, max_size, antialias
        self.mode: str = interpolation.value

    def forward(self, x: Tensor) -> Tensor:
        height, width = self._target(x)
        if self.mode.startswith("nearest"):
            rows, columns = self._nearest(x, -2, height), self._nearest(x, -1, width)
            return x.index_select(-2, rows).index_select(-1, columns)
        if isinstance(width, int) and width == 1:
            # torch's filter goes wrong where a single column comes out; a single row is right.
            return self._interpolate(x.mT.contiguous(), width, height).mT
        return self._interpolate(x, height, width)

    def _interpolate(self, x: Tensor, height: int, width: int) -> Tensor:
        return functional.interpolate(
            x, size=(height, width), mode=self.mode, antialias=self.antialias
        )

    def _target(self, x: Tensor) -> tuple[int, int]:
        if isinstance(self.size, list) and len(self.size) == 2:
            return (self.size[0], self.size[1])
        height, width = x.shape[-2:]
        # The exporter's sizes are torch.SymInt, which mimic int, and cannot be compared.
        short: int = torch.sym_min(height, width)  # type: ignore[assignment]
        long: int = torch.sym_max(height, width)  # type: ignore[assignment]
        if self.size is not None:
            made = pair(self.size)[0]
            if self.max_size is None:
                return (made * height // short, made * width // short)
            wanted = made * long // short
            other: int = torch.sym_min(wanted, self.max_size)  # type: ignore[assignment]
            made = torch.sym_min(made, self.max_size * made // wanted)  # type: ignore[assignment]
        else:
            assert self.max_size is not None
            other, made = self.max_size, self.max_size * short // long
        return (_side(height, short, made, other), _side(width, short, made, other))

    def _nearest(self, x: Tensor, dim: int, size: int) -> Tensor:
        """The indices that torch takes, in its own float arithmetic; ONNX's rounds otherwise."""
        factor = x.new_full((1,), x.shape[dim]) / x.new_full((1,), size)
        half = 0.5 if self.mode == "nearest-exact" else 0
        wanted = torch.arange(size, device=x.device).to(x.dtype) + half
        return torch.minimum((wanted * factor).floor().to(torch.int64), _last(x, dim))


def _side(side: int, short: int, made: int, other: int) -> int:
    """`made` of the shorter side, `other` of the longer one."""
    longer: int = torch.sym_min(side - short, 1)  # type: ignore[assignment]
    return made + (other - made) * longer


class CenterCrop(nn.Module):
    """The middle of [N, C, H, W]; zeros around it where that is smaller than `size`."""

    def __init__(self, size: int | list[int]) -> None:
        super().__init__()
        self.height, self.width = pair(size)

    def forward(self, x: Tensor) -> Tensor:
        return _cut(_cut(x, -2, self.height), -1, self.width)


def _cut(x: Tensor, dim: int, size: int) -> Tensor:
    # Indices, not a slice: the exporter cannot know the size of a slice with a moving start.
    chosen = torch.arange(size, device=x.device) + _margin(x.shape[dim] - size)
    last = _last(x, dim)
    within = (chosen >= 0) & (chosen <= last)
    if dim == -2:
        within = within.unsqueeze(-1)
    picked = x.index_select(dim, torch.minimum(chosen.clamp(min=0), last))
    return torch.where(within, picked, 0.0)


def _last(x: Tensor, dim: int) -> Tensor:
    """The index of the last row or column, int64 [1]."""
    return torch.full((1,), x.shape[dim], device=x.device) - 1


def _margin(more: int) -> int:
    """Half of what there is more than wanted, a half rounded to even as Python's `round`; of what
    lacks, the half rounded down as torchvision pads. In integer arithmetic."""
    over: int = torch.sym_max(more, 0)  # type: ignore[assignment]
    lack: int = torch.sym_max(-more, 0)  # type: ignore[assignment]
    return (over + over // 2 % 2) // 2 - lack // 2


class Pad(nn.Module):
    """[N, C, H, W]; `padding` as torchvision has it."""

    def __init__(self, padding: Any, fill: Any = 0, padding_mode: str = "constant") -> None:
        super().__init__()
        self.padding, self.fill, self.mode = padding, fill, padding_mode

    def forward(self, x: Tensor) -> Tensor:
        if self.mode != "symmetric":
            padded: Tensor = v2.functional.pad(x, self.padding, self.fill, self.mode)
            return padded
        left, top, right, bottom = edges(self.padding)
        return _mirrored(_mirrored(x, -2, top, bottom), -1, left, right)


def _mirrored(x: Tensor, dim: int, before: int, behind: int) -> Tensor:
    """With its edges beside their mirror images: `dcba|abcd|dcba`."""
    there = torch.arange(x.shape[dim], device=x.device)
    chosen = torch.cat([there[:before].flip(0), there, there.flip(0)[:behind]])
    return x.index_select(dim, chosen)


class GaussianBlur(nn.Module):
    """[N, C, H, W] floats, blurred by one `sigma`."""

    def __init__(self, kernel_size: int | list[int], sigma: float | list[float]) -> None:
        super().__init__()
        self.kernel_size = list(pair(kernel_size))
        chosen = sigma[0] if isinstance(sigma, list | tuple) else sigma
        self.sigma = float(torch.tensor(chosen))  # torchvision draws it in float32

    def forward(self, x: Tensor) -> Tensor:
        blurred: Tensor = v2.functional.gaussian_blur(x, self.kernel_size, [self.sigma] * 2)
        return blurred


class RandomPerspective(v2.RandomPerspective):  # type: ignore[misc]
    """torchvision's, which makes NaN of pixels on the horizon: they get the `fill`."""

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        made = super().transform(inpt, params)
        if isinstance(inpt, tv_tensors.Mask):
            return made
        fill = self.fill["others"] if isinstance(self.fill, dict) else self.fill
        return torch.where(
            made.isnan(), torch.tensor(fill, device=made.device).view(-1, 1, 1), made
        )


class EightBit(nn.Module):
    """A transform of uint8 images, applied to floats in [0, 1]; what comes beside an image, a mask,
    it takes as it is."""

    def __init__(self, transform: nn.Module) -> None:
        super().__init__()
        self.transform = transform

    def forward(self, image: Tensor, *beside: Any) -> Any:
        made = self.transform(eight_bits(image), *beside)
        return (scale(made[0]), *made[1:]) if beside else scale(made)


class Always(nn.Module):
    """One of torchvision's transforms with a probability, which is 1: without the draw, which
    cannot be exported."""

    def __init__(self, transform: v2.Transform) -> None:
        super().__init__()
        self.transform = transform

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.transform.transform(x, self.transform.make_params([x]))
        return made


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
    """What does a step that leaves nothing to chance, on floats [N, C, H, W] of any size."""
    entry = TRANSFORMS[step.type]
    made: nn.Module = resolve(entry.deployed or entry.target)(**arguments(step))
    return Always(made) if entry.param("p") else made


def drawn(step: Named, *, classes: int | None = None, around: int | None = None) -> nn.Module:
    """A step as torchvision draws it, for a float image [C, H, W] in [0, 1], and a mask beside it;
    where it mixes, for images [N, C, H, W] and class indices [N], of which it makes probabilities
    [N, classes].

    around: the class of what comes into a mask from outside the image; None: 0, as in torchvision.
    """
    entry, args = TRANSFORMS[step.type], arguments(step, around)
    if entry.nested:
        nested = step.args[entry.nested]
        args[entry.nested] = [drawn(each, classes=classes, around=around) for each in nested]
    if entry.mixes:
        args["num_classes"] = classes
    made: nn.Module = resolve(entry.augmented or entry.target)(**args)
    return EightBit(made) if entry.eight_bit else made


def arguments(step: Named, around: int | None = None) -> dict[str, Any]:
    """As torchvision's class takes them: words of an enumeration as its members."""
    args = dict(step.args)
    for name, kind in ENUMERATIONS.items():
        if name in args:
            args[name] = kind(args[name])
    if TRANSFORMS[step.type].eight_bit and args.get("fill") is not None:
        fill = args["fill"]
        args["fill"] = [WHITE * each for each in fill] if isinstance(fill, list) else WHITE * fill
    if "fill" in args and around is not None:
        args["fill"] = {tv_tensors.Mask: around, "others": args["fill"]}
    return args


ENUMERATIONS = {"interpolation": v2.InterpolationMode, "policy": v2.AutoAugmentPolicy}
