"""A device as torch has it: the GPU if there is one."""

from __future__ import annotations

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
