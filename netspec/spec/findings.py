"""Findings about one document, each tied to a path into it."""

from __future__ import annotations

from netspec.diagnostics import Code, Diagnostic
from netspec.spec.document import Document, Path_


class Findings:
    """Collects diagnostics; one path is reported once, the first finding about it."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self._found: dict[tuple[Path_, str], Diagnostic] = {}
        self._paths: set[Path_] = set()
        self._above: set[Path_] = set()

    def add(
        self,
        code: Code,
        message: str,
        path: Path_,
        remedy: str | None = None,
        *,
        key: bool = False,
        via: tuple[Path_, ...] = (),
    ) -> None:
        """`key`: point at the key, not at its value. `via`: the block calls that led here."""
        if key or path not in self._paths:
            place = self.document.place(path, key=key)
            notes = tuple(("used here", self.document.place(call)) for call in reversed(via))
            self._found.setdefault((path, message), Diagnostic(code, message, place, remedy, notes))
        self.doubt(path)

    def doubt(self, path: Path_) -> None:
        """Take the value at `path` as unknown: what it depends on has a finding already."""
        self._paths.add(path)
        self._above.update(path[:length] for length in range(len(path) + 1))

    def at(self, path: Path_) -> bool:
        """Whether something stands against the value at `path` itself."""
        return path in self._paths

    def within(self, path: Path_) -> bool:
        """Whether something stands against it or anything in it."""
        return path in self._above

    def has(self, code: Code) -> bool:
        return any(found.code is code for found in self._found.values())

    def sorted(self) -> list[Diagnostic]:
        """In the order of the text."""
        return sorted(
            self._found.values(),
            key=lambda found: (found.place.line or 0, found.place.column or 0),
        )
