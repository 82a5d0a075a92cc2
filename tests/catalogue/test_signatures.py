"""Every entry against the signature of the class that it names."""

from __future__ import annotations

import importlib
import inspect
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from netspec.catalogue.component import Component
from netspec.catalogue.initializers import INITIALIZERS
from netspec.catalogue.layers import LAYERS
from netspec.catalogue.layers.layer import Layer
from netspec.catalogue.layers.structure import Container
from netspec.catalogue.losses import LOSSES
from netspec.catalogue.optimizers import OPTIMIZERS
from netspec.catalogue.schedulers import SCHEDULERS, Scheduler
from netspec.catalogue.sources import SOURCES, Fetched
from netspec.catalogue.transforms import TRANSFORMS

ENTRIES = [
    entry
    for table in (LAYERS, LOSSES, OPTIMIZERS, SCHEDULERS, TRANSFORMS, INITIALIZERS, SOURCES)
    for entry in table.values()
    if entry.target and not isinstance(entry, Container) and "netspec.data" not in entry.target
]
WRAPPED = (
    "RNN",
    "LSTM",
    "GRU",
    "MultiheadAttention",
    "TransformerEncoderLayer",
    "TransformerEncoder",
)

# Parameters of torch's that no entry offers, whatever its class.
NEVER = {
    "self": "not written by anybody",
    "device": "chosen on the command line",
    "dtype": "float32 in the spec; `train.precision` and `export` change it",
    "size_average": "deprecated for `reduction`",
    "reduce": "deprecated for `reduction`",
    "last_epoch": "the loop's own",
    "optimizer": "made by `train.optimizer`",
    "params": "the network's",
    "tensor": "the parameter that an initializer fills",
    "generator": "seeded by `train.seed`",
    "return_indices": "the layer would return two tensors",
}

# The rest of the differences: (entry or family, parameter) → why.
UNOFFERED = {
    ("Embedding", "_weight"): "private; `init` fills weights",
    ("Embedding", "_freeze"): "private; `freeze` does it",
    ("EmbeddingBag", "_weight"): "private; `init` fills weights",
    ("EmbeddingBag", "include_last_offset"): "a sample is one bag and has no offsets",
    ("SyncBatchNorm", "process_group"): "the default one",
    ("FractionalMaxPool2d", "_random_samples"): "private",
    ("FractionalMaxPool3d", "_random_samples"): "private",
    ("Hardtanh", "min_value"): "deprecated for `min_val`",
    ("Hardtanh", "max_value"): "deprecated for `max_val`",
    ("TransformerEncoder", "enable_nested_tensor"): "it is about padding masks",
    ("TransformerEncoder", "mask_check"): "it is about padding masks",
    ("MultiheadAttention", "kdim"): "in self-attention it is the input's",
    ("MultiheadAttention", "vdim"): "in self-attention it is the input's",
    ("optimizer", "capturable"): "the loop's business",
    ("optimizer", "differentiable"): "for meta-learning, which the loop does not do",
    ("CyclicLR", "scale_fn"): "a function; `mode` and `scale_mode` choose among torch's",
    ("RandomErasing", "inplace"): "the batch is netspec's own",
    ("Normalize", "inplace"): "the batch is netspec's own",
    ("MixUp", "labels_getter"): "netspec knows where the targets are",
    ("CutMix", "labels_getter"): "netspec knows where the targets are",
}
DEFAULTS = {
    ("SEMEION", "download"): "nothing is fetched unasked",
    ("RNN", "batch_first"): "netspec's sequences are batch first",
    ("LSTM", "batch_first"): "netspec's sequences are batch first",
    ("GRU", "batch_first"): "netspec's sequences are batch first",
    ("MultiheadAttention", "batch_first"): "netspec's sequences are batch first",
    ("TransformerEncoderLayer", "batch_first"): "netspec's sequences are batch first",
    ("TransformerEncoderLayer", "activation"): "a function there, its name here",
    ("KLDivLoss", "reduction"): "torch warns of its mean, which is not the divergence",
    ("Pretrained", "weights"): "the layer is there for its weights; null has to be written",
    ("SqueezeExcitation", "activation"): "a class there, its name here",
    ("SqueezeExcitation", "scale_activation"): "a class there, its name here",
    ("Softmin", "dim"): "torch warns of its None, so it has to be written",
    ("Softmax", "dim"): "torch warns of its None, so it has to be written",
    ("LogSoftmax", "dim"): "torch warns of its None, so it has to be written",
}
ADDED = {
    ("EMNIST", "download"): "one of its **kwargs",
    ("QMNIST", "download"): "one of its **kwargs",
    ("MultiheadAttention", "is_causal"): "torch takes it, with a mask, when called",
    ("TransformerEncoder", "is_causal"): "torch takes it, with a mask, when called",
    ("TransformerEncoderLayer", "is_causal"): "torch takes it, with a mask, when called",
    ("RNN", "output"): "one tensor has to come out",
    ("LSTM", "output"): "one tensor has to come out",
    ("GRU", "output"): "one tensor has to come out",
}


def find(entry: Component) -> Any:
    module, _, attribute = entry.target.partition(":")
    if entry.name in WRAPPED:
        module = "torch.nn"
    return getattr(importlib.import_module(module), attribute)


def signature(found: Callable[..., Any]) -> dict[str, Any]:
    """The parameters and their defaults; `inspect.Parameter.empty` where one is required."""
    init = found.__init__ if inspect.isclass(found) else found
    overloads = typing.get_overloads(init)  # RNN, LSTM and GRU say `*args` otherwise
    parameters = inspect.signature(overloads[0] if overloads else found).parameters
    return {
        name: parameter.default
        for name, parameter in parameters.items()
        if parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
    }


def offered(entry: Component) -> dict[str, Any]:
    required = inspect.Parameter.empty
    return {param.name: required if param.required else param.default for param in entry.params}


def kinds(entry: Component) -> Iterator[str]:
    yield entry.name
    tables: dict[str, Mapping[str, Component]] = {
        "optimizer": OPTIMIZERS,
        "transform": TRANSFORMS,
    }
    for kind, table in tables.items():
        if entry.name in table:
            yield kind


def plain(value: Any) -> Any:
    """A default as YAML could say it: an enumeration by its value, a list as a tuple."""
    return tuple(value) if isinstance(value, list) else getattr(value, "value", value)


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{type(entry).__name__}-{entry.name}")
def test_the_entry_has_its_class_s_signature(entry: Component) -> None:
    real, ours = signature(find(entry)), offered(entry)
    names = list(kinds(entry))

    hidden = {name for name in real if name in NEVER or any((k, name) in UNOFFERED for k in names)}
    hidden |= entry.withheld.keys() if isinstance(entry, Fetched) else set()
    added = {name for k, name in ADDED if k == entry.name}
    lacking = {param.name for param in entry.params if param.recent} - set(real)
    assert set(real) - hidden == set(ours) - added - hidden - lacking

    for name in set(ours) & set(real):
        if (entry.name, name) not in DEFAULTS:
            assert plain(ours[name]) == plain(real[name]), f"{entry.name}.{name}"


def test_recorded_differences_are_differences() -> None:
    by_name = {name: entry for entry in ENTRIES for name in kinds(entry)}
    for name, param in UNOFFERED:
        assert param not in offered(by_name[name]), f"{name}.{param} is offered"
    for name, param in DEFAULTS:
        assert offered(by_name[name])[param] != signature(find(by_name[name]))[param]
    for name, param in ADDED:
        assert param not in signature(find(by_name[name]))


def test_what_is_withheld_is_a_parameter_of_the_class() -> None:
    layers = [layer for layer in LAYERS.values() if isinstance(layer, Layer)]
    for layer in layers:
        for name in layer.withheld:
            assert name in signature(find(layer)), f"{layer.name}.{name}"
            assert layer.param(name) is None, f"{layer.name} offers and withholds {name}"


def test_the_run_s_length_is_a_parameter_of_the_scheduler() -> None:
    for scheduler in SCHEDULERS.values():
        assert isinstance(scheduler, Scheduler)
        assert scheduler.length is None or scheduler.length in signature(find(scheduler))
