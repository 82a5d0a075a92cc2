"""Layers of other packages: an installed package's entry points in the group `netspec.layers`.

Each names a `Layer`, or an iterable of them, in a module that imports no torch; a layer's `target`
is its class's import path, which only the compiler follows. They are looked for when a spec names a
layer that netspec lacks, so that other specs pay nothing; a spec itself never causes an import.
"""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping

from netspec.catalogue.layers.layer import Layer
from netspec.diagnostics import Code, SetupError

GROUP = "netspec.layers"


def load(layers: MutableMapping[str, Layer]) -> bool:
    """Add what is installed to `layers`; whether anything was added.

    Raises SetupError where an entry point cannot be loaded, is no layer, or takes a name that is
    taken.
    """
    from importlib.metadata import entry_points  # costs as much as all of the check

    found: dict[str, Layer] = {}
    for point in entry_points(group=GROUP):
        try:
            loaded = point.load()
        except Exception as error:  # another package's module may raise anything
            raise _wrong(point.value, f"cannot be loaded: {error}") from error
        for layer in loaded if isinstance(loaded, Iterable) else (loaded,):
            if not isinstance(layer, Layer):
                raise _wrong(point.value, f"gives {type(layer).__name__}, no Layer")
            if layers.get(layer.name, layer) != layer or layer.name in found:
                raise _wrong(point.value, f"gives a second layer '{layer.name}'")
            found[layer.name] = layer
    added = found.keys() - layers.keys()
    layers.update(found)
    return bool(added)


def _wrong(value: str, message: str) -> SetupError:
    return SetupError.of(
        Code.ENVIRONMENT,
        f"the entry point {message}",
        file=f"{GROUP}: {value}",
        remedy="update or remove the package that brings it",
    )
