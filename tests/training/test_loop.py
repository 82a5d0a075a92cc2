"""The loop is the loop that one would write by hand, and leaves a run directory."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

import netspec
from netspec.data.dataset import Part
from netspec.data.loading import load as load_data
from netspec.diagnostics import SpecError
from netspec.planning import make_plan
from netspec.spec.loading import loads
from netspec.spec.writing import digest
from netspec.training.run import Run

SPEC = """\
netspec: 1
name: small
input: [1, 8, 8]
model:
  - Flatten
  - Linear: {{out_features: 16}}
  - BatchNorm1d
  - ReLU
  - Dropout: {{p: 0.3}}
  - Linear: {{out_features: 10}}
data:
  source: Digits
  split: {split}
train:
  seed: 3
  batch_size: 100
  shuffle: false
  loss: CrossEntropyLoss
  {rest}
"""


def spec(
    rest: str = "epochs: 2", optimizer: str = "{SGD: {lr: 0.1}}", split: str = "{}"
) -> netspec.Spec:
    rest = "\n  ".join((rest, f"optimizer: {optimizer}"))
    return loads(SPEC.format(rest=rest, split=split))


def train(made: netspec.Spec, root: Path) -> Run:
    return netspec.train(made, device="cpu", root=root)


def finding(made: netspec.Spec, root: Path) -> str:
    with pytest.raises(SpecError) as caught:
        train(made, root)
    (found,) = caught.value.diagnostics
    return f"{found.place.line}: {found.message}"


def model() -> nn.Sequential:
    return nn.Sequential(
        nn.Flatten(),
        nn.Linear(64, 16),
        nn.BatchNorm1d(16),
        nn.ReLU(),
        nn.Dropout(0.3),
        nn.Linear(16, 10),
    )


def batches(part: Part) -> Iterator[tuple[Tensor, Tensor]]:
    inputs = part.inputs
    assert isinstance(inputs, Tensor)
    yield from zip((inputs / 255).split(100), part.labels.split(100), strict=True)


def by_hand(epochs: int, optimizer: Any, scheduler: Any = None) -> nn.Sequential:
    part = load_data(make_plan(spec())).parts["train"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        made = model()
        steps = optimizer(made.parameters())
        schedule = scheduler(steps) if scheduler else None
        torch.manual_seed(3)
        for _ in range(epochs):
            for inputs, targets in batches(part):
                steps.zero_grad()
                nn.functional.cross_entropy(made(inputs), targets).backward()
                steps.step()
                if schedule:
                    schedule.step()
    return made


def same(weights: dict[str, Tensor], made: nn.Module) -> bool:
    wanted = made.state_dict()
    return weights.keys() == wanted.keys() and all(
        torch.equal(weights[name], wanted[name]) for name in wanted
    )


# Equality with the loop by hand


def test_sgd(tmp_path: Path) -> None:
    run = train(
        spec(optimizer="{SGD: {lr: 0.1, momentum: 0.9, nesterov: true, weight_decay: 5e-4}}"),
        tmp_path,
    )
    wanted = by_hand(
        2,
        lambda parameters: torch.optim.SGD(
            parameters, lr=0.1, momentum=0.9, nesterov=True, weight_decay=5e-4
        ),
    )
    assert same(run.weights(), wanted)


def test_adamw_with_one_cycle(tmp_path: Path) -> None:
    run = train(
        spec("epochs: 2\n  scheduler: {OneCycleLR: {max_lr: 0.01}}", "{AdamW: {lr: 1e-3}}"),
        tmp_path,
    )
    wanted = by_hand(
        2,
        lambda parameters: torch.optim.AdamW(parameters, lr=1e-3),
        lambda steps: torch.optim.lr_scheduler.OneCycleLR(steps, 0.01, total_steps=30),
    )
    assert same(run.weights(), wanted)


def test_gradients_are_clipped_before_the_step(tmp_path: Path) -> None:
    clipped = train(spec("epochs: 1\n  clip_grad_norm: 0.01"), tmp_path)
    part = load_data(make_plan(spec())).parts["train"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        made = model()
        optimizer = torch.optim.SGD(made.parameters(), lr=0.1)
        torch.manual_seed(3)
        for inputs, targets in batches(part):
            optimizer.zero_grad()
            nn.functional.cross_entropy(made(inputs), targets).backward()
            nn.utils.clip_grad_norm_(made.parameters(), 0.01)
            optimizer.step()
    assert same(clipped.weights(), made)


def test_training_leaves_the_random_state_alone(tmp_path: Path) -> None:
    before = torch.get_rng_state()
    train(spec("epochs: 1"), tmp_path)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_measures_are_those_of_the_weights(tmp_path: Path) -> None:
    run = train(spec("epochs: 1\n  metrics: [accuracy, {top_k: {k: 3}}]"), tmp_path)
    part = load_data(run.plan).parts["test"]
    made = model().eval()
    made.load_state_dict(run.weights())
    with torch.inference_mode():
        assert isinstance(part.inputs, Tensor)
        output = made(part.inputs / 255)
    test = run.summary["test"]
    loss = float(nn.functional.cross_entropy(output, part.labels))
    assert test["loss"] == pytest.approx(loss, rel=1e-6)
    assert test["accuracy"] == pytest.approx(
        float((output.argmax(1) == part.targets).float().mean())
    )
    among = (output.topk(3).indices == part.labels[:, None]).any(1).float().mean()
    assert test["top_k"] == pytest.approx(float(among))


# The run directory

VALIDATED = "{validation: 0.2}"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    rest = "epochs: 4\n  metrics: [accuracy]"
    made = spec(rest, "{SGD: {lr: 0.5}}", VALIDATED)
    return train(made, tmp_path_factory.mktemp("runs"))


def test_metrics_are_an_object_an_epoch(run: Run) -> None:
    lines = (run.directory / "metrics.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["epoch"] for row in rows] == [0, 1, 2, 3]
    assert [row["step"] for row in rows] == [12, 24, 36, 48]
    assert set(rows[0]) == {
        "epoch",
        "step",
        "seconds",
        "learning_rate",
        "train_loss",
        "validation_loss",
        "validation_accuracy",
    }
    assert rows[-1]["train_loss"] < rows[0]["train_loss"]
    assert run.metrics == rows


def test_the_summary_says_how_it_ended(run: Run) -> None:
    losses = [row["validation_loss"] for row in run.metrics]
    assert run.summary["status"] == "finished"
    assert run.summary["epochs"] == 4
    assert run.summary["best_epoch"] == losses.index(min(losses))
    assert run.summary["classes"] == list("0123456789")
    assert run.summary["test"].keys() == {"loss", "accuracy"}


def test_its_spec_is_valid_and_the_same(run: Run) -> None:
    assert digest(run.plan.spec) == digest(
        spec("epochs: 4\n  metrics: [accuracy]", "{SGD: {lr: 0.5}}", VALIDATED)
    )
    environment = json.loads((run.directory / "environment.json").read_text())
    assert environment["spec"] == digest(run.plan.spec)
    assert environment["model"] == run.plan.digest
    assert environment["torch"] == torch.__version__


def test_the_weights_carry_the_model_digest(run: Run) -> None:
    with safe_open(run.directory / "weights.safetensors", framework="pt") as file:
        facts = json.loads(file.metadata()["netspec"])
    assert facts == {"model": run.plan.digest, "epoch": run.summary["best_epoch"]}


def test_tensorboard_has_its_events(run: Run) -> None:
    (events,) = run.directory.glob("events.out.tfevents.*")
    content = events.read_bytes()
    for tag in (b"loss/train", b"epoch/validation_accuracy", b"epoch/learning_rate"):
        assert tag in content


def test_directories_of_one_second_sort_as_they_were_made(tmp_path: Path) -> None:
    made = make_plan(spec())
    runs = [Run.create(made, torch.device("cpu"), tmp_path) for _ in range(12)]
    assert sorted(runs, key=lambda run: run.directory) == runs
    newest = Run.newest("small", "running", root=tmp_path)
    assert newest == runs[-1]
    assert Run.newest("small", "finished", root=tmp_path) is None


# Which weights are kept


def kept(run: Run) -> int:
    """The epoch whose weights are kept: their loss is that epoch's."""
    made = model().eval()
    made.load_state_dict(run.weights())
    part = load_data(run.plan).parts["validation"]
    assert isinstance(part.inputs, Tensor)
    with torch.inference_mode():
        loss = float(nn.functional.cross_entropy(made(part.inputs / 255), part.labels))
    losses = [row["validation_loss"] for row in run.metrics]
    return min(range(len(losses)), key=lambda epoch: abs(losses[epoch] - loss))


UNSTEADY = "{SGD: {lr: 6.0}}"  # so that the last epoch is not the best


def test_the_best_are_chosen_by_the_validation_loss(tmp_path: Path) -> None:
    run = train(spec("epochs: 6", UNSTEADY, VALIDATED), tmp_path)
    losses = [row["validation_loss"] for row in run.metrics]
    best = losses.index(min(losses))
    assert best < 5
    assert run.summary["best_epoch"] == kept(run) == best


def test_the_monitor_chooses_where_it_is_given(tmp_path: Path) -> None:
    rest = "epochs: 6\n  metrics: [accuracy]\n  checkpoint: {monitor: validation_accuracy}"
    run = train(spec(rest, UNSTEADY, VALIDATED), tmp_path)
    accuracies = [row["validation_accuracy"] for row in run.metrics]
    assert run.summary["best_epoch"] == kept(run) == accuracies.index(max(accuracies))


def test_the_test_part_never_chooses(tmp_path: Path) -> None:
    run = train(spec("epochs: 6", UNSTEADY), tmp_path)
    losses = [row["test_loss"] for row in run.metrics]
    assert losses.index(min(losses)) < 5
    assert run.summary["best_epoch"] == 5
    assert run.summary["test"]["loss"] == pytest.approx(losses[-1])


@pytest.mark.parametrize(
    ("monitor", "split", "words"),
    [
        ("validation_accuracy", VALIDATED, "each epoch measures validation_loss"),
        ("validation_loss", "{}", "there is no validation part"),
        ("test_loss", VALIDATED, "each epoch measures validation_loss"),
    ],
)
def test_a_monitor_that_is_not_measured(
    monitor: str, split: str, words: str, tmp_path: Path
) -> None:
    made = spec(f"epochs: 1\n  checkpoint: {{monitor: {monitor}}}", split=split)
    found = finding(made, tmp_path)
    assert found.startswith("20: checkpoint.monitor is")
    assert words in found


# Length


@pytest.mark.parametrize(("steps", "epochs"), [(1, 1), (15, 1), (16, 2), (40, 3)])
def test_steps_instead_of_epochs(steps: int, epochs: int, tmp_path: Path) -> None:
    run = train(spec(f"steps: {steps}"), tmp_path)
    assert run.metrics[-1]["step"] == steps
    assert run.summary["epochs"] == len(run.metrics) == epochs


def test_a_single_sample_is_too_few(tmp_path: Path) -> None:
    text = """\
netspec: 1
input: [3]
model: [Linear: {out_features: 1}]
data: {source: {Synthetic: {samples: 1, targets: 1}}}
train: {epochs: 1, loss: MSELoss, optimizer: SGD}
"""
    assert "a single training sample" in finding(loads(text), tmp_path)


def test_batches_of_one_are_refused_where_batch_norm_cannot_learn(tmp_path: Path) -> None:
    made = loads(SPEC.format(rest="epochs: 1\n  optimizer: SGD", split="{}").replace("100", "1"))
    assert finding(made, tmp_path).startswith("16: a batch of one teaches this network nothing")


# What goes wrong on the way


def test_a_loss_that_is_no_number_ends_the_run_and_keeps_the_epoch_before(tmp_path: Path) -> None:
    # Two epochs of nothing, then one that throws the weights beyond all bounds.
    rest = "epochs: 5\n  scheduler: {LinearLR: {start_factor: 1.0e-30, total_iters: 2}}"
    found = finding(spec(rest, "{SGD: {lr: 1.0e+30}}"), tmp_path)
    assert found.startswith("21: the loss became nan in epoch 1, by step ")
    run = Run.newest("small", "failed", root=tmp_path)
    assert run is not None
    assert len(run.metrics) == 1
    assert run.state()[0]["position"]["epoch"] == 1
    assert all(each.isfinite().all() for each in run.weights().values())


def test_measures_that_are_no_numbers_are_null_in_json(tmp_path: Path) -> None:
    made = make_plan(spec())
    run = Run.create(made, torch.device("cpu"), tmp_path)
    run.write_metrics([{"epoch": 0, "validation_loss": math.nan}])
    run.summarize(test={"loss": math.inf})
    assert run.metrics == [{"epoch": 0, "validation_loss": None}]
    assert run.summary["test"] == {"loss": None}
    assert "NaN" not in (run.directory / "metrics.jsonl").read_text()


# freeze


def frozen(freeze: str, epochs: int, tmp_path: Path) -> tuple[Run, nn.Module]:
    """A run whose Linear and BatchNorm1d are one frozen group, and the model as it began."""
    text = SPEC.format(rest=f"epochs: {epochs}\n  optimizer: {{SGD: {{lr: 0.1}}}}", split="{}")
    text = text.replace(
        "  - Linear: {out_features: 16}\n  - BatchNorm1d\n",
        "  - Sequential:\n      - Linear: {out_features: 16}\n      - BatchNorm1d\n"
        f"    freeze: {freeze}\n",
    )
    made = loads(text)
    return train(made, tmp_path), netspec.build(made)


def moved(run: Run, began: nn.Module) -> set[str]:
    weights = run.weights()
    return {
        name for name, each in began.state_dict().items() if not torch.equal(each, weights[name])
    }


def test_what_is_frozen_stands_still_with_its_statistics(tmp_path: Path) -> None:
    assert moved(*frozen("true", 1, tmp_path)) == {"4.weight", "4.bias"}


def test_what_is_released_learns_from_then_on(tmp_path: Path) -> None:
    assert moved(*frozen("{until: 2}", 2, tmp_path / "before")) == {"4.weight", "4.bias"}
    run, began = frozen("{until: 2}", 3, tmp_path / "after")
    assert moved(run, began) == set(began.state_dict())


def test_named_parameters_are_frozen_and_statistics_move(tmp_path: Path) -> None:
    text = SPEC.format(rest="epochs: 1\n  optimizer: SGD", split="{}")
    text = text.replace("- BatchNorm1d\n", "- BatchNorm1d:\n    freeze: [weight, bias]\n")
    made = loads(text)
    changed = moved(train(made, tmp_path), netspec.build(made))
    assert {"2.weight", "2.bias"}.isdisjoint(changed)
    assert {"2.running_mean", "2.running_var", "1.weight"} <= changed


@pytest.mark.parametrize("freeze", ["true", "{until: 1}"])
def test_nothing_left_to_learn_is_refused_at_the_optimizer(freeze: str, tmp_path: Path) -> None:
    text = f"""\
netspec: 1
input: [3]
model: [{{Linear: {{out_features: 1}}, freeze: {freeze}}}]
data: {{source: {{Synthetic: {{samples: 8, targets: 1}}}}}}
train:
  epochs: 2
  loss: MSELoss
  optimizer: {{SGD: {{lr: 0.1}}}}
"""
    assert finding(loads(text), tmp_path).startswith("8: SGD: there is nothing to learn")
    assert not tmp_path.joinpath("spec").exists()


# Going on


def test_a_run_begun_with_tensor_files_goes_on_without_them(tmp_path: Path) -> None:
    save_file({"w": torch.ones(1, 3)}, tmp_path / "w.safetensors")
    text = """\
netspec: 1
name: small
input: [3]
model:
  - Linear: {out_features: 1}
    init: {weight: {tensor: {path: w.safetensors, key: w}}}
data: {source: {Synthetic: {samples: 8, targets: 1}}}
train: {epochs: 1, loss: MSELoss, optimizer: {SGD: {lr: 0.0}}}
"""
    run = train(loads(text, folder=tmp_path), tmp_path / "runs")
    assert run.weights()["0.weight"].tolist() == [[1, 1, 1]]
    again = netspec.train(run.plan.spec, device="cpu", resume=run)
    assert again.weights()["0.weight"].tolist() == [[1, 1, 1]]


def test_a_state_of_another_spec_is_refused(run: Run) -> None:
    other = spec("epochs: 4\n  metrics: [accuracy]", "{SGD: {lr: 0.25}}", VALIDATED)
    with pytest.raises(netspec.NetspecError, match="its state belongs to another spec"):
        netspec.train(other, device="cpu", resume=run)
