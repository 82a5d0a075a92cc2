"""A run that is stopped, in whatever way, ends with the weights of one that is not."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner

import netspec
from netspec.cli.train import command
from netspec.spec.loading import loads
from netspec.training.run import Run

# Dropout, augmentation and a schedule: whatever is not restored shows in the weights.
SPEC = """\
netspec: 1
name: small
input: [1, 8, 8]
model:
  - Conv2d: {out_channels: 8, kernel_size: 3}
  - BatchNorm2d
  - ReLU
  - Flatten
  - Dropout: {p: 0.5}
  - Linear: {out_features: 10}
data:
  source: Digits
  split: {validation: 0.1}
  augment: [RandomAffine: {degrees: 10}, RandomHorizontalFlip]
train:
  epochs: 4
  batch_size: 32
  loss: CrossEntropyLoss
  optimizer: {AdamW: {lr: 3e-3}}
  scheduler: {OneCycleLR: {max_lr: 1e-2}}
  metrics: [accuracy]
"""


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    """As the subprocesses have it: sums of two threads differ in their last bits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """The uninterrupted run."""
    return netspec.train(loads(SPEC), device="cpu", root=tmp_path_factory.mktemp("runs"))


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "spec.yaml").write_text(SPEC)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def stop(number: signal.Signals, ready: Callable[[], bool]) -> tuple[int, str]:
    """Start a run here, send it a signal as soon as it is `ready`, and wait for its end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "netspec", "train", "spec.yaml", "--device", "cpu"],
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 100
        while not ready() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.002)
        assert process.poll() is None, "it ended before it could be stopped"
        process.send_signal(number)
        _, said = process.communicate(timeout=100)
    finally:
        process.kill()
    return process.returncode, said


def begun() -> bool:
    return any(Path().glob("runs/small/*/events.out.tfevents.*"))


def epochs_done(count: int) -> bool:
    found = list(Path().glob("runs/small/*/metrics.jsonl"))
    return bool(found) and len(found[0].read_text().splitlines()) >= count


def only_run() -> Run:
    (directory,) = Path("runs/small").iterdir()
    return Run.open(directory)


def resume(*arguments: str) -> tuple[int, str]:
    """`netspec train --resume` here, and what it says where it fails."""
    done = CliRunner().invoke(command, [*arguments, "--device", "cpu"])
    if done.exception and not isinstance(done.exception, netspec.NetspecError):
        raise done.exception
    return done.exit_code, str(done.exception or "")


def equal(run: Run, whole: Run) -> bool:
    """Weights bit for bit, and each epoch's measures but for the time it took."""
    files = [each.directory / "weights.safetensors" for each in (run, whole)]
    measures = [[{**row, "seconds": 0} for row in each.metrics] for each in (run, whole)]
    return files[0].read_bytes() == files[1].read_bytes() and measures[0] == measures[1]


@pytest.mark.parametrize(
    ("number", "ready"),
    [(signal.SIGINT, begun), (signal.SIGTERM, lambda: epochs_done(1))],
    ids=["SIGINT", "SIGTERM"],
)
def test_a_run_that_is_asked_to_stop_saves_and_goes_on(
    number: signal.Signals, ready: Callable[[], bool], whole: Run, folder: Path
) -> None:
    code, said = stop(number, ready)
    run = only_run()
    assert code == 128 + number
    assert said == (
        f"{run.directory}: error[run]: was interrupted; what was reached is saved\n"
        f"  help: netspec train --resume {run.directory}\n"
    )
    assert run.status == "interrupted"
    assert 0 < run.state()[0]["position"]["step"] < whole.metrics[-1]["step"]

    assert resume("spec.yaml", "--resume") == (0, "")
    assert only_run() == run
    assert run.status == "finished"
    assert equal(run, whole)


def test_a_long_validation_stops_as_soon(folder: Path) -> None:
    # 200 batches to learn from, then 199 800 to measure.
    (folder / "spec.yaml").write_text("""\
netspec: 1
name: small
input: [3]
model: [Linear: {out_features: 1}]
data: {source: {Synthetic: {samples: 200000, targets: 1}}, split: {validation: 0.999}}
train: {epochs: 1, batch_size: 1, loss: MSELoss, optimizer: {SGD: {lr: 0.01}}}
""")

    def measuring() -> bool:
        if begun():
            time.sleep(1.0)
            return True
        return False

    code, _ = stop(signal.SIGTERM, measuring)
    assert code == 143
    run = only_run()
    assert run.state()[0]["position"]["batch"] >= 40
    assert run.metrics == []  # nothing was measured to its end


def test_a_run_that_is_killed_goes_on_from_its_last_epoch(whole: Run, folder: Path) -> None:
    code, _ = stop(signal.SIGKILL, lambda: epochs_done(2))
    assert code == -signal.SIGKILL
    run = only_run()
    assert run.status == "running"
    assert resume("--resume", str(run.directory)) == (0, "")
    assert equal(run, whole)


def test_only_an_unfinished_run_of_the_same_spec_goes_on(whole: Run, folder: Path) -> None:
    code, said = resume("spec.yaml", "--resume")
    assert code == 1
    assert said == "spec.yaml: error[run]: has no unfinished run to go on with"

    assert resume("--resume", str(whole.directory)) == (
        1,
        f"{whole.directory}: error[run]: is finished",
    )
    assert "is no run" in resume("--resume", "spec.yaml")[1]


def test_a_run_that_failed_is_passed_over(whole: Run, folder: Path) -> None:
    begun = Run.create(whole.plan, torch.device("cpu"))
    with pytest.raises(netspec.SpecError, match="became") as caught:
        netspec.train(loads(SPEC.replace("max_lr: 1e-2", "max_lr: 1e38")), device="cpu")
    (failed,) = set(Path("runs/small").iterdir()) - {begun.directory}
    assert Run.open(failed).status == "failed"
    assert str(failed) not in str(caught.value.diagnostics[0].remedy)  # it holds nothing
    assert resume("spec.yaml", "--resume")[1].startswith(f"{begun.directory}: ")
    # Named, it is asked for its state.
    assert "has no state" in resume("--resume", str(failed))[1]


def test_the_default_spec_is_compared_too(whole: Run, folder: Path) -> None:
    (folder / "pyproject.toml").write_text('[tool.netspec]\nspec = "spec.yaml"\n')
    begun = Run.create(whole.plan, torch.device("cpu"))
    (folder / "spec.yaml").write_text(SPEC.replace("p: 0.5", "p: 0.25"))
    for arguments in (["--resume"], ["--resume", str(begun.directory)]):
        code, said = resume(*arguments)
        assert code == 1
        assert "its spec differs from spec.yaml: model.4.Dropout.p is 0.5 and 0.25" in said
    (folder / "spec.yaml").write_text(SPEC.replace("name: small", "name: other"))
    assert "has no state" in resume("--resume", str(begun.directory))[1]


def test_a_changed_spec_is_refused(whole: Run, folder: Path) -> None:
    begun = Run.create(whole.plan, torch.device("cpu"))
    changed = SPEC.replace("p: 0.5", "p: 0.25").replace("epochs: 4", "epochs: 5")
    (folder / "spec.yaml").write_text(changed)
    assert resume("spec.yaml", "--resume") == (
        1,
        f"{begun.directory}: error[run]: its spec differs from spec.yaml: "
        "model.4.Dropout.p is 0.5 and 0.25; train.epochs is 4 and 5",
    )
    (folder / "spec.yaml").write_text(SPEC)
    assert resume("spec.yaml", "--resume")[1] == (
        f"{begun.directory}: error[run]: has no state to go on from: it ended before its first one"
    )
    assert json.loads((begun.directory / "summary.json").read_text())["status"] == "running"
