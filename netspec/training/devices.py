"""`--device`: the GPU if there is one."""

from __future__ import annotations

import torch

from netspec.diagnostics import Code, NetspecError, SetupError


class DeviceNameError(NetspecError):
    """The name is no device's."""

    exit_status = 2


def find(name: str | None) -> torch.device:
    """`cpu`, `cuda` or `cuda:N`; None: the first GPU, else the CPU.

    Raises DeviceNameError, or SetupError where this machine has no such device.
    """
    if name is None:
        return torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    if device is None or device.type not in ("cpu", "cuda"):
        raise DeviceNameError.of(
            Code.ENVIRONMENT, f"'{name}' is no device", file="--device", remedy="cpu, cuda, cuda:1"
        )
    if device.type == "cuda":
        count = torch.cuda.device_count()
        if (device.index or 0) >= count:
            raise SetupError.of(
                Code.ENVIRONMENT,
                f"there is no {name} here: torch sees {count or 'no'} GPU{'s' * (count != 1)}",
                file="--device",
                remedy="leave --device out to use what is there",
            )
        return torch.device("cuda", device.index or 0)
    return device
