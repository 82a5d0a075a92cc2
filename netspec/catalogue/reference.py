"""The catalogue as Markdown: what a spec may name, with every parameter.

python -m netspec.catalogue.reference docs/catalogue.md
"""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from netspec.catalogue import sections
from netspec.catalogue.component import Component, Param
from netspec.catalogue.layers import FAMILIES, LAYERS, attention, recurrent
from netspec.catalogue.layers.layer import Layer
from netspec.catalogue.layers.structure import REPEAT, Container
from netspec.catalogue.sources import folders, tables, torchvision
from netspec.catalogue.transforms import TRANSFORMS, Transform
from netspec.catalogue.types import show

HEAD = """\
<!-- Written by `make generate` from netspec/catalogue; a test proves it current. -->

# What a spec may name

Names and parameters are torch's and torchvision's own. A parameter without a default is required,
unless it is *inferred* from the shape that reaches the layer.
"""


def reference_text() -> str:
    """The page docs/catalogue.md."""
    parts = [HEAD, "## Layers\n"]
    for title, family in FAMILIES.items():
        entries = [*family.LAYERS, *([REPEAT] if title == "Structure" else [])]
        parts += [f"### {title}\n", _table(entries)]
    for kind in sections.KINDS:
        title = {"initializer": "Initializers", "loss": "Losses"}.get(
            kind.kind, f"{kind.kind.title()}s"
        )
        parts += [f"## {title}\n", _table(kind.entries.values())]
    parts += ["## Sections\n", _table(_SECTIONS)]
    parts += ["## Classes of torch.nn\n", _classes()]
    parts += ["## Classes of torchvision.datasets\n", _sources()]
    parts += ["## Classes of torchvision.transforms.v2\n", _transforms()]
    return "\n".join(parts)


_WRAPPING = (attention, recurrent)
_SECTIONS = (
    sections.INPUT,
    sections.DATA,
    sections.SPLIT,
    tables.FEATURE,
    sections.TRAIN,
    sections.CHECKPOINT,
    sections.ONNX,
    sections.EXPECT,
)


def _classes() -> str:
    """Every class of torch.nn: in, or out with the reason."""
    wrapped = {layer.name for family in _WRAPPING for layer in family.LAYERS}
    rows = {
        name: "a layer, by a thin subclass that takes and gives one tensor"
        if name in wrapped and layer.target.startswith("netspec.")
        else "a layer"
        for name, layer in LAYERS.items()
        if layer.target.startswith("torch.nn:") or name in wrapped
    }
    return _in_or_out("layer", rows)


def _sources() -> str:
    """Every class of torchvision.datasets; `ImageFolder` is netspec's own of that name."""
    names = [source.name for source in (*torchvision.SOURCES, folders.IMAGE_FOLDER)]
    return _in_or_out("source", dict.fromkeys(names, "a source"))


def _transforms() -> str:
    """Every class of torchvision.transforms.v2, likewise."""
    return _in_or_out("transform", dict.fromkeys(TRANSFORMS, "a transform"))


def _in_or_out(kind: str, rows: dict[str, str]) -> str:
    left_out = sections.LEFT_OUT[kind]
    lines = [f"{len(rows)} are {kind}s, {len(left_out)} are not.\n"]
    lines += ["| class | |", "| --- | --- |"]
    lines += [f"| `{name}` | {reason} |" for name, reason in sorted({**rows, **left_out}.items())]
    return "\n".join(lines) + "\n"


def _table(entries: Iterable[Component]) -> str:
    rows = ["| name | parameters | |", "| --- | --- | --- |"]
    rows += [f"| `{entry.name}` | {_params(entry)} | {_remarks(entry)} |" for entry in entries]
    return "\n".join(rows) + "\n"


def _params(entry: Component) -> str:
    if isinstance(entry, Container) and entry.bare:
        (param,) = entry.params
        return f"`{entry.name}: [...]` {param.type.expected}, without a parameter's name"
    return "<br>".join(f"`{_signature(param, entry)}` {_meaning(param)}" for param in entry.params)


def _signature(param: Param, entry: Component) -> str:
    if isinstance(entry, Layer) and param.name in entry.inferred:
        return f"{param.name}: inferred"
    return param.name if param.required else f"{param.name}: {show(param.default)}"


def _meaning(param: Param) -> str:
    doc = f"; {param.doc}" if param.doc and not param.doc.startswith("inferred") else ""
    return f"{param.type.expected}{doc}".replace("|", "\\|")


def _remarks(entry: Component) -> str:
    takes = ""
    if isinstance(entry, Layer) and entry.layouts:
        takes = "takes " + " or ".join(f"`[{layout}]`" for layout in entry.layouts)
    return "; ".join(filter(None, (entry.doc, takes, _place(entry))))


def _place(entry: Component) -> str:
    """Where a transform may stand, but in `augment`."""
    if not isinstance(entry, Transform) or entry.stages == ("augment",):
        return ""
    others = " and ".join(f"`{stage}`" for stage in entry.stages if stage != "augment")
    if "augment" not in entry.stages:
        return f"in {others} alone"
    return f"in {others}, too" + ", where nothing of it is left to chance" * bool(entry.fixed)


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(reference_text(), encoding="utf-8")
