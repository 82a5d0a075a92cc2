"""What a spec may say of loss, optimizer and scheduler, torch accepts and can step with."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from torch import nn

from netspec.catalogue.component import Component, OneOf, Refusal
from netspec.catalogue.losses import LOSSES, Loss
from netspec.catalogue.metrics import METRICS
from netspec.catalogue.optimizers import OPTIMIZERS
from netspec.catalogue.schedulers import SCHEDULERS, Scheduler
from netspec.catalogue.sources import Unknown
from netspec.catalogue.types import ListOf, canonical
from netspec.compiler import attribute
from netspec.diagnostics import SpecError
from netspec.planning import make_plan
from netspec.planning.fitting import check_target
from netspec.shapes import Tensor
from netspec.spec.loading import loads
from netspec.spec.model import Named
from netspec.spec.writing import to_yaml
from netspec.training import loop
from tests.soundness.drawing import draw


def keywords(args: dict[str, Any]) -> dict[str, Any]:
    return {
        name: tuple(value) if isinstance(value, list) else value for name, value in args.items()
    }


def drawn(entry: Component, random: Random) -> dict[str, Any]:
    return {
        param.name: canonical(param.type, draw(param.type, random))
        for param in entry.params
        if param.name in entry.required or random.random() < 0.5
    }


def network() -> nn.Module:
    return nn.Linear(3, 2)


def step(module: nn.Module, optimizer: torch.optim.Optimizer) -> None:
    optimizer.zero_grad()
    module(torch.randn(4, 3)).sum().backward()
    optimizer.step()


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_that_is_accepted_steps(name: str) -> None:
    random, entry = Random(name), OPTIMIZERS[name]
    for _ in range(60):
        args = drawn(entry, random)
        try:
            entry.check(entry.complete(args))
        except Refusal:
            continue
        module = network()
        step(module, attribute(entry)(module.parameters(), **keywords(args)))


FLAT = [
    name
    for name, e in SCHEDULERS.items()
    if not any(isinstance(p.type, ListOf) and isinstance(p.type.item, OneOf) for p in e.params)
]


@pytest.mark.parametrize("name", FLAT)
def test_a_scheduler_that_is_accepted_steps(name: str) -> None:
    random, entry = Random(name), SCHEDULERS[name]
    assert isinstance(entry, Scheduler)
    for _ in range(60):
        args = drawn(entry, random)
        if entry.length:
            args[entry.length] = 20
        try:
            entry.check(entry.complete(args))
        except Refusal:
            continue
        module = network()
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1, momentum=0.9)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            scheduler = attribute(entry)(optimizer, **_one_group(keywords(args)))
            for _ in range(6):
                step(module, optimizer)
                scheduler.step(*([0.5] if name == "ReduceLROnPlateau" else []))


def _one_group(args: dict[str, Any]) -> dict[str, Any]:
    rates = ("max_lr", "base_lr", "min_lr", "base_momentum", "max_momentum")
    return {k: v[:1] if k in rates and isinstance(v, tuple) else v for k, v in args.items()}


@pytest.mark.parametrize("name", LOSSES)
def test_a_loss_that_is_accepted_can_be_computed(name: str) -> None:
    random, entry = Random(name), LOSSES[name]
    assert isinstance(entry, Loss)
    computed = 0
    for _ in range(80):
        args = drawn(entry, random)
        shape = random.choice([(1,), (3,), (4,), (3, 2), (2, 3, 4)])
        try:
            check_target(Named(name, args, ()), Tensor(shape), Unknown())
        except Refusal:
            continue
        for param in entry.tensors:
            if args.get(param) is not None:
                args[param] = torch.tensor(args[param], dtype=torch.float32)
        output = torch.rand(2, *shape, requires_grad=True)
        target = (
            torch.randint(0, shape[0], (2, *shape[1:]))
            if entry.wants == "classes"
            else torch.rand(2, *shape)
        )
        value = attribute(entry)(**keywords(entry.complete(args)))(output, target)
        assert value.shape == ()
        value.backward()
        computed += 1
    assert computed > 20


# What is known only in the run: how long an epoch is, and what the numbers come to.
IN_THE_RUN = (
    "became nan",
    "became inf",
    "became -inf",
    "its cycle ends after",
    "torch can't compute it",
)


def test_a_training_section_that_is_accepted_trains(draws: int, tmp_path: Path) -> None:
    random, trained = Random("sections"), 0
    for _ in range(draws):
        text = to_yaml(_section(random))
        try:
            made = make_plan(loads(text))
        except SpecError:
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                loop.train(made, device=torch.device("cpu"), root=tmp_path)
        except SpecError as error:
            assert any(words in str(error) for words in IN_THE_RUN), text
        except Exception as error:
            error.add_note(text)
            raise
        trained += 1
    assert trained > draws / 10


def _section(random: Random) -> dict[str, Any]:
    """A small network over numbers or tokens, and how to train it, all at random."""
    train: dict[str, Any] = {
        "batch_size": 4,
        "loss": _one(LOSSES, random),
        "optimizer": _one(OPTIMIZERS, random),
        **random.choice([{"epochs": 2}, {"steps": 5}]),
    }
    if random.random() < 0.7:
        train["scheduler"] = _scheduler(random)
        if random.random() < 0.3:
            train["scheduler"]["interval"] = random.choice(["step", "epoch"])
    if random.random() < 0.2:
        train["clip_grad_norm"] = 1.0
    if random.random() < 0.3:
        train["metrics"] = [_one(METRICS, random)]
    target: dict[str, Any] = random.choice(
        [{"classes": 3}, {"targets": [3]}, {"targets": [3], "binary": True}]
    )
    tokens = random.random() < 0.3
    embedding = {"num_embeddings": 9, "embedding_dim": 3, "sparse": random.random() < 0.5}
    return {
        "netspec": 1,
        "name": "sections",
        "input": {"shape": [4], "dtype": "int64" if tokens else "float32"},
        "model": [
            *([{"Embedding": embedding}, "Flatten"] if tokens else []),
            {"Linear": {"out_features": 3}},
        ],
        "data": {"source": {"Synthetic": {"samples": 12, **target}}},
        "train": train,
    }


def _one(entries: Mapping[str, Component], random: Random) -> dict[str, Any]:
    name = random.choice(list(entries))
    return {name: drawn(entries[name], random)}


def _scheduler(random: Random, depth: int = 0) -> dict[str, Any]:
    scheduler = _one(SCHEDULERS if depth < 2 else {n: SCHEDULERS[n] for n in FLAT}, random)
    for args in scheduler.values():
        if "schedulers" in args:
            count = random.randint(1, 3)
            args["schedulers"] = [_scheduler(random, depth + 1) for _ in range(count)]
            if "milestones" in args:
                args["milestones"] = sorted(random.sample(range(1, 6), count - 1))
    return scheduler
