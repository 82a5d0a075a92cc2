"""A run's directory: what a training leaves behind, and how to find it again."""

from __future__ import annotations

import json
import math
import platform
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save
from torch import Tensor

from netspec import files
from netspec.diagnostics import Code, InputError, SetupError
from netspec.planning import Plan, make_plan
from netspec.spec.loading import load
from netspec.spec.writing import digest, resolved, to_yaml
from netspec.version import VERSION

Status = Literal["running", "interrupted", "finished"]

SPEC, METRICS, WEIGHTS = "spec.yaml", "metrics.jsonl", "weights.safetensors"
STATE, SUMMARY, ENVIRONMENT = "states/last.pt", "summary.json", "environment.json"


@dataclass(frozen=True)
class Run:
    """`runs/NAME/DATE-TIME/`. Every file in it is replaced whole."""

    directory: Path

    @classmethod
    def create(cls, made: Plan, device: torch.device, root: Path = Path("runs")) -> Run:
        """A new directory with the resolved spec and the environment. Raises SetupError."""
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
        run._write(SPEC, to_yaml(resolved(made.spec)))
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
        """The newest run of a spec's name with one of these statuses."""
        parent = root / name
        if not parent.is_dir():
            return None
        found = [cls(each) for each in sorted(parent.iterdir()) if (each / SPEC).is_file()]
        return next((run for run in reversed(found) if run.status in statuses), None)

    @cached_property
    def plan(self) -> Plan:
        """The plan of the run's own spec. Raises SpecError."""
        return make_plan(load(self.directory / SPEC))

    @property
    def status(self) -> Status:
        status: Status = self.summary.get("status", "running")
        return status

    @property
    def summary(self) -> dict[str, Any]:
        try:
            found = json.loads((self.directory / SUMMARY).read_text())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def classes(self) -> tuple[str, ...] | None:
        """The class names that the data had."""
        names = self.summary.get("classes")
        return tuple(names) if isinstance(names, list) else None

    @property
    def metrics(self) -> list[dict[str, Any]]:
        """One object an epoch."""
        try:
            lines = (self.directory / METRICS).read_text().splitlines()
            return [json.loads(line) for line in lines]
        except (OSError, ValueError):
            return []

    def summarize(self, **facts: Any) -> None:
        """Add to summary.json: `status`, `epochs`, `best_epoch`, the `test` part's measures."""
        self._write_json(SUMMARY, {**self.summary, **facts})

    def write_metrics(self, rows: list[dict[str, Any]]) -> None:
        self._write(METRICS, "".join(json.dumps(_finite(row)) + "\n" for row in rows))

    def write_weights(self, weights: dict[str, Tensor], **facts: Any) -> None:
        """The best weights, with the model digest beside them."""
        tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in weights.items()}
        # One key: with several, safetensors writes them in random order.
        facts = {"model": self.plan.digest, **facts}
        self._write(WEIGHTS, save(tensors, {"netspec": json.dumps(facts, sort_keys=True)}))

    def weights(self) -> dict[str, Tensor]:
        """The best weights. Raises InputError where there are none, or not this network's."""
        return read_weights(self.directory / WEIGHTS)

    def write_state(self, state: dict[str, Any]) -> None:
        buffer = BytesIO()
        torch.save(state, buffer)
        self._write(STATE, buffer.getvalue())

    def state(self) -> dict[str, Any]:
        """The last state, from which the run goes on. Raises InputError."""
        path = self.directory / STATE
        try:
            state: Any = torch.load(path, map_location="cpu", weights_only=True)
        except FileNotFoundError:
            raise InputError.of(
                Code.RUN,
                "has no state to go on from: it ended before its first one",
                file=str(self.directory),
            ) from None
        except Exception as error:  # torch.load raises whatever a damaged pickle brings about
            reason = (str(error) or type(error).__name__).splitlines()[0]
            raise InputError.of(Code.RUN, f"cannot be read: {reason}", file=str(path)) from None
        if not isinstance(state, dict):
            raise InputError.of(Code.RUN, "is no state of a run", file=str(path))
        return state

    def _write(self, name: str, content: bytes | str) -> None:
        files.write(self.directory / name, content)

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
    """A .safetensors file's tensors. Raises InputError."""
    try:
        found: dict[str, Tensor] = load_file(path)
    except FileNotFoundError:
        raise InputError.of(Code.RUN, "is not there", file=str(path)) from None
    except (OSError, SafetensorError) as error:
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
