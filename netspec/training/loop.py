"""The built-in loop: read `Trainer.fit` from top to bottom."""

from __future__ import annotations

import math
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from torch import nn

from netspec.catalogue.losses import LOSSES
from netspec.compiler import build, frozen
from netspec.data.batches import Batch, Batches
from netspec.data.caching import keep
from netspec.data.dataset import Dataset, PartName
from netspec.data.loading import load
from netspec.diagnostics import (
    Code,
    NetspecError,
    SetupError,
    SpecError,
)
from netspec.planning import Plan
from netspec.spec.document import Route
from netspec.training import resuming
from netspec.training.criterion import mean
from netspec.training.devices import check_alone
from netspec.training.interruption import Interruption
from netspec.training.listening import Listener
from netspec.training.lock import locked
from netspec.training.metrics import Measures, measure, metrics_of
from netspec.training.monitor import Monitor
from netspec.training.optimization import (
    Length,
    learners,
    make_loss,
    make_optimizer,
    make_schedule,
)
from netspec.training.progress import Progress
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

    Raises SpecError (the spec, the data, or a loss that is no number), InputError (a run that can't
    go on), SetupError (memory, disk), Interrupted (Ctrl-C or SIGTERM; what was reached is saved
    first).
    """
    check_alone()
    if plan.training is None:
        raise SpecError.of(
            Code.TRAIN,
            "the spec has no `train`",
            file=plan.spec.document.source.name,
            remedy="add train: {epochs: …, loss: …, optimizer: …}",
        )
    listener = listener or Listener()
    try:
        dataset = keep(plan, load(plan, statistics=resume.statistics if resume else None))
        for warning in (*plan.warnings, *dataset.warnings):
            listener.warn(warning)
        # A run that goes on has its own weights.
        trainer = Trainer(plan, dataset, device, listener, initialize=resume is None)
        run = resume or Run.create(plan, device, root, dataset.statistics, dataset.rows)
        with locked(run.directory):
            if resume:
                resuming.resume(trainer.progress, resume, listener.warn)
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
    """One training: the objects that take part in it, and where it stands."""

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
            one_hot=plan.one_hot,
        )
        self.batches = Batches(
            plan,
            dataset.parts["train"],
            device,
            batch_size=self.settings.batch_size,
            statistics=dataset.statistics,
            training=True,
            shuffle=self.settings.shuffle,
            seed=self.settings.seed,
        )
        self.length = self._length()
        self.optimizer = make_optimizer(
            self.spec, self.settings.optimizer, learners(plan, self.model)
        )
        self.schedule = make_schedule(
            self.spec, self.settings.schedule, self.optimizer, self.length
        )
        self.monitor = Monitor(plan, dataset)
        self.progress = Progress(
            plan,
            dataset,
            self.model,
            self.optimizer,
            self.schedule,
            self.monitor,
            self.length,
            device,
        )

    def fit(self, run: Run) -> None:
        """From where it stands to the end; the state is saved after each epoch."""
        self.run = run
        self.listener.start(run, self.dataset, self.length)
        run.summarize(status="running", classes=self.dataset.classes)
        cuda = [self.device] if self.device.type == "cuda" else []
        with (
            torch.random.fork_rng(devices=cuda),
            Interruption(run.directory) as self.interruption,
            _tensorboard(run.directory) as board,
            self._closing(),
        ):
            self.progress.seed(self.settings.seed)
            while self.progress.position.epoch < self.length.epochs:
                with self._saving():
                    self._train_epoch(board)
                    measures = self._measure(self.dataset.held_out)
                self._end_epoch(board, measures)
                if self.progress.position.epoch < self.length.epochs:
                    self.interruption.check()
            test = self._test()
        run.summarize(status="finished", epochs=self.progress.position.epoch, test=test)
        self.listener.finish(run, test)

    @contextmanager
    def _closing(self) -> Iterator[None]:
        """What stops the run is in its summary: it failed by its spec, or can go on."""
        try:
            yield
        except NetspecError as error:
            status = "failed" if isinstance(error, SpecError) else "interrupted"
            with suppress(SetupError):  # a full disk, perhaps: what is raised says so
                self.run.summarize(status=status, epochs=self.progress.position.epoch)
            raise

    @contextmanager
    def _saving(self) -> Iterator[None]:
        """What stops an epoch, an interruption or an image that is damaged, loses none of its
        batches; but a spec's failure would be saved with them."""
        try:
            yield
        except SpecError:
            raise
        except NetspecError:
            self.run.write_state(self.progress.state_dict())
            if not self.progress.rows and self._infinite() is None:
                self.run.write_weights(self.model.state_dict(), epoch=self.progress.position.epoch)
            raise

    def _train_epoch(self, board: Any) -> None:
        """The rest of this epoch's batches. Raises Interrupted between two of them."""
        self._train_mode()
        at, began = self.progress.position, time.perf_counter()
        total = min(len(self.batches), self.length.steps - at.step + at.batch)
        every = max(1, total // REPORTS_PER_EPOCH)
        recent = torch.zeros_like(self.progress.running)
        try:
            for batch in self.batches.epoch(at.epoch, at.batch):
                loss, tally = self._loss(batch)
                self.optimizer.zero_grad(set_to_none=True)
                loss.backward()
                if self.settings.clip_grad_norm is not None:
                    nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip_grad_norm)
                self.optimizer.step()
                self.schedule.step("step")
                at.step, at.batch = at.step + 1, at.batch + 1
                recent += tally
                report = None
                if at.batch == total or self.interruption.requested or at.batch % every == 0:
                    if recent[1]:  # a target counted
                        report = mean(recent)
                        self._check("the loss", report)
                        board.add_scalar("loss/train", report, at.step)
                    self.progress.running += recent
                    recent.zero_()
                self.listener.batch(at.epoch, at.batch, total, report)
                if at.batch == total:
                    break
                self.interruption.check()
        finally:
            self.progress.running += recent
            at.seconds += time.perf_counter() - began

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

    def _end_epoch(self, board: Any, measures: Measures) -> None:
        at, part = self.progress.position, self.dataset.held_out
        row: dict[str, Any] = {
            "epoch": at.epoch,
            "step": at.step,
            "seconds": round(at.seconds, 3),
            "learning_rate": self.optimizer.param_groups[0]["lr"],
            "train_loss": self.loss.figure(self.progress.running),
            **{f"{part}_{name}": value for name, value in measures.items()},
        }
        for name, value in row.items():
            if name not in ("epoch", "step"):
                board.add_scalar(f"epoch/{name}", value, at.epoch)
        self._check_finite(measures, str(part))
        self.schedule.step("epoch", self.monitor.value(row))
        self.progress.rows.append(row)
        self.run.write_metrics(self.progress.rows)
        if self.monitor.improved(row):
            self.run.write_weights(self.model.state_dict(), epoch=at.epoch)
            self.run.summarize(best_epoch=at.epoch)
        at.epoch, at.batch = at.epoch + 1, 0
        self.progress.running.zero_()
        self.run.write_state(self.progress.state_dict())
        self.listener.epoch(row)

    def _test(self) -> Measures | None:
        """The test part's measures, once, by the weights that are kept."""
        if "test" not in self.dataset.parts:
            return None
        load_weights(self.model, self.run.weights(), str(self.run.directory))
        found = self._measure("test")
        self._check_finite(found, "test")
        return found

    def _measure(self, part: PartName | None) -> Measures:
        """Of a part, where there is one. Raises Interrupted between two batches."""
        if part is None:
            return {}
        return measure(
            self.plan,
            self.model,
            self.dataset,
            part,
            self.device,
            self.loss,
            self.metrics,
            self.interruption.check,
        )

    def _length(self) -> Length:
        each = len(self.batches)
        if not each:
            raise self._error(("data",), "a single training sample makes no batch of two or more")
        if self.settings.steps is not None:
            return Length(math.ceil(self.settings.steps / each), self.settings.steps, each)
        assert self.settings.epochs is not None
        return Length(self.settings.epochs, self.settings.epochs * each, each)

    def _train_mode(self) -> None:
        """Training mode, but for what is frozen whole: its norms and dropouts stand still."""
        self.model.train()
        fixed = frozen(self.plan, self.model, self.progress.position.epoch)
        for name, parameter in self.model.named_parameters():
            parameter.requires_grad = name not in fixed
        for each in self.plan.freezing:
            if each.parameters is None and (
                each.until is None or self.progress.position.epoch < each.until
            ):
                self.model.get_submodule(each.module).eval()

    def _check_finite(self, measures: Measures, part: str) -> None:
        """Raises SpecError where a part's measures, or the weights and statistics themselves, are
        no numbers."""
        for name, value in measures.items():
            self._check(f"the {part} part's {name}", value)
        if (broken := self._infinite()) is not None:
            self._check(broken, math.nan)

    def _infinite(self) -> str | None:
        """A parameter or buffer that is not finite."""
        tensors = self.model.state_dict()
        # One question to the device for all of them.
        finite = [each.isfinite().all() for each in tensors.values()]
        if not finite or bool(torch.stack(finite).all()):
            return None
        return next(name for name, each in zip(tensors, finite, strict=True) if not each)

    def _check(self, what: str, value: float) -> None:
        if math.isfinite(value):
            return
        at = self.progress.position
        kept = f"; what the last whole epoch reached is in {self.run.directory}" * bool(
            self.progress.rows
        )
        raise self._error(
            self.settings.optimizer.path,
            f"{what} became {value} in epoch {min(at.epoch, self.length.epochs - 1)}, "
            f"by step {at.step}",
            f"lower the learning rate, or set train.clip_grad_norm{kept}",
        )

    def _error(self, path: Route, message: str, remedy: str | None = None) -> SpecError:
        return self.spec.document.error(Code.TRAIN, message, path, remedy, key=True)


def _tensorboard(directory: Path) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tensorboard's own, of its imports
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(str(directory))
