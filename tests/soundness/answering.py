"""A process that answers mutants: `python -m tests.soundness.answering SEED COUNT`.

It prints one JSON object: how many were accepted and refused, and each that was answered wrongly.
Its memory is bounded, so that an answer that takes more than 200 MB fails.
"""

from __future__ import annotations

import json
import resource
import signal
import sys
import time
import traceback
import warnings
from pathlib import Path

from netspec import planning, reporting
from netspec.diagnostics import SpecError
from netspec.spec.loading import interpret
from netspec.spec.reading import parse
from tests.soundness.mutants import mutants

SECONDS = 1.0  # of the processor
MEMORY = 200 * 2**20
WARM = "netspec: 1\ninput: [4]\nmodel: [Lineer: {out_features: 4}]\n"


def answer(text: str) -> bool:
    """Whether a spec is accepted; what is said of it is made, too."""
    try:
        spec, findings = interpret(parse(text), Path())
    except SpecError as error:
        found = list(error.diagnostics)
        accepted = False
    else:
        plan = planning.check(spec, findings) if spec else None
        found = findings.sorted()
        accepted = plan is not None and not findings.errors
        if accepted and plan is not None:
            assert plan.digest
    said = reporting.text(found)
    assert accepted or found, "neither a plan nor a finding"
    assert len(said) < 200_000, f"a report of {len(said):,} characters"
    return accepted


def timed(text: str) -> tuple[bool, float]:
    """As `answer`, with the seconds it took; MemoryError or TimeoutError where it is no end."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    handler = signal.signal(signal.SIGPROF, _stop)
    signal.setitimer(signal.ITIMER_PROF, 3 * SECONDS)
    try:
        began = time.process_time()
        accepted = answer(text)
        return accepted, time.process_time() - began
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, handler)
        resource.setrlimit(resource.RLIMIT_AS, before)


def _stop(*_: object) -> None:
    raise TimeoutError


def main(seed: str, count: int) -> None:
    warnings.simplefilter("error")
    answer(WARM)
    accepted, slowest, failures = 0, 0.0, []
    for text in mutants(count, seed):
        try:
            fine, took = timed(text)
            if took > SECONDS:  # once more, since the machine may have been busy
                fine, took = min((fine, took), timed(text), key=lambda each: each[1])
            assert took <= SECONDS, f"it took {took:.1f} s"
        except Exception:
            failures.append({"text": text[:20_000], "error": traceback.format_exc()[-2000:]})
            continue
        accepted += fine
        slowest = max(slowest, took)
    print(json.dumps({"accepted": accepted, "slowest": slowest, "failures": failures}))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
