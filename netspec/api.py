"""The functions behind the commands; `netspec` itself offers them by name."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from netspec import compiler
from netspec.planning import make_plan
from netspec.spec.model import Spec
from netspec.training import devices, loop
from netspec.training.listening import Listener
from netspec.training.run import Run, load_weights, read_weights

if TYPE_CHECKING:
    from torch import Tensor, nn

    from netspec.export.writing import Export


def build(spec: Spec) -> nn.Sequential:
    """The spec's plain `nn.Sequential`, initialised with `train.seed` and the `init` rules.

    Raises SpecError with every finding.
    """
    return compiler.build(make_plan(spec))


def train(
    spec: Spec,
    *,
    device: str | None = None,
    root: str | Path = "runs",
    listener: Listener | None = None,
    resume: Run | None = None,
) -> Run:
    """Train into a new run directory `root/NAME/DATE-TIME/`, or go on with the run `resume`.

    device: `cpu` or `cuda:N`; None: the GPU if there is one. Raises SpecError, SetupError, and
    `netspec.training.interruption.Interrupted` on Ctrl-C, after what was reached is saved.
    """
    return loop.train(
        make_plan(spec),
        device=devices.find(device),
        root=Path(root),
        listener=listener,
        resume=resume,
    )


def export_onnx(
    source: Spec | Run,
    path: str | Path,
    *,
    weights: Mapping[str, Tensor] | str | Path | None = None,
) -> Export:
    """Write a run's best weights, or a spec's network with `weights`, as one ONNX file, proved
    against torch before it is kept.

    weights: a state_dict or a .safetensors file; None: as initialised. Raises SpecError,
    InputError.
    """
    from netspec.export import writing

    made = source.plan if isinstance(source, Run) else make_plan(source)
    origin = "weights"
    if isinstance(source, Run):
        weights, origin = source.weights(), str(source.directory)
    elif isinstance(weights, str | Path):
        weights, origin = read_weights(Path(weights)), str(weights)
    model = compiler.build(made, initialize=weights is None)
    if weights is not None:
        load_weights(model, weights, origin)
    classes = source.classes if isinstance(source, Run) else None
    return writing.write(made, model, Path(path), classes)
