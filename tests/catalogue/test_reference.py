"""The committed page follows from the catalogue."""

from pathlib import Path

from netspec.catalogue.reference import reference_text

PAGE = Path(__file__).parents[2] / "docs" / "catalogue.md"


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == reference_text(), "run `make generate`"
