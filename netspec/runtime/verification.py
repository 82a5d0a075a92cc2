"""A model file proved again: its own test vectors, run here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from netspec.diagnostics import Code, InputError
from netspec.runtime.metadata import Tolerance
from netspec.runtime.session import Session

Array = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Verification:
    """What came of the test vectors: `difference` is the largest absolute one, `inf` where a shape
    differs or one side alone is infinite or no number."""

    vectors: int
    difference: float
    tolerance: Tolerance
    ok: bool
    providers: tuple[str, ...]

    def as_json(self) -> dict[str, Any]:
        """Plain data; an infinite difference is null, which JSON can say."""
        return {
            "vectors": self.vectors,
            "difference": self.difference if np.isfinite(self.difference) else None,
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
    difference, ok = 0.0, True
    for vector in account.vectors:
        found = session.run(vector.input)
        difference = max(difference, distance(found, vector.output))
        ok = ok and agree(found, vector.output, account.tolerance)
    return Verification(len(account.vectors), difference, account.tolerance, ok, session.providers)


def agree(found: Array, wanted: Array, tolerance: Tolerance) -> bool:
    """Whether shapes are equal and values within the tolerance; NaN agrees with NaN alone."""
    return found.shape == wanted.shape and bool(
        np.allclose(
            found.astype(np.float64),
            wanted.astype(np.float64),
            rtol=tolerance.rtol,
            atol=tolerance.atol,
            equal_nan=True,
        )
    )


def distance(found: Array, wanted: Array) -> float:
    """The largest absolute difference; NaN differs from NaN by nothing, from a number by inf."""
    if found.shape != wanted.shape:
        return float("inf")
    a, b = found.astype(np.float64), wanted.astype(np.float64)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    apart = np.abs(np.where(same, 0, a) - np.where(same, 0, b))
    return float(np.max(np.where(np.isnan(apart), np.inf, apart), initial=0))
