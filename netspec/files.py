"""Files: read within a bound, and written whole or not at all."""

from __future__ import annotations

import os
import re
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from netspec.diagnostics import Code, InputError, SetupError

if sys.platform != "win32":
    import fcntl

MARK = ".netspec"  # how the name of a temporary file ends


def read(path: Path, most: int | None = None, code: Code = Code.FILE) -> bytes:
    """The content of a regular file of at most `most` bytes.

    Raises InputError, with `code`, for what is missing, no file (a folder, a pipe, which would be
    waited for, a device, which may have no end), too large or not to be read.
    """
    size(path, most, code)
    try:
        with path.open("rb") as file:
            return file.read() if most is None else file.read(most)
    except OSError as error:
        raise _unreadable(path, error, code) from None


def size(path: Path, most: int | None = None, code: Code = Code.FILE) -> int:
    """The bytes that a regular file has. Raises InputError as `read` does."""
    try:
        found = path.stat()
    except OSError as error:
        raise _unreadable(path, error, code) from None
    except ValueError:  # a name with a null byte
        raise _unreadable(path, FileNotFoundError(), code) from None
    if not stat.S_ISREG(found.st_mode):
        raise InputError.of(
            code, "this is no file", file=str(path), remedy="give a file, no folder and no pipe"
        )
    if most is not None and found.st_size > most:
        raise InputError.of(
            code,
            f"the file has {found.st_size} bytes; at most {most} are read",
            file=str(path),
            remedy="check that it is the right file",
        )
    return found.st_size


def _unreadable(path: Path, error: OSError, code: Code) -> InputError:
    if isinstance(error, FileNotFoundError):
        return InputError.of(code, "there is no such file", file=str(path), remedy="check the path")
    return InputError.of(
        code,
        f"the file can't be read: {error.strerror or error}",
        file=str(path),
        remedy="check its permissions",
    )


def write(
    path: Path,
    content: bytes | str | Callable[[IO[bytes]], None],
    prove: Callable[[Path], None] | None = None,
) -> None:
    """Replace `path`'s content in one step: a temporary name in the same folder, then a rename.

    `content`: the bytes, or what writes them into the temporary file. A link is followed. `prove`
    is given the temporary file first; what it raises leaves `path` as it was. Raises SetupError
    where the folder cannot be written, the disk is full, or `path` is a pipe or a device; what
    stood at `path` is then untouched.
    """
    target = check(path)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        _sweep(target.parent, re.escape(target.name))
        with _temporary(target) as file:
            if callable(content):
                content(file)
            else:
                file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
            # A temporary file is private to its owner; the result gets the usual permissions.
            umask = os.umask(0)
            os.umask(umask)
            temporary = Path(file.name)
            temporary.chmod(0o666 & ~umask)
            if sys.platform == "win32":
                file.close()  # there, an open file can't be renamed
            if prove is not None:
                prove(temporary)
            temporary.replace(target)
    except OSError as error:
        raise _unwritable(path, error) from None


def check(path: Path) -> Path:
    """The file that `write` would replace, links followed. Raises SetupError where it would not."""
    try:
        if not path.is_symlink() and not path.exists():
            return path
        target = Path(os.path.realpath(path))
        with suppress(FileNotFoundError):
            if not stat.S_ISREG(target.stat().st_mode):
                raise SetupError.of(
                    Code.ENVIRONMENT,
                    "cannot be written: it is a pipe, a device or a folder",
                    file=str(path),
                    remedy="give the name of a file",
                )
    except OSError as error:
        raise _unwritable(path, error) from None
    return target


@contextmanager
def _temporary(target: Path) -> Iterator[IO[bytes]]:
    """A new file beside `target`, locked for as long as its writer lives, gone at the end."""
    while True:
        with tempfile.NamedTemporaryFile(
            dir=target.parent, prefix=f".{target.name}.", suffix=MARK, delete=False
        ) as file:
            _lock(file, wait=True)
            if not os.fstat(file.fileno()).st_nlink:
                continue  # swept by another writer before the lock was had
            try:
                yield file
            finally:
                Path(file.name).unlink(missing_ok=True)
            return


def sweep(folder: Path) -> None:
    """Remove all temporary files in a folder whose writers were killed."""
    _sweep(folder, ".+")


def _sweep(folder: Path, target: str) -> None:
    """Those of targets whose names match."""
    named = re.compile(rf"\.{target}\.[a-z0-9_]{{8}}{re.escape(MARK)}")
    for each in folder.iterdir():
        if named.fullmatch(each.name) and each.is_file():
            with suppress(OSError), each.open("rb") as file:
                if _lock(file, wait=False):
                    each.unlink()


def _lock(file: IO[bytes], wait: bool) -> bool:
    """Lock a file, which its process's end undoes; False where it is another's, or there are no
    locks (Windows, and some network file systems: nothing is swept there)."""
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True


def _unwritable(path: Path, error: OSError) -> SetupError:
    return SetupError.of(
        Code.ENVIRONMENT, f"cannot be written: {error.strerror or error}", file=str(path)
    )
