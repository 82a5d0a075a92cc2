"""`netspec data`: what a spec's data are, and a contact sheet of what the network sees."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from netspec.cli.options import default_spec, set_option

if TYPE_CHECKING:
    from rich.table import Table

    from netspec.data.dataset import PartName
    from netspec.data.summary import Figures, PartSummary, Summary

CLASSES, VALUES, NAME = 20, 8, 40  # lines of classes, of a part's values; letters of a name


@click.command()
@click.argument("spec", required=False, type=click.Path(path_type=Path))
@click.option(
    "--part",
    type=click.Choice(["train", "validation", "test"]),
    help="Look at this part alone.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.option(
    "--preview",
    metavar="IMAGE",
    type=click.Path(path_type=Path),
    help="Write a contact sheet of the training part, or of --part, as the network sees it.",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),
    help="Which samples the sheet shows, and how they are augmented; default: train.seed.",
)
@click.option("--epoch", type=click.IntRange(0), help="As in which epoch; default: 0.")
@set_option
def command(
    spec: Path | None,
    part: PartName | None,
    as_json: bool,
    preview: Path | None,
    seed: int | None,
    epoch: int | None,
    settings: dict[str, str],
) -> None:
    """Print what the data of a spec are: parts, classes, sizes, values."""
    if preview is None and (seed, epoch) != (None, None):
        raise click.UsageError("--seed and --epoch go with --preview")
    from netspec import api, reporting
    from netspec.cli.console import report, say, say_json
    from netspec.spec.loading import load

    loaded = load(spec or default_spec(), settings)
    found = api.inspect_data(loaded, part=part, preview=preview, seed=seed, epoch=epoch or 0)
    if as_json:
        warnings = reporting.as_json(found.warnings)
        say_json({**found.as_json(), "warnings": warnings, "preview": preview and str(preview)})
        return
    if found.warnings:
        report(found.warnings)
    show(found)
    if preview:
        say(preview)


def show(found: Summary) -> None:
    """Where the data come from, and a table each of parts, classes and figures."""
    from netspec.cli.console import say, stdout

    say(f"{found.name}: {_source(found.source)}")
    if found.target == "input":
        say("each sample is its own target")
    if split := _split(found):
        say(f"split: {split}")
    say(f"cache {found.cache}, {found.workers} workers, on_error {found.on_error}")
    console = stdout()
    console.print(_parts(found))
    if (classes := _classes(found)) is not None:
        console.print(classes)
    console.print(_figures(found))


def _source(source: Any) -> str:
    import json

    from netspec.diagnostics import shortened

    if isinstance(source, str):
        return source
    ((name, args),) = source.items()
    said = (f"{key}: {v if isinstance(v, str) else json.dumps(v)}" for key, v in args.items())
    return shortened(f"{name}  {', '.join(said)}")


def _split(found: Summary) -> str:
    split = found.split
    shares = {"validation": split.validation, "test": split.test}
    taken = [f"{name} {share:g}" for name, share in shares.items() if share]
    if not taken:
        return ""
    how = f"drawn by seed {split.seed}" if split.shuffle else "the last rows"
    kept = [f"by '{split.group}'"] if split.group is not None else []
    if split.stratify is not None:
        kept.append("classes keep their shares" if split.stratify else "classes are not looked at")
    return ", ".join([*taken, how, *kept])


def _table(*headings: str) -> Table:
    """Names stand to the left, numbers to the right."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD)
    for heading in headings:
        named = heading in ("part", "class", "values")
        made.add_column(heading, no_wrap=True, justify="left" if named else "right")
    return made


def _name(text: str) -> str:
    from rich.markup import escape

    from netspec.reporting import printable

    return escape(printable(text if len(text) <= NAME else f"{text[: NAME - 1]}…"))


def _parts(found: Summary) -> Table:
    from rich.markup import escape

    images = any(part.images for part in found.parts.values())
    made = _table("part", "samples", "from", *["images"] * images, "batch")
    for name, part in found.parts.items():
        count: int | str = "N"
        if found.batch_size is not None:
            count = min(found.batch_size, part.samples)
        batch = f"[{', '.join(map(str, (count, *part.shape)))}] {part.dtype}"
        row = [name, f"{part.samples:,}", part.origin, *[_sizes(part)] * images, escape(batch)]
        made.add_row(*row)
    return made


def _sizes(part: PartSummary) -> str:
    """Width × height."""
    if part.images is None:
        return ""
    sides = " × ".join(
        f"{least}" if least == most else f"{least}–{most}"
        for least, most in (part.images.width, part.images.height)
    )
    seen = part.images.samples
    return sides + f" (of {seen:,})" * (seen < part.samples)


def _classes(found: Summary) -> Table | None:
    """How many of each class: of many, the first, and the others together."""
    from netspec.data.summary import Counts

    counts = {
        name: part.targets for name, part in found.parts.items() if isinstance(part.targets, Counts)
    }
    if not counts or found.classes is None:
        return None
    headings = [
        f"{name}, pixels of {each.samples:,} masks" if found.masks else name
        for name, each in counts.items()
    ]
    made = _table("class", *headings)
    for index, name in enumerate(found.classes[:CLASSES]):
        made.add_row(_name(name), *(f"{each.classes[index]:,}" for each in counts.values()))
    if (more := len(found.classes) - CLASSES) > 0:
        rest = (sum(each.classes[CLASSES:]) for each in counts.values())
        made.add_row(f"… {more:,} more", *(f"{each:,}" for each in rest))
    if any(each.ignored for each in counts.values()):
        made.add_row("(ignored)", *(f"{each.ignored:,}" for each in counts.values()))
    return made


def _figures(found: Summary) -> Table:
    from netspec.data.summary import Figures

    made = _table("part", "values", "samples", "least", "most", "mean", "deviation")
    for name, part in found.parts.items():
        rows = list(_rows("inputs", "channel" if part.images else "input", part.inputs))
        if isinstance(part.targets, Figures):
            rows += _rows("targets", "target", part.targets)
        for number, row in enumerate(rows):
            made.add_row("" if number else name, *row)
    return made


def _rows(together: str, one: str, figures: Figures) -> Iterator[list[str]]:
    def shown(spread: Any) -> list[str]:
        return [f"{value:.4g}" for value in spread]

    yield [together, f"{figures.samples:,}", *shown(figures.whole)]
    for index, spread in enumerate(figures.each[:VALUES]):
        yield [f"{one} {index}", "", *shown(spread)]
    if len(figures.each) > VALUES:
        yield [f"… {len(figures.each) - VALUES:,} more"]
