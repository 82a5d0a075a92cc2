"""Random specs as plain data, mostly valid: layers drawn one after another for the shape reached.

A layer that `say` refuses is drawn again, so that nets grow deep; what the law then compares is the
whole spec, through the language, with what torch makes of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from itertools import count
from random import Random
from typing import Any

from netspec.catalogue.component import Refusal
from netspec.catalogue.layers import FAMILIES
from netspec.catalogue.layers.layer import Layer
from netspec.catalogue.layers.structure import Container
from netspec.shapes import AtLeast, Tensor, at, least_values, name, names, numel
from netspec.spec.model import Named
from tests.soundness.cases import Case, Said, drawn, say

Entry = Any
Drawn = tuple[Entry, Tensor]

INPUTS: list[list[int | str]] = [
    [6],
    [9],
    [5, 4],
    [4, 9],
    ["T", 6],
    [3, 8, 8],
    [4, 6, 9],
    [3, "H", "W"],
    [2, "4*H", "4*W"],
    [2, 4, 5, 6],
    [4, "D", 6, 6],
]
TOKENS: list[list[int | str]] = [[6], ["T"], [3, 4]]

LARGEST = 3_000  # elements of one sample
HEAVIEST = 60_000  # parameters of one layer
FARTHEST = 12  # least value of a name
DEEPEST = 3

# Shapes alone are drawn; `Pretrained` is large, and its shape is its author's word.
LEAVES: dict[str, list[Layer]] = {
    family: found
    for family, module in FAMILIES.items()
    if (found := [x for x in module.LAYERS if not isinstance(x, Container) and not x.opaque])
}


def nets(total: int) -> Iterator[dict[str, Any]]:
    """`total` specs, the same on every run."""
    for seed in range(total):
        yield _Writer(Random(seed)).spec()


class _Writer:
    """Writes one spec. Each method returns what it wrote and the shape behind it.

    keep: the shape has to stay as it is.
    """

    def __init__(self, random: Random) -> None:
        self.random = random
        self.blocks: dict[str, Any] = {}
        self.known: list[tuple[Entry, Tensor, Tensor]] = []  # calls of blocks, their input, output
        self.vars: dict[str, int] = {}
        self.numbers = count()
        self.conditions: list[AtLeast] = []

    def spec(self) -> dict[str, Any]:
        random = self.random
        tokens = random.random() < 0.12
        shape = random.choice(TOKENS if tokens else INPUTS)
        dtype = "int64" if tokens else "float32"
        input = Tensor(tuple(map(_dimension, shape)), dtype)
        model, _ = self.layers(input, random.randint(2, 8), 0)
        if random.random() < 0.15:
            model.insert(random.randint(0, len(model)), self.unchecked())
        data: dict[str, Any] = {"netspec": 1, "name": "net"}
        data["input"] = {"shape": shape, "dtype": dtype} if tokens else shape
        if self.vars:
            data["vars"] = self.vars
        if self.blocks:
            data["blocks"] = self.blocks
        return {**data, "model": model}

    def layers(
        self, at: Tensor, length: int, depth: int, keep: bool = False
    ) -> tuple[list[Entry], Tensor]:
        entries = []
        for _ in range(length):
            entry, at = self.entry(at, depth, keep)
            entries.append(entry)
            if self.chance(0.04):
                entries.append({**_mapping(self.unchecked()), "when": "$(1 > 2)"})
        return entries, at

    def entry(self, at: Tensor, depth: int, keep: bool) -> Drawn:
        if depth == DEEPEST or not self.chance(0.35):
            return self.leaf(at, keep)
        kinds: list[Callable[[Tensor, int, bool], Drawn]]
        kinds = [self.sequential, self.residual, self.parallel, self.repeat, self.block]
        entry, output = self.random.choice(kinds)(at, depth + 1, keep)
        if "Repeat" in entry:
            return entry, output
        return self.siblings(entry, output), output

    def leaf(self, at: Tensor, keep: bool) -> Drawn:
        fitting = {
            family: layers
            for family in LEAVES
            if (layers := [layer for layer in LEAVES[family] if _takes(layer, at)])
        }
        for _ in range(60):
            layer = self.random.choice(fitting[self.random.choice(list(fitting))])
            args = self.arguments(layer, at)
            said = say(Case(layer, args, at))
            if isinstance(said, Refusal) or (keep and said.output != at) or not self.fits(said):
                continue
            self.conditions += said.conditions
            if self.chance(0.1):  # what is inferred may be written
                args |= {param: said.args[param] for param in layer.inferred}
            entry = {layer.name: self.lifted(plain(args), self.vars)}
            return self.siblings(entry, said.output), said.output
        return "Identity", at

    def arguments(self, layer: Layer, at: Tensor) -> dict[str, Any]:
        args = drawn(layer, at.shape, self.random)  # type: ignore[arg-type]
        for param in layer.inferred:
            args.pop(param, None)
        # An in-place layer spoils what the backward pass of the one before it may have kept.
        args.pop("inplace", None)
        if args.get("eps") == 0:  # equal values, 0 / 0: engines differ in what they make of it
            del args["eps"]
        if layer.name == "Linear" and len(at.shape) >= 3:
            args["in_features"] = at.shape[-1]
        return args

    def fits(self, said: Said) -> bool:
        """Whether it stays small enough to run in no time."""
        conditions = [*self.conditions, *said.conditions]
        declared = names(said.output.shape) | {n for c in conditions for n in c.dim.names}
        least = least_values(conditions, declared)
        return (
            max(least.values(), default=1) <= FARTHEST
            and at(numel(said.output.shape), least) <= LARGEST
            and sum(map(numel, said.weights.values())) <= HEAVIEST  # type: ignore[operator]
        )

    def unchecked(self) -> Entry:
        """A layer that may fit or not."""
        layer = self.random.choice(LEAVES[self.random.choice(list(LEAVES))])
        args = self.arguments(layer, Tensor((2, 3, 4)))
        if self.chance(0.2):
            args["no_such_parameter"] = 1
        return {layer.name: plain(args)} if args else layer.name

    def siblings(self, entry: dict[str, Any], output: Tensor) -> Entry:
        (written,) = entry.values()
        beside: dict[str, Any] = {}
        if self.chance(0.15):
            beside["name"] = f"n{next(self.numbers)}"
        if self.chance(0.05):
            beside["expect"] = [d if isinstance(d, int) else str(d) for d in output.shape]
        if self.chance(0.03):
            beside["when"] = "$(2 > 1)"
        if self.chance(0.03):
            beside["freeze"] = True
        if not beside and written in ({}, None):
            return next(iter(entry))
        return {**entry, **beside}

    def lifted(self, args: dict[str, Any], scope: dict[str, Any]) -> dict[str, Any]:
        """`args`, sometimes with a number in it moved to a name of `scope`."""
        whole = [key for key, value in args.items() if type(value) is int]
        if not whole or not self.chance(0.15):
            return args
        key, variable = self.random.choice(whole), f"v{next(self.numbers)}"
        if self.chance(0.5):
            scope[variable] = args[key]
            return {**args, key: f"${variable}"}
        scope[variable] = args[key] - 1
        return {**args, key: f"$({variable} + 1)"}

    def sequential(self, at: Tensor, depth: int, keep: bool) -> Drawn:
        body, output = self.layers(at, self.random.randint(0, 3), depth, keep)
        return {"Sequential": body}, output

    def residual(self, at: Tensor, depth: int, keep: bool) -> Drawn:
        body, output = self.layers(at, self.random.randint(1, 3), depth, keep or self.chance(0.6))
        if output.dtype == "int64":  # there is no arithmetic on ids
            return {"Sequential": body}, output
        if output != at:
            return {"Residual": {"body": body, "shortcut": deepcopy(body)}}, output
        shortcut, _ = self.layers(at, self.random.randint(0, 1), depth, keep=True)
        args = {"body": body, "shortcut": shortcut} if shortcut else {"body": body}
        return {"Residual": args}, output

    def parallel(self, at: Tensor, depth: int, keep: bool) -> Drawn:
        random = self.random
        first, output = self.layers(at, random.randint(0, 2), depth, keep or self.chance(0.5))
        branches = [first]
        for _ in range(random.randint(0, 2)):
            more = deepcopy(first)
            branches.append(more + self.layers(output, random.randint(0, 1), depth, keep=True)[0])
        if output.dtype == "float32" and output.shape and self.chance(0.2):
            squeeze = {"Mean": {"dim": random.randint(1, len(output.shape)), "keepdim": True}}
            branches.append([*deepcopy(first), squeeze])
            return {"Parallel": {"branches": branches, "merge": "mul"}}, output
        if keep or not output.shape or self.chance(0.4):
            merge = random.choice(["add", "mul"])
            if output.dtype == "int64":  # there is no arithmetic on ids
                branches = [first]
            return {"Parallel": {"branches": branches, "merge": merge}}, output
        axis = random.randrange(len(output.shape))
        joined = tuple(
            size * len(branches) if each == axis else size for each, size in enumerate(output.shape)
        )
        dim = {"dim": random.choice([axis + 1, axis - len(output.shape)])} if axis else {}
        return {"Parallel": {"branches": branches, **dim}}, Tensor(joined, output.dtype)

    def repeat(self, at: Tensor, depth: int, keep: bool) -> Drawn:
        body, _ = self.layers(at, self.random.randint(1, 2), depth, keep=True)
        index = f"i{next(self.numbers)}"
        _name_by(index, body)
        if self.chance(0.3):
            body.append({**_mapping(self.leaf(at, keep=True)[0]), "when": f"$({index} != 1)"})
            body[-1].pop("name", None)
        if at.dtype == "float32" and self.chance(0.3):
            body.append({"Dropout": {"p": f"$({index} / 10)"}})
        return {"Repeat": {"times": self.random.randint(0, 3), "index": index, "body": body}}, at

    def block(self, at: Tensor, depth: int, keep: bool) -> Drawn:
        """A call of a new block, or of one known to take this input."""
        for call, input, output in self.known:
            if input == at and (output == at or not keep) and self.chance(0.5):
                return deepcopy(call), output
        body, output = self.layers(at, self.random.randint(1, 3), depth, keep)
        params: dict[str, Any] = {}
        for entry in body:
            kind = next(iter(_mapping(entry)))
            if isinstance(entry, dict) and kind not in ("Sequential", "Repeat", *self.blocks):
                entry[kind] = self.lifted(entry[kind] or {}, params)
        block = f"block{next(self.numbers)}"
        given = {param: value for param, value in params.items() if self.chance(0.7)}
        declared = {param: None if param in given else value for param, value in params.items()}
        self.blocks[block] = {"params": declared, "body": body} if params else {"body": body}
        self.known.append(({block: given}, at, output))
        return {block: given}, output

    def chance(self, share: float) -> bool:
        return self.random.random() < share


def _dimension(written: int | str) -> Any:
    if isinstance(written, int):
        return written
    factor, _, variable = written.rpartition("*")
    return name(variable) * int(factor or 1)


def _takes(layer: Layer, input: Tensor) -> bool:
    try:
        layer.check_layout(input)
    except Refusal:
        return False
    return True


def plain(value: Any) -> Any:
    match value:
        case Named():
            return {value.type: plain(value.args)}
        case dict():
            return {key: plain(each) for key, each in value.items()}
    return value


def _mapping(entry: Entry) -> dict[str, Any]:
    return {entry: {}} if isinstance(entry, str) else entry


def _name_by(index: str, body: list[Entry]) -> None:
    """Tell the copies' names apart, also in a Repeat in the body, which is spliced as well."""
    for entry in body:
        if isinstance(entry, dict) and "Repeat" in entry:
            _name_by(index, entry["Repeat"]["body"])
        elif isinstance(entry, dict) and "name" in entry:
            entry["name"] += f"_${index}"
