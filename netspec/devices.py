"""The names of devices: `cpu`, `cuda` and `cuda:N`, wherever one is given."""

from __future__ import annotations

import re
from typing import NamedTuple

from netspec.diagnostics import Code, InputError


class DeviceNameError(InputError):
    """The name is no device's: wrong usage, whatever the command."""

    exit_status = 2


class Device(NamedTuple):
    """`gpu`: its number, 0 where the name says none; None for the CPU."""

    gpu: int | None = None

    def __str__(self) -> str:
        return "cpu" if self.gpu is None else f"cuda:{self.gpu}"


def parse(name: str) -> Device:
    """The device of a name. Raises DeviceNameError."""
    if name == "cpu":
        return Device()
    known = re.fullmatch(r"cuda(?::(0|[1-9][0-9]{0,2}))?", name)
    if known is None:
        raise DeviceNameError.of(
            Code.ENVIRONMENT,
            f"'{name}' is no device",
            file="--device",
            remedy="known are cpu, cuda and cuda:N",
        )
    return Device(int(known[1] or 0))
