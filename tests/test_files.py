"""Files are read whole within a bound, and replaced whole or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from netspec import files
from netspec.diagnostics import Code, InputError, SetupError

KILLED = """
import os, signal, sys
from pathlib import Path
from netspec import files
files.write(Path(sys.argv[1]), "half", lambda _: os.kill(os.getpid(), signal.SIGKILL))
"""

WAITING = """
import sys
from pathlib import Path
from netspec import files

def prove(_):
    print("ready", flush=True)
    sys.stdin.readline()

files.write(Path(sys.argv[1]), "slow", prove)
"""


def names(folder: Path) -> list[str]:
    return sorted(each.name for each in folder.iterdir())


# Reading


def test_a_file_is_read_up_to_the_bound(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    assert files.read(path) == files.read(path, 5) == b"12345"
    with pytest.raises(InputError, match="the file has 5 bytes; at most 4 are read") as caught:
        files.read(path, 4, Code.RUN)
    (found,) = caught.value.diagnostics
    assert (found.code, found.place.file) == (Code.RUN, str(path))


def test_what_is_missing_or_no_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        files.read(tmp_path / "missing")
    with pytest.raises(InputError, match="there is no such file"):
        files.read(tmp_path / "nul\0")
    with pytest.raises(InputError, match="this is no file"):
        files.read(tmp_path)
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(InputError, match="can't be read: Too many levels"):
        files.read(tmp_path / "loop")
    (tmp_path / "link").symlink_to("a")
    (tmp_path / "a").write_bytes(b"1")
    assert files.read(tmp_path / "link") == b"1"


def test_a_pipe_without_a_writer_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError, match="this is no file"):
        files.read(tmp_path / "pipe")


# Writing


def test_content_is_replaced_whole_and_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a"
    files.write(path, "one")
    files.write(path, b"two")
    assert path.read_text() == "two"
    assert names(path.parent) == ["a"]
    umask = os.umask(0)
    os.umask(umask)
    assert path.stat().st_mode & 0o777 == 0o666 & ~umask


def test_what_is_not_proved_leaves_all_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "a"
    files.write(path, "one")

    def prove(temporary: Path) -> None:
        assert temporary.read_text() == "two"
        raise ValueError

    with pytest.raises(ValueError):
        files.write(path, "two", prove)
    assert (path.read_text(), names(tmp_path)) == ("one", ["a"])


@pytest.mark.parametrize("there", [True, False])
def test_a_link_is_followed(there: bool, tmp_path: Path) -> None:
    (tmp_path / "far").mkdir()
    target, link = tmp_path / "far" / "a", tmp_path / "link"
    if there:
        target.write_text("one")
    link.symlink_to("far/a")
    files.write(link, "two")
    assert link.is_symlink()
    assert target.read_text() == "two"
    assert not target.is_symlink()
    assert names(target.parent) == ["a"]


@pytest.mark.parametrize("linked", [True, False])
def test_what_is_no_file_is_left_as_it_is(linked: bool, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "link").symlink_to("pipe")
    path = tmp_path / "link" if linked else pipe
    with pytest.raises(SetupError, match="is a pipe, a device or a folder") as caught:
        files.write(path, "two")
    assert caught.value.diagnostics[0].place.file == str(path)
    assert pipe.is_fifo() and names(tmp_path) == ["link", "pipe"]
    with pytest.raises(SetupError, match="is a pipe, a device or a folder"):
        files.write(tmp_path, "two")
    with pytest.raises(SetupError, match="is a pipe, a device or a folder"):
        files.write(Path(os.devnull), "two")


def test_a_loop_of_links_is_said(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(SetupError, match="cannot be written: Too many levels"):
        files.write(tmp_path / "loop", "two")


def test_what_a_killed_writer_left_goes_with_the_next_write(tmp_path: Path) -> None:
    path = tmp_path / "a[1]"
    for target in (path, tmp_path / "a[1].b"):
        done = subprocess.run([sys.executable, "-c", KILLED, str(target)], timeout=60, check=False)
        assert done.returncode == -signal.SIGKILL
    kept = {".a[1].hidden", ".a[1].12345678.txt", ".a[1]"}
    for name in kept:
        (tmp_path / name).write_text("mine")
    assert len(names(tmp_path)) == 5
    files.write(path, "whole")
    found = set(names(tmp_path))
    assert kept | {"a[1]"} < found
    (other,) = found - kept - {"a[1]"}  # of another file's writer
    assert other.startswith(".a[1].b.")
    assert path.read_text() == "whole"


def test_what_a_living_writer_holds_is_left_to_it(tmp_path: Path) -> None:
    path = tmp_path / "a"
    slow = subprocess.Popen(
        [sys.executable, "-c", WAITING, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert slow.stdin is not None and slow.stdout is not None
    assert slow.stdout.readline() == "ready\n"
    files.write(path, "fast")
    assert path.read_text() == "fast"
    assert len(names(tmp_path)) == 2
    slow.communicate("\n", timeout=60)
    assert slow.returncode == 0
    assert (path.read_text(), names(tmp_path)) == ("slow", ["a"])
