"""The functions behind the commands; `netspec` itself offers them by name.

Each loads what it needs when it is called: to check a spec needs no torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn

    from netspec.data.dataset import PartName
    from netspec.data.summary import Summary
    from netspec.diagnostics import Diagnostic
    from netspec.export.writing import Export
    from netspec.planning import Plan
    from netspec.runtime.prediction import Prediction
    from netspec.runtime.samples import Inputs, Refuse
    from netspec.runtime.verification import Verification
    from netspec.spec.model import Spec
    from netspec.training.evaluation import Evaluation
    from netspec.training.listening import Listener
    from netspec.training.run import Run


def check(
    path: str | Path, overrides: Mapping[str, Any] | None = None
) -> tuple[Plan | None, list[Diagnostic]]:
    """A spec file's plan, None where its shapes cannot be known, and every finding from its text
    to its shapes. `overrides`: as of `load`. Imports no torch."""
    from netspec import planning
    from netspec.diagnostics import SpecError
    from netspec.spec import loading

    settings = {key: loading.repr_yaml(value) for key, value in (overrides or {}).items()}
    try:
        spec, findings = loading.interpret(
            loading.document(Path(path), settings), Path(path).parent
        )
    except SpecError as error:
        return None, list(error.diagnostics)
    plan = planning.check(spec, findings) if spec else None
    if plan:
        planning.check_tensor_files(plan, findings)
    return plan, findings.sorted()


def build(spec: Spec) -> nn.Sequential:
    """The spec's plain `nn.Sequential`, initialised with `train.seed` and the `init` rules.

    Raises SpecError with every finding.
    """
    from netspec import compiler
    from netspec.planning import make_plan

    return compiler.build(make_plan(spec))


def emit(spec: Spec, form: str) -> str:
    """The network as `python`, `json`, `yaml` or `mermaid`. Imports no torch. Raises SpecError."""
    from netspec.emit import FORMATS
    from netspec.planning import make_plan

    return FORMATS[form](make_plan(spec))


def inspect_data(
    spec: Spec,
    *,
    part: PartName | None = None,
    preview: str | Path | None = None,
    seed: int | None = None,
    epoch: int = 0,
) -> Summary:
    """What a spec's data are: samples, classes, sizes, and the numbers that the network gets; of
    all parts, or of one.

    preview: an image file to write, a contact sheet of that part's samples, by default the training
    part's, augmented as in this epoch; `seed` (default: the run's) draws them. Raises SpecError,
    InputError, SetupError.
    """
    from netspec.data.loading import load
    from netspec.data.summary import summarize
    from netspec.planning import make_plan

    plan = make_plan(spec)
    if preview is None:
        return summarize(plan, load(plan), part)
    from netspec.data import preview as sheet

    path, draw = Path(preview), plan.spec.seed if seed is None else seed
    sheet.check(plan, path)
    dataset = load(plan)
    found = summarize(plan, dataset, part)
    sheet.write(plan, dataset, path, part or "train", seed=draw, epoch=epoch)
    return found


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
    from netspec.planning import make_plan
    from netspec.training import devices, loop

    return loop.train(
        make_plan(spec),
        device=devices.find(device),
        root=Path(root),
        listener=listener,
        resume=resume,
    )


def evaluate(
    target: Run | str | Path,
    *,
    part: PartName | None = None,
    spec: Spec | None = None,
    device: str | None = None,
) -> Evaluation:
    """A run's loss and metrics, or a model file's metrics, on a part of the data: by default test,
    else validation, else train.

    spec: where a model file's data lie, which it does not keep. device: `cpu` or `cuda:N`; None:
    for a run the GPU if there is one, for a file the CPU. Raises SpecError, InputError, SetupError.
    """
    from netspec.training.run import Run

    if isinstance(target, str | Path) and Path(target).is_dir():
        target = Run.open(Path(target))
    if isinstance(target, Run):
        from netspec.training import devices, evaluation

        return evaluation.evaluate(target, part, devices.find(device))
    from netspec.export.evaluation import evaluate_file
    from netspec.runtime import Session

    return evaluate_file(Session(target, device or "cpu"), spec, part)


def finished_run(spec: Spec, root: str | Path = "runs") -> Run:
    """The newest finished run of the spec's name. Raises InputError."""
    from netspec.export import choosing

    return choosing.finished(spec, Path(root))


def export_onnx(
    source: Spec | Run,
    path: str | Path,
    *,
    weights: Mapping[str, Tensor] | str | Path | None = None,
    spec: Spec | None = None,
) -> Export:
    """Write a run, or a spec's network, as one ONNX file, proved against torch before it is kept.

    weights: a state_dict or a .safetensors file; None: a run's best, a spec's as initialised.
    spec: with a run, the spec whose `export` is followed; its network has to be the run's.
    Raises SpecError, InputError.
    """
    from netspec import compiler
    from netspec.data.loading import load
    from netspec.export import choosing, graph, writing
    from netspec.planning import make_plan
    from netspec.training.run import Run, load_weights
    from netspec.training.weights import weights_for, weights_of

    origin, classes, statistics, rows = "weights", None, None, None
    warnings: tuple[Diagnostic, ...] = ()
    if isinstance(source, Run):
        plan, classes, statistics = source.plan, source.classes, source.statistics
        rows = source.rows
        if spec is not None:
            plan, warnings = choosing.follow(source, spec)
    else:
        plan = make_plan(source)
    warnings = (*warnings, *plan.warnings)
    writing.check(plan)
    if isinstance(weights, str | Path):
        weights, origin = weights_for(plan, Path(weights)), str(weights)
    elif weights is None and isinstance(source, Run):
        weights, origin = weights_of(source), str(source.directory)
    model = compiler.build(plan, initialize=weights is None)
    if weights is not None:
        load_weights(model, weights, origin)
    if statistics is None and graph.learns(plan):
        statistics = load(plan, download=False).statistics
    made = writing.write(plan, model, Path(path), classes, statistics, rows)
    return replace(made, warnings=tuple(dict.fromkeys((*warnings, *made.warnings))))


def predict(
    model: str | Path,
    inputs: Inputs,
    *,
    top: int = 5,
    device: str = "cpu",
    refuse: Refuse | None = None,
) -> Iterator[Prediction]:
    """A model file's predictions, in order; `refuse` gets an InputError about each input that is
    wrong, which is raised without it. Imports no torch."""
    from netspec.runtime import Session, samples
    from netspec.runtime.prediction import predictions

    return predictions(Session(model, device), inputs, top, refuse or samples.stop)


def verify(model: str | Path, *, device: str = "cpu") -> Verification:
    """A model file proved by its own test vectors. Imports no torch. Raises InputError."""
    from netspec.runtime import Session
    from netspec.runtime.verification import verify

    return verify(Session(model, device))


def schema() -> str:
    """The JSON Schema of specs, as text."""
    from netspec.spec.schema import schema_text

    return schema_text()
