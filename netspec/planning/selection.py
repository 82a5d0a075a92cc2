"""Which parameters `init` rules and `freeze` mean."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterator
from fnmatch import translate
from itertools import accumulate

from netspec.catalogue.component import Refusal
from netspec.catalogue.initializers import INITIALIZERS
from netspec.catalogue.layers import LAYERS
from netspec.diagnostics import Code, suggestion
from netspec.planning.plans import Freezing, Initialization, Node
from netspec.planning.refusing import refuse
from netspec.spec.document import Route
from netspec.spec.findings import Findings
from netspec.spec.model import InitRule, Named, Spec


def parameters(root: Node) -> Iterator[tuple[Node, str, str, tuple[int, ...]]]:
    """Node, parameter, its `state_dict` key and its shape."""
    for node in root.walk():
        for name, shape in node.weights.items():
            yield node, name, f"{node.name}.{name}" if node.name else name, shape


MAX_COMPARISONS = 1_000_000
WILD = re.compile(r"[*?\[]")


class Selector:
    """Finds parameters by pattern: CapWords match the layer's class exactly; anything else the key
    or a module above it."""

    def __init__(self, root: Node) -> None:
        self.parameters = tuple(parameters(root))
        self.by_class: dict[str, list[int]] = defaultdict(list)
        self.by_name: dict[str, list[int]] = defaultdict(list)
        self.comparisons = 0
        for index, (node, _, key, _) in enumerate(self.parameters):
            self.by_class[node.type].append(index)
            for name in accumulate(key.split("."), "{}.{}".format):
                self.by_name[name].append(index)

    def find(self, patterns: tuple[str, ...]) -> list[int]:
        """Indices of `parameters`, in their order; `comparisons` counts the work."""
        found: set[int] = set()
        for pattern in patterns:
            if pattern[:1].isupper():
                found.update(self.by_class.get(pattern, ()))
            elif not WILD.search(pattern):
                found.update(self.by_name.get(pattern, ()))
            else:
                match = re.compile(translate(pattern)).match
                self.comparisons += len(self.by_name)
                if self.comparisons > MAX_COMPARISONS:
                    break
                found.update(*(self.by_name[name] for name in filter(match, self.by_name)))
        self.comparisons += len(found)
        return sorted(found)


def plan_initialization(spec: Spec, root: Node, findings: Findings) -> tuple[Initialization, ...]:
    """The winning initializer of each parameter that has one: rules in order, then siblings."""
    found: dict[str, Named] = {}
    selector = Selector(root)
    for rule in spec.init:
        initializers = dict(rule.parameters)
        matched: set[str] = set()
        for index in selector.find(rule.match):
            _, name, key, shape = selector.parameters[index]
            matched.add(name)
            if name in initializers:
                _check_filling(initializers[name], key, shape, findings)
                found[key] = initializers[name]
        if selector.comparisons > MAX_COMPARISONS:
            findings.add(
                Code.LIMIT,
                f"the rules up to here take more than {MAX_COMPARISONS:,} comparisons with "
                f"{len(selector.parameters):,} weights and biases",
                rule.path,
                "write fewer rules, or names without *",
            )
            break
        _check_rule(rule, matched, findings)
    for node in root.walk():
        if node.entry is None:
            continue
        for name, initializer in node.entry.init:
            if name not in node.weights:
                _missing(node, name, (*node.entry.path, "init", name), findings)
                continue
            _check_filling(initializer, f"{node.name}.{name}", node.weights[name], findings)
            found[f"{node.name}.{name}"] = initializer
    return tuple(Initialization(key, named) for key, named in found.items())


def _check_rule(rule: InitRule, matched: set[str], findings: Findings) -> None:
    """A rule must fill something, and what it does not fill must be no slip of the pen."""
    match = ", ".join(rule.match)
    if not matched:
        findings.add(
            Code.INIT,
            f"the rule for {match} matches no layer that learns",
            (*rule.path, "match"),
            "match is a class (Conv2d), or a dotted name of the state_dict with * "
            "(backbone, '*.bias')",
        )
        return
    names = [name for name, _ in rule.parameters]
    for name in names:
        near = suggestion(name, matched)
        if name not in matched and (near or matched.isdisjoint(names)):
            findings.add(
                Code.INIT,
                f"nothing that {match} matches has a parameter '{name}'",
                (*rule.path, name),
                near or f"there are {', '.join(sorted(matched))}",
                key=True,
            )


def _check_filling(
    initializer: Named, key: str, shape: tuple[int, ...], findings: Findings
) -> None:
    entry = INITIALIZERS[initializer.type]
    try:
        entry.check(entry.complete(initializer.args))
    except Refusal as refusal:
        refuse(refusal, initializer, findings, Code.INIT)
    least, most = entry.least_rank, entry.most_rank
    if not least <= len(shape) <= most:
        wanted = (
            f"{least}"
            if least == most
            else f"{least} to {most}"
            if most < 9
            else f"{least} or more"
        )
        findings.add(
            Code.INIT,
            f"{initializer.type} cannot fill {key}: it has {len(shape)} dimension"
            f"{'s' * (len(shape) != 1)}, {list(shape)}",
            initializer.path,
            f"{initializer.type} wants {wanted}",
        )


def _missing(node: Node, name: str, path: Route, findings: Findings) -> None:
    has = ", ".join(node.weights)
    findings.add(
        Code.INIT,
        f"{node.type} has no parameter '{name}' here",
        path,
        lambda: suggestion(name, node.weights) or (f"it has {has}" if has else "it learns nothing"),
        key=True,
    )


def _warn_of_random(node: Node, route: Route, findings: Findings) -> None:
    """What starts at random and never learns, where learned weights could have been asked for."""
    for each in node.walk():
        learned = LAYERS[each.type].learned
        if learned is not None and each.args[learned] is None:
            findings.warn(
                Code.VALUE,
                f"{each.type} is frozen with {learned}: null: it stays as random as it starts",
                route,
                f"name its {learned}, or let it learn",
            )


def plan_freezing(root: Node, findings: Findings) -> tuple[Freezing, ...]:
    found = []
    for node in root.walk():
        if node.entry is None or node.entry.freeze is None:
            continue
        freeze = node.entry.freeze
        for index, name in enumerate(freeze.parameters or ()):
            if name not in node.weights:
                _missing(node, name, (*freeze.path, index), findings)
        if freeze.until is None:
            _warn_of_random(node, freeze.path, findings)
        found.append(Freezing(node.name, freeze.parameters, freeze.until))
    return tuple(found)
