"""The static check of the data: what reaches the network has to be its `input`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Literal, TypeVar

from netspec.catalogue.component import Component, Refusal
from netspec.catalogue.sources import (
    SOURCES,
    Classes,
    Images,
    Sizes,
    Source,
    Target,
    Unknown,
    Values,
)
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
    try:
        source.check(dict(named.args))
        images = source.sample(dict(named.args))
        raw = _raw(images, spec.input, named) if images else None
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
        ways: list[tuple[Stage, ...]] = [("evaluate", "preprocess")]
        if data.augment:
            ways.insert(0, ("augment", "preprocess"))
        for way in ways:
            if not _check_way(way, steps, raw, spec.input, findings, named):
                return None
    labels = _labels(source, dict(named.args), spec.input)
    if raw and isinstance(labels, Classes) and labels.shape != ():
        _check_masks(data.augment, findings)
    try:
        target = learned(data.target, labels, spec.input)
    except Refusal as refusal:
        findings.add(Code.DATA, refusal.message, ("data", "target"), refusal.remedy)
        target = Unknown()
    _check_split(data.split, source, labels, findings)
    return Pipeline(
        source=named,
        images=images,
        raw=raw,
        preparation=preparation,
        labels=labels,
        target=target,
        sizes=_sizes(source.parts(dict(named.args)), data.split, findings),
        **steps,
    )


def learned(choice: Literal["input", "one_hot"] | None, labels: Target, input: Tensor) -> Target:
    """What the network learns, by `data.target` and the source's own targets. Raises Refusal."""
    if choice == "input":
        if input.dtype != "float32":
            raise Refusal(
                f"the input is {input}, and a sample that is its own target has to be floats",
                "remove it",
            )
        return Values(input.shape)
    if choice == "one_hot":
        if isinstance(labels, Values):
            raise Refusal("the targets are floats, and one_hot makes them of classes", "remove it")
        if isinstance(labels, Classes) and labels.shape:
            raise Refusal(
                f"each target is {show(labels.shape)} class indices, and one_hot makes floats of "
                "one a sample",
                "remove it",
            )
        count = labels.count if isinstance(labels, Classes) else None
        return Values(None if count is None else (count,), binary=True)
    return labels


def _check_split(split: Split, source: Source, labels: Target, findings: Findings) -> None:
    """What of the split contradicts itself or the source."""

    def add(key: str, message: str, remedy: str) -> None:
        findings.add(Code.DATA, message, ("data", "split", key), remedy)

    classes = isinstance(labels, Unknown) or (isinstance(labels, Classes) and not labels.shape)
    if split.stratify and not split.shuffle:
        add(
            "stratify",
            "`shuffle: false` takes the last rows, whatever their classes",
            "remove one of them",
        )
    elif split.stratify and split.group is not None:
        add(
            "stratify",
            "`group` keeps rows together, whatever their classes",
            "remove one of them",
        )
    elif split.stratify and not classes:
        add(
            "stratify",
            f"it keeps the shares of classes, but no sample of {source.name} is of one class",
            "remove it",
        )
    if split.group is not None and not source.columns:
        able = [each.name for each in SOURCES.values() if each.columns]
        add(
            "group",
            f"{source.name} has no columns",
            f"remove it; {' and '.join(able)} have columns" if able else "remove it",
        )


def _labels(source: Source, args: dict[str, Any], input: Tensor) -> Target:
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
    if brought is None:
        return None
    try:
        divided = divide(split, brought)
    except Refusal as refusal:
        path = ("data", "split", str(refusal.param))
        findings.add(Code.DATA, refusal.message, path, refusal.remedy)
        return None
    if divided == brought or split.group is None:
        return divided
    # Groups are whole, so that only the data knows how many rows come near the share.
    return {name: None if name == "train" else brought.get(name) for name in divided}


def _raw(images: Images, input: Tensor, source: Named) -> Image:
    """The source's images, grey or in colour as the input wants them."""
    if len(input.shape) != 3 or input.shape[0] not in (1, 3) or input.dtype != "float32":
        raise Refusal(
            f"{source.type} gives images, but the input is {input}",
            "images have the input shape [1, height, width] (grey) or [3, height, width]",
        )
    return Image(int(input.shape[0]), images.height, images.width)


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
