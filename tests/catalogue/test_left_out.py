"""Every class of torch.nn is a layer, every one of torchvision.datasets a source, every one of
torchvision.transforms.v2 a transform, or it is left out with a reason."""

from __future__ import annotations

import inspect
from collections.abc import Mapping

import pytest
from torch import nn
from torchvision import datasets
from torchvision.transforms import v2

from netspec.catalogue import sections
from netspec.catalogue.component import Component
from netspec.catalogue.layers import LAYERS
from netspec.catalogue.sources import SOURCES
from netspec.catalogue.transforms import TRANSFORMS
from netspec.diagnostics import SpecError
from netspec.planning import make_plan
from netspec.spec.loading import loads


def classes(module: object, base: type) -> set[str]:
    return {
        name
        for name, found in inspect.getmembers(module, inspect.isclass)
        if issubclass(found, base) and not name.startswith("_")
    }


KINDS: dict[str, tuple[set[str], Mapping[str, Component]]] = {
    "layer": (classes(nn, nn.Module), LAYERS),
    "source": (classes(datasets, datasets.VisionDataset), SOURCES),
    "transform": (classes(v2, v2.Transform), TRANSFORMS),
}
NEWER_THAN_THE_OLDEST = {"LinearCrossEntropyLoss"}


@pytest.mark.parametrize("kind", KINDS)
def test_every_class_is_in_or_out(kind: str, capsys: pytest.CaptureFixture[str]) -> None:
    known, entries = KINDS[kind]
    left_out, offered = sections.LEFT_OUT[kind].keys(), known & entries.keys()
    with capsys.disabled():
        print(f"\n{kind}s: {len(offered)} of {len(known)} classes, {len(left_out)} left out")

    assert offered | left_out >= known
    assert not offered & left_out
    assert left_out - known <= NEWER_THAN_THE_OLDEST


def message(text: str) -> str:
    with pytest.raises(SpecError) as caught:
        make_plan(loads(f"netspec: 1\ninput: [3, 8, 8]\n{text}\n"))
    (found,) = caught.value.diagnostics
    assert found.code in ("unknown-layer", "unknown-name")
    return str(found.remedy)


@pytest.mark.parametrize("written", ["{}", "{{{}: {{size: 8}}}}"])
@pytest.mark.parametrize("kind", KINDS)
def test_who_writes_it_reads_the_reason(kind: str, written: str) -> None:
    texts = {
        "layer": "model: [{}]",
        "source": "model: [Flatten]\ndata:\n  source: {}",
        "transform": "model: [Flatten]\n"
        "data:\n  source: {{ImageFolder: {{root: x}}}}\n  augment: [{}]",
    }
    for name, reason in sections.LEFT_OUT[kind].items():
        entry = written.format(name)
        assert message(texts[kind].format(entry)) == reason
