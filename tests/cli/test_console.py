"""Text is written whatever it holds, and wherever it goes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from netspec.cli.console import report, say
from netspec.diagnostics import Code, InputError
from netspec.reporting import printable
from tests.cli.conftest import Done
from tests.runtime import models

ROOT = Path(__file__).parents[2]
SPEC = (ROOT / "specs" / "perceptron.yaml").read_text().replace("name: perceptron\n", "")
EXAMPLE = ROOT / "exported" / "example.onnx"

Run = Callable[..., Done]


def netspec_(
    *arguments: str | bytes | Path, closed: str = "", encoding: str = "utf-8"
) -> subprocess.CompletedProcess[bytes]:
    """As a shell calls it, with some of its streams closed."""
    return subprocess.run(
        ["sh", "-c", f'"$@" {closed}', "sh", sys.executable, "-m", "netspec", *arguments],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": encoding},
        timeout=60,
        check=False,
    )


VERBS: dict[str, list[str | bytes | Path]] = {
    "build": ["build", "net.yaml"],
    "build --emit": ["build", "net.yaml", "--emit", "python"],
    "validate": ["validate", "net.yaml"],
    "data": ["data", "net.yaml"],
    "verify": ["verify", EXAMPLE],
    "predict": ["predict", EXAMPLE, ROOT / "specs/samples/digits/digit-0.png"],
    "schema": ["schema", "-o", "out"],
    "export": ["export", "--onnx", "--untrained", "net.yaml", "-o", "a.onnx"],
    "--help": ["--help"],
}


@pytest.mark.parametrize("verb", VERBS)
def test_a_stream_that_is_closed_leads_nowhere(
    verb: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("net.yaml").write_text(SPEC)
    done = netspec_(*VERBS[verb], closed=">&-")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize("closed", ["2>&-", ">&- 2>&-", "<&- >&- 2>&-"])
def test_no_file_takes_a_closed_streams_place(closed: str, tmp_path: Path) -> None:
    done = netspec_("validate", tmp_path / "missing.yaml", closed=closed)
    assert (done.returncode, done.stdout, done.stderr) == (1, b"", b"")


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
@pytest.mark.parametrize("verb", ["build", "validate"])
def test_what_an_encoding_lacks_is_escaped(verb: str, encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "сеть→.yaml"
    path.write_text(SPEC)
    done = netspec_(verb, path, encoding=encoding)
    assert (done.returncode, done.stderr) == (0, b"")
    assert verb == "build" or rb"\u0441\u0435\u0442\u044c" in done.stdout


def test_a_name_that_is_not_utf_8_is_shown_and_the_rest_is_not_lost(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    pixels = np.zeros((8, 8), np.uint8)
    for name in (b"a.png", b"b\xe9.png", b"c.png"):
        Image.fromarray(pixels).save(folder / "new.png")
        (folder / "new.png").rename(folder / os.fsdecode(name))
    done = netspec_("predict", EXAMPLE, folder)
    assert (done.returncode, done.stderr) == (0, b"")
    found = [Path(line.split("  ")[0]).name for line in done.stdout.decode().splitlines()]
    assert found == ["a.png", r"b\xe9.png", "c.png"]
    rows = netspec_("predict", EXAMPLE, folder, "--json").stdout.decode("ascii").splitlines()
    assert os.fsencode(json.loads(rows[1])["input"]).endswith(b"b\xe9.png")

    spec = tmp_path / os.fsdecode(b"\xff.yaml")
    spec.write_text(SPEC)
    for verb in ("validate", "build"):
        done = netspec_(verb, spec)
        assert (done.returncode, done.stderr) == (0, b"")
        assert verb == "build" or rb"\xff" in done.stdout


EVIL = "a\x1b[31m\nb\r\x9b\u202e"


def test_names_never_reach_the_terminal_as_they_are(netspec: Run, tmp_path: Path) -> None:
    shown = r"a\x1b[31m\nb\r\x9b\u202e"
    spec = tmp_path / f"{EVIL}.yaml"
    spec.write_text(SPEC)
    image = tmp_path / f"{EVIL}.png"
    Image.fromarray(models.pixels(8, 8)).save(image)
    wrong = tmp_path / f"{EVIL}.gif"
    wrong.write_text("no image")
    for arguments in (
        ["validate", spec],
        ["validate", wrong],
        ["validate", tmp_path / f"{EVIL}-missing"],
        ["build", spec],
        ["predict", EXAMPLE, image, wrong],
        ["verify", wrong],
        ["export", "--onnx", "--untrained", spec, "-o", tmp_path / f"{EVIL}.onnx"],
        ["schema", "-o", tmp_path / EVIL],
        [EVIL],
    ):
        done = netspec(*arguments)
        said = done.out + done.err
        assert shown in said or arguments[0] == "build", arguments
        assert not set("\x1b\r\x9b\u202e") & set(said), arguments


def test_printable() -> None:
    assert printable("→ ünïcode\tand a tab") == "→ ünïcode\tand a tab"
    assert printable("\x00\x7f\x85\u2028\udce9\ud800") == r"\x00\x7f\x85\u2028\xe9\ud800"


def test_a_line_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    say("a\nb")
    report(InputError.of(Code.INPUT, "c\nd", file="e\nf", remedy="g\nh").diagnostics)
    found = capsys.readouterr()
    assert found.out == "a\\nb\n"
    assert found.err == "e\\nf: error[input]: c\\nd\n  help: g\\nh\n"
