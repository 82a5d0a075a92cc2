"""`netspec evaluate`: a run's or a model file's metrics on a part of the data."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from netspec.cli.options import device_option

if TYPE_CHECKING:
    from netspec.data.dataset import Dataset, PartName
    from netspec.training.metrics import Measures

PARTS: tuple[PartName, ...] = ("test", "validation", "train")


@click.command()
@click.argument("target", metavar="RUN|MODEL.onnx", type=click.Path(path_type=Path))
@click.option("--part", type=click.Choice(PARTS), help="Default: test, else validation.")
@click.option(
    "--spec",
    type=click.Path(path_type=Path),
    help="Where a model file's data are described, which does not keep their paths.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@device_option
def command(
    target: Path, part: PartName | None, spec: Path | None, as_json: bool, device: str | None
) -> None:
    """Measure a run, or an exported model, on a part of the data."""
    from netspec.cli.console import say, say_json
    from netspec.cli.progress import shown

    if target.is_dir():
        used, found = _run(target, part, device)
    else:
        used, found = _model(target, part, spec, device)
    if as_json:
        say_json({"part": used, **found})
    else:
        say(f"{used} part: " + "  ".join(shown(name, value) for name, value in found.items()))


def _run(target: Path, part: PartName | None, device: str | None) -> tuple[PartName, Measures]:
    from netspec import compiler
    from netspec.catalogue.losses import LOSSES
    from netspec.data.loading import load
    from netspec.training import devices
    from netspec.training.loop import measure
    from netspec.training.metrics import metrics_of
    from netspec.training.optimization import make_loss
    from netspec.training.run import Run, load_weights

    run, chosen = Run.open(target), devices.find(device)
    plan = run.plan
    assert plan.training is not None
    dataset = load(plan)
    model = compiler.build(plan, initialize=False)
    load_weights(model, run.weights(), str(target))
    loss = make_loss(plan.training.loss).to(chosen)
    probabilities = LOSSES[plan.training.loss.type].probabilities
    metrics = metrics_of(plan.training.metrics, probabilities=probabilities, ignored=loss.ignored)
    used = _part(dataset, part, target)
    return used, measure(plan, model.to(chosen), dataset, used, chosen, loss, metrics)


def _model(
    target: Path, part: PartName | None, spec: Path | None, device: str | None
) -> tuple[PartName, Measures]:
    from netspec.data.loading import load as load_data
    from netspec.export.evaluation import evaluate
    from netspec.planning import make_plan
    from netspec.runtime import Session
    from netspec.spec.loading import load, loads

    session = Session(target, device or "cpu")
    made = make_plan(load(spec) if spec else loads(session.metadata.spec, f"{target} (its spec)"))
    dataset = load_data(made, download=spec is not None)
    used = _part(dataset, part, target)
    return used, evaluate(made, session, dataset, used)


def _part(dataset: Dataset, part: PartName | None, target: Path) -> PartName:
    from netspec.diagnostics import Code, InputError

    wanted = next(each for each in PARTS if each in dataset.parts) if part is None else part
    if wanted not in dataset.parts:
        raise InputError.of(
            Code.DATA,
            f"the data have no {wanted} part, but {', '.join(dataset.parts)}",
            file=str(target),
        )
    return wanted
