"""Ctrl-C and SIGTERM as a wish to stop at the next good place."""

from __future__ import annotations

import signal
import threading
from pathlib import Path
from types import FrameType, TracebackType
from typing import Any

from netspec.diagnostics import Code, NetspecError


class Interrupted(NetspecError):
    """The run was stopped by the user; what was reached is saved."""

    @classmethod
    def by(cls, number: signal.Signals, directory: Path) -> Interrupted:
        found = cls.of(
            Code.RUN,
            "was interrupted; what was reached is saved",
            file=str(directory),
            remedy=f"netspec train --resume {directory}",
        )
        found.exit_status = 128 + number  # as shells have it: 130 and 143
        return found


class Interruption:
    """While entered, the first signal sets `requested`; a second one acts as it always does."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.requested: signal.Signals | None = None
        self._before: dict[signal.Signals, Any] = {}

    def check(self) -> None:
        """Raises Interrupted where it is requested."""
        if self.requested is not None:
            raise Interrupted.by(self.requested, self.directory)

    def __enter__(self) -> Interruption:
        if threading.current_thread() is threading.main_thread():
            self._before = {each: signal.signal(each, self._request) for each in self.SIGNALS}
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._restore()

    def _request(self, number: int, frame: FrameType | None) -> None:
        self.requested = signal.Signals(number)
        self._restore()

    def _restore(self) -> None:
        while self._before:
            each, handler = self._before.popitem()
            signal.signal(each, handler)
