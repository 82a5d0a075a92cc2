"""Users' mistakes, a file each: `cases/rejected/*.yaml`.

A comment `# error[CODE]: WORDS`, or `warning[CODE]`, expects a finding of that code on its line,
with these words in its message or its remedy; several stand in one comment, divided by `|`. On a
line of its own it expects one anywhere, for findings that have no line or whose line takes no
comment. Nothing else may be found. `# --set KEY=VALUE` on a line of its own is what the command
line would add.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pytest

from netspec import reporting
from netspec.diagnostics import Code, Diagnostic, SpecError
from netspec.planning import check, check_tensor_files
from netspec.spec.loading import document, interpret

FOLDER = Path(__file__).parent / "cases" / "rejected"
CASES = sorted(FOLDER.glob("*.yaml"))
EXPECTATION = re.compile(r"(error|warning)\[([a-z-]+)\]: ([^|]+)")
SETTING = re.compile(r"^# --set ([^=]+)=(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Expected:
    severity: str
    code: str
    words: str
    line: int | None

    def meets(self, found: Diagnostic) -> bool:
        return (
            (found.severity, found.code) == (self.severity, self.code)
            and self.line in (None, found.place.line)
            and self.words in f"{found.message}\n{found.remedy}"
        )


def expectations(text: str) -> list[Expected]:
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        before, mark, comment = line.partition("# ")
        for severity, code, words in EXPECTATION.findall(comment if mark else ""):
            found.append(
                Expected(severity, code, words.strip(), number if before.strip() else None)
            )
    return found


def findings(path: Path, settings: dict[str, str]) -> list[Diagnostic]:
    try:
        spec, found = interpret(document(path, settings), path.parent)
    except SpecError as error:
        return list(error.diagnostics)
    plan = check(spec, found) if spec is not None else None
    if plan is not None:
        check_tensor_files(plan, found)
    return found.sorted()


@pytest.mark.parametrize("path", CASES, ids=lambda path: path.stem)
def test_rejected(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    expected = expectations(text)
    assert expected, "the case expects nothing"

    left = findings(path, dict(SETTING.findall(text)))
    for wanted in expected:
        met = next((found for found in left if wanted.meets(found)), None)
        assert met is not None, f"{wanted} is not among\n{reporting.text(left)}"
        left.remove(met)
    assert not left, f"not expected:\n{reporting.text(left)}"


def test_every_finding_has_a_place_and_says_what_was_found() -> None:
    for path in CASES:
        for found in findings(path, dict(SETTING.findall(path.read_text(encoding="utf-8")))):
            assert found.place.line is not None, path
            assert found.place.text is not None, path
            assert found.message[-1] not in ".!", found.message
            assert len(found.message) < 300, found.message


# What no spec that can be read has: the test that shows it.
ELSEWHERE = {
    Code.FILE: "spec/test_document.py::test_files_that_cannot_be_read",
    Code.RUN: "cli/test_commands.py::test_export_without_a_run_says_so",
    Code.MODEL: "cli/test_commands.py::test_verify",
    Code.INPUT: "cli/test_commands.py::test_predict",
    Code.ENVIRONMENT: "runtime/test_session.py::test_cuda_is_refused_and_never_falls_back",
}


@pytest.mark.parametrize("code", Code)
def test_every_code_has_a_case(code: Code) -> None:
    if code not in ELSEWHERE:
        assert any(f"[{code}]: " in path.read_text(encoding="utf-8") for path in CASES)
        return
    module, _, name = ELSEWHERE[code].partition("::")
    text = (Path(__file__).parent / module).read_text(encoding="utf-8")
    _, found, body = text.partition(f"\ndef {name}(")
    assert found, f"{name} is gone"
    said = body.partition("\ndef ")[0]
    assert f"Code.{code.name}" in said or f"[{code}" in said.replace("\\", "")
