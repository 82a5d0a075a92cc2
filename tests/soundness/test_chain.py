"""What was trained is what is exported is what is measured.

Random small specs are trained, measured as a run, exported, and measured again as a file; what the
file predicts is scored by hand. Between training and export a spec is edited: the edit is refused,
followed or said.
"""

from __future__ import annotations

import copy
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest
import torch

import netspec
from netspec import api
from netspec.data.loading import load as load_data
from netspec.data.preprocessing import Preprocessing
from netspec.diagnostics import InputError
from netspec.planning import make_plan
from netspec.runtime import Session
from netspec.spec.writing import to_yaml

Plain = dict[str, Any]

# The engines' outputs differ by rounding. A mean of errors moves by no more than they do, relative
# to its size; a share moves by whole samples, of those whose scores lie so near a boundary that
# rounding decides. Such samples are counted and allowed for; no other may change sides.
NEAR = 1e-3
ROUNDING = 1e-3


@pytest.fixture(scope="module")
def chains(request: pytest.FixtureRequest) -> int:
    found: int = request.config.getoption("--chains")
    return found


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    np.savez(
        tmp_path / "table.npz",
        inputs=random.normal(size=(90, 6)).astype(np.float32),
        classes=random.integers(0, 3, 90),
        labels=random.integers(0, 2, (90, 3)).astype(np.float32),
        values=random.normal(size=(90, 3)).astype(np.float32),
    )
    return tmp_path


def test_what_was_trained_is_what_is_exported_is_what_is_measured(chains: int) -> None:
    random, said = Random("chains"), Counter[str]()
    for number in range(chains):
        data = _spec(random, number)
        try:
            _follow(data, random, said)
        except (AssertionError, netspec.NetspecError) as error:
            error.add_note(to_yaml(data))
            raise
        said[_task(data)] += 1
    print(f"\n{chains} chains:", ", ".join(f"{n} {what}" for what, n in sorted(said.items())))
    assert said["refused"] and said["followed"] and said["said"]


def _follow(data: Plain, random: Random, said: Counter[str]) -> None:
    path = Path(f"{data['name']}.yaml")
    path.write_text(to_yaml(data))
    spec = netspec.load(path)
    run = netspec.train(spec, device="cpu")
    by_run = netspec.evaluate(run, device="cpu")
    export = netspec.export_onnx(api.finished_run(spec), f"{data['name']}.onnx", spec=spec)
    by_file = netspec.evaluate(export.path, spec=spec)
    assert by_file.part == by_run.part == "test"
    assert by_run.measures == pytest.approx(run.summary["test"])

    by_hand, near = _score(spec, export.path)
    for name, measured in by_file.measures.items():
        allowed = near if name == "accuracy" else ROUNDING * max(1.0, abs(measured))
        assert measured == pytest.approx(by_run.measures[name], abs=allowed + 1e-6), name
        assert measured == pytest.approx(by_hand[name], abs=allowed + 1e-6), name

    for _ in range(2):
        _edit(data, random, said, Session(export.path))


def _score(spec: netspec.Spec, path: Path) -> tuple[dict[str, float], float]:
    """Accuracy, or the mean absolute error, of what the file predicts for the test part, and the
    share of scores that rounding could carry over a boundary."""
    plan = make_plan(spec)
    part, session = load_data(plan).parts["test"], Session(path)
    samples = [part.inputs[i] for i in range(len(part))]
    if session.metadata.input.kind == "images":  # channels last
        outputs = session.predict([np.asarray(each.permute(1, 2, 0)) for each in samples])
    else:
        if plan.pipeline is not None and plan.pipeline.raw is not None:
            samples = list(Preprocessing(plan.pipeline)(torch.stack(samples)))
        outputs = session.predict([each.numpy() for each in samples])
    got, wanted = torch.from_numpy(outputs), part.labels
    if not wanted.is_floating_point():
        best = got.topk(2, dim=1).values
        near = ((best[:, 0] - best[:, 1]).abs() < NEAR).float().mean()
        return {"accuracy": float((got.argmax(1) == wanted).float().mean())}, float(near)
    assert spec.train is not None
    if spec.train.loss.type == "MSELoss":
        return {"mae": float((got - wanted).abs().mean())}, 0.0
    middle = 0.5 if session.metadata.output.activation == "sigmoid" else 0.0
    near = ((got - middle).abs() < NEAR).float().mean()
    return {"accuracy": float(((got > middle) == (wanted > 0.5)).float().mean())}, float(near)


def _edit(data: Plain, random: Random, said: Counter[str], exported: Session) -> None:
    """One edit between training and export."""
    kinds = set(EDITS)
    if "preprocess" not in data["data"]:
        kinds.remove("normalisation")
    if _task(data) == "regression":  # whose outputs take no activation
        kinds.remove("output")
    kind = random.choice(sorted(kinds))
    edited = copy.deepcopy(data)
    EDITS[kind](edited)
    path = Path(f"{data['name']}.yaml")
    path.write_text(to_yaml(edited))
    spec = netspec.load(path)
    run = api.finished_run(spec)
    said[f"edits of {kind}"] += 1
    target = Path(f"{data['name']}-edited.onnx")
    target.unlink(missing_ok=True)
    if kind in NETWORK:
        with pytest.raises(InputError, match="is of another network"):
            netspec.export_onnx(run, target, spec=spec)
        assert not target.exists()
        said["refused"] += 1
        return
    made = netspec.export_onnx(run, target, spec=spec)
    session = Session(made.path)
    assert session.metadata.digest == exported.metadata.digest
    if kind == "output":
        assert session.metadata.output.activation == spec.onnx.output
        assert exported.metadata.output.activation != spec.onnx.output
        said["followed"] += 1
        return
    assert session.metadata.spec == exported.metadata.spec  # it says what was trained
    assert any("with other settings" in each.message for each in made.warnings), kind
    said["said"] += 1


def _activation(data: Plain) -> None:
    at = next(i for i, each in enumerate(data["model"]) if each in ACTIVATIONS)
    data["model"][at] = ACTIVATIONS[ACTIVATIONS.index(data["model"][at]) - 1]


def _width(data: Plain) -> None:
    first = next(each for each in data["model"] if isinstance(each, dict) and "Linear" in each)
    first["Linear"]["out_features"] += 1


def _normalisation(data: Plain) -> None:
    data["data"]["preprocess"][-1]["Normalize"]["mean"] = [0.125]


def _output(data: Plain) -> None:
    onnx = data["export"]["onnx"]
    if onnx.pop("output", "none") == "none":
        onnx["output"] = "softmax" if _task(data) == "classes" else "sigmoid"


def _loss(data: Plain) -> None:
    if _task(data) == "classes":
        data["train"]["loss"] = {"CrossEntropyLoss": {"label_smoothing": 0.25}}
    elif _task(data) == "multi-label":
        data["train"]["loss"] = {"BCEWithLogitsLoss": {"pos_weight": [2.0, 1.0, 1.0]}}
    else:
        data["train"]["loss"] = {"MSELoss": {"reduction": "sum"}}


def _rate(data: Plain) -> None:
    data["train"]["optimizer"] = {"SGD": {"lr": 0.0625}}


def _seed(data: Plain) -> None:
    data["train"]["seed"] += 1


def _share(data: Plain) -> None:
    data["data"]["split"]["validation"] = 0.3


ACTIVATIONS = ["ReLU", "Tanh", "GELU", "SiLU"]
EDITS = {
    "activation": _activation,
    "width": _width,
    "normalisation": _normalisation,
    "output": _output,
    "loss": _loss,
    "learning rate": _rate,
    "seed": _seed,
    "split": _share,
}
NETWORK = ("activation", "width", "normalisation")


def _task(data: Plain) -> str:
    loss = data["train"]["loss"]
    name = loss if isinstance(loss, str) else next(iter(loss))
    return {"CrossEntropyLoss": "classes", "BCEWithLogitsLoss": "multi-label"}.get(
        name, "regression"
    )


def _spec(random: Random, number: int) -> Plain:
    """A small network on digits, noise or a table, with an equal chance for each."""
    source = random.choice(["Digits", "Synthetic", "Tensors"])
    task = "classes" if source == "Digits" else random.choice(["classes", "multi-label", "values"])
    outputs = 10 if source == "Digits" else 3
    model: list[Any] = []
    data: Plain = {"split": {"validation": 0.2, "test": 0.2}}
    onnx: Plain = {}
    if source == "Digits":
        data |= _images(random, onnx)
        side = data.pop("side")
        shape = [1, side, side]
        if random.random() < 0.5:
            model += [{"Conv2d": {"out_channels": 4, "kernel_size": 3}}]
            model += ["BatchNorm2d"] * (random.random() < 0.5)
        model.append("Flatten")
    else:
        shape = [6]
        data["source"] = _table(task) if source == "Tensors" else _noise(task)
    model.append({"Linear": {"out_features": random.randint(4, 9)}})
    model += ["BatchNorm1d"] * (random.random() < 0.5)
    model.append(random.choice(ACTIVATIONS))
    if random.random() < 0.5:
        model.append({"Dropout": {"p": 0.25}})
    model.append({"Linear": {"out_features": outputs}})
    loss = {"classes": "CrossEntropyLoss", "multi-label": "BCEWithLogitsLoss", "values": "MSELoss"}
    fits = {"classes": "softmax", "multi-label": "sigmoid", "values": "none"}[task]
    if fits != "none" and random.random() < 0.5:
        onnx["output"] = fits
    return {
        "netspec": 1,
        "name": f"chain{number}",
        "input": shape,
        "model": model,
        "data": data,
        "train": {
            "epochs": 1,
            "batch_size": random.choice([16, 33]),
            "seed": random.randint(0, 9),
            "loss": loss[task],
            "optimizer": {"SGD": {"lr": 0.1}},
            "metrics": ["mae" if task == "values" else "accuracy"],
        },
        "export": {"onnx": onnx},
    }


def _images(random: Random, onnx: Plain) -> Plain:
    """Digits as they are, or prepared; `side`: of what the network takes."""
    found: Plain = {"source": "Digits", "side": 8, "split": {"validation": 0.2}}
    if random.random() < 0.4:
        found["side"] = random.choice([6, 12])
        resize = {"Resize": {"size": [found["side"]] * 2}}
        found |= {"augment": [resize], "evaluate": [resize]}
    if random.random() < 0.6:
        found["preprocess"] = [{"Normalize": {"mean": [0.305], "std": [0.376]}}]
    if random.random() < 0.3:
        onnx["preprocess"] = False
    return found


def _noise(task: str) -> Plain:
    targets: dict[str, Plain] = {
        "classes": {"classes": 3},
        "multi-label": {"targets": [3], "binary": True},
        "values": {"targets": [3]},
    }
    return {"Synthetic": {"samples": 90, **targets[task]}}


def _table(task: str) -> Plain:
    name = {"classes": "classes", "multi-label": "labels", "values": "values"}[task]
    return {"Tensors": {"path": "table.npz", "targets": name}}
