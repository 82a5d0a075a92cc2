"""Small real model files, sealed as the exporter seals them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from netspec.runtime import integrity, metadata
from netspec.runtime.metadata import Input, Metadata, Output, Table, Tolerance
from netspec.runtime.vectors import Vector, noise, probes
from netspec.shapes import Shape, parse
from netspec.tables import Column, Layout

NAMES = ("blank", "left", "right")
WEIGHTS = np.random.default_rng(0).normal(size=(3, 3)).astype(np.float32)


def account(shape: Shape = (4, 5, 3), **changes: Any) -> Metadata:
    """Metadata of an image classifier with three classes."""
    return replace(
        Metadata(
            version="0.1.0",
            name="small",
            spec="netspec: 1\n",
            digest="ab" * 32,
            classes=NAMES,
            input=Input("images", shape, "uint8"),
            least={name: 1 for dim in shape if not isinstance(dim, int) for name in dim.names},
            output=Output("none", "classes", (3,)),
            vectors=(),
            tolerance=Tolerance(1e-4, 1e-5),
        ),
        **changes,
    )


def expected(batch: np.ndarray) -> np.ndarray:
    """What the image graph gives for uint8 [N, H, W, 3]: scores [N, 3]."""
    means = (batch.astype(np.float32) / 255).mean(axis=(1, 2))
    return means @ WEIGHTS


def image_graph(shape: Shape) -> onnx.GraphProto:
    """uint8 [N, H, W, 3] → the channels' means → scores [N, 3]."""
    axes = ["batch", *(d if isinstance(d, int) else str(d) for d in shape)]
    return helper.make_graph(
        [
            helper.make_node("Cast", ["pixels"], ["floats"], to=TensorProto.FLOAT),
            helper.make_node("Div", ["floats", "scale"], ["scaled"]),
            helper.make_node("ReduceMean", ["scaled", "axes"], ["means"], keepdims=0),
            helper.make_node("MatMul", ["means", "weights"], ["scores"]),
        ],
        "small",
        [helper.make_tensor_value_info("pixels", TensorProto.UINT8, axes)],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["batch", 3])],
        [
            numpy_helper.from_array(np.array(255, np.float32), "scale"),
            numpy_helper.from_array(np.array([1, 2]), "axes"),
            numpy_helper.from_array(WEIGHTS, "weights"),
        ],
    )


def step_graph(operator: str, shape: list[int | str], dtype: int) -> onnx.GraphProto:
    """One operator from `x` to `y`, float32 [N, *shape] out."""
    wanted: dict[str, Any] = {"to": 1} if operator == "Cast" else {}
    return helper.make_graph(
        [helper.make_node(operator, ["x"], ["y"], **wanted)],
        "step",
        [helper.make_tensor_value_info("x", dtype, ["batch", *shape])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", *shape])],
    )


def content(graph: onnx.GraphProto, text: str, seal: bool = True) -> bytes:
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    helper.set_model_props(model, {metadata.KEY: text, integrity.SEAL_KEY: integrity.PLACEHOLDER})
    found: bytes = model.SerializeToString()
    return integrity.seal(found) if seal else found


def image_model(path: Path, shape: Shape = (4, 5, 3), **changes: Any) -> Path:
    path.write_bytes(content(image_graph(shape), account(shape, **changes).encode()))
    return path


def sized(*dims: int | str) -> Shape:
    return tuple(parse(dim) if isinstance(dim, str) else dim for dim in dims)


def values_model(
    path: Path,
    operator: str = "Neg",
    shape: tuple[int | str, ...] = (3,),
    dtype: str = "float32",
    **changes: Any,
) -> Path:
    """float32 [N, *shape] → the operator's result, task `values`."""
    kind = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64}[dtype]
    whole = sized(*shape)
    changes = {
        "classes": None,
        "input": Input("tensor", whole, dtype),
        "output": Output("none", "values", whole),
        **changes,
    }
    text = account(whole, **changes).encode()
    path.write_bytes(content(step_graph(operator, list(shape), kind), text))
    return path


COLUMNS = (
    Column("area"),
    Column("city", ("Aachen", "Köln, Nord", True)),
    Column("rooms", missing=True),
)


def table(layout: Layout | None = None) -> Input:
    """Of a model that takes COLUMNS."""
    measures = (100.0, 0.0, 4.0), (50.0, 1.0, 2.0)
    return Input("table", (3,), "float64", Table(COLUMNS, *measures, layout or Layout()))


def table_model(path: Path, layout: Layout | None = None, **changes: Any) -> Path:
    """A row of COLUMNS → the row, 7 where a value is missing."""
    graph = helper.make_graph(
        [
            helper.make_node("IsNaN", ["x"], ["missing"]),
            helper.make_node("Where", ["missing", "fill", "x"], ["filled"]),
            helper.make_node("Cast", ["filled"], ["y"], to=TensorProto.FLOAT),
        ],
        "table",
        [helper.make_tensor_value_info("x", TensorProto.DOUBLE, ["batch", 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 3])],
        [numpy_helper.from_array(np.array(7.0), "fill")],
    )
    changes = {
        "classes": None,
        "input": table(layout),
        "output": Output("none", "values", (3,)),
        **changes,
    }
    path.write_bytes(content(graph, account((3,), **changes).encode()))
    return path


def lookup_model(path: Path, rows: int) -> Path:
    """int64 [N, 2], each below `rows` → the rows of a table, [N, 2, 3]."""
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "x"], ["y"])],
        "lookup",
        [helper.make_tensor_value_info("x", TensorProto.INT64, ["batch", 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 2, 3])],
        [numpy_helper.from_array(np.ones((rows, 3), np.float32), "table")],
    )
    said = account(
        (2,),
        classes=None,
        input=Input("tensor", (2,), "int64"),
        output=Output("none", "values", (2, 3)),
    )
    path.write_bytes(content(graph, said.encode()))
    return path


def pixels(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def vectors(count: int, of: Callable[[np.ndarray], np.ndarray], *shape: int) -> tuple[Vector, ...]:
    return tuple(vector(of, shape, seed=seed) for seed in range(1, count + 1))


def vector(
    of: Callable[[np.ndarray], np.ndarray],
    shape: tuple[int, ...],
    dtype: str = "uint8",
    seed: int = 1,
    below: int = 1,
) -> Vector:
    output = of(noise(shape, dtype, seed, below))
    return Vector(shape, seed, below, output.shape, probes(output), 1.0)
