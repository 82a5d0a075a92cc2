"""The static check of the data: what reaches the network has to be its `input`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, TypeVar

from netspec.catalogue.component import Component, Refusal
from netspec.catalogue.sources import SOURCES, Classes, Images, Sizes, Source, Target
from netspec.catalogue.transforms import (
    TRANSFORMS,
    AtLeast,
    Image,
    Size,
    Stage,
    applied,
    masks,
    mixes,
)
from netspec.diagnostics import Code
from netspec.planning.plans import Pipeline
from netspec.planning.refusing import refuse
from netspec.shapes import Dim, Expr, Tensor, show
from netspec.spec.findings import Findings
from netspec.spec.model import Named, Spec, Split

Count = TypeVar("Count", int, int | None)


def complete(entry: Component, named: Named) -> Named:
    return replace(named, args=entry.complete(named.args))


def completed(step: Named) -> Named:
    """A transform with every default filled in, its nested transforms' too."""
    entry = TRANSFORMS[step.type]
    made = complete(entry, step)
    if entry.nested is None:
        return made
    nested = tuple(map(completed, made.args[entry.nested]))
    return replace(made, args={**made.args, entry.nested: nested})


def plan_pipeline(spec: Spec, findings: Findings) -> Pipeline | None:
    """The pipeline, or None where findings stand against it."""
    assert spec.data is not None and spec.input is not None
    data, source = spec.data, SOURCES[spec.data.source.type]
    named = complete(source, data.source)
    stages = {"augment": data.augment, "evaluate": data.evaluate, "preprocess": data.preprocess}
    steps = {stage: tuple(map(completed, written)) for stage, written in stages.items()}
    ways: list[tuple[Stage, ...]] = [("evaluate", "preprocess")]
    if data.augment:
        ways.insert(0, ("augment", "preprocess"))
    try:
        source.check(dict(named.args))
        images = source.sample(dict(named.args))
        raw = _raw(images, spec.input, named, ways, steps) if images else None
        preparation = source.preparation(dict(named.args), spec.input)
    except Refusal as refusal:
        refuse(refusal, named, findings, Code.DATA)
        return None
    if raw is None:
        for stage, written in steps.items():
            for step in written[:1]:
                findings.add(
                    Code.DATA,
                    f"{stage} works on images, and {named.type} gives none",
                    step.path,
                    "remove it",
                    key=True,
                )
    else:
        for way in ways:
            if not _check_way(way, steps, raw, spec.input, findings, named):
                return None
        target = source.labels(dict(named.args))
        if isinstance(target, Classes) and target.shape != ():
            _check_masks(data.augment, findings)
    return Pipeline(
        source=named,
        images=images,
        raw=raw,
        preparation=preparation,
        target=_target(source, dict(named.args), spec.input),
        sizes=_sizes(source.parts(dict(named.args)), data.split, findings),
        **steps,
    )


def _target(source: Source, args: dict[str, Any], input: Tensor) -> Target:
    """What the source's targets are; a mask has the size that its image has in the end."""
    target = source.labels(args)
    if isinstance(target, Classes) and source.masks(args):
        return replace(target, shape=tuple(input.shape[1:]))
    return target


def divide(split: Split, sizes: Mapping[str, Count]) -> dict[str, Count]:
    """The parts and their sizes after the split of what a source brings: the test share of its
    training part, then the validation share of what is left. Raises Refusal about a share."""
    divided = dict(sizes)
    for name, share in (("test", split.test), ("validation", split.validation)):
        if not share:
            continue
        if name in sizes:
            raise Refusal(
                f"the source brings its own {name} part, so split.{name} has nothing to do",
                f"remove split.{name}",
                name,
            )
        whole = divided["train"]
        if whole is None:
            divided[name] = whole
            continue
        divided[name] = taken = round(whole * share)
        divided["train"] = whole - taken
        if not 0 < taken < whole:
            raise Refusal(
                f"split.{name} {share:g} of {whole:,} sample{'s' * (whole != 1)} leaves a part "
                "empty",
                "use another share, or more data",
                name,
            )
    return divided


def _sizes(brought: Sizes | None, split: Split, findings: Findings) -> Sizes | None:
    """As `divide`; None where only the data knows, or a finding stands against the split."""
    if split.validation + split.test >= 1:
        findings.add(
            Code.DATA,
            f"validation {split.validation:g} and test {split.test:g} leave nothing to train on",
            ("data", "split"),
            key=True,
        )
        return None
    try:
        return None if brought is None else divide(split, brought)
    except Refusal as refusal:
        path = ("data", "split", str(refusal.param))
        findings.add(Code.DATA, refusal.message, path, refusal.remedy)
        return None


def _raw(
    images: Images,
    input: Tensor,
    source: Named,
    ways: list[tuple[Stage, ...]],
    steps: dict[str, tuple[Named, ...]],
) -> Image:
    """The source's images, grey or in colour as the input wants them. Those whose one size only
    the data knows are of any size where every way makes that the input's, else of the input's."""
    if len(input.shape) != 3 or input.shape[0] not in (1, 3) or input.dtype != "float32":
        raise Refusal(
            f"{source.type} gives images, but the input is {input}",
            "images have the input shape [1, height, width] (grey) or [3, height, width]",
        )
    channels = int(input.shape[0])
    if images.height is not None and images.width is not None:
        return Image(channels, images.height, images.width)
    of_any_size = Image(channels, AtLeast(), AtLeast())
    if all(_ends_in(way, steps, of_any_size, input) for way in ways):
        return of_any_size
    height, width = (dim if isinstance(dim, int) else AtLeast() for dim in input.shape[1:])
    return Image(channels, height, width)


def _ends_in(
    way: tuple[Stage, ...], steps: dict[str, tuple[Named, ...]], image: Image, input: Tensor
) -> bool:
    """Whether such images come to have the input's size."""
    try:
        for step in (step for stage in way for step in steps[stage]):
            image = applied(step, image)
    except Refusal:
        return False
    return all(map(_fits, (image.height, image.width), input.shape[1:]))


def _check_way(
    way: tuple[Stage, ...],
    steps: dict[str, tuple[Named, ...]],
    image: Image,
    input: Tensor,
    findings: Findings,
    source: Named,
) -> bool:
    last: Named | None = None
    for stage in way:
        for step in steps[stage]:
            transform, before = TRANSFORMS[step.type], image
            try:
                _check_stage(step, stage)
                image = applied(step, image)
                if mixes(step) and step is not steps[stage][-1]:
                    raise Refusal(
                        "it mixes whole batches, so that it comes last",
                        f"put it behind {steps[stage][-1].type}",
                    )
            except Refusal as refusal:
                refuse(refusal, refusal.about or step, findings, Code.DATA)
                return False
            try:
                transform.doubt(before, dict(step.args))
            except Refusal as refusal:
                refuse(refusal, refusal.about or step, findings, Code.DATA, warning=True)
            last = step
    sizes = (image.height, image.width)
    if image.channels == input.shape[0] and all(map(_fits, sizes, input.shape[1:])):
        return True
    if image.channels != input.shape[0]:
        remedy = f"leave out what makes {image.channels} channels of them: images are read grey "
        remedy += "where the input has 1 channel, in colour where it has 3"
    elif any(isinstance(size, AtLeast) for size in sizes):
        remedy = f"end `{way[0]}` with `CenterCrop: {{size: …}}` or `Resize: {{size: [h, w]}}`"
    else:
        remedy = "change `input`, or resize"
    findings.add(
        Code.DATA,
        f"{' then '.join(way)} makes images of {image}, but the input is {show(input.shape)}",
        last.path if last else source.path,
        remedy,
        key=True,
    )
    return False


def _check_masks(steps: Iterable[Named], findings: Findings) -> None:
    """Where the targets are masks, what cannot take them along."""
    for step in map(completed, steps):
        if masks(step) == "refused":
            findings.add(
                Code.DATA,
                f"{step.type} moves no masks, and the targets are masks",
                step.path,
                "use transforms that do, such as RandomAffine, beside those of colours",
                key=True,
            )


def _check_stage(step: Named, stage: Stage) -> None:
    """Refuse a transform that cannot stand there. Raises Refusal."""
    transform = TRANSFORMS[step.type]
    if stage not in transform.stages:
        raise Refusal(
            f"{step.type} cannot stand in {stage}", f"it belongs in {' or '.join(transform.stages)}"
        )
    if stage == "augment" or transform.fixed is None:
        return
    try:
        transform.fixed(dict(step.args))
    except Refusal as refusal:
        raise Refusal(
            f"{step.type} cannot stand so in {stage}: {refusal.message}",
            f"{refusal.remedy}, or put it into augment",
            refusal.param,
        ) from None


def _fits(size: Size, dim: Dim) -> bool:
    return isinstance(size, int) and (size == dim or isinstance(dim, Expr))
