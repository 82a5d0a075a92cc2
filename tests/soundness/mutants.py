"""Shipped specs, changed at random: in their bytes, or in what they say."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import yaml

from netspec.catalogue.layers import LAYERS

ROOT = Path(__file__).parent.parent.parent
SHIPPED = sorted((ROOT / "specs").glob("*.yaml")) + sorted((ROOT / "specs" / "zoo").glob("*.yaml"))
REJECTED = sorted((ROOT / "tests" / "cases" / "rejected").glob("*.yaml"))
SEEDS = SHIPPED + REJECTED

NUMBERS = (
    0, 1, -1, 2, 3, 7, 64, 1000, 65_536, 10**6, 2**31 - 1, 2**31, 2**32, 2**62, 2**63 - 1, 2**63,
    -(2**31), -(2**62), -(2**63), 10**30, 0.0, -0.0, 0.5, -1.5, 1e-300, 5e-324, 3.4e38, 1e39, 1e300,
    -1e308, float("inf"), float("nan"),
)  # fmt: skip
TEXTS = (
    "", "$", "$$", "$v", "$w", "$list", "$map", "$n", "$(1 + 1)", "$(v * 2)", "$(v / 0)",
    "$(2 ** 64)", "$('a' * 9)", "$(list == list)", "$(not map)", "$(true)", "${v}", "$(", "a$v",
    "$v$v", "H", "4*H", "(H + 1)//2", "H - W", "H//0", "H*W*T", "same", "\0", "é", "weight", "*",
    "[a", "Conv2d", "ReLU", "block", "null", "x" * 3000, "(" * 300,
)  # fmt: skip
SIGNS = (
    b"$", b"{", b"[", b":", b"- ", b"\n", b"&a ", b"*a", b"\t", b"\x00", b"!!x ", b"'", b"#",
    b"9" * 40,
)  # fmt: skip
VARS = {"v": 3, "w": "ReLU", "list": [1, 2], "map": {"ReLU": None}, "n": None}
KEYS = (
    "vars", "input", "model", "init", "expect", "data", "train", "export", "blocks", "body",
    "branches", "shortcut", "when", "name", "freeze", "match", "params", "times", "index", "<<",
    "$v", "", "1", "layers", "loss", "optimizer", "scheduler", "source", "split", "metrics",
)  # fmt: skip


def mutants(count: int, seed: str) -> Iterator[str]:
    """`count` texts, the same for the same seed."""
    random = Random(seed)
    texts = {path: path.read_text(encoding="utf-8") for path in SEEDS}
    data = {path: found for path in SEEDS if isinstance(found := _data(texts[path]), dict)}
    for _ in range(count):
        path = random.choice(REJECTED if random.random() < 0.3 else SHIPPED)
        if path not in data or random.random() < 0.3:
            yield _of_bytes(texts[path], random)
        else:
            yield _of_structure(data[path], random)


def _data(text: str) -> Any:
    try:
        return _copy(yaml.safe_load(text))  # an alias of itself has no copy
    except (yaml.YAMLError, ValueError):
        return None


def _of_bytes(text: str, random: Random) -> str:
    content = bytearray(text.encode())
    for _ in range(random.choice((1, 1, 2, 5))):
        at, to = sorted((random.randrange(len(content) + 1), random.randrange(len(content) + 1)))
        match random.randrange(5):
            case 0 if at < len(content):
                content[at] ^= 1 << random.randrange(8)
            case 1:
                del content[at : min(to, at + random.choice((1, 3, 30, 3000)))]
            case 2:
                content[at:at] = random.choice(SIGNS)
            case 3:
                piece = content[at : min(to, at + 300)]
                content[to:to] = piece * random.choice((1, 2, 50))
            case _:
                content[at:to] = b""
    return content.decode(errors="replace")


def _of_structure(spec: dict[str, Any], random: Random) -> str:
    found = _copy(spec)
    if random.random() < 0.7:
        written = found.get("vars")
        found["vars"] = {**(written if isinstance(written, dict) else {}), **_copy(VARS)}
    for _ in range(random.choice((1, 1, 2, 4))):
        _change(found, random)
        found = _copy(found)  # nothing in it is shared
    text = json.dumps(found, ensure_ascii=False, indent=random.choice((None, 1)))
    return text.replace("Infinity", ".inf").replace("NaN", ".nan")


def _copy(value: Any) -> Any:
    return json.loads(json.dumps(value, default=str))


def _change(spec: dict[str, Any], random: Random) -> None:
    places = [place for place in _places(spec) if place[1] != "netspec"]
    if not places:
        return
    holder, key = random.choice(places)
    value = holder[key]
    match random.randrange(10):
        case 0 | 1:
            holder[key] = random.choice(NUMBERS)
        case 2 | 3:
            holder[key] = random.choice(TEXTS)
        case 4:
            holder[key] = random.choice((None, True, [], {}, [value], {"a": value}, [[value]]))
        case 5:
            times = min(random.choice((2, 20, 1000)), 1 + 10**6 // len(json.dumps(value)))
            holder[key] = value * times if isinstance(value, list) else [value] * times
        case 6 if isinstance(holder, dict):
            known = random.choice((KEYS, tuple(LAYERS)))
            new = random.choice((random.choice(known), f"{key}x", str(key)[1:]))
            holder[new] = holder.pop(key)
        case 7:
            del holder[key]
        case 8:
            other, place = random.choice(_places(spec))
            other[place] = _copy(value)
        case _:
            often: Any = random.choice((0, 1, 2, 30, 5000, 10**9, "$v", "$list"))
            body = value if isinstance(value, list) else [value]
            entry = {"Repeat": {"times": often, "index": "i", "body": body}}
            holder[key] = [entry] if isinstance(value, list) else entry


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every container with every key or index in it."""
    items = (
        list(value.items())
        if isinstance(value, dict)
        else list(enumerate(value))
        if isinstance(value, list)
        else []
    )
    return [place for key, each in items for place in ((value, key), *_places(each))]
