"""A run's directory: what a training leaves behind, and how to find it again."""

from __future__ import annotations

import json
import math
import platform
import sys
from collections.abc import Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any, Literal, cast

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor

from netspec import files
from netspec.compiler import keep_tensors
from netspec.data.dataset import Dataset, PartName, PartRows, Statistics
from netspec.diagnostics import Code, InputError, SetupError
from netspec.planning import Plan, make_plan
from netspec.spec.loading import loads
from netspec.spec.writing import digest, resolved, to_yaml
from netspec.training import checksums
from netspec.version import VERSION

Status = Literal["running", "interrupted", "failed", "finished"]

SPEC, METRICS, WEIGHTS = "spec.yaml", "metrics.jsonl", "weights.safetensors"
STATISTICS, ROWS = "statistics.json", "split.safetensors"
STATE, PREVIOUS = "states/last.pt", "states/previous.pt"
SUMMARY, ENVIRONMENT = "summary.json", "environment.json"


@dataclass(frozen=True)
class Run:
    """`runs/NAME/DATE-TIME/`. Every file in it is replaced whole, and verified when it is read,
    which raises InputError where it is damaged."""

    directory: Path

    @classmethod
    def create(
        cls,
        made: Plan,
        device: torch.device,
        root: Path = Path("runs"),
        statistics: Statistics | None = None,
        rows: PartRows | None = None,
    ) -> Run:
        """A new directory with the resolved spec, which builds there, what was learned of the data,
        which rows the split gave to which part, and the environment. Raises SetupError; SpecError
        where a tensor file of `init` cannot be used."""
        stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
        parent = root / made.name
        for attempt in range(1000):
            directory = parent / (stamp if not attempt else f"{stamp}-{attempt + 1:03}")
            try:
                directory.mkdir(parents=True)
            except FileExistsError:
                continue
            except OSError as error:
                raise SetupError.of(
                    Code.ENVIRONMENT, f"cannot be made: {error.strerror}", file=str(directory)
                ) from None
            break
        run = cls(directory)
        run._write(SPEC, to_yaml(resolved(keep_tensors(made, directory))))
        if statistics is not None:
            run._write(STATISTICS, json.dumps(statistics, indent=2) + "\n")
        if rows:
            run.write_rows(rows)
        run._write_json(ENVIRONMENT, _environment(made, device))
        run.summarize(status="running")
        return run

    @classmethod
    def open(cls, directory: Path) -> Run:
        """An existing run. Raises InputError where the folder holds none."""
        if not (directory / SPEC).is_file():
            raise InputError.of(
                Code.RUN,
                f"is no run: it has no {SPEC}",
                file=str(directory),
                remedy="runs lie in runs/NAME/DATE-TIME",
            )
        return cls(directory)

    @classmethod
    def newest(cls, name: str, *statuses: Status, root: Path = Path("runs")) -> Run | None:
        """The newest run of a spec's name with one of these statuses, or with none that can be
        read: to pass it over in silence would be to take an older one for it."""
        parent = root / name
        if not parent.is_dir():
            return None
        found = [cls(each) for each in sorted(parent.iterdir()) if (each / SPEC).is_file()]
        return next((run for run in reversed(found) if run._may_be(statuses)), None)

    def _may_be(self, statuses: Collection[Status]) -> bool:
        try:
            return self.status in statuses
        except InputError:
            return True

    @cached_property
    def plan(self) -> Plan:
        """The plan of the run's own spec. Raises SpecError."""
        path = self.directory / SPEC
        return make_plan(loads(self._read(SPEC).decode(), str(path), folder=self.directory))

    @property
    def status(self) -> Status:
        status: Status = self.summary["status"]
        return status

    @property
    def summary(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self._read(SUMMARY))
        return found

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The class names that the data had."""
        names = self.summary.get("classes")
        return tuple(names) if isinstance(names, list) else None

    @cached_property
    def statistics(self) -> Statistics | None:
        """What was learned of the training part before the first step; None where its pipeline
        learns nothing. Raises InputError where they are damaged or another preparation's."""
        stated = self.plan.pipeline and self.plan.pipeline.preparation
        if not stated:
            return None
        content = self._read(STATISTICS)
        try:
            found: Any = json.loads(content)
            sizes = {name: sum(map(math.isfinite, numbers)) for name, numbers in found.items()}
        except (ValueError, TypeError, AttributeError, RecursionError):
            sizes = None
        if sizes != stated.statistics:
            raise InputError.of(
                Code.RUN,
                "holds other statistics than the run's spec learns",
                file=str(self.directory / STATISTICS),
                remedy="bring spec.yaml back from a copy, or train again",
            )
        return dict(found)

    def write_rows(self, rows: PartRows) -> None:
        """Which rows of the source's training part each part has that the split made."""
        self._write(ROWS, save({str(name): each for name, each in rows.items()}))

    @property
    def rows(self) -> PartRows:
        """As they were written; none where the split made no part. Raises InputError."""
        if not checksums.listed(self.directory, ROWS):
            return {}
        return cast(PartRows, _tensors(self._read(ROWS), self.directory / ROWS))

    def check_rows(self, dataset: Dataset, part: PartName) -> None:
        """Raises InputError where the split gives a part other rows than the run had, of which
        some may be those that it learned from."""
        now, before = dataset.rows.get(part), self.rows.get(part)
        if now is None or (before is not None and torch.equal(now, before)):
            return
        raise InputError.of(
            Code.RUN,
            f"its data have changed: the split gives the {part} part other rows than the run had"
            if before is not None
            else f"it does not say which rows its {part} part has",
            file=str(self.directory),
            remedy="bring them back, or begin a new run"
            if before is not None
            else "it was made by another version of netspec; begin a new run",
        )

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """One object an epoch."""
        if not checksums.listed(self.directory, METRICS):
            return []
        return [json.loads(line) for line in self._read(METRICS).splitlines()]

    def summarize(self, **facts: Any) -> None:
        """Add to summary.json: `status`, `epochs`, `best_epoch`, the `test` part's measures."""
        before = self.summary if checksums.listed(self.directory, SUMMARY) else {}
        self.write_summary({**before, **facts})

    def write_summary(self, facts: dict[str, Any]) -> None:
        self._write_json(SUMMARY, facts)

    def write_metrics(self, rows: list[dict[str, Any]]) -> None:
        self._write(METRICS, "".join(json.dumps(_finite(row)) + "\n" for row in rows))

    def write_weights(self, weights: dict[str, Tensor], **facts: Any) -> None:
        """The best weights, with the model digest beside them."""
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
        # One key: with several, safetensors writes them in random order.
        facts = {"model": self.plan.digest, **facts}
        self._write(WEIGHTS, save(tensors, {"netspec": json.dumps(facts, sort_keys=True)}))

    def weights(self) -> dict[str, Tensor]:
        """The best weights. Raises InputError where there are none."""
        return _tensors(self._read(WEIGHTS), self.directory / WEIGHTS)

    def write_state(self, state: dict[str, Any]) -> None:
        """Replace the last state; the one before is kept, in case that the last is damaged."""
        buffer = BytesIO()
        torch.save(state, buffer)
        with suppress(InputError):  # there is none, or a damaged one, which replaces no good one
            self._write(PREVIOUS, self._read(STATE))
        self._write(STATE, buffer.getvalue())

    def state(self) -> tuple[dict[str, Any], InputError | None]:
        """The last state, from which the run goes on; the previous one where the last is damaged,
        with what is wrong with the last. Raises InputError."""
        if not checksums.listed(self.directory, STATE):
            raise InputError.of(
                Code.RUN,
                "has no state to go on from: it ended before its first one",
                file=str(self.directory),
            )
        try:
            return self._state(STATE), None
        except InputError as error:
            try:
                return self._state(PREVIOUS), error
            except InputError:
                raise error from None

    def _state(self, name: str) -> dict[str, Any]:
        path = self.directory / name
        content = BytesIO(self._read(name))
        try:
            state: Any = torch.load(content, map_location="cpu", weights_only=True)
        except Exception as error:  # torch.load raises whatever a wrong pickle brings about
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise InputError.of(Code.RUN, f"cannot be read: {reason}", file=str(path)) from None
        if not isinstance(state, dict):
            raise InputError.of(Code.RUN, "is no state of a run", file=str(path))
        return state

    def damage(self, name: str) -> InputError | None:
        """What is wrong with a file that the run wrote."""
        try:
            if checksums.listed(self.directory, name):
                self._read(name)
        except InputError as error:
            return error
        return None

    def _read(self, name: str) -> bytes:
        return checksums.read(self.directory, name)

    def _write(self, name: str, content: bytes | str) -> None:
        checksums.write(self.directory, name, content)

    def _write_json(self, name: str, value: Any) -> None:
        self._write(name, json.dumps(_finite(value), indent=2) + "\n")


def _finite(value: Any) -> Any:
    """With null for numbers that JSON does not have."""
    match value:
        case float() if not math.isfinite(value):
            return None
        case dict():
            return {key: _finite(each) for key, each in value.items()}
    return value


def read_weights(path: Path) -> dict[str, Tensor]:
    """A .safetensors file's tensors; verified where it is a run's. Raises InputError."""
    content = files.read(path, code=Code.RUN)
    if (path.parent / checksums.NAME).exists() and checksums.listed(path.parent, path.name):
        checksums.verify(path.parent, path.name, content)
    return _tensors(content, path)


def _tensors(content: bytes, path: Path) -> dict[str, Tensor]:
    try:
        found: dict[str, Tensor] = load(content)
    except (ValueError, SafetensorError) as error:
        raise InputError.of(Code.RUN, f"is no .safetensors file: {error}", file=str(path)) from None
    return found


def load_weights(model: torch.nn.Module, weights: Mapping[str, Tensor], file: str) -> None:
    """Put weights into a model. Raises InputError where they are another network's."""
    wanted = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    found = {name: tuple(tensor.shape) for name, tensor in weights.items()}
    for name in [*wanted, *found]:
        if wanted.get(name) != found.get(name):
            raise InputError.of(
                Code.RUN,
                f"holds another network's weights: {name} is {_shape(found.get(name))} there and "
                f"{_shape(wanted.get(name))} in the spec",
                file=file,
            )
    model.load_state_dict(weights)


def _shape(shape: tuple[int, ...] | None) -> str:
    return "absent" if shape is None else str(list(shape))


def _environment(made: Plan, device: torch.device) -> dict[str, Any]:
    return {
        "netspec": VERSION,
        "torch": torch.__version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "device": str(device),
        "gpu": torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        "threads": torch.get_num_threads(),
        "command": sys.argv,
        "spec": digest(made.spec),
        "model": made.digest,
    }
