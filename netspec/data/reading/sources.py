"""Each source's parts, as tensors or files. Raises Refusal with a user's words."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import numpy as np
import torch
from torch import Tensor

from netspec.catalogue.component import Refusal
from netspec.catalogue.layers import LAYERS
from netspec.catalogue.losses import ANY, LOSSES, Loss
from netspec.catalogue.sources import SOURCES, Classes, Target, Values
from netspec.compiler import memory, resolve
from netspec.data.dataset import Dataset, Part, PartName, Pictures
from netspec.planning import Plan
from netspec.planning.plans import BYTES, Pipeline
from netspec.shapes import at


@dataclass(frozen=True)
class Request:
    """What a source is asked for: its arguments, and the samples that the network takes.
    `download`: whether it may fetch what is not there."""

    plan: Plan
    pipeline: Pipeline
    download: bool = True

    @property
    def args(self) -> Any:
        return self.pipeline.source.args

    @property
    def copies(self) -> int:
        """How often the samples lie in memory while they are split."""
        assert self.plan.spec.data is not None
        split = self.plan.spec.data.split
        return 1 + bool(split.test) + bool(split.validation)

    @property
    def channels(self) -> int:
        assert self.pipeline.raw is not None
        return self.pipeline.raw.channels


def read(plan: Plan, pipeline: Pipeline, *, download: bool) -> Dataset:
    """All parts that the source itself brings."""
    entry = SOURCES[pipeline.source.type]
    request = Request(plan, pipeline, download)
    made = resolve(entry.reader or entry.target)(request)
    if not isinstance(made, Dataset) or "train" not in made.parts:  # another package's source
        raise Refusal(f"{entry.target} gives no data set with a training part")
    for name, part in made.parts.items():
        if problem := _problem(part, made.target, request):
            raise Refusal(f"{entry.target} gives the {name} part {problem}")
    return made


def _problem(part: Part, target: Target, request: Request) -> str | None:
    """What keeps a part from being one of this pipeline's, or None."""
    inputs, targets, pipeline = part.inputs, part.targets, request.pipeline
    if isinstance(inputs, Pictures):
        fits = pipeline.raw is not None and inputs.channels == request.channels
        return None if fits else f"pictures, and not {pipeline.raw or request.plan.input}"
    kind = "uint8" if pipeline.raw else request.plan.input.dtype
    if pipeline.preparation is None and inputs.dtype != getattr(torch, kind):
        return f"inputs of {inputs.dtype}, not of {kind}"
    rank = 3 if pipeline.raw else len(request.plan.input.shape)
    if pipeline.preparation is None and inputs.dim() != 1 + rank:
        return f"inputs {list(inputs.shape)}, and each has {rank} dimensions"
    wanted = torch.int64 if isinstance(target, Classes) else torch.float32
    if isinstance(targets, Tensor) and targets.dtype != wanted:
        return f"targets of {targets.dtype}, not of {wanted}"
    return None


def digits(request: Request) -> Dataset:
    """Every fifth digit is the test part."""
    with np.load(str(files("netspec.data") / "digits.npz")) as file:
        pixels, labels = file["images"], file["labels"]
    inputs = with_channels(torch.from_numpy(pixels).unsqueeze(1), request.channels)
    whole = Part(inputs, torch.from_numpy(labels).to(torch.int64))
    order = torch.arange(len(whole))
    parts: dict[PartName, Part] = {
        "train": whole.subset(order[order % 5 != 4]),
        "test": whole.subset(order[order % 5 == 4]),
    }
    return Dataset(parts, request.pipeline.labels, _names(request))


def synthetic(request: Request) -> Dataset:
    """Standard normal samples (uniform token ids); targets by a fixed random linear map of them."""
    args, plan = request.args, request.plan
    shape = [at(dim, plan.least) for dim in plan.input.shape]
    target = request.pipeline.labels
    width = target.count if isinstance(target, Classes) else None
    out = [width] if width else _sizes(target, plan)
    taken, given = math.prod(shape), math.prod(out)
    asked = "targets" if args["classes"] is None else "classes"
    check_memory(taken * given * BYTES["float32"], "its map to the targets takes", asked)
    numbers = args["samples"] * (taken + given) * request.copies
    check_memory(numbers * BYTES[plan.input.dtype], "its samples and targets take", "samples")
    generator = torch.Generator().manual_seed(args["seed"])
    size = (args["samples"], *shape)
    if plan.input.dtype == "int64":
        inputs = torch.randint(0, min(2, vocabulary(plan)), size, generator=generator)
    else:
        inputs = torch.randn(size, generator=generator)
    flat = inputs.flatten(1).to(torch.float32)
    weight = torch.randn((taken, given), generator=generator) / taken**0.5
    scores = (flat @ weight).reshape(args["samples"], *out)
    if isinstance(target, Classes):
        return Dataset({"train": Part(inputs, scores.argmax(1))}, target, _names(request))
    assert isinstance(target, Values)
    loss, loss_args = loss_of(plan)
    bounds = loss.bounds(loss_args) if loss else ANY
    if bounds.ends:
        targets = torch.where(scores > 0, float(bounds.high), float(bounds.low))
    else:
        targets = (scores > 0).to(torch.float32) if target.binary else scores
    return Dataset({"train": Part(inputs, targets.clamp(bounds.low, bounds.high))}, target)


def _sizes(target: Target, plan: Plan) -> list[int]:
    """The sizes of float targets."""
    shape = target.shape if isinstance(target, Values) else None
    return [at(dim, plan.least) for dim in shape or ()]


def loss_of(plan: Plan) -> tuple[Loss | None, dict[str, Any]]:
    """The loss that takes the source's targets, with its arguments; None where there is none, or it
    takes others, which `data.target` makes."""
    if plan.training is None or (plan.spec.data and plan.spec.data.target):
        return None, {}
    loss = plan.training.loss
    return LOSSES[loss.type], dict(loss.args)


def counted(labels: Tensor, loss: Mapping[str, Any]) -> Tensor:
    """The labels that a loss with these arguments does not ignore."""
    ignored = loss.get("ignore_index")
    return labels if ignored is None else labels[labels != ignored]


def vocabulary(plan: Plan) -> int:
    """How many token ids every `Embedding` knows, from 0."""
    known = (node.args[name] for node in plan.root.walk() if (name := LAYERS[node.type].vocabulary))
    return min(known, default=1)


def check_memory(needed: int, what: str, param: str, remedy: str = "use fewer samples") -> None:
    """Refuse more bytes than this machine has, before they are taken; `what` ends in the verb."""
    if needed > (there := memory()):
        raise Refusal(
            f"{what} {needed / 2**30:,.0f} GiB, and this machine has {there / 2**30:,.0f}",
            remedy,
            param,
        )


def with_channels(pixels: Tensor, wanted: int) -> Tensor:
    """Images [N, C, H, W] uint8 with the wanted number of channels; grey as ITU-R 601 weighs."""
    if pixels.shape[1] == wanted:
        return pixels
    if wanted == 3:
        return pixels.expand(-1, 3, -1, -1)
    weights = torch.tensor([0.299, 0.587, 0.114]).view(1, 3, 1, 1)
    return (pixels * weights).sum(1, keepdim=True).round().to(torch.uint8)


def _names(request: Request) -> tuple[str, ...] | None:
    target = request.pipeline.labels
    return target.names if isinstance(target, Classes) else None
