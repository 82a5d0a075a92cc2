"""The built-in loop: read `Trainer.fit` from top to bottom."""

from __future__ import annotations

import math
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

from netspec.catalogue.losses import LOSSES
from netspec.compiler import build, frozen
from netspec.data.batches import Batch, Batches
from netspec.data.dataset import Dataset, PartName
from netspec.data.loading import load
from netspec.diagnostics import Code, Diagnostic, InputError, SetupError, SpecError
from netspec.planning import Plan
from netspec.spec.document import Route
from netspec.spec.writing import digest
from netspec.training.criterion import Criterion, mean
from netspec.training.interruption import Interrupted, Interruption
from netspec.training.listening import Listener
from netspec.training.metrics import Measures, Metric, evaluate, metrics_of
from netspec.training.monitor import Monitor
from netspec.training.optimization import Length, make_loss, make_optimizer, make_schedule
from netspec.training.run import Run, load_weights

REPORTS_PER_EPOCH = 10


def train(
    plan: Plan,
    *,
    device: torch.device,
    root: Path = Path("runs"),
    listener: Listener | None = None,
    resume: Run | None = None,
) -> Run:
    """Train a plan into a new run directory below `root`, or go on with the run `resume`.

    Raises SpecError (the spec, the data, or a loss that is no number), SetupError (memory, disk),
    Interrupted (Ctrl-C or SIGTERM; what was reached is saved first).
    """
    if plan.training is None:
        raise SpecError.of(
            Code.TRAIN,
            "the spec has no `train`",
            file=plan.spec.document.source.name,
            remedy="add train: {epochs: …, loss: …, optimizer: …}",
        )
    try:
        # A run that goes on has its own weights, and its folder no tensor files for `init`.
        trainer = Trainer(
            plan, load(plan), device, listener or Listener(), initialize=resume is None
        )
        if resume:
            trainer.restore(resume)
        run = resume or Run.create(plan, device, root)
        trainer.fit(run)
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and "CPUAllocator" not in str(error):
            raise
        raise SetupError.of(
            Code.ENVIRONMENT,
            f"{device} has not enough memory for batches of {plan.training.batch_size}",
            file=plan.spec.document.source.name,
            remedy="lower train.batch_size",
        ) from None
    return run


class Trainer:
    """One training: the objects that take part in it, and where it stands.

    epoch, batch, step: how many are done, of the run, of the epoch, of the run.
    running: the tally of this epoch's batch losses.
    """

    def __init__(
        self,
        plan: Plan,
        dataset: Dataset,
        device: torch.device,
        listener: Listener,
        *,
        initialize: bool = True,
    ) -> None:
        assert plan.training is not None
        self.plan, self.spec, self.settings = plan, plan.spec, plan.training
        self.dataset, self.device, self.listener = dataset, device, listener
        self.model = build(plan, initialize=initialize).to(device)
        self.loss = make_loss(self.settings.loss).to(device)
        self.metrics = metrics_of(
            self.settings.metrics,
            probabilities=LOSSES[self.settings.loss.type].probabilities,
            ignored=self.loss.ignored,
        )
        self.batches = Batches(
            plan,
            dataset.parts["train"],
            device,
            batch_size=self.settings.batch_size,
            training=True,
            shuffle=self.settings.shuffle,
            seed=self.settings.seed,
        )
        self.length = self._length()
        self.optimizer = make_optimizer(self.spec, self.settings.optimizer, self._learners())
        self.schedule = make_schedule(
            self.spec, self.settings.schedule, self.optimizer, self.length
        )
        self.monitor = Monitor(plan, dataset)
        self.epoch = self.batch = self.step = 0
        self.seconds = 0.0
        self.running = torch.zeros(2, dtype=torch.float64, device=device)
        self.rows: list[dict[str, Any]] = []
        self.random: dict[str, torch.Tensor] | None = None

    def fit(self, run: Run) -> None:
        """From where it stands to the end; the state is saved after each epoch."""
        self.run = run
        self.listener.start(run, self.dataset, self.length)
        run.summarize(status="running", classes=self.dataset.classes)
        cuda = [self.device] if self.device.type == "cuda" else []
        with (
            torch.random.fork_rng(devices=cuda),
            Interruption() as interruption,
            _tensorboard(run.directory) as board,
        ):
            self._seed()
            while self.epoch < self.length.epochs:
                began = time.perf_counter()
                complete = self._train_epoch(board, interruption)
                self.seconds += time.perf_counter() - began
                if complete:
                    self._end_epoch(board)
                if interruption.requested and self.epoch < self.length.epochs:
                    self._interrupt()
        self._finish()

    def _train_epoch(self, board: Any, interruption: Interruption) -> bool:
        """The rest of this epoch's batches; False where an interruption cut it short."""
        self._train_mode()
        total = min(len(self.batches), self.length.steps - self.step + self.batch)
        every = max(1, total // REPORTS_PER_EPOCH)
        recent = torch.zeros_like(self.running)
        for batch in self.batches.epoch(self.epoch, self.batch):
            loss, tally = self._loss(batch)
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            if self.settings.clip_grad_norm is not None:
                nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip_grad_norm)
            self.optimizer.step()
            self.schedule.step("step")
            self.step, self.batch = self.step + 1, self.batch + 1
            recent += tally
            last = self.batch == total or interruption.requested
            report = None
            if last or self.batch % every == 0:
                if recent[1]:  # a target counted
                    report = mean(recent)
                    self._check(report)
                    board.add_scalar("loss/train", report, self.step)
                self.running += recent
                recent.zero_()
            self.listener.batch(self.epoch, self.batch, total, report)
            if last:
                break
        return self.batch == total

    def _loss(self, batch: Batch) -> tuple[Any, torch.Tensor]:  # Tensor.backward has no types
        """The loss to learn from, and its tally."""
        try:
            output = self.model(batch.inputs)
            loss = self.loss(output, batch.targets)
            return loss, self.loss.learned(loss, output, batch.targets)
        except ValueError as error:
            if len(batch) > 1:
                raise
            raise self._error(
                ("train", "batch_size"), f"a batch of one teaches this network nothing: {error}"
            ) from None

    def _end_epoch(self, board: Any) -> None:
        row: dict[str, Any] = {
            "epoch": self.epoch,
            "step": self.step,
            "seconds": round(self.seconds, 3),
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            "train_loss": self.loss.figure(self.running),
        }
        if part := self.dataset.held_out:
            row |= {f"{part}_{name}": value for name, value in self._measure(part).items()}
        for name, value in row.items():
            if name not in ("epoch", "step"):
                board.add_scalar(f"epoch/{name}", value, self.epoch)
        self.schedule.step("epoch", self.monitor.value(row))
        self.rows.append(row)
        self.run.write_metrics(self.rows)
        if self.monitor.improved(row):
            self.run.write_weights(self.model.state_dict(), epoch=self.epoch)
            self.run.summarize(best_epoch=self.epoch)
        self.epoch, self.batch = self.epoch + 1, 0
        self.running.zero_()
        self.run.write_state(self._state())
        self.listener.epoch(row)

    def _finish(self) -> None:
        """Report the test part once, with the weights that are kept."""
        test = None
        if "test" in self.dataset.parts:
            load_weights(self.model, self.run.weights(), str(self.run.directory))
            test = self._measure("test")
        self.run.summarize(status="finished", epochs=self.epoch, test=test)
        self.listener.finish(self.run, test)

    def _interrupt(self) -> None:
        self.run.write_state(self._state())
        if not self.rows:
            self.run.write_weights(self.model.state_dict(), epoch=self.epoch)
        self.run.summarize(status="interrupted", epochs=self.epoch)
        raise Interrupted.at(str(self.run.directory))

    def _measure(self, part: PartName) -> Measures:
        return measure(
            self.plan, self.model, self.dataset, part, self.device, self.loss, self.metrics
        )

    def _length(self) -> Length:
        each = len(self.batches)
        if not each:
            raise self._error(("data",), "a single training sample makes no batch of two or more")
        if self.settings.steps is not None:
            return Length(math.ceil(self.settings.steps / each), self.settings.steps, each)
        assert self.settings.epochs is not None
        return Length(self.settings.epochs, self.settings.epochs * each, each)

    def _learners(self) -> list[nn.Parameter]:
        """What the optimizer holds: what learns now, or will once it is released; nothing where
        nothing learns at once."""
        if not any(parameter.requires_grad for parameter in self.model.parameters()):
            return []
        never = frozen(self.plan, self.model, math.inf)
        return [each for name, each in self.model.named_parameters() if name not in never]

    def _train_mode(self) -> None:
        """Training mode, but for what is frozen whole: its norms and dropouts stand still."""
        self.model.train()
        fixed = frozen(self.plan, self.model, self.epoch)
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad = name not in fixed
        for each in self.plan.freezing:
            if each.parameters is None and (each.until is None or self.epoch < each.until):
                self.model.get_submodule(each.module).eval()

    def _check(self, loss: float) -> None:
        if math.isfinite(loss):
            return
        raise self._error(
            self.settings.optimizer.path,
            f"the loss became {loss} in epoch {self.epoch}, by step {self.step}",
            "lower the learning rate, or set train.clip_grad_norm; what the last whole epoch "
            f"reached is in {self.run.directory}",
        )

    def _error(self, path: Route, message: str, remedy: str | None = None) -> SpecError:
        place = self.spec.document.place(path, key=True)
        return SpecError([Diagnostic(Code.TRAIN, message, place, remedy)])

    def _seed(self) -> None:
        if self.random is None:
            torch.manual_seed(self.settings.seed)
            return
        torch.set_rng_state(self.random["cpu"])
        if "cuda" in self.random and self.device.type == "cuda":
            torch.cuda.set_rng_state(self.random["cuda"], self.device)

    def _state(self) -> dict[str, Any]:
        """Everything that the next step depends on."""
        random = {"cpu": torch.get_rng_state()}
        if self.device.type == "cuda":
            random["cuda"] = torch.cuda.get_rng_state(self.device)
        return {
            "spec": digest(self.spec),
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "epoch": self.epoch,
            "batch": self.batch,
            "step": self.step,
            "seconds": self.seconds,
            "running": self.running,
            "best": self.monitor.best,
            "random": random,
        }

    def restore(self, run: Run) -> None:
        """Stand where the run's last state was saved. Raises InputError."""
        state = run.state()
        if state.get("spec") != digest(self.spec):
            raise InputError.of(
                Code.RUN, "its state belongs to another spec", file=str(run.directory)
            )
        load_weights(self.model, state["model"], str(run.directory))
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.epoch, self.batch, self.step = state["epoch"], state["batch"], state["step"]
        self.seconds, self.monitor.best = state["seconds"], state["best"]
        self.running = state["running"].to(self.device)
        self.random = state["random"]
        self.rows = run.metrics[: self.epoch]


def measure(
    plan: Plan,
    model: nn.Module,
    dataset: Dataset,
    part: PartName,
    device: torch.device,
    loss: Criterion,
    metrics: dict[str, Metric],
) -> Measures:
    """Loss and metrics of a model on one part, in evaluation mode."""
    assert plan.training is not None
    size = plan.training.batch_size
    batches = Batches(plan, dataset.parts[part], device, batch_size=size)
    model.eval()
    return evaluate(model, batches.epoch(0), loss, metrics)


def _tensorboard(directory: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tensorboard's own, of its imports
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(str(directory))
