"""Whether the tensors that `init` takes from .safetensors files are there and fit.

Such a file begins with its header: eight bytes, little-endian, that give its length, and a JSON
object of `{key: {dtype, shape, data_offsets}}`. What stands in it is known without torch.
"""

from __future__ import annotations

import json
import stat
from functools import cache
from pathlib import Path

from netspec.catalogue.component import Refusal
from netspec.catalogue.initializers import INITIALIZERS
from netspec.catalogue.types import show
from netspec.diagnostics import Code, suggestion
from netspec.planning.plans import Plan
from netspec.planning.refusing import refuse
from netspec.planning.selection import parameters
from netspec.spec.findings import Findings
from netspec.spec.model import Args

MAX_HEADER = 2**22  # bytes; one tensor takes about a hundred


def check_tensor_files(plan: Plan, findings: Findings) -> None:
    """Of each parameter that a file fills. Not of a network whose weights come from elsewhere."""
    shapes = {key: shape for _, _, key, shape in parameters(plan.root)}
    read = cache(_shapes)
    for key, initializer in plan.initialization:
        if INITIALIZERS[initializer.type].target:
            continue
        try:
            path = locate(plan.spec.folder, initializer.args["path"])
            _check_shape(read(path), initializer.args, key, shapes[key])
        except Refusal as refusal:
            refuse(refusal, initializer, findings, Code.INIT)


def locate(folder: Path, written: str) -> Path:
    """A file below the spec's folder. Raises Refusal."""
    folder = folder.resolve()
    try:
        path = (folder / written).resolve()
    except (OSError, RuntimeError, ValueError) as error:  # a circle of links, a NUL
        raise Refusal(f"'{written}' is no path: {error}", param="path") from None
    if not path.is_relative_to(folder):
        raise Refusal(
            f"'{written}' leaves the spec's folder", "put the file beside the spec", "path"
        )
    return path


def _check_shape(
    found: dict[str, list[int]], args: Args, key: str, wanted: tuple[int, ...]
) -> None:
    name, file = args["key"], args["path"]
    if name not in found:
        raise Refusal(
            f"'{name}' is not in {file}",
            suggestion(name, found) or f"it has {', '.join([*found][:8]) or 'no tensor'}",
            "key",
        )
    if found[name] != list(wanted):
        raise Refusal(
            f"'{name}' has the shape {show(found[name])} in {file}, but {key} is {show(wanted)}",
            param="key",
        )


def _shapes(path: Path) -> dict[str, list[int]]:
    """Each tensor's shape. Raises Refusal for what is no such file."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise _unreadable(path, "it is no regular file")
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
            if size > min(status.st_size, MAX_HEADER):
                raise _unreadable(path, f"it would have a header of {size:,} bytes")
            header = json.loads(file.read(size))
        tensors = {key: entry for key, entry in header.items() if key != "__metadata__"}
        if any(entry["data_offsets"][1] > status.st_size - size - 8 for entry in tensors.values()):
            raise _unreadable(path, "it ends before its tensors do")
        return {key: list(entry["shape"]) for key, entry in tensors.items()}
    except OSError as error:
        raise _unreadable(path, error.strerror or str(error)) from None
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        raise _unreadable(path, "its header is none") from None


def _unreadable(path: Path, reason: str) -> Refusal:
    return Refusal(
        f"'{path.name}' cannot be read: {reason}", "it has to be a .safetensors file", "path"
    )
