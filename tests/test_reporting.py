"""What a user reads of a finding, and what a program does."""

from __future__ import annotations

import json

from netspec import reporting
from netspec.diagnostics import SHOWN, Code, Diagnostic, Place, Severity
from netspec.reporting import WIDTH


def finding(text: str, column: int, end: int, **more: object) -> Diagnostic:
    place = Place("a.yaml", 7, column, end, text)
    return Diagnostic(Code.VALUE, "is wrong", place)._replace(**more)  # type: ignore[arg-type]


def marked(report: str) -> str:
    """What stands above the carets."""
    line, carets = report.splitlines()[1:3]
    return line[carets.index("^") : carets.rindex("^") + 1]


def test_a_finding_shows_its_place_its_remedy_and_the_calls_that_led_there() -> None:
    notes = (("used here", Place("a.yaml", 9, 5, 6, "  - b")),)
    found = finding("lr: x", 5, 6, remedy="write a number", notes=notes)
    assert reporting.text([found]).splitlines() == [
        "a.yaml:7:5: error[value]: is wrong",
        "  7 | lr: x",
        "    |     ^",
        "  note: used here at a.yaml:9:5",
        "  help: write a number",
    ]


def test_a_warning_is_called_one() -> None:
    found = finding("lr: x", 5, 6, severity=Severity.WARNING)
    assert reporting.text([found]).startswith("a.yaml:7:5: warning[value]: is wrong")


def test_a_file_as_a_whole_has_no_line() -> None:
    found = Diagnostic(Code.FILE, "cannot be read", Place("a.yaml"))
    assert reporting.text([found]) == "a.yaml: error[file]: cannot be read"


def test_carets_stand_below_the_text_behind_tabs() -> None:
    line, carets = reporting.text([finding("\t\tlr: word", 7, 11)]).splitlines()[1:3]
    assert (line, carets) == ("  7 | \t\tlr: word", "    | \t\t    ^^^^")


def test_carets_end_with_the_line_and_are_one_at_least() -> None:
    assert marked(reporting.text([finding("lr: word", 5, 500)])) == "word"
    assert reporting.text([finding("lr:", 4, 5)]).endswith("|    ^")


def test_a_long_line_is_cut_around_the_place() -> None:
    line = "a" * 100_000 + "WRONG" + "b" * 100_000
    for text, column in ((line, 100_001), ("WRONG" + line, 1), (line[:100_005], 100_001)):
        report = reporting.text([finding(text, column, column + 5)])
        assert marked(report) == "WRONG"
        assert len(report) < 3 * WIDTH


def test_what_fills_a_long_line_is_marked_as_far_as_it_is_shown() -> None:
    assert set(marked(reporting.text([finding("a" * 10_000, 1, 10_001)]))) <= {"a", "…"}


def test_findings_beyond_the_first_hundred_are_counted() -> None:
    report = reporting.text([finding("lr: x", 5, 6)] * 3_000)
    assert report.count("error[value]") == SHOWN == 100
    assert report.endswith("\n… and 2,900 more")


def test_no_warning_takes_an_error_s_place() -> None:
    warning = finding("lr: x", 5, 6, severity=Severity.WARNING)
    report = reporting.text([warning] * 200 + [finding("lr: x", 5, 6)])
    assert report.count("error[value]") == 1


def test_json_has_the_same_as_plain_data() -> None:
    notes = (("used here", Place("a.yaml", 9, 5, 6, "  - b")),)
    (row,) = json.loads(json.dumps(reporting.as_json([finding("lr: x", 5, 6, notes=notes)])))
    place = {"file": "a.yaml", "line": 7, "column": 5, "end_column": 6, "text": "lr: x"}
    used = {"file": "a.yaml", "line": 9, "column": 5, "end_column": 6, "text": "  - b"}
    assert row == {
        "severity": "error",
        "code": "value",
        "message": "is wrong",
        "remedy": None,
        "place": place,
        "notes": [{"message": "used here", "place": used}],
    }


def test_json_is_no_longer_than_the_text() -> None:
    long = [finding("a" * 100_000, 50_000, 50_004)] * 3_000
    assert len(json.dumps(reporting.as_json(long), ensure_ascii=False)) < 100_000
