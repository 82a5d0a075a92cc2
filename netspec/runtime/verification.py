"""A model file proved again: its own test vectors, run here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from netspec.diagnostics import Code, InputError
from netspec.runtime.metadata import Activation, Tolerance
from netspec.runtime.session import Session
from netspec.runtime.vectors import noise, probes

Array = npt.NDArray[Any]

# What a float32 cannot say of a probability near 1, and of one near 0.
NEAR_ONE, NEAR_ZERO = 2.0**-21, 2.0**-126


class Distance(NamedTuple):
    """`difference`: the largest absolute one. `share`: the largest in terms of what is allowed.

    Both are `inf` where the shapes differ or a value is not finite, on either side.
    """

    difference: float
    share: float

    @property
    def ok(self) -> bool:
        return self.share <= 1

    def __or__(self, other: Distance) -> Distance:
        return Distance(*map(max, self, other))


APART = Distance(np.inf, np.inf)


@dataclass(frozen=True, slots=True)
class Verification:
    """What came of the test vectors."""

    vectors: int
    distance: Distance
    tolerance: Tolerance
    providers: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return self.distance.ok

    def as_json(self) -> dict[str, Any]:
        """Plain data; what is infinite is null, which JSON can say."""
        difference, share = (each if np.isfinite(each) else None for each in (self.distance))
        return {
            "vectors": self.vectors,
            "difference": difference,
            "share": share,
            "rtol": self.tolerance.rtol,
            "atol": self.tolerance.atol,
            "ok": self.ok,
            "providers": list(self.providers),
        }


def verify(session: Session) -> Verification:
    """Runs every embedded test vector and compares: `ok` where all lie within the tolerance.

    Raises InputError where the file carries no vectors, or one that the model does not take.
    """
    account = session.metadata
    if not account.vectors:
        raise InputError.of(
            Code.MODEL,
            "the model carries no test vectors: nothing can be proved",
            file=str(session.path),
            remedy="export the model again",
        )
    distance = Distance(0, 0)
    for vector in account.vectors:
        taken = account.input
        draws = taken.table.draws if taken.table else ()
        batch = noise(vector.shape, taken.dtype, vector.seed, vector.below, draws)
        found = session.run(batch)
        if found.shape != vector.output or not np.isfinite(found).all():
            distance |= APART
        else:
            distance |= compare(
                probes(found),
                vector.values,
                vector.scale,
                account.output.activation,
                account.tolerance,
            )
    return Verification(len(account.vectors), distance, account.tolerance, session.providers)


def compare(
    found: Array, wanted: Array, scale: float, activation: Activation, tolerance: Tolerance
) -> Distance:
    """How far outputs of a graph that ends in `activation` lie apart, and whether that is allowed.

    Probabilities are held to what their logits may differ by, `dp = p (1 - p) dz`: a share of
    1e-9 in one of a thousand classes proves as much as the winner's.
    """
    if found.shape != wanted.shape or not (np.isfinite(found).all() and np.isfinite(wanted).all()):
        return APART
    a, b = found.astype(np.float64), wanted.astype(np.float64)
    allowed = tolerance.atol * scale + tolerance.rtol * np.abs(_logits(b, activation))
    if activation != "none":
        # onnxruntime's sigmoid is a rational function, exact to some 1e-7 even where it gives less.
        coarse = np.abs(b) if activation == "softmax" else 1.0
        allowed = np.abs(b * (1 - b)) * allowed + NEAR_ONE * coarse
    apart = np.abs(a - b)
    shares = apart / (allowed + NEAR_ZERO)
    return Distance(float(apart.max(initial=0)), float(shares.max(initial=0)))


def scale(output: Array, activation: Activation) -> float:
    """How far an output [N, …] lies apart from sample to sample, before `activation`:
    the root mean square of the standard deviations, and never less than a thousandth of the
    values'. 0 where that is not finite."""
    z = _logits(output.astype(np.float64), activation)
    found = np.hypot(np.sqrt(z.var(axis=0).mean()), np.sqrt((z**2).mean()) / 1000)
    return float(found) if np.isfinite(found) else 0.0


def _logits(values: Array, activation: Activation) -> Array:
    """The values themselves where there is no activation."""
    if activation == "none":
        return values
    p = np.clip(values, NEAR_ZERO, 1 - NEAR_ONE / 4)
    logits: Array = np.log(p) - np.log1p(-p)
    return logits
