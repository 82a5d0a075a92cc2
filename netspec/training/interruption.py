"""Ctrl-C and SIGTERM as a wish to stop at the next good place."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType
from typing import Any

from netspec.diagnostics import Code, NetspecError


class Interrupted(NetspecError):
    """The run was stopped by the user; what was reached is saved."""

    exit_status = 130

    @classmethod
    def at(cls, directory: str) -> Interrupted:
        return cls(
            NetspecError.of(
                Code.RUN,
                "was interrupted; what was reached is saved",
                file=directory,
                remedy=f"netspec train --resume {directory}",
            ).diagnostics
        )


class Interruption:
    """While entered, the first signal sets `requested`; a second one acts as it always does."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.requested = False
        self._before: dict[signal.Signals, Any] = {}

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
        self.requested = True
        self._restore()

    def _restore(self) -> None:
        while self._before:
            each, handler = self._before.popitem()
            signal.signal(each, handler)
