"""Layers and sources of other packages: an installed package's entry points in the groups
`netspec.layers` and `netspec.sources`.

Each names a `Layer` or a `Source`, or an iterable of them, in a module that imports no torch; an
entry's `target` is the import path of its class or reader, which only a torch room follows. They
are looked for when a spec names a layer or a source that netspec lacks, so that other specs pay
nothing; a spec itself never causes an import.
"""

from __future__ import annotations

from collections.abc import Iterable, MutableMapping
from typing import TypeVar

from netspec.catalogue.component import Component
from netspec.diagnostics import Code, SetupError

Entry = TypeVar("Entry", bound=Component)


def load(group: str, kind: type[Entry], entries: MutableMapping[str, Entry]) -> bool:
    """Add what is installed in a group, each a `kind`, to `entries`; whether anything was added.

    Raises SetupError where an entry point cannot be loaded, is no such entry, or takes a name that
    is taken.
    """
    from importlib.metadata import entry_points  # costs as much as all of the check

    found: dict[str, Entry] = {}
    for point in entry_points(group=group):
        where = f"{group}: {point.value}"
        try:
            loaded = point.load()
        except Exception as error:  # another package's module may raise anything
            raise _wrong(where, f"cannot be loaded: {error}") from error
        for entry in loaded if isinstance(loaded, Iterable) else (loaded,):
            if not isinstance(entry, kind):
                raise _wrong(where, f"gives {type(entry).__name__}, no {kind.__name__}")
            if entries.get(entry.name, entry) != entry or entry.name in found:
                raise _wrong(where, f"gives a second {kind.__name__.lower()} '{entry.name}'")
            found[entry.name] = entry
    added = found.keys() - entries.keys()
    entries.update(found)
    return bool(added)


def _wrong(where: str, message: str) -> SetupError:
    return SetupError.of(
        Code.ENVIRONMENT,
        f"the entry point {message}",
        file=where,
        remedy="update or remove the package that brings it",
    )
