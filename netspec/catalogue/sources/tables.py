"""Tables: a row is a sample, and columns go by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from netspec.catalogue.component import Component, Param, Refusal, Section
from netspec.catalogue.preparations import Feature, Table
from netspec.catalogue.sources.source import Args, Classes, Source, Target, Unknown, Values
from netspec.catalogue.types import (
    BOOLEAN,
    INTEGER,
    NUMBER,
    PATH,
    TEXT,
    Choice,
    Either,
    ListOf,
    MappingOf,
    Text,
    WordOr,
    optional,
)
from netspec.catalogue.types import show as show_value
from netspec.shapes import Tensor, show
from netspec.tables import Categories, Category, Layout, name_of

MEASURES = ("median", "mean")
MOST_LETTERS = 1000

CATEGORY = Either(TEXT, BOOLEAN, INTEGER, NUMBER)
CATEGORIES = ListOf(CATEGORY, 1, 100_000)
COLUMN = Text("a column's name, in quotes where it is a number")
AS_IT_IS = Choice("as_is", "standardize")
ONE_HOT = Param("one_hot", CATEGORIES, doc="a number for each category: 1 for the row's, else 0")
FEATURE = Component(
    name="feature",
    params=(
        Param("one_hot", optional(CATEGORIES), None, ONE_HOT.doc),
        Param("fill", optional(CATEGORY), None, "for a missing value: median, mean, or a value"),
        Param(
            "then",
            WordOr(AS_IT_IS, Section(Component(name="then", params=(ONE_HOT,)))),
            "as_is",
            "what becomes of a filled column",
        ),
    ),
)


def features(written: Mapping[str, Any]) -> tuple[Feature, ...]:
    """A table's features in the order written. Raises Refusal about a contradiction in one."""
    return tuple(_feature(name, each) for name, each in written.items())


def _feature(name: str, written: str | Mapping[str, Any]) -> Feature:
    _check_name(name, "features", (name,))
    if isinstance(written, str):
        return Feature(name, standardize=written == "standardize")
    fill, then = written.get("fill"), written.get("then")
    categories = written.get("one_hot")
    if fill is None and then is not None:
        raise _wrong(name, "`then` stands beside `fill`", "write what it says alone")
    if (fill is None) == (categories is None):
        raise _wrong(
            name,
            "it has neither one_hot nor fill" if fill is None else "it has both one_hot and fill",
            "write `one_hot: […]`, or `fill: …` with `then: {one_hot: […]}`",
        )
    if isinstance(then, Mapping):
        categories = then["one_hot"]
    if categories is None:
        if fill not in MEASURES and (isinstance(fill, str | bool)):
            raise _wrong(
                name,
                f"a column of numbers is not filled with '{name_of(fill)}'",
                "fill it with median, mean or a number",
                "fill",
            )
        return Feature(name, standardize=then == "standardize", fill=fill)
    known = Categories(categories)
    if fill is not None and known.code(name_of(fill)) is None:
        raise _wrong(
            name,
            f"it is filled with '{name_of(fill)}', which is none of its categories",
            "fill it with one of them",
            "fill",
        )
    _check_distinct(known, categories, "features", (name,))
    return Feature(name, categories=tuple(categories), fill=fill)


def _check_distinct(
    known: Categories, written: list[Category], param: str, within: tuple[str, ...] = ()
) -> None:
    for code, each in enumerate(written):
        _check_name(name_of(each), param, within)
        if known.code(name_of(each)) != code:
            raise Refusal(f"'{name_of(each)}' is listed twice", "leave one out", param, within)
        if name_of(each) != name_of(each).strip():
            raise Refusal(
                f"'{each}' has spaces at its ends, which mean nothing in a table",
                "leave them out",
                param,
                within,
            )


def _check_name(name: str, param: str, within: tuple[str, ...] = ()) -> None:
    """Refuse a name that no model file could carry."""
    if not name.isprintable() or len(name) > MOST_LETTERS:
        raise Refusal(
            f"{show_value(name)} is no name: it is too long, or holds control characters",
            "name it otherwise, in the table too",
            param,
            within,
        )


def _wrong(name: str, message: str, remedy: str, *within: str) -> Refusal:
    return Refusal(f"feature '{name}': {message}", remedy, "features", (name, *within))


def targets(args: Args) -> tuple[str, ...]:
    """The names of the columns that are learned."""
    target = args["target"]
    return () if target is None else (target,) if isinstance(target, str) else tuple(target)


def _labels(args: Args) -> Target:
    if args["classes"] is not None:
        return Classes(len(args["classes"]), tuple(map(name_of, args["classes"])))
    if isinstance(args["target"], list):
        return Values((len(args["target"]),))
    return Unknown()


def _check(args: Args) -> None:
    named = targets(args)
    if len(between := args.get("delimiter") or ",") != 1 or between in '"\r\n':
        raise Refusal("a delimiter is one character, and no quote", param="delimiter")
    for name in named:
        if name in args["features"]:
            raise Refusal(
                f"'{name}' is the target, and a feature too: the network would read the answer",
                "leave it out of the features",
                "features",
                (name,),
            )
        if named.count(name) > 1:
            raise Refusal(f"'{name}' is listed twice", "leave one out", "target")
    if args["classes"] is not None:
        if len(named) != 1:
            raise Refusal("classes name the values of one target column", param="classes")
        if len(args["classes"]) < 2:
            raise Refusal("one class leaves nothing to tell apart", "name two or more", "classes")
        _check_distinct(Categories(args["classes"]), args["classes"], "classes")
    features(args["features"])


def _preparation(args: Args, input: Tensor) -> Table:
    made = Table.of(
        features(args["features"]), Layout(args.get("delimiter"), args.get("header", True))
    )
    if input.shape != (made.width,) or input.dtype != "float32":
        raise Refusal(
            f"the features make {show((made.width,))}, but the input is {input}",
            f"write `input: [{made.width}]`",
            "features",
        )
    return made


_COLUMNS = (
    Param("path", PATH, doc="from the working directory"),
    Param(
        "features",
        MappingOf("column names", WordOr(AS_IT_IS, Section(FEATURE))),
        doc="the network's input, in the order written",
    ),
    Param(
        "target",
        optional(Either(COLUMN, ListOf(COLUMN, 1, 10_000))),
        None,
        "the column to learn, or a list of them; none with `data.target: input`",
    ),
    Param("classes", optional(CATEGORIES), None, "the target's values, as class names"),
)


def _table(name: str, doc: str, *params: Param) -> Source:
    return Source(
        name=name,
        target=f"netspec.data.reading.tables:{name.lower()}",
        doc=doc,
        params=(*_COLUMNS, *params),
        preparation=_preparation,
        labels=_labels,
        parts=lambda args: {"train": None},
        columns=True,
        check=_check,
    )


SOURCES = (
    _table(
        "CSV",
        "a table in a text file, .gz too",
        Param(
            "delimiter",
            optional(Text("one character between two cells")),
            None,
            "default: a tab in .tsv files, else a comma",
        ),
        Param("header", BOOLEAN, True, "false: the columns are called '0', '1', …"),
    ),
    _table("Parquet", "a table in a .parquet file"),
)
