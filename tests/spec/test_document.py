"""YAML 1.2 with places, within bounds."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

import pytest

from netspec.diagnostics import Code, Diagnostic, SpecError
from netspec.planning import check
from netspec.spec.document import MAX_DEPTH, Document, override
from netspec.spec.loading import interpret
from netspec.spec.reading import MAX_BYTES, parse, parse_value, read
from netspec.spec.scalars import scalar


def error(text: str) -> Diagnostic:
    with pytest.raises(SpecError) as caught:
        parse(text, "a.yaml")
    (found,) = caught.value.diagnostics
    return found


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001), ("1E3", 1000.0), ("1.5e3", 1500.0), (".5", 0.5), ("5.", 5.0),
        ("010", 10), ("0o10", 8), ("0x1F", 31), ("-3", -3), ("+3", 3), ("1_000", "1_000"),
        ("on", "on"), ("off", "off"), ("yes", "yes"), ("no", "no"), ("y", "y"),
        ("true", True), ("False", False), ("null", None), ("~", None), ("", None),
        ("None", "None"), ("12:30", "12:30"), ("3:3", "3:3"), ("2001-01-01", "2001-01-01"),
        (".inf", math.inf), ("-.INF", -math.inf), ("nan", "nan"), ("1e400", math.inf),
        ("e3", "e3"), ("1e", "1e"), (".", "."), ("-", "-"), ("0b11", "0b11"), ("３", "３"),
    ],
)  # fmt: skip
def test_scalars_of_yaml_1_2(text: str, value: Any) -> None:
    found = scalar(text)
    assert found == value
    assert type(found) is type(value)
    if text not in ("", "-"):
        assert parse(f"x: {text}").data == {"x": value}


def test_not_a_number_is_read_as_one() -> None:
    assert math.isnan(scalar(".nan"))


def test_quotes_make_a_string() -> None:
    assert parse("{a: '1', b: \"true\"}").data == {"a": "1", "b": "true"}


@pytest.mark.parametrize("digits", [20, 65, 5000])
def test_an_integer_beyond_64_bits(digits: int) -> None:
    found = error(f"x: {'9' * digits}")
    assert found.code == Code.YAML
    assert "does not fit 64 bits" in found.message
    assert len(found.message) < 100


def test_keys_are_text() -> None:
    assert parse("{1: a, true: b, null: c, on: d}").data == {
        "1": "a", "true": "b", "null": "c", "on": "d",
    }  # fmt: skip


def test_places_of_keys_and_values() -> None:
    found = parse("netspec: 1\nmodel:\n  - Conv2d: {bias: maybe}\n", "a.yaml")
    value = found.place(("model", 0, "Conv2d", "bias"))
    assert (value.line, value.column, value.end_column) == (3, 20, 25)
    assert value.text == "  - Conv2d: {bias: maybe}"
    assert found.place(("model", 0, "Conv2d", "bias"), key=True).column == 14
    assert found.place(("model", 0), key=True).column == 5


def test_the_place_of_what_is_absent_is_the_nearest_above() -> None:
    found = parse("a:\n  b: 1\n")
    assert found.place(("a", "c", 3)).line == 2
    assert found.place(("z",)).line == 1


def test_an_alias_shares_its_value_and_place() -> None:
    found = parse("a: &x [1, 2]\nb: *x\n")
    assert found.data == {"a": [1, 2], "b": [1, 2]}
    assert found.place(("b", 1)).line == 1


def test_merge_keys_do_not_override_and_earlier_ones_win() -> None:
    text = "a: &a {x: 1, y: 1}\nb: &b {x: 2, z: 2}\nc: {<<: [*a, *b], y: 3}\n"
    found = parse(text)
    assert found.data["c"] == {"y": 3, "x": 1, "z": 2}
    assert found.place(("c", "z")).line == 2


def test_a_byte_order_mark_and_windows_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\r\nb: x\r\n")
    assert read(path).data == {"a": 1, "b": "x"}
    assert read(path).place(("b",)).text == "b: x"


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(SpecError) as missing:
        read(tmp_path / "no.yaml")
    assert missing.value.diagnostics[0].code == Code.FILE
    assert "No such file" in missing.value.diagnostics[0].message

    with pytest.raises(SpecError) as folder:
        read(tmp_path)
    assert folder.value.diagnostics[0].code == Code.FILE

    (tmp_path / "latin.yaml").write_bytes("a: é".encode("latin-1"))
    with pytest.raises(SpecError) as latin:
        read(tmp_path / "latin.yaml")
    assert "is not UTF-8" in latin.value.diagnostics[0].message

    (tmp_path / "empty.yaml").touch()
    with pytest.raises(SpecError) as empty:
        read(tmp_path / "empty.yaml")
    assert empty.value.diagnostics[0].message == "the file is empty"


def test_a_large_file_is_refused_unread(tmp_path: Path) -> None:
    path = tmp_path / "large.yaml"
    with path.open("wb") as file:
        file.truncate(2**36)  # a hole: takes no room
    assert _timed_limit(lambda: read(path)) == Code.LIMIT
    assert path.stat().st_size > MAX_BYTES


@pytest.mark.parametrize("text", ["a: \x00", "a: \x07", "a: \ud800", "%YAML 9", "a: @b", "a: `b`"])
def test_what_is_no_yaml(text: str) -> None:
    assert error(text).code == Code.YAML


def test_the_place_of_a_forbidden_character() -> None:
    found = error("a: 1\nb: é\x07\n")
    assert (found.place.line, found.place.column) == (2, 5)


def _timed_limit(run: Any) -> Code:
    start = time.process_time()
    with pytest.raises(SpecError) as caught:
        run()
    assert time.process_time() - start < 20, "a bound is met while counting"
    return caught.value.diagnostics[0].code


@pytest.mark.parametrize("opening", ["[", "{a: ", "- "])
def test_a_depth_bomb(opening: str) -> None:
    assert _timed_limit(lambda: parse("x: " * (opening != "- ") + opening * 200_000)) == Code.LIMIT


def test_depth_counts_through_aliases() -> None:
    lines = ["a0: &a0 [1]"] + [f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, MAX_DEPTH + 5)]
    found = error("\n".join(lines))
    assert found.code == Code.LIMIT
    assert found.place.line is not None and found.place.line > MAX_DEPTH // 2


def test_an_alias_bomb() -> None:
    lines = ["a0: &a0 [1, 1]"] + [f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]" for i in range(1, 40)]
    assert _timed_limit(lambda: parse("\n".join(lines))) == Code.LIMIT


def test_a_merge_bomb() -> None:
    lines = ["a0: &a0 {k: 1}"]
    lines += [f"a{i}: &a{i} {{<<: *a{i - 1}, x{i}: *a{i - 1}}}" for i in range(1, 60)]
    assert _timed_limit(lambda: parse("\n".join(lines))) == Code.LIMIT


def test_many_layers_are_no_bomb() -> None:
    text = "model:\n" + "  - Linear: {out_features: 8}\n" * 10_000
    assert len(parse(text).data["model"]) == 10_000


# One level of `open` costs as many levels of YAML as it has brackets.
NESTED = {
    "Sequential": ("[{Sequential: ", "}]"),
    "Residual": ("[{Residual: {body: ", "}}]"),
    "Repeat": ("[{Repeat: {times: 1, body: ", "}}]"),
    "Parallel": ("[{Parallel: {branches: [", "]}}]"),
}


def interpreted(text: str) -> list[Diagnostic]:
    found: Document = parse(text)
    spec, findings = interpret(found, Path())
    if spec is not None:
        plan = check(spec, findings)
        assert findings.sorted() or (plan is not None and plan.digest)
    return findings.sorted()


@pytest.mark.parametrize("kind", NESTED)
def test_the_deepest_spec_that_is_read_can_be_planned(kind: str) -> None:
    opening, closing = NESTED[kind]
    levels = sum(map(opening.count, "[{"))
    times = (MAX_DEPTH - 3) // levels
    text = "netspec: 1\ninput: [4]\nmodel: {}"
    assert interpreted(text.format(opening * times + "[ReLU]" + closing * times)) == []
    with pytest.raises(SpecError):
        parse(text.format(opening * MAX_DEPTH + "[ReLU]" + closing * MAX_DEPTH))


def test_the_deepest_mistake_is_reported() -> None:
    opening, closing = NESTED["Sequential"]
    times = (MAX_DEPTH - 6) // 2
    inner = "[{Conv2d: {out_channels: -1, kernel_size: [1, x]}}]"
    text = "netspec: 1\ninput: [4]\nmodel: " + opening * times + inner + closing * times
    assert {found.code for found in interpreted(text)} == {Code.VALUE}


def test_the_deepest_schedulers_and_values() -> None:
    times = (MAX_DEPTH - 4) // 3
    deep = "{ChainedScheduler: {schedulers: [" * times + "LinearLR" + "]}}" * times
    train = f"train: {{epochs: 1, loss: MSELoss, optimizer: SGD, scheduler: {deep}}}"
    brackets = MAX_DEPTH - 2
    values = f"vars: {{x: {'[' * brackets + ']' * brackets}}}"
    assert interpreted(f"netspec: 1\ninput: [4]\nmodel: [PReLU]\n{train}\n{values}") == []


def test_blocks_that_call_in_a_long_chain() -> None:
    """Each body is shallow: only expansion knows the depth."""
    chain = "\n".join(f"  b{i}: {{body: [b{i + 1}]}}" for i in range(2000))
    text = f"netspec: 1\ninput: [4]\nblocks:\n{chain}\n  b2000: {{body: [ReLU]}}\nmodel: [b0]"
    (found,) = interpreted(text)
    assert found.code == Code.LIMIT
    assert "nest deeper" in found.message


def set_to(document: Document, key: str, text: str) -> Document:
    return override(document, [(key, parse_value(text, f"--set {key}"))])


BASE = "vars: {width: 8}\nmodel:\n  - Linear: {out_features: 8}\n  - ReLU\n"


def test_set_replaces_a_value_and_keeps_the_rest() -> None:
    base = parse(BASE, "a.yaml")
    found = set_to(base, "model.0.Linear.out_features", "1e1")
    assert found.data["model"] == [{"Linear": {"out_features": 10.0}}, "ReLU"]
    assert base.data["model"][0] == {"Linear": {"out_features": 8}}
    assert found.place(("model", 0, "Linear", "out_features")).file == (
        "--set model.0.Linear.out_features"
    )
    assert found.place(("model", 1)).file == "a.yaml"


def test_set_adds_a_key_and_the_sections_above_it() -> None:
    found = set_to(parse(BASE), "train.checkpoint.monitor", "loss")
    assert found.data["train"] == {"checkpoint": {"monitor": "loss"}}
    assert found.place(("train",), key=True).file.startswith("--set")


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("model.2", "a list of 2, which has no item '2'"),
        ("model.-1", "has no item '-1'"),
        ("model.²", "has no item '²'"),
        ("model.1.inplace", "model.1 has no 'inplace' to set"),
        ("vars.depth", "vars has no 'depth' to set"),
        ("vars.width.x", "vars.width has no 'x' to set"),
        ("a" + ".b" * 5000, "nesting deeper"),
    ],
)
def test_set_of_an_unknown_path(key: str, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        set_to(parse(BASE), key, "1")
    (found,) = caught.value.diagnostics
    assert words in found.message
    assert found.place.file == f"--set {key}"
