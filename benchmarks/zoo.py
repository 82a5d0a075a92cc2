"""The networks of `specs/zoo` against torchvision's own, with the same weights.

    python benchmarks/zoo.py [NAME]...

Prints each network's parameters beside its reference's, and the largest difference of the outputs
in evaluation mode on a seeded batch of two: 0 means bit for bit. Where torchvision has no such
network, its parameters and output alone. Exits with 1 where a count or an output differs.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor, nn
from torchvision.models import get_model

import netspec
from netspec.planning import Plan
from netspec.shapes import at

ZOO = Path(__file__).parents[1] / "specs" / "zoo"

Renames = tuple[tuple[str, str], ...]


@dataclass(frozen=True)
class Reference:
    """A torchvision builder, and how a key of the spec's `state_dict` becomes one of its own.

    renames: pairs of a pattern and its replacement, applied in order; keys that none touches are
    the same on both sides. settings: as `--set`; a small input where the net allows one.
    """

    model: str
    renames: Renames = ()
    settings: Mapping[str, Any] = field(default_factory=dict)


RESNET: Renames = (
    (r"\.residual\.body\.", "."),
    (r"\.residual\.shortcut\.", ".downsample."),
)
VGG16: Renames = tuple(
    # Stage and place in it → place in torchvision's one list of layers.
    (rf"^features\.{stage}\.{place}\.0\.", f"features.{index}.")
    for stage, indices in enumerate([(0, 2), (5, 7), (10, 12, 14), (17, 19, 21), (24, 26, 28)])
    for place, index in enumerate(indices)
)

REFERENCES = {
    "alexnet": Reference("alexnet", settings={"vars.size": 64}),
    "vgg16": Reference("vgg16", VGG16, {"vars.size": 32}),
    "resnet18": Reference("resnet18", RESNET, {"vars.size": 64}),
    "resnet50": Reference("resnet50", RESNET, {"vars.size": 64}),
    "efficientnet_b0": Reference(
        "efficientnet_b0", ((r"\.residual\.body\.", "."),), {"vars.size": 64}
    ),
    "vit_b_16": Reference(
        "vit_b_16",
        (
            (r"^token\.", ""),
            (r"\.position\.", "."),
            (r"\.(attention|feed_forward)\.body\.", "."),
            (r"^head\.", "heads.head."),
        ),
    ),
    "swin_t": Reference("swin_t", ((r"^0\.", ""),)),
}


@dataclass(frozen=True)
class Row:
    """What was found. `reference` and `difference` are None where torchvision has no such net."""

    name: str
    plan: Plan
    parameters: int
    output: tuple[int, ...]
    reference: int | None = None
    difference: float | None = None

    @property
    def same(self) -> bool:
        return self.reference in (None, self.parameters) and self.difference in (None, 0.0)


def names() -> list[str]:
    """Every network: torchvision's first."""
    return [*REFERENCES, *sorted({path.stem for path in ZOO.glob("*.yaml")} - {*REFERENCES})]


def measure(name: str) -> Row:
    """Build a network, give its reference the same weights, and run both."""
    reference = REFERENCES.get(name)
    spec = netspec.load(ZOO / f"{name}.yaml", reference.settings if reference else None)
    plan = netspec.plan(spec)
    images = sample(plan)
    if reference is None:
        model = netspec.build(spec).eval()
        with torch.inference_mode():
            return Row(name, plan, count(model), tuple(model(images).shape[1:]))
    with torch.device("meta"):  # without weights, which come next
        model = netspec.build(spec).eval()
    theirs = untrained(reference.model)
    copy(theirs, model, reference.renames)
    with torch.inference_mode():
        ours, wanted = model(images), theirs(images)
    assert not torch.equal(wanted[0], wanted[1]), "an output without its input proves nothing"
    difference = (ours - wanted).abs().max().item()
    return Row(name, plan, count(model), tuple(ours.shape[1:]), count(theirs), difference)


def untrained(model: str) -> nn.Module:
    """torchvision's model with seeded weights, none of them constant."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(0)
        made = get_model(model, weights=None).eval()
    liven(made)
    return made


def liven(model: nn.Module) -> None:
    """Add seeded noise to the tensors that begin constant, as batch norms and some heads do: they
    would hide a wrong mapping."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for value in model.state_dict().values():
            if value.is_floating_point() and value.min() == value.max():
                value += 0.1 * torch.rand(value.shape, generator=generator)


def copy(source: nn.Module, target: nn.Module, renames: Renames) -> None:
    """Give `target` the tensors of `source`, which both then share. Every key has its mate."""
    theirs = source.state_dict()
    mates = {key: rename(key, renames) for key in target.state_dict()}
    assert sorted(mates.values()) == sorted(theirs), "the mapping is not one to one"
    target.load_state_dict({key: theirs[mate] for key, mate in mates.items()}, assign=True)


def rename(key: str, renames: Renames) -> str:
    for pattern, replacement in renames:
        key = re.sub(pattern, replacement, key)
    return key


def sample(plan: Plan, larger: int = 0, batch: int = 2) -> Tensor:
    """Seeded noise, or ids below 100; named sizes are `larger` than their least."""
    least = {name: value + larger for name, value in plan.least.items()}
    shape = (batch, *(at(dim, least) for dim in plan.input.shape))
    generator = torch.Generator().manual_seed(1)
    if plan.input.dtype == "int64":
        return torch.randint(0, 100, shape, generator=generator)
    return torch.randn(shape, generator=generator)


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


LINE = "{:<16} {:>12} {:>12}  {:<5} {:<16} {}"


def show(row: Row) -> str:
    if row.reference is None:
        return LINE.format(row.name, f"{row.parameters:,}", "", "", str(row.plan.output), "")
    cells = f"{row.parameters:,}", f"{row.reference:,}", "yes" if row.same else "NO"
    return LINE.format(row.name, *cells, str(row.plan.output), f"{row.difference:g}")


@click.command(help=__doc__.splitlines()[0])
@click.argument("chosen", metavar="[NAME]...", nargs=-1, type=click.Choice(names()))
def main(chosen: tuple[str, ...]) -> None:
    click.echo(LINE.format("net", "netspec", "torchvision", "same", "output", "difference"))
    same = True
    for name in chosen or names():
        row = measure(name)
        same = same and row.same
        click.echo(show(row))
    sys.exit(not same)


if __name__ == "__main__":
    main()
