"""Findings about one document, each tied to a path into it."""

from __future__ import annotations

from netspec.diagnostics import SHOWN, Code, Diagnostic, Remedy, Severity, errors, shortened, spoken
from netspec.spec.document import Document, Route


class Findings:
    """Collects diagnostics; one path is reported once, the first finding about it."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self._found: dict[tuple[Route, str], Diagnostic] = {}
        self._paths: set[Route] = set()
        self._above: set[Route] = set()

    def add(
        self,
        code: Code,
        message: str,
        path: Route,
        remedy: Remedy = None,
        *,
        key: bool = False,
        via: tuple[Route, ...] = (),
    ) -> None:
        """`key`: point at the key, not at its value. `via`: the block calls that led here."""
        if (key or path not in self._paths) and (path, message) not in self._found:
            found = self._diagnostic(code, message, path, remedy, key, via)
            self._found[path, message] = found
        self.doubt(path)

    def warn(
        self,
        code: Code,
        message: str,
        route: Route,
        remedy: Remedy = None,
        *,
        key: bool = False,
        via: tuple[Route, ...] = (),
    ) -> None:
        """As `add`, of what is legal and probably not meant; nothing is taken as unknown for it."""
        if (route, message) not in self._found:
            found = self._diagnostic(code, message, route, remedy, key, via)
            self._found[route, message] = found._replace(severity=Severity.WARNING)

    def _diagnostic(
        self,
        code: Code,
        message: str,
        route: Route,
        remedy: Remedy,
        key: bool,
        via: tuple[Route, ...],
    ) -> Diagnostic:
        if callable(remedy):  # it takes time, and of so many findings not all are shown
            remedy = remedy if len(self._found) < SHOWN else None
        said = spoken(remedy)
        place = self.document.place(route, key=key)
        notes = tuple(("used here", self.document.place(call)) for call in reversed(via))
        return Diagnostic(code, shortened(message), place, said and shortened(said), notes)

    def doubt(self, path: Route) -> None:
        """Take the value at `path` as unknown: what it depends on has a finding already."""
        self._paths.add(path)
        self._above.update(path[:length] for length in range(len(path) + 1))

    def at(self, path: Route) -> bool:
        """Whether something stands against the value at `path` itself."""
        return path in self._paths

    def within(self, path: Route) -> bool:
        """Whether something stands against it or anything in it."""
        return path in self._above

    def has(self, code: Code) -> bool:
        return any(found.code is code for found in self._found.values())

    @property
    def errors(self) -> list[Diagnostic]:
        """Those that stop, in the order of the text."""
        return errors(self.sorted())

    def sorted(self) -> list[Diagnostic]:
        """In the order of the text."""
        return sorted(
            self._found.values(),
            key=lambda found: (found.place.line or 0, found.place.column or 0),
        )
