"""What a run says goes where it was sent, also from a terminal."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from netspec.training.run import Run

SPEC = """\
netspec: 1
name: small
input: [3]
model: [Linear: {out_features: 1}]
data: {source: {Synthetic: {samples: 40, targets: 1}}}
train: {epochs: 2, batch_size: 8, loss: MSELoss, optimizer: {SGD: {lr: 0.01}}}
"""


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
def test_results_go_to_standard_output_where_only_the_errors_have_a_terminal(
    tmp_path: Path,
) -> None:
    (tmp_path / "spec.yaml").write_text(SPEC)
    ours, theirs = os.openpty()
    try:
        done = subprocess.run(
            [sys.executable, "-m", "netspec", "train", "spec.yaml", "--device", "cpu"],
            cwd=tmp_path,
            env=os.environ | {"TERM": "xterm"},
            stdout=subprocess.PIPE,
            stderr=theirs,
            text=True,
            check=True,
        )
        shown = os.read(ours, 1 << 20).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    lines = done.stdout.splitlines()
    assert [line.partition("  ")[0] for line in lines[3:5]] == ["epoch 0/1", "epoch 1/1"]
    (directory,) = (tmp_path / "runs/small").iterdir()
    assert lines[5].startswith(f"best epoch {Run.open(directory).summary['best_epoch']},")
    assert "train loss" not in shown
    assert "epoch" in shown  # the bar
