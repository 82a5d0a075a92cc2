"""A run's files are what the run wrote, or are refused, or are mended from its state."""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy
import pytest
import torch
from safetensors.torch import load_file, save_file

import netspec
from netspec import compiler
from netspec.catalogue.optimizers import OPTIMIZERS
from netspec.data.loading import load as load_data
from netspec.diagnostics import Diagnostic, InputError, SetupError, SpecError
from netspec.spec.loading import load, loads
from netspec.training.interruption import Interrupted
from netspec.training.listening import Listener
from netspec.training.lock import locked
from netspec.training.run import Run, read_weights

SPEC = """\
netspec: 1
name: small
input: [3]
model:
  - Linear: {out_features: 4}
  - BatchNorm1d
  - Dropout
  - Linear: {out_features: 1}
data: {source: {Synthetic: {samples: 40, targets: 1}}, split: {validation: 0.25}}
train:
  epochs: 4
  batch_size: 8
  loss: MSELoss
  optimizer: {AdamW: {lr: 1.0e-2}}
  scheduler: {OneCycleLR: {max_lr: 0.1}}
"""
STATE, WEIGHTS = "states/last.pt", "weights.safetensors"
SUMMARY, METRICS, ROWS = "summary.json", "metrics.jsonl", "split.safetensors"


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class Recorder(Listener):
    """Keeps what is said; `stop` raises at the end of an epoch or after a batch of it."""

    def __init__(self, stop: tuple[int, int] | None = None) -> None:
        self.said: list[str] = []
        self.stop = stop

    def warn(self, warning: Diagnostic) -> None:
        self.said.append(f"{Path(warning.place.file).name}: {warning.message}; {warning.remedy}")

    def batch(self, epoch: int, done: int, total: int, loss: float | None) -> None:
        if (epoch, done) == self.stop:
            raise InputError.of(netspec.diagnostics.Code.DATA, "a damaged image")


def train(text: str, root: Path, listener: Listener | None = None) -> Run:
    return netspec.train(loads(text), device="cpu", root=root, listener=listener)


def go_on(run: Run, listener: Listener | None = None) -> Run:
    again = Run.open(run.directory)
    return netspec.train(again.plan.spec, device="cpu", resume=again, listener=listener)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return train(SPEC, tmp_path_factory.mktemp("whole"))


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run that ended in its third epoch, by an image that could not be read."""
    root = tmp_path_factory.mktemp("stopped")
    with pytest.raises(InputError, match="a damaged image"):
        train(SPEC, root, Recorder(stop=(2, 2)))
    run = Run.newest("small", "interrupted", root=root)
    assert run is not None
    return run


@pytest.fixture
def begun(stopped: Run, tmp_path: Path) -> Run:
    return Run.open(Path(shutil.copytree(stopped.directory, tmp_path / "begun")))


def equal(run: Run, whole: Run) -> bool:
    files = [(each.directory / WEIGHTS).read_bytes() for each in (run, whole)]
    measures = [[{**row, "seconds": 0} for row in each.metrics] for each in (run, whole)]
    return files[0] == files[1] and measures[0] == measures[1]


def flip(path: Path, bit: int) -> None:
    content = bytearray(path.read_bytes())
    content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)


# Damage

READERS: dict[str, Callable[[Run], object]] = {
    WEIGHTS: lambda run: run.weights(),
    SUMMARY: lambda run: run.summary,
    METRICS: lambda run: run.metrics,
    "spec.yaml": lambda run: run.plan,
    ROWS: lambda run: run.rows,
}


@pytest.mark.parametrize("name", READERS)
def test_every_flipped_bit_is_noticed(name: str, whole: Run, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(whole.directory, tmp_path / "copy"))
    content, draw = (copy / name).read_bytes(), random.Random(0)
    for _ in range(400):
        (copy / name).write_bytes(content)
        flip(copy / name, draw.randrange(8 * len(content)))
        with pytest.raises(InputError, match="is damaged"):
            READERS[name](Run.open(copy))


def test_a_flipped_bit_of_the_state_gives_way_to_the_state_before(begun: Run) -> None:
    content, draw = (begun.directory / STATE).read_bytes(), random.Random(0)
    for _ in range(400):
        (begun.directory / STATE).write_bytes(content)
        flip(begun.directory / STATE, draw.randrange(8 * len(content)))
        state, damage = begun.state()
        assert damage is not None
        assert state["position"]["step"] == 8


def test_a_stopped_epoch_goes_on_where_it_was(begun: Run, whole: Run) -> None:
    state, damage = begun.state()
    assert damage is None
    assert (state["position"]["epoch"], state["position"]["batch"]) == (2, 2)
    assert equal(go_on(begun), whole)


@pytest.mark.parametrize("name", [STATE, SUMMARY, METRICS, ROWS])
def test_a_damaged_file_is_mended_and_that_is_said(name: str, begun: Run, whole: Run) -> None:
    flip(begun.directory / name, 99)
    listener = Recorder()
    assert equal(go_on(begun, listener), whole)
    assert begun.summary == whole.summary
    (said,) = listener.said
    assert said.startswith(f"{Path(name).name}: is damaged")
    assert "again from" in said or "before it" in said
    for each in (SUMMARY, METRICS, ROWS):
        assert (begun.directory / each).exists() and begun.damage(each) is None


def test_a_missing_state_is_a_damaged_one(begun: Run, whole: Run) -> None:
    (begun.directory / STATE).unlink()
    assert equal(go_on(begun), whole)


def test_two_damaged_states_are_refused(begun: Run) -> None:
    for name in (STATE, "states/previous.pt"):
        flip(begun.directory / name, 99)
    with pytest.raises(InputError, match=r"last\.pt: error\[run\]: is damaged"):
        go_on(begun)


@pytest.mark.parametrize("content", [None, b"", b"[]", b'{"spec.yaml": 3}', b"[" * 100_000])
def test_without_checksums_nothing_is_believed(content: bytes | None, begun: Run) -> None:
    path = begun.directory / "checksums.json"
    path.unlink() if content is None else path.write_bytes(content)
    with pytest.raises(InputError, match=r"checksums\.json"):
        go_on(begun)
    with pytest.raises(InputError, match=r"checksums\.json"):
        begun.weights()


def test_weights_by_their_path_are_verified_where_they_are_a_runs(
    begun: Run, tmp_path: Path
) -> None:
    flip(begun.directory / WEIGHTS, 99)
    with pytest.raises(InputError, match="is damaged"):
        read_weights(begun.directory / WEIGHTS)
    save_file({"w": torch.ones(2)}, tmp_path / "own.safetensors")
    assert read_weights(tmp_path / "own.safetensors")["w"].tolist() == [1, 1]


def test_a_run_whose_summary_is_damaged_is_not_passed_over(begun: Run, whole: Run) -> None:
    flip(begun.directory / SUMMARY, 99)
    root = begun.directory.parent
    shutil.copytree(begun.directory, root / "small" / "2")
    shutil.copytree(whole.directory, root / "small" / "1")
    newest = Run.newest("small", "finished", root=root)
    assert newest is not None
    assert newest.directory.name == "2"


def test_damage_is_not_exported(begun: Run, tmp_path: Path) -> None:
    for name in (WEIGHTS, SUMMARY):
        copy = Path(shutil.copytree(begun.directory, tmp_path / name))
        flip(copy / name, 99)
        with pytest.raises(InputError, match=f"{name}: .*is damaged"):
            netspec.export_onnx(Run.open(copy), tmp_path / "small.onnx")
    assert not (tmp_path / "small.onnx").exists()


# Wrong content of the right form


def change(*route: Any, value: Any = None) -> Callable[[dict[str, Any]], None]:
    """Set what lies at a route, or remove it."""

    def changed(state: dict[str, Any]) -> None:
        at: Any = state
        for key in route[:-1]:
            at = at[key]
        if value is None:
            del at[route[-1]]
        else:
            at[route[-1]] = value

    return changed


CHANGES = {
    "no model": change("model"),
    "no optimizer": change("optimizer"),
    "no random": change("random"),
    "a weight gone": change("model", "0.weight"),
    "a weight no tensor": change("model", "0.weight", value=3),
    "a weight of another shape": change("model", "0.weight", value=torch.ones(2)),
    "model no mapping": change("model", value=[1]),
    "position no mapping": change("position", value=3),
    "batch negative": change("position", "batch", value=-1),
    "batch beyond the epoch": change("position", "batch", value=99),
    "epoch beyond the run": change("position", "epoch", value=99),
    "step a text": change("position", "step", value="2"),
    "step of another place": change("position", "step", value=3),
    "a moment of another shape": change("optimizer", "state", 0, "exp_avg", value=torch.ones(2)),
    "a moment gone": change("optimizer", "state", 0, "exp_avg"),
    "a parameter too many": change("optimizer", "state", 99, value={}),
    "rate a text": change("optimizer", "param_groups", 0, "lr", value="fast"),
    "no groups": change("optimizer", "param_groups", value=[]),
    "schedule of another class": change("schedule", value={"gamma": 1}),
    "schedule elsewhere": change("schedule", "last_epoch", value=99),
    "best a text": change("monitor", "best", value="low"),
    "running a number": change("running", value=1.5),
    "rows too few": change("rows", value=[]),
    "rows of no mappings": change("rows", value=[1, 2]),
    "random too short": change("random", "cpu", value=torch.zeros(3, dtype=torch.uint8)),
}


@pytest.mark.parametrize("changed", CHANGES.values(), ids=CHANGES)
def test_a_state_of_wrong_content_is_refused(
    changed: Callable[[dict[str, Any]], None], begun: Run
) -> None:
    state, _ = begun.state()
    changed(state)
    begun.write_state(state)
    with pytest.raises(InputError, match=r"state is not one of this training|another network"):
        go_on(begun)


@pytest.mark.parametrize("optimizer", list(OPTIMIZERS))
def test_states_of_every_kind_of_optimizer_fit(optimizer: str, tmp_path: Path) -> None:
    text = SPEC.replace("{AdamW: {lr: 1.0e-2}}", optimizer)
    text = text.replace("  scheduler: {OneCycleLR: {max_lr: 0.1}}\n", "")
    with pytest.raises(InputError, match="a damaged image"):
        train(text, tmp_path / "one", Recorder(stop=(2, 2)))
    run = Run.newest("small", "interrupted", root=tmp_path / "one")
    assert run is not None
    assert equal(go_on(run), train(text, tmp_path / "two"))


# The data


@pytest.mark.parametrize(
    ("samples", "words"),
    [(24, "has 18 samples, and had 30"), (80, "has 60 samples, and had 30")],
)
def test_data_that_changed_are_refused(samples: int, words: str, tmp_path: Path) -> None:
    def save(count: int, scale: float = 1.0) -> None:
        inputs = torch.arange(3.0 * count).reshape(count, 3) * scale
        numpy.savez(tmp_path / "data.npz", x=inputs.numpy(), y=inputs[:, :1].numpy())

    source = f"{{Tensors: {{path: {tmp_path}/data.npz, inputs: x, targets: y}}}}"
    text = SPEC.replace("{Synthetic: {samples: 40, targets: 1}}", source)
    save(40)
    spec = loads(text)
    with pytest.raises(InputError, match="a damaged image"):
        netspec.train(spec, device="cpu", root=tmp_path / "r", listener=Recorder(stop=(2, 2)))
    run = Run.newest("small", "interrupted", root=tmp_path / "r")
    assert run is not None
    save(samples)
    with pytest.raises(InputError, match=f"the train part {words}"):
        netspec.train(spec, device="cpu", resume=run)
    save(40, 2.0)
    with pytest.raises(InputError, match="the train part's content differs"):
        netspec.train(spec, device="cpu", resume=run)
    save(40)
    assert netspec.train(spec, device="cpu", resume=run).status == "finished"


def test_the_rows_of_a_split_are_recorded_and_an_evaluation_is_held_to_them(tmp_path: Path) -> None:
    def save(count: int) -> None:
        inputs = torch.arange(3.0 * count).reshape(count, 3)
        numpy.savez(tmp_path / "data.npz", x=inputs.numpy(), y=inputs[:, :1].numpy())

    source = f"{{Tensors: {{path: {tmp_path}/data.npz, inputs: x, targets: y}}}}"
    save(40)
    run = train(SPEC.replace("{Synthetic: {samples: 40, targets: 1}}", source), tmp_path / "runs")
    recorded = load_file(run.directory / ROWS)
    assert sorted(torch.cat([*recorded.values()]).tolist()) == list(range(40))
    for name, part in load_data(run.plan).parts.items():
        inputs, _ = part.gather(torch.arange(len(part)))
        assert isinstance(inputs, torch.Tensor)
        assert torch.equal(recorded[name] * 3.0, inputs[:, 0])

    before = netspec.evaluate(run, device="cpu")
    assert (before.part, before.measures) == ("validation", netspec.evaluate(run).measures)
    save(48)
    with pytest.raises(InputError, match="gives the validation part other rows than the run had"):
        netspec.evaluate(run, device="cpu")


def test_a_run_that_does_not_say_its_rows_is_measured_on_no_part_of_a_split(
    whole: Run, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(whole.directory, tmp_path / "copy"))
    (copy / ROWS).unlink()
    sums = json.loads((copy / "checksums.json").read_text())
    del sums[ROWS]
    (copy / "checksums.json").write_text(json.dumps(sums))
    with pytest.raises(InputError, match="does not say which rows its train part has"):
        netspec.evaluate(copy, part="train", device="cpu")


def test_without_a_split_no_rows_are_recorded(tmp_path: Path) -> None:
    run = train(SPEC.replace(", split: {validation: 0.25}", ""), tmp_path)
    assert not run.rows and not (run.directory / ROWS).exists()
    assert netspec.evaluate(run, device="cpu").part == "train"


def test_doubts_about_the_data_are_said_and_stop_nothing(tmp_path: Path) -> None:
    inputs = numpy.arange(160, dtype=numpy.float32).reshape(40, 1, 2, 2)
    numpy.savez(tmp_path / "data.npz", x=inputs, y=inputs[:, 0, 0, :1])
    source = f"{{Tensors: {{path: {tmp_path}/data.npz, inputs: x, targets: y}}}}"
    text = SPEC.replace("{Synthetic: {samples: 40, targets: 1}}", source)
    text = text.replace("input: [3]\nmodel:\n", "input: [1, 2, 2]\nmodel:\n  - Flatten\n")
    listener = Recorder()
    assert train(text, tmp_path / "runs", listener).status == "finished"
    (said,) = listener.said
    assert "whole numbers from 0 to" in said


# One process at a time


def test_a_run_in_use_is_refused_and_a_killed_process_blocks_nothing(begun: Run) -> None:
    code = (
        "import sys, time, pathlib\n"
        "from netspec.training.lock import locked\n"
        "with locked(pathlib.Path(sys.argv[1])):\n"
        "    print('held', flush=True)\n"
        "    time.sleep(100)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(begun.directory)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(InputError, match=f"is in use by process {process.pid} on "):
            go_on(begun)
    finally:
        process.kill()
        process.communicate()
    assert go_on(begun).status == "finished"


def test_a_run_that_is_trained_is_in_use(tmp_path: Path) -> None:
    class Second(Listener):
        """A second training of the same run, as its second epoch begins."""

        run: Run
        refused = ""

        def start(self, run: Run, *_: Any) -> None:
            self.run = run

        def batch(self, epoch: int, done: int, total: int, loss: float | None) -> None:
            if (epoch, done) == (1, 1):
                with pytest.raises(InputError) as caught:
                    go_on(self.run)
                self.refused = str(caught.value)

    listener = Second()
    train(SPEC, tmp_path, listener)
    assert f"is in use by process {os.getpid()} on " in listener.refused


def test_a_run_is_in_use_in_its_own_process_too(begun: Run) -> None:
    with (
        locked(begun.directory),
        pytest.raises(InputError, match=f"is in use by process {os.getpid()} on "),
    ):
        go_on(begun)


def test_several_processes_of_one_training_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(SetupError, match="WORLD_SIZE is 2"):
        train(SPEC, tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


# Numbers that are none

ONE_STEP = """\
netspec: 1
name: small
input: [3]
model: [Linear: {out_features: 4}, Linear: {out_features: 1}]
data: {source: {Synthetic: {samples: 40, targets: 1}}, split: SPLIT}
train:
  epochs: 1
  batch_size: 40
  loss: {MSELoss: {reduction: sum}}
  optimizer: {SGD: {lr: 1.0e+38}}
"""
EXPLODING = ONE_STEP.replace("epochs: 1", "epochs: 2").replace(
    "{SGD: {lr: 1.0e+38}}",
    "{SGD: {lr: 3.0e+38}}\n  scheduler: {ConstantLR: {factor: 1.0e-41, total_iters: 1}}",
)


@pytest.mark.parametrize("split", ["{validation: 0.25}", "{test: 0.25}", "{}"])
def test_a_step_that_leaves_no_numbers_fails_the_run(split: str, tmp_path: Path) -> None:
    # The loss of its one step was measured before it: what is held out shows it, or the weights.
    with pytest.raises(SpecError, match=r"became (nan|inf)") as caught:
        train(ONE_STEP.replace("SPLIT", split), tmp_path)
    (found,) = caught.value.diagnostics
    run = Run.newest("small", "failed", root=tmp_path)
    assert run is not None
    assert str(run.directory) not in str(found.remedy)  # there is nothing in it to go on from
    assert not (run.directory / WEIGHTS).exists()


@pytest.mark.parametrize("split", ["{validation: 0.25}", "{test: 0.25}", "{}"])
def test_numbers_that_are_none_never_take_the_best_weights_place(
    split: str, tmp_path: Path
) -> None:
    with pytest.raises(SpecError, match=r"became (nan|inf)") as caught:
        train(EXPLODING.replace("SPLIT", split), tmp_path)
    (found,) = caught.value.diagnostics
    run = Run.newest("small", "failed", root=tmp_path)
    assert run is not None
    assert str(run.directory) in str(found.remedy)
    assert (len(run.metrics), run.summary["best_epoch"]) == (1, 0)
    assert all(each.isfinite().all() for each in run.weights().values())


# Its spec


def test_its_spec_builds_from_its_folder(tmp_path: Path) -> None:
    save_file({"w": torch.ones(4, 3)}, tmp_path / "w.safetensors")
    text = SPEC.replace(
        "  - Linear: {out_features: 4}\n",
        "  - Linear: {out_features: 4}\n"
        "    init: {weight: {tensor: {path: w.safetensors, key: w}}}\n",
    )
    run = netspec.train(loads(text, folder=tmp_path), device="cpu", root=tmp_path / "runs")
    (tmp_path / "w.safetensors").unlink()
    built = netspec.build(load(run.directory / "spec.yaml"))
    assert built.get_parameter("0.weight").tolist() == [[1] * 3] * 4
    assert compiler.build(run.plan).get_parameter("0.weight").tolist() == [[1] * 3] * 4


# Interruption while it measures


def test_an_interruption_stops_between_measured_batches(
    tmp_path: Path, whole: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    import signal

    class Signal(Listener):
        """Ctrl-C as the last batch of an epoch ends: the next thing is to measure."""

        def batch(self, epoch: int, done: int, total: int, loss: float | None) -> None:
            if (epoch, done) == (1, total):
                signal.raise_signal(signal.SIGTERM)

    with pytest.raises(Interrupted) as caught:
        train(SPEC, tmp_path, Signal())
    assert caught.value.exit_status == 143
    run = Run.newest("small", "interrupted", root=tmp_path)
    assert run is not None
    position = run.state()[0]["position"]
    assert len(run.metrics) == position["epoch"] == 1
    assert position["batch"] == 4
    assert equal(go_on(run), whole)
