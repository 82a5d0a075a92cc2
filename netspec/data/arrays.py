"""`Tensors`: the arrays of a .npz file, whose size their headers tell before they are read."""

from __future__ import annotations

import math
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from netspec.catalogue.component import Refusal
from netspec.catalogue.sources import Classes, Target, Values
from netspec.data.dataset import Dataset, Part
from netspec.data.sources import Request, check_memory, counted, loss_of
from netspec.planning import Plan
from netspec.shapes import Expr, at
from netspec.sizes import describe, solve

Array = np.ndarray[Any, Any]


def tensors(request: Request) -> Dataset:
    """Two arrays of a .npz file: samples in the input's shape, and their targets."""
    path = Path(request.args["path"])
    if not path.is_file():
        raise Refusal(f"there is no file '{path}'", param="path")
    names = {param: request.args[param] for param in ("inputs", "targets")}
    try:
        with zipfile.ZipFile(path) as archive:
            for name in names.values():
                needed = _unpacked(archive, name) * request.copies
                check_memory(needed, f"'{name}' in '{path}' takes", "path")
        with np.load(path, allow_pickle=False) as file:
            arrays = {param: _array(file, name, param, path) for param, name in names.items()}
    except Refusal:
        raise
    except Exception as error:  # zip archives and numpy's headers fail in many ways
        raise Refusal(f"'{path}' cannot be read as .npz: {error}", None, "path") from None
    inputs = _inputs(arrays["inputs"], names["inputs"], request.plan)
    targets, target = _targets(arrays["targets"], names["targets"], request.plan)
    return Dataset({"train": Part(inputs, targets)}, target)


def _unpacked(archive: zipfile.ZipFile, name: str) -> int:
    """The bytes that an array takes by its header, 0 where there is none of the name."""
    if f"{name}.npy" not in archive.namelist():
        return 0
    with archive.open(f"{name}.npy") as stream:
        version = np.lib.format.read_magic(stream)
        formats = np.lib.format
        read = formats.read_array_header_1_0 if version == (1, 0) else formats.read_array_header_2_0
        shape, _, dtype = read(stream)
    return math.prod(shape) * int(dtype.itemsize)


def _array(file: Any, name: str, param: str, path: Path) -> Array:
    """An array as numbers that torch knows, in the machine's own byte order."""
    if name not in file:
        raise Refusal(f"'{path}' has no array '{name}'", f"it has {', '.join(file)}", param)
    found: Array = np.asarray(file[name])
    if not found.ndim:
        raise Refusal(f"'{name}' is a single number, without samples", param=param)
    if found.dtype.kind not in "fiub":
        raise Refusal(f"'{name}' holds {found.dtype}, not numbers", param=param)
    if found.dtype == np.uint64 and found.size and found.max() > np.iinfo(np.int64).max:
        raise Refusal(
            f"'{name}' holds {found.max()}, which is no 64-bit integer with a sign", param=param
        )
    if found.dtype.kind == "f" and found.dtype.itemsize > 8:
        return found.astype(np.float64)
    return found.astype(found.dtype.newbyteorder("="), copy=False)


def _inputs(array: Array, name: str, plan: Plan) -> Tensor:
    """The samples [N, …], each as the network takes it."""
    found, wanted = torch.from_numpy(array), plan.input
    if wanted.dtype == "int64" and found.is_floating_point():
        raise Refusal(
            f"'{name}' holds {array.dtype}, but the input is token ids",
            "store whole numbers, or make `input` floats",
            "inputs",
        )
    found = found.to(getattr(torch, wanted.dtype))
    if not found.isfinite().all():
        raise Refusal(f"'{name}' holds values that are not finite numbers", param="inputs")
    if not _fits(found.shape[1:], plan):
        raise Refusal(
            f"its samples have the shape {list(found.shape[1:])}, but the input is "
            + describe(wanted.shape, plan.least),
            "change `input`, or the file",
            "inputs",
        )
    return found


def _fits(sizes: Sequence[int], plan: Plan) -> bool:
    """Whether the input's names have values that make it these sizes."""
    shape = plan.input.shape
    if len(sizes) != len(shape):
        return False
    pairs = list(zip(shape, sizes, strict=True))
    alone = [pair for pair in pairs if isinstance(pair[0], int) or len(pair[0].names) == 1]
    values = solve([dim for dim, _ in alone], plan.least, [size for _, size in alone])
    if values is None:
        return False
    sums = [(dim, size) for dim, size in pairs if isinstance(dim, Expr) and len(dim.names) > 1]
    return all(
        at(dim, values) == size if dim.names <= values.keys() else at(dim, plan.least) <= size
        for dim, size in sums
    )


def _targets(array: Array, name: str, plan: Plan) -> tuple[Tensor, Target]:
    """Class indices [N], or floats [N, …], as the loss wants them."""
    found = torch.from_numpy(array)
    loss, args = loss_of(plan)
    if found.is_floating_point() or (loss and loss.wants == "same"):
        found = found.to(torch.float32)
        found = found.unsqueeze(1) if found.dim() == 1 else found
        if 0 in found.shape[1:]:
            raise Refusal(f"'{name}' has the shape {list(found.shape)}", None, "targets")
        return found, Values(tuple(found.shape[1:]))
    if found.dim() != 1:
        raise Refusal(
            f"'{name}' has the shape {list(found.shape)}, but class indices are one number a "
            "sample",
            "store them with one dimension, or floats for a loss that compares values",
            "targets",
        )
    found = found.to(torch.int64)
    labels = counted(found, args)
    return found, Classes(int(labels.max()) + 1 if len(labels) else 0)
