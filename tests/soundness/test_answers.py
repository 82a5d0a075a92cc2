"""Every input is answered: by a plan or by findings, within a second and 200 MB, no traceback."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
PROCESSES = 2


def test_every_mutant_of_a_shipped_spec_is_answered(mutants: int) -> None:
    each = -(-mutants // PROCESSES)
    command = [sys.executable, "-m", "tests.soundness.answering"]
    running = [
        subprocess.Popen(
            [*command, f"mutants {index}", str(each)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for index in range(PROCESSES)
    ]
    accepted, slowest, failures = 0, 0.0, []
    for process in running:
        out, err = process.communicate()
        assert process.returncode == 0, err[-2000:]
        found = json.loads(out)
        accepted += found["accepted"]
        slowest = max(slowest, found["slowest"])
        failures += found["failures"]
    tried = each * PROCESSES
    print(f"{tried:,} mutants: {accepted:,} accepted, slowest {slowest:.2f} s")
    for failure in failures[:3]:
        print(failure["text"], failure["error"], sep="\n")
    assert not failures, f"{len(failures)} of {tried:,} have no answer"
    if tried >= 100:
        assert tried / 50 < accepted < tried * 0.95
