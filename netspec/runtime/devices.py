"""CPU or GPU: onnxruntime's providers, without its silent fallback from one to the other."""

from __future__ import annotations

import contextlib
import ctypes
import io
import re
from pathlib import Path
from typing import Any

import onnxruntime

from netspec.devices import Device
from netspec.diagnostics import Code, NetspecError, SetupError

CPU = "CPUExecutionProvider"
CUDA = "CUDAExecutionProvider"

_FATAL, _WARNING = 4, 2


def open_model(content: bytes, options: onnxruntime.SessionOptions, device: Device) -> Any:
    """An onnxruntime.InferenceSession of the model on `device`.

    onnxruntime goes on with the CPU where CUDA doesn't load; here that is a SetupError.
    onnxruntime's own errors about the model pass.
    """
    if device.gpu is None:
        return onnxruntime.InferenceSession(content, options, providers=[CPU])
    if CUDA not in onnxruntime.get_available_providers():
        raise _refusal(device, "the installed onnxruntime is built without CUDA")
    # TF32 would keep 10 bits of a float32's mantissa: more than the tolerance of the test vectors.
    provider = (CUDA, {"device_id": str(device.gpu), "use_tf32": "0"})
    said = io.StringIO()
    onnxruntime.set_default_logger_severity(_FATAL)
    try:
        with contextlib.redirect_stdout(said):  # both print what they miss
            onnxruntime.preload_dlls()  # pip puts CUDA where the dynamic linker does not look
            session = onnxruntime.InferenceSession(
                content, options, providers=[provider, CPU], enable_fallback=0
            )
    except Exception as error:
        if re.search(r"cuda|cudnn|cublas|gpu", str(error), re.IGNORECASE) is None:
            raise
        raise _refusal(device, _line(str(error))) from None
    finally:
        onnxruntime.set_default_logger_severity(_WARNING)
    if session.get_providers()[0] != CUDA:
        raise _refusal(
            device, _lacking() or _line(said.getvalue()) or "onnxruntime doesn't say why"
        )
    return session


def _lacking() -> str | None:
    """Why CUDA's provider doesn't load, in the dynamic linker's words (Linux)."""
    folder = Path(onnxruntime.__file__).parent / "capi"
    try:
        for name in ("shared", "cuda"):
            library = folder / f"libonnxruntime_providers_{name}.so"
            if library.is_file():
                ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
    except OSError as error:
        return _line(str(error))
    return None


def _refusal(device: Device, why: str) -> NetspecError:
    driver = "libcuda.so" in why
    return SetupError.of(
        Code.ENVIRONMENT,
        f"device '{device}' can't be used: {why}",
        remedy=("install NVIDIA's driver, and " if driver else "")
        + "pip install 'netspec-compiler[runtime-gpu]' (in a place without the package "
        "onnxruntime), or choose --device cpu",
    )


def _line(text: str) -> str:
    return " ".join(text.split())[:300]
