"""Recurrent layers over sequences [T, features], batch first.

They compile to thin subclasses of torch's own (same `state_dict` keys) that return one tensor.
"""

from typing import Any

from netspec.catalogue.component import Param, Refusal
from netspec.catalogue.layers.layer import Call, Layer, Weights, features, inferred, volume
from netspec.catalogue.types import (
    BOOLEAN,
    DEPTH,
    NATURAL,
    POSITIVE,
    PROBABILITY,
    Choice,
    JsonSchema,
)
from netspec.shapes import Dim, Shape


class _BatchFirst:
    """`true`; `false` is refused with the reason."""

    expected = "true: netspec's sequences are batch first, [N, T, features]"

    def accepts(self, value: object) -> bool:
        return value is True

    def core(self) -> JsonSchema:
        return {"const": True}


BATCH_FIRST = Param("batch_first", _BatchFirst(), True, "always true")


def _outputs(call: Call) -> int:
    """The size of one direction's output."""
    return int(call.args.get("proj_size") or call["hidden_size"])


def _directions(call: Call) -> int:
    return 2 if call["bidirectional"] else 1


def _shape(call: Call) -> Shape:
    if call["dropout"] and call["num_layers"] == 1:
        raise Refusal(
            "dropout acts between layers, and there is one",
            "raise num_layers, or add a Dropout layer after it",
            "dropout",
        )
    if call.args.get("proj_size", 0) >= call["hidden_size"]:
        raise Refusal("proj_size must be smaller than hidden_size", param="proj_size")
    width = _directions(call) * _outputs(call)
    return (call.shape[0], width) if call["output"] == "sequence" else (width,)


def _weights(gates: int) -> Any:
    def weights(call: Call) -> Weights:
        found: Weights = {}
        rows = gates * call["hidden_size"]
        for layer in range(call["num_layers"]):
            width = call["input_size"] if layer == 0 else _directions(call) * _outputs(call)
            for suffix in ("", "_reverse")[: _directions(call)]:
                end = f"l{layer}{suffix}"
                found[f"weight_ih_{end}"] = (rows, width)
                found[f"weight_hh_{end}"] = (rows, _outputs(call))
                if call["bias"]:
                    found |= {f"bias_ih_{end}": (rows,), f"bias_hh_{end}": (rows,)}
                if call.args.get("proj_size"):
                    found[f"weight_hr_{end}"] = (call["proj_size"], call["hidden_size"])
        return found

    return weights


def _recurrent(name: str, gates: int, *own: Param) -> Layer:
    weights = _weights(gates)

    def macs(call: Call) -> Dim:
        matrices = (shape for key, shape in weights(call).items() if key.startswith("weight"))
        return call.shape[0] * sum(volume(shape) for shape in matrices)

    def exportable(call: Call) -> None:
        if name == "RNN" and not isinstance(call.shape[0], int):
            raise Refusal(
                f"over the named dimension {call.shape[0]} it cannot be exported to ONNX",
                "declare the dimension as a number, or use GRU or LSTM",
            )
        if call.args.get("proj_size"):
            raise Refusal(
                "proj_size cannot be exported to ONNX",
                "leave it out, and put `Linear` behind the layer",
                "proj_size",
            )

    def exported_since(call: Call) -> str | None:
        """Older ones fix the length to the example's."""
        return None if isinstance(call.shape[0], int) else "2.13"

    nonlinearity = [param for param in own if param.name == "nonlinearity"]
    projection = [param for param in own if param.name == "proj_size"]
    return Layer(
        name=name,
        target=f"netspec.modules:{name}",
        doc=f"{name} over a sequence [T, features]",
        layouts=("T, features",),
        params=(
            inferred("input_size", POSITIVE),
            Param("hidden_size", POSITIVE),
            Param("num_layers", DEPTH, 1),
            *nonlinearity,
            Param("bias", BOOLEAN, True),
            BATCH_FIRST,
            Param("dropout", PROBABILITY, 0.0, "between layers"),
            Param("bidirectional", BOOLEAN, False),
            *projection,
            Param(
                "output",
                Choice("sequence", "last"),
                "sequence",
                "`last`: the last layer's final hidden state, directions concatenated",
            ),
        ),
        inferred={"input_size": features},
        output=_shape,
        weights=weights,
        macs=macs,
        exportable=exportable,
        exported_since=exported_since,
    )


def _cell(name: str, gates: int, *own: Param) -> Layer:
    def weights(call: Call) -> Weights:
        rows = gates * call["hidden_size"]
        found: Weights = {
            "weight_ih": (rows, call["input_size"]),
            "weight_hh": (rows, call["hidden_size"]),
        }
        return found | ({"bias_ih": (rows,), "bias_hh": (rows,)} if call["bias"] else {})

    return Layer(
        name=name,
        doc="one step from a zero state",
        layouts=("features",),
        params=(
            inferred("input_size", POSITIVE),
            Param("hidden_size", POSITIVE),
            Param("bias", BOOLEAN, True),
            *own,
        ),
        inferred={"input_size": features},
        output=lambda call: (call["hidden_size"],),
        weights=weights,
        macs=lambda call: volume(weights(call)["weight_ih"]) + volume(weights(call)["weight_hh"]),
    )


NONLINEARITY = Param("nonlinearity", Choice("tanh", "relu"), "tanh")

LAYERS = [
    _recurrent("RNN", 1, NONLINEARITY),
    _recurrent("LSTM", 4, Param("proj_size", NATURAL, 0)),
    _recurrent("GRU", 3),
    _cell("RNNCell", 1, NONLINEARITY),
    _cell("GRUCell", 3),
]
