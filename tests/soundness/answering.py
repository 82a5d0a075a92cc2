"""A process that answers specs, each within a bound of time and of memory.

`python -m tests.soundness.answering SEED COUNT` answers mutants and prints one JSON object: how
many were accepted, and each that was answered wrongly. Without arguments it answers those that it
is given, see `apart`. An answer that takes more than 200 MB is none.

A second is one of the processor, on the machine that it was stated for: where plain Python work
takes longer, here and now, so may an answer. A slow or a busy machine changes nothing.
"""

from __future__ import annotations

import json
import resource
import signal
import subprocess
import sys
import time
import traceback
import warnings
from pathlib import Path
from typing import NamedTuple

from netspec import planning, reporting
from netspec.diagnostics import SpecError
from netspec.spec.loading import interpret
from netspec.spec.reading import parse
from tests.soundness.mutants import mutants

ROOT = Path(__file__).parent.parent.parent
SECONDS = 1.0
ENDLESS = 15.0  # where an answer is no longer waited for
MEMORY = 200 * 2**20
YARDSTICK = 0.08  # seconds that the work of `pace` takes on the machine of SECONDS
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


class Answer(NamedTuple):
    accepted: bool
    seconds: float
    error: str = ""  # a traceback where it is none


def apart(texts: dict[str, str]) -> dict[str, Answer]:
    """Each text's answer from one process of their own, which holds nothing but what checks."""
    command = [sys.executable, "-m", "tests.soundness.answering"]
    said = subprocess.run(
        command, cwd=ROOT, input=json.dumps(texts), stdout=subprocess.PIPE, text=True, check=True
    )
    return {name: Answer(*answer) for name, answer in json.loads(said.stdout).items()}


def pace() -> float:
    """How many times YARDSTICK some plain Python work takes here and now, at least 1."""
    began = time.process_time()
    for _ in range(80):
        made = [(at % 7, f"layer.{at}", {"shape": (at, at)}) for at in range(2_000)]
        made.sort(key=lambda each: each[:2])
        assert len({name: shape for _, name, shape in made}) == 2_000
    return max(1.0, (time.process_time() - began) / YARDSTICK)


def paced(text: str) -> Answer:
    """As `timed`, in seconds of the machine of SECONDS."""
    found = timed(text)
    return found._replace(seconds=found.seconds / pace())


def timed(text: str) -> Answer:
    """As `answer`, with the seconds it took; MemoryError or TimeoutError where it is no end."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    before = resource.getrlimit(resource.RLIMIT_AS)
    limit = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (limit, before[1]))
    handler = signal.signal(signal.SIGPROF, _stop)
    signal.setitimer(signal.ITIMER_PROF, ENDLESS)
    try:
        began = time.process_time()
        accepted = answer(text)
        return Answer(accepted, time.process_time() - began)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, handler)
        resource.setrlimit(resource.RLIMIT_AS, before)


def _stop(*_: object) -> None:
    raise TimeoutError


def given() -> None:
    texts = json.load(sys.stdin)
    found = {}
    for name, text in texts.items():
        try:
            found[name] = paced(text)
        except Exception:
            found[name] = Answer(False, 0, traceback.format_exc()[-2000:])
    print(json.dumps(found))


def drawn(seed: str, count: int) -> None:
    accepted, slowest, failures = 0, 0.0, []
    for text in mutants(count, seed):
        try:
            found = timed(text)
            if found.seconds > SECONDS:
                found = min((paced(text) for _ in range(3)), key=lambda each: each.seconds)
            assert found.seconds <= SECONDS, f"it took {found.seconds:.1f} s"
        except Exception:
            failures.append({"text": text[:20_000], "error": traceback.format_exc()[-2000:]})
            continue
        accepted += found.accepted
        slowest = max(slowest, found.seconds)
    print(json.dumps({"accepted": accepted, "slowest": slowest, "failures": failures}))


if __name__ == "__main__":
    warnings.simplefilter("error")
    answer(WARM)
    if sys.argv[1:]:
        drawn(sys.argv[1], int(sys.argv[2]))
    else:
        given()
