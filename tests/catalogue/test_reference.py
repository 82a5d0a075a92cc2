"""docs/catalogue.md follows from the catalogue."""

import re
from pathlib import Path

from netspec.catalogue.layers.structure import LAYERS, Container
from netspec.catalogue.reference import reference_text
from netspec.planning import make_plan
from netspec.spec.loading import loads

ROOT = Path(__file__).parents[2]


def test_the_committed_page_is_current() -> None:
    committed = (ROOT / "docs" / "catalogue.md").read_text(encoding="utf-8")
    assert committed == reference_text(), "run `make generate` and commit what it writes"


def test_a_bare_container_is_shown_as_it_is_written() -> None:
    for layer in LAYERS:
        shown = re.search(rf"`({layer.name}: \[\.\.\.\])`", reference_text())
        assert bool(shown) == (isinstance(layer, Container) and layer.bare)
        if shown:
            make_plan(
                loads(f"netspec: 1\ninput: [3]\nmodel: [{shown[1].replace('...', 'ReLU')}]\n")
            )
