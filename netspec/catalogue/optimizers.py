"""Optimizers of torch.optim."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from netspec.catalogue.component import Component, Param, Refusal
from netspec.catalogue.types import (
    ABOVE_ZERO,
    BOOLEAN,
    NONNEGATIVE,
    NUMBER,
    ListOf,
    Number,
    optional,
)


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Optimizer(Component):
    """`sparse`: whether it steps with sparse gradients, without `weight_decay` and `fused`."""

    sparse: bool = False

    @property
    def has_momentum(self) -> bool:
        """Whether it has one that a scheduler can cycle."""
        return bool(self.param("momentum") or self.param("betas"))


def _optimizer(
    name: str,
    *params: Param,
    check: Callable[[dict[str, Any]], None] | None = None,
    sparse: bool = False,
) -> Optimizer:
    def check_all(args: dict[str, Any]) -> None:
        if args.get("foreach") and args.get("fused"):
            raise Refusal("foreach and fused exclude each other", "leave one out", "fused")
        if check:
            check(args)

    return Optimizer(
        name=name, target=f"torch.optim:{name}", params=params, check=check_all, sparse=sparse
    )


def _check_sgd(args: dict[str, Any]) -> None:
    if args["nesterov"] and (args["momentum"] <= 0 or args["dampening"] != 0):
        raise Refusal("nesterov needs a momentum above 0 and no dampening", param="nesterov")


def _check_rprop(args: dict[str, Any]) -> None:
    lower, upper = args["etas"]
    if not lower < 1 < upper:
        raise Refusal(
            f"etas are {lower:g} and {upper:g}, but the first shrinks a step, the second grows it",
            "write [below 1, above 1], for example [0.5, 1.2]",
            "etas",
        )


def _lr(default: float) -> Param:
    return Param("lr", NONNEGATIVE, default, "learning rate")


def _decay(default: float = 0) -> Param:
    return Param("weight_decay", NONNEGATIVE, default)


BETAS = Param("betas", ListOf(Number(0, below=1), 2, 2), (0.9, 0.999))
EPS = Param("eps", NONNEGATIVE, 1e-8)
FOREACH = Param("foreach", optional(BOOLEAN), None, "one kernel over all tensors")
MAXIMIZE = Param("maximize", BOOLEAN, False)
FUSED = Param("fused", optional(BOOLEAN), None, "one kernel for the whole step")

OPTIMIZERS: dict[str, Optimizer] = {
    entry.name: entry
    for entry in (
        _optimizer(
            "SGD",
            _lr(1e-3),
            Param("momentum", NONNEGATIVE, 0),
            Param("dampening", NUMBER, 0),
            _decay(),
            Param("nesterov", BOOLEAN, False, "needs a momentum and no dampening"),
            MAXIMIZE,
            FOREACH,
            FUSED,
            check=_check_sgd,
            sparse=True,
        ),
        _optimizer(
            "Adam",
            _lr(1e-3),
            BETAS,
            EPS,
            _decay(),
            Param("amsgrad", BOOLEAN, False),
            FOREACH,
            MAXIMIZE,
            FUSED,
            Param("decoupled_weight_decay", BOOLEAN, False),
        ),
        _optimizer(
            "AdamW",
            _lr(1e-3),
            BETAS,
            EPS,
            _decay(1e-2),
            Param("amsgrad", BOOLEAN, False),
            MAXIMIZE,
            FOREACH,
            FUSED,
        ),
        _optimizer("Adamax", _lr(2e-3), BETAS, EPS, _decay(), FOREACH, MAXIMIZE),
        _optimizer(
            "NAdam",
            _lr(2e-3),
            BETAS,
            EPS,
            _decay(),
            Param("momentum_decay", NONNEGATIVE, 4e-3),
            Param("decoupled_weight_decay", BOOLEAN, False),
            FOREACH,
            MAXIMIZE,
        ),
        _optimizer(
            "RAdam",
            _lr(1e-3),
            BETAS,
            EPS,
            _decay(),
            Param("decoupled_weight_decay", BOOLEAN, False),
            FOREACH,
            MAXIMIZE,
        ),
        _optimizer(
            "RMSprop",
            _lr(1e-2),
            Param("alpha", NONNEGATIVE, 0.99),
            EPS,
            _decay(),
            Param("momentum", NONNEGATIVE, 0),
            Param("centered", BOOLEAN, False),
            FOREACH,
            MAXIMIZE,
        ),
        _optimizer(
            "Adagrad",
            _lr(1e-2),
            Param("lr_decay", NONNEGATIVE, 0),
            _decay(),
            Param("initial_accumulator_value", NONNEGATIVE, 0),
            Param("eps", NONNEGATIVE, 1e-10),
            FOREACH,
            MAXIMIZE,
            FUSED,
            sparse=True,
        ),
        _optimizer(
            "Adadelta",
            _lr(1.0),
            Param("rho", Number(0, 1), 0.9),
            Param("eps", NONNEGATIVE, 1e-6),
            _decay(),
            FOREACH,
            MAXIMIZE,
        ),
        _optimizer(
            "Rprop",
            _lr(1e-2),
            Param("etas", ListOf(ABOVE_ZERO, 2, 2), (0.5, 1.2)),
            Param("step_sizes", ListOf(ABOVE_ZERO, 2, 2), (1e-6, 50)),
            FOREACH,
            MAXIMIZE,
            check=_check_rprop,
        ),
        _optimizer(
            "ASGD",
            _lr(1e-2),
            Param("lambd", NONNEGATIVE, 1e-4),
            Param("alpha", NONNEGATIVE, 0.75),
            Param("t0", NUMBER, 1e6),
            _decay(),
            FOREACH,
            MAXIMIZE,
        ),
    )
}
