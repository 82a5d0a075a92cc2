"""Files that a user would miss: written whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

from netspec.diagnostics import Code, SetupError


def write(path: Path, content: bytes | str, prove: Callable[[Path], None] | None = None) -> None:
    """Replace `path`'s content in one step: a temporary name in the same folder, then a rename.

    `prove` is given the temporary file first; what it raises leaves `path` as it was. Raises
    SetupError where the folder cannot be written or the disk is full; what stood at `path` is
    then untouched.
    """
    data = content.encode() if isinstance(content, str) else content
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(
            dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as file:
            temporary = Path(file.name)
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        # NamedTemporaryFile is private to its owner; the result gets the usual permissions.
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        if prove is not None:
            prove(temporary)
        temporary.replace(path)
    except OSError as error:
        raise SetupError.of(
            Code.ENVIRONMENT, f"cannot be written: {error.strerror or error}", file=str(path)
        ) from None
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
