"""What a run has learned of its data stays with it, and is believed only whole."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import netspec
from netspec.diagnostics import InputError
from netspec.spec.loading import loads
from netspec.training import checksums
from netspec.training.listening import Listener
from netspec.training.run import STATISTICS, Run

SPEC = """\
netspec: 1
name: rows
input: [2]
model: [Linear: {out_features: 1}]
data:
  source: {CSV: {path: t.csv, target: y, features: {a: standardize, b: {fill: median}}}}
  split: {validation: 0.2, shuffle: false}
train: {epochs: 3, batch_size: 4, loss: MSELoss, optimizer: {Adam: {lr: 0.1}}}
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write(100.0)
    return tmp_path


def write(scale: float) -> None:
    draw = np.random.default_rng(0)
    rows = [f"{a * scale},{'' if n % 5 == 0 else n},{a}" for n, a in enumerate(draw.random(20))]
    Path("t.csv").write_text("a,b,y\n" + "\n".join(rows) + "\n")


class Stop(Listener):
    """Ends the training after its first epoch."""

    def epoch(self, row: dict[str, object]) -> None:
        raise InputError.of(netspec.diagnostics.Code.INPUT, "stopped")


def stopped() -> Run:
    with pytest.raises(InputError, match="stopped"):
        netspec.train(loads(SPEC), device="cpu", listener=Stop())
    run = Run.newest("rows", "running", "interrupted")
    assert run is not None
    return run


def test_a_run_goes_on_with_what_it_learned() -> None:
    whole = netspec.train(loads(SPEC), device="cpu", root="whole")
    run = stopped()
    before = run.statistics
    assert before is not None and {*before} == {"fill", "mean", "deviation"}
    netspec.train(run.plan.spec, device="cpu", resume=run)
    assert Run(run.directory).statistics == before == whole.statistics
    for name, weights in run.weights().items():
        np.testing.assert_array_equal(weights, whole.weights()[name])


def test_another_training_part_is_refused_and_evaluation_keeps_to_the_runs() -> None:
    run = stopped()
    loss = netspec.evaluate(run, device="cpu").measures["loss"]
    write(1.0)
    with pytest.raises(InputError, match="its data have changed: the train part's content"):
        netspec.train(run.plan.spec, device="cpu", resume=run)
    changed = netspec.evaluate(run, device="cpu").measures["loss"]
    assert changed != pytest.approx(loss)  # by its own statistics the rows are others now
    exported = netspec.export_onnx(run, "m.onnx").path
    draws = netspec.Session(exported).metadata.input.table
    assert run.statistics is not None
    assert draws is not None and draws.centers == tuple(run.statistics["mean"])


@pytest.mark.parametrize("content", ["", "{}", "[]", "null", '{"fill": 1}'])
def test_damage_is_refused(content: str) -> None:
    run = netspec.train(loads(SPEC), device="cpu")
    path = run.directory / STATISTICS
    before = path.read_text()
    path.write_text(content)
    for use in (
        lambda: netspec.evaluate(Run(run.directory), device="cpu"),
        lambda: netspec.export_onnx(Run(run.directory), "m.onnx"),
        lambda: netspec.train(run.plan.spec, device="cpu", resume=Run(run.directory)),
    ):
        with pytest.raises(InputError, match="is damaged: it is not what the run wrote"):
            use()
    # Listed as right, it is none of this spec's all the same.
    checksums.write(run.directory, STATISTICS, content)
    with pytest.raises(InputError, match="other statistics than the run's spec learns"):
        netspec.evaluate(Run(run.directory), device="cpu")
    checksums.write(run.directory, STATISTICS, before)
    assert json.loads(before) == Run(run.directory).statistics
    path.unlink()
    with pytest.raises(InputError, match=STATISTICS):
        netspec.evaluate(Run(run.directory), device="cpu")


def test_statistics_are_there_before_the_first_step() -> None:
    class Look(Listener):
        def batch(self, epoch: int, batch: int, total: int, loss: float | None) -> None:
            assert Run.newest("rows", "running").statistics is not None  # type: ignore[union-attr]

    netspec.train(loads(SPEC), device="cpu", listener=Look())


def test_a_spec_that_learns_nothing_has_none(tmp_path: Path) -> None:
    spec = loads(SPEC.replace("{CSV: {path: t.csv, target: y, features: "
                              "{a: standardize, b: {fill: median}}}}",
                              "{Synthetic: {samples: 20, targets: 1}}"))  # fmt: skip
    run = netspec.train(spec, device="cpu")
    assert run.statistics is None and not (run.directory / STATISTICS).exists()
