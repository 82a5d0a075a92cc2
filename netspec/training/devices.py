"""A device as torch has it: the GPU if there is one."""

from __future__ import annotations

import os

import torch

from netspec.devices import parse
from netspec.diagnostics import Code, SetupError


def find(name: str | None) -> torch.device:
    """`cpu`, `cuda` or `cuda:N`; None: the first GPU, else the CPU.

    Raises DeviceNameError, or SetupError where this machine has no such device.
    """
    if name is None:
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    device = parse(name)
    count = torch.cuda.device_count()
    if device.gpu is not None and device.gpu >= count:
        raise SetupError.of(
            Code.ENVIRONMENT,
            f"there is no {name} here: torch sees {count or 'no'} GPU{'s' * (count != 1)}",
            file="--device",
            remedy="leave --device out to use what is there",
        )
    return torch.device(str(device))


def check_alone() -> None:
    """Raises SetupError in one of several processes, which would each train a run of their own."""
    count = os.environ.get("WORLD_SIZE", "1")
    if count.strip() not in ("", "0", "1"):
        raise SetupError.of(
            Code.ENVIRONMENT,
            f"WORLD_SIZE is {count}, and netspec trains in one process",
            remedy="start `netspec train` itself, without torchrun",
        )
