"""Functions of torch.nn.init, by their own names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from netspec.catalogue.component import Component, Param, Refusal
from netspec.catalogue.types import (
    ABOVE_ZERO,
    NONNEGATIVE,
    NUMBER,
    PATH,
    POSITIVE,
    PROBABILITY,
    TEXT,
    Choice,
)

MEAN, STD = Param("mean", NUMBER, 0.0), Param("std", NONNEGATIVE, 1.0)
GAIN = Param("gain", NUMBER, 1.0)
KAIMING = (
    Param("a", NUMBER, 0, "negative slope of the leaky_relu after it"),
    Param("mode", Choice("fan_in", "fan_out"), "fan_in"),
    Param("nonlinearity", Choice("relu", "leaky_relu", "linear", "tanh", "selu"), "leaky_relu"),
)


LARGEST = (2 - 2**-23) * 2.0**127  # of float32


def _check_range(args: dict[str, Any]) -> None:
    """Refuse what torch's uniform_, with which trunc_normal_ begins, cannot draw from."""
    a, b = args["a"], args["b"]
    if a > b:
        raise Refusal(f"a {a:g} must lie below b {b:g}", param="a")
    if b - a > LARGEST:
        raise Refusal(f"from a {a:g} to b {b:g} is further than float32 goes", param="a")


@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Initializer(Component):
    """`ranks`: how many dimensions the parameter must have; None: any."""

    least_rank: int = 0
    most_rank: int = 99


def _init(name: str, *params: Param, **facts: Any) -> Initializer:
    return Initializer(name=name, target=f"torch.nn.init:{name}", params=params, **facts)


INITIALIZERS: dict[str, Initializer] = {
    entry.name: entry
    for entry in (
        _init("uniform_", Param("a", NUMBER, 0.0), Param("b", NUMBER, 1.0), check=_check_range),
        _init("normal_", MEAN, STD),
        _init(
            "trunc_normal_",
            MEAN,
            Param("std", ABOVE_ZERO, 1.0),
            Param("a", NUMBER, -2.0),
            Param("b", NUMBER, 2.0),
            check=_check_range,
        ),
        _init("constant_", Param("val", NUMBER)),
        _init("ones_"),
        _init("zeros_"),
        _init("eye_", least_rank=2, most_rank=2),
        _init("dirac_", Param("groups", POSITIVE, 1), least_rank=3, most_rank=5),
        _init("xavier_uniform_", GAIN, least_rank=2),
        _init("xavier_normal_", GAIN, least_rank=2),
        _init("kaiming_uniform_", *KAIMING, least_rank=2),
        _init("kaiming_normal_", *KAIMING, least_rank=2),
        _init("orthogonal_", Param("gain", NUMBER, 1), least_rank=2),
        _init(
            "sparse_",
            Param("sparsity", PROBABILITY),
            Param("std", NONNEGATIVE, 0.01),
            least_rank=2,
            most_rank=2,
        ),
        Initializer(
            name="tensor",
            doc="values from a .safetensors file below the spec's folder",
            params=(Param("path", PATH), Param("key", TEXT)),
        ),
    )
}
