"""`Plan` → one Python file that builds the same module and needs torch alone, beside the packages
of installed layers."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import groupby
from typing import Any

from netspec.catalogue.initializers import INITIALIZERS
from netspec.diagnostics import Code, Diagnostic, SpecError
from netspec.emit import definitions
from netspec.emit.calls import arguments, definition, installed, module, reference
from netspec.emit.layout import INDENT, WIDTH, Brackets, Expression, call, lines, literal
from netspec.emit.repetition import Repeated, repeated
from netspec.planning import Plan
from netspec.shapes import at
from netspec.spec.model import Named
from netspec.version import VERSION


def python(plan: Plan) -> str:
    """A file with `build_model(seed)`: the module tree, `state_dict` keys, outputs and, for the
    same seed, initial weights that `compiler.build` gives.

    Raises SpecError where `init` takes weights from a file.
    """
    _check_weights(plan)
    parts = repeated(plan)
    functions = {key: part.function for key, part in parts.items()}
    code = [
        *(_function(part, functions) for part in parts.values()),
        _build(plan, functions),
        _main(plan),
    ]
    needs = definitions.needs("\n".join(code), installed(plan.root))
    head = [
        _docstring(plan, needs.packages),
        definitions.statements(needs.imports),
        f"SEED = {plan.spec.seed}",
    ]
    texts = ["\n\n".join(head), *(each.text for each in needs.definitions), *code]
    return "\n\n\n".join(texts) + "\n"


def _check_weights(plan: Plan) -> None:
    found = [
        Diagnostic(
            Code.EXPORT,
            f"{each.key} is filled from a file, and source code can't hold its values",
            plan.spec.document.place(each.initializer.path),
            "leave this init out, and load the weights with load_state_dict",
        )
        for each in plan.initialization
        if not INITIALIZERS[each.initializer.type].target
    ]
    if found:
        raise SpecError(found)


def _docstring(plan: Plan, packages: list[str]) -> str:
    """Names the spec, what the file needs, the plan's digest and its shapes."""
    title = f"{plan.name}: {plan.spec.description}" if plan.spec.description else plan.name
    needed = " and ".join(packages) if len(packages) > 1 else f"{packages[0]} alone"
    least = "".join(f", {name} ≥ {value}" for name, value in plan.least.items())
    facts = [
        f"input:      {plan.input}{least}",
        f"output:     {plan.output}",
        f"parameters: {plan.parameters:,}{'+?' * plan.root.opaque}",
        f"digest:     {plan.digest}",
    ]
    if steps := _preprocessing(plan):
        facts.append(f"not here:   the spec's preprocessing, {steps}")
    paragraphs = [
        _wrapped(title, '"""'),
        _wrapped(f"Written by netspec {VERSION}; needs {needed}. Shapes leave the batch out."),
        "\n".join(_wrapped(fact, subsequent=" " * 12) for fact in facts),
    ]
    return "\n\n".join(paragraphs) + '\n"""'


def _preprocessing(plan: Plan) -> str:
    if plan.pipeline is None:
        return ""
    scaling = ["scaling to [0, 1]"] if plan.pipeline.images else []
    steps = [*plan.pipeline.evaluate, *plan.pipeline.preprocess]
    return ", ".join([*scaling, *(step.type for step in steps)])


def _wrapped(text: str, first: str = "", subsequent: str = "") -> str:
    """Prose inside a docstring."""
    escaped = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    return textwrap.fill(
        escaped,
        WIDTH,
        initial_indent=first,
        subsequent_indent=subsequent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _function(part: Repeated, functions: Mapping[str, str]) -> str:
    body = lines(definition(part.node, functions), "return ", depth=1)
    return "\n".join([f"def {part.function}() -> nn.Module:", *body])


def _build(plan: Plan, functions: Mapping[str, str]) -> str:
    rows = [
        "def build_model(seed: int = SEED) -> nn.Sequential:",
        f'{INDENT}"""The network as `seed` makes it; the global random state is left alone."""',
        f"{INDENT}with torch.random.fork_rng(devices=[]):",
        f"{INDENT * 2}torch.default_generator.manual_seed(seed)",
        *lines(module(plan.root, functions), "model = ", depth=2),
        *_initialization(plan),
        *_freezing(plan),
        f"{INDENT}return model",
    ]
    return "\n".join(rows)


def _initialization(plan: Plan) -> Iterator[str]:
    """The calls in their order, on which the weights depend; neighbours alike share a loop."""
    by_module = [
        (name, [(each.key.rpartition(".")[2], each.initializer) for each in group])
        for name, group in groupby(plan.initialization, lambda each: each.key.rpartition(".")[0])
    ]
    for _, group in groupby(by_module, lambda pair: [_spoken(*each) for each in pair[1]]):
        alike = list(group)
        names, fillings = [name for name, _ in alike], alike[0][1]
        if len(names) == 1:
            for parameter, initializer in fillings:
                filled = call("model.get_parameter", literal(f"{names[0]}.{parameter}"))
                yield from lines(_filling(filled, initializer), depth=2)
        elif len(fillings) == 1:
            ((parameter, initializer),) = fillings
            yield from _loop([f"{name}.{parameter}" for name in names], depth=2)
            filled = call("model.get_parameter", "name")
            yield from lines(_filling(filled, initializer), depth=3)
        else:
            yield from _loop(names, depth=2)
            yield f"{INDENT * 3}layer = model.get_submodule(name)"
            for parameter, initializer in fillings:
                filled = call("layer.get_parameter", literal(parameter))
                yield from lines(_filling(filled, initializer), depth=3)


def _spoken(parameter: str, initializer: Named) -> tuple[str, str, dict[str, Any]]:
    return parameter, initializer.type, dict(initializer.args)


def _filling(parameter: Expression, initializer: Named) -> Brackets:
    entry = INITIALIZERS[initializer.type]
    _, named = arguments(entry, initializer.args)
    return call(reference(entry), parameter, **named)


def _loop(names: list[str], depth: int) -> list[str]:
    return lines(literal(names), "for name in ", ":", depth)


def _freezing(plan: Plan) -> Iterator[str]:
    for each in plan.freezing:
        if each.until is not None:
            yield f"{INDENT}# The spec lets it learn from epoch {each.until} (from 0) on."
        if each.parameters is None:
            frozen = [call("model.get_submodule", literal(each.module))]
        else:
            keys = (f"{each.module}.{name}" for name in each.parameters)
            frozen = [call("model.get_parameter", literal(key)) for key in keys]
        for one in frozen:
            yield from lines(replace(one, closing=").requires_grad_(False)"), depth=1)


def _main(plan: Plan) -> str:
    """Prints the network and what it makes of a batch of two; a named dimension is least there."""
    sizes = [literal(size) for size in (2, *(at(dim, plan.least) for dim in plan.input.shape))]
    batch = (
        call("torch.rand", *sizes)
        if plan.input.dtype == "float32"
        else call("torch.zeros", *sizes, dtype=f"torch.{plan.input.dtype}")
    )
    rows = [
        'if __name__ == "__main__":',
        f"{INDENT}network = build_model().eval()",
        *lines(batch, "batch = ", depth=1),
        f"{INDENT}print(network)",
        f'{INDENT}print(list(batch.shape), "→", list(network(batch).shape))',
    ]
    return "\n".join(rows)
