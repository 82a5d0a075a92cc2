"""`make lowest` tests what pyproject.toml promises: its lower bounds, and no other versions."""

from __future__ import annotations

import tomllib
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).parents[1]


def requirements() -> list[Requirement]:
    """Those of the core and of every extra."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    return [Requirement(text) for text in sum(extras, project["dependencies"])]


def pinned(file: str) -> dict[str, Version]:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    pins = [line.split("==") for line in lines if not line.startswith("#")]
    return {canonicalize_name(name): Version(version) for name, version in pins}


def test_the_lowest_versions_are_the_lower_bounds() -> None:
    lowest, bounds = pinned("lowest.txt"), 0
    for each in requirements():
        for bound in each.specifier:
            assert bound.operator == ">=", f"{each}: only lower bounds are kept true"
            assert lowest[canonicalize_name(each.name)] == Version(bound.version), str(each)
            bounds += 1
    assert bounds >= 15


def test_the_newest_versions_are_allowed() -> None:
    newest = pinned("constraints.txt")
    for each in requirements():
        if each.specifier:
            assert newest[canonicalize_name(each.name)] in each.specifier, str(each)
