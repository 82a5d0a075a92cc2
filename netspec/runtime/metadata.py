"""What a model file says about itself: one JSON text in the ONNX metadata property KEY.

Reading is of untrusted text: sizes are bounded, types checked, and whatever is wrong is one
InputError. Writing reads back what it wrote, so that no file is exported that cannot be opened.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NoReturn, cast, get_args

import numpy as np
import numpy.typing as npt

from netspec.diagnostics import Code, InputError
from netspec.runtime import arrays
from netspec.runtime.fields import Fields, text
from netspec.runtime.vectors import MAX_VALUES, Draw, Vector, kept_of
from netspec.shapes import Expr, Shape
from netspec.tables import Category, Column, Layout

KEY = "netspec"
PARTS = ("train", "validation", "test")
MAX_TEXT = 1 << 25
MAX_NAMES = 1_000_000
MAX_VECTORS = 64
MAX_VECTOR_BYTES = 1 << 24  # the values that one keeps, unpacked
MAX_SEED = (1 << 32) - 1
MAX_CATEGORY = 2.0**128  # beyond a float32's

Kind = Literal["images", "table", "array", "tensor"]
Activation = Literal["none", "softmax", "sigmoid"]
Task = Literal["classes", "binary", "values"]
Array = npt.NDArray[Any]

_DTYPES = ("uint8", "float32", "float64", "int64")


@dataclass(frozen=True)
class Table:
    """The columns of a raw sample, with what their numbers were around in training, as `draws`
    draws them; `layout`: how a file of them is written."""

    columns: tuple[Column, ...]
    centers: tuple[float, ...]
    spreads: tuple[float, ...]
    layout: Layout

    @property
    def draws(self) -> tuple[Draw, ...]:
        return tuple(
            Draw(center, spread, len(column.categories or ()), column.missing)
            for column, center, spread in zip(self.columns, self.centers, self.spreads, strict=True)
        )


@dataclass(frozen=True, slots=True)
class Input:
    """What the graph takes: `shape` is one sample's, without the batch.

    `kind`: a tensor is what the network takes; images, tables and arrays are raw samples, of which
    the graph makes that. Images are uint8 [height, width, channels]. Each dimension is a number or
    grows with one name (`H`, `4*H`); an image's channels are a number. Tables are float64
    [columns], categories by their index and missing values as NaN.
    """

    kind: Kind
    shape: Shape
    dtype: str
    table: Table | None = None


@dataclass(frozen=True, slots=True)
class Output:
    """What the graph gives for one sample: `activation` is what it has applied already."""

    activation: Activation
    task: Task
    shape: Shape


@dataclass(frozen=True, slots=True)
class Tolerance:
    """`|found - expected| <= atol * scale + rtol * |expected|`, element by element; `scale` is a
    vector's. Of probabilities, it is their logits that are held so."""

    rtol: float
    atol: float


@dataclass(frozen=True, slots=True, eq=False)
class Metadata:
    """A model file's own account: `spec` is the resolved spec as YAML, `digest` the model digest
    (SHA-256, hex), `least` the least value of each name in the input's shape, `rows` a SHA-256 of
    the rows that each part had which a split made when the weights were trained; may be missing."""

    version: str
    name: str
    spec: str
    digest: str
    classes: tuple[str, ...] | None
    input: Input
    least: Mapping[str, int]
    output: Output
    vectors: tuple[Vector, ...]
    tolerance: Tolerance
    rows: Mapping[str, str] = field(default_factory=dict)

    def encode(self) -> str:
        """The JSON text. Raises InputError where `decode` would refuse it."""
        text = json.dumps(
            {
                "version": self.version,
                "name": self.name,
                "spec": self.spec,
                "digest": self.digest,
                "classes": self.classes,
                "input": {
                    "kind": self.input.kind,
                    "shape": _plain(self.input.shape),
                    "dtype": self.input.dtype,
                    **({"table": _plain_table(self.input.table)} if self.input.table else {}),
                },
                "least": dict(self.least),
                "output": {
                    "activation": self.output.activation,
                    "task": self.output.task,
                    "shape": _plain(self.output.shape),
                },
                "vectors": [_plain_vector(each) for each in self.vectors],
                "tolerance": {"rtol": self.tolerance.rtol, "atol": self.tolerance.atol},
                **({"rows": dict(self.rows)} if self.rows else {}),
            },
            ensure_ascii=False,
            separators=(",", ":"),
        )
        decode(text)
        return text


def decode(text: str, file: str = "model") -> Metadata:
    """The account that `text` gives; keys it knows nothing of are passed over.

    Raises InputError (code MODEL), naming `file`, where anything is missing or wrong.
    """
    try:
        if len(text) > MAX_TEXT:
            raise ValueError(f"it has more than {MAX_TEXT} characters")
        return _metadata(json.loads(text, parse_constant=_refuse))
    except RecursionError:
        why = "it nests too deeply"
    except ValueError as error:
        why = str(error)
    raise InputError.of(
        Code.MODEL,
        f"the model's metadata is wrong: {why}",
        file=file,
        remedy="export the model again, with a netspec of this version",
    ) from None


def _metadata(found: object) -> Metadata:
    fields = Fields(found, "it")
    taken = fields.inner("input")
    given = fields.inner("output")
    bounds = fields.inner("tolerance")
    classes = None
    if fields.get("classes") is not None:
        classes = tuple(text(each, "a class name") for each in fields.items("classes", MAX_NAMES))
    input = Input(
        kind=cast(Kind, taken.one_of("kind", get_args(Kind))),
        shape=taken.shape("shape"),
        dtype=taken.one_of("dtype", _DTYPES),
        table=_table(taken.inner("table")) if taken.get("kind") == "table" else None,
    )
    names = _check(input)
    least = fields.inner("least")
    output = Output(
        activation=cast(Activation, given.one_of("activation", ("none", "softmax", "sigmoid"))),
        task=cast(Task, given.one_of("task", ("classes", "binary", "values"))),
        shape=given.shape("shape"),
    )
    if output.task == "classes":
        if not output.shape:
            raise ValueError("'output.shape' lacks the classes' dimension")
        if classes is not None and output.shape[0] != len(classes):
            raise ValueError(f"'classes' has {len(classes)} names for {output.shape[0]} outputs")
    spec = fields.want("spec", str, "a text")
    spec.encode()  # a lone surrogate raises UnicodeEncodeError, a ValueError
    digest = _sha256(fields, "digest")
    rows = Fields(fields.found.get("rows", {}), "'rows'")
    return Metadata(
        version=fields.text("version"),
        name=fields.text("name"),
        spec=spec,
        digest=digest,
        classes=classes,
        input=input,
        least={name: least.whole(name) for name in sorted(names)},
        output=output,
        vectors=tuple(_vectors(fields.items("vectors", MAX_VECTORS))),
        tolerance=Tolerance(bounds.number("rtol"), bounds.number("atol")),
        rows={name: _sha256(rows, name) for name in PARTS if name in rows.found},
    )


def _sha256(fields: Fields, key: str) -> str:
    if re.fullmatch("[0-9a-f]{64}", found := fields.text(key)) is None:
        raise ValueError(f"'{key}' is no SHA-256 in hexadecimal")
    return found


def _vectors(found: list[object]) -> Iterator[Vector]:
    for each in found:
        fields = Fields(each, "a vector")
        taken, given = fields.inner("input"), fields.inner("output")
        shape, output = taken.sizes("shape"), given.sizes("shape")
        if not shape or not output or shape[0] != output[0] or math.prod(shape) > MAX_VALUES:
            raise ValueError("a vector's shapes are none of one batch, or too large")
        if (seed := taken.whole("seed")) > MAX_SEED:
            raise ValueError("'seed' lies above 2**32")
        kept = (output[0], kept_of(output))
        dtype = given.one_of("dtype", arrays.DTYPES)
        values = arrays.unpack(dtype, kept, given.want("data", str, "a text"), MAX_VECTOR_BYTES)
        if not np.isfinite(values).all():
            raise ValueError("a vector's values are not finite")
        scale = given.get("scale")
        if not isinstance(scale, float) or not 0 <= scale < math.inf:
            raise ValueError("'scale' is no size of a difference")
        yield Vector(shape, seed, taken.whole("below"), output, values, scale)


def _check(input: Input) -> frozenset[str]:
    """The names in the input's shape; ValueError where sizes could not be told from it."""
    names: set[str] = set()
    for dim in input.shape:
        if isinstance(dim, Expr):
            if len(dim.names) != 1 or not dim.monotone:
                raise ValueError(f"'{dim}' in 'input.shape' grows with no one name")
            names |= dim.names
        elif dim < 1:
            raise ValueError(f"{dim} in 'input.shape' is no size")
    pixels = input.dtype == "uint8" and len(input.shape) == 3 and isinstance(input.shape[2], int)
    if input.kind == "images" and not pixels:
        raise ValueError("images are uint8 [height, width, channels]")
    if input.table and (input.dtype, input.shape) != ("float64", (len(input.table.columns),)):
        raise ValueError("a table is float64 [columns]")
    return frozenset(names)


def _table(fields: Fields) -> Table:
    found = [Fields(each, "a column") for each in fields.items("columns", MAX_NAMES)]
    columns = tuple(map(_column, found))
    if not columns or len({each.name for each in columns}) != len(columns):
        raise ValueError("'columns' has no columns, or two of one name")
    delimiter = fields.get("delimiter")
    if delimiter is not None and (len(text(delimiter, "'delimiter'")) != 1 or delimiter == '"'):
        raise ValueError("'delimiter' is no character between cells")
    return Table(
        columns,
        tuple(each.real("center") for each in found),
        tuple(each.real("spread") for each in found),
        Layout(None if delimiter is None else str(delimiter), fields.truth("header")),
    )


def _column(fields: Fields) -> Column:
    categories = None
    if fields.get("categories") is not None:
        categories = tuple(map(_category, fields.items("categories", MAX_NAMES)))
        if not categories:
            raise ValueError("'categories' is empty")
    return Column(fields.text("name"), categories, fields.truth("missing"), fields.truth("bounded"))


def _category(found: object) -> Category:
    if isinstance(found, bool) or (isinstance(found, int | float) and abs(found) < MAX_CATEGORY):
        return found
    return text(found, "a category")


def _plain_table(table: Table) -> dict[str, object]:
    measures = zip(table.columns, table.centers, table.spreads, strict=True)
    return {
        "delimiter": table.layout.delimiter,
        "header": table.layout.header,
        "columns": [
            {
                "name": column.name,
                "categories": column.categories,
                "missing": column.missing,
                "bounded": column.bounded,
                "center": center,
                "spread": spread,
            }
            for column, center, spread in measures
        ],
    }


def _plain_vector(vector: Vector) -> dict[str, object]:
    return {
        "input": {"shape": vector.shape, "seed": vector.seed, "below": vector.below},
        "output": {
            "shape": vector.output,
            "scale": vector.scale,
            "dtype": vector.values.dtype.name,
            "data": arrays.pack(vector.values),
        },
    }


def _plain(shape: Shape) -> list[int | str]:
    return [dim if isinstance(dim, int) else str(dim) for dim in shape]


def _refuse(constant: str) -> NoReturn:
    raise ValueError(f"{constant} is no number of JSON")
