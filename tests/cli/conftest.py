"""The command line, called in this process as its entry point calls it."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from netspec.cli import main


@dataclass(frozen=True)
class Done:
    """What a command printed, and the status it ended with."""

    status: int
    out: str
    err: str


@pytest.fixture
def netspec(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> Callable[..., Done]:
    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["netspec", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        gc.unfreeze()  # `validate` freezes what it leaves, and this process goes on
        out, err = capfd.readouterr()
        return Done(int(ended.value.code or 0), out, err)

    return run
