"""What netspec costs, as ratios measured side by side in one run.

    python benchmarks/speed.py

- `validate` as a whole process, against a Python that only imports yaml, jsonschema and click, and
  against one that imports torch;
- the check of 1,000 and 10,000 written layers, against reading their YAML with positions plus one
  pass of the schema;
- `build` of ResNet-50, against constructing the same modules from the Python that netspec emits.

Each figure is the median of several interleaved runs.
"""

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from netspec.planning import check
from netspec.spec import checking
from netspec.spec.findings import Findings
from netspec.spec.loading import interpret
from netspec.spec.reading import parse

ROOT = Path(__file__).parent.parent
SPEC = ROOT / "specs" / "cifar_quick.yaml"


def interleaved(runs: int, *actions: Callable[[], object]) -> list[float]:
    """The median seconds of each action, the actions run in turn."""
    for action in actions:
        action()
    seconds: list[list[float]] = [[] for _ in actions]
    for _ in range(runs):
        for found, action in zip(seconds, actions, strict=True):
            began = time.perf_counter()
            action()
            found.append(time.perf_counter() - began)
    return [statistics.median(each) for each in seconds]


def python(code: str, *arguments: str) -> Callable[[], object]:
    # A user's installation has its bytecode cached.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    command = [sys.executable, "-c", code, *arguments]
    return lambda: subprocess.run(command, check=True, capture_output=True, env=environment)


def processes() -> None:
    validate = python("from netspec.cli import main; main()", "validate", str(SPEC))
    ours, imports, torch = interleaved(
        21, validate, python("import yaml, jsonschema, click"), python("import torch")
    )
    print(f"validate / import yaml, jsonschema, click   {ours / imports:6.2f}  ({ours:.3f} s)")
    print(f"import torch / validate                     {torch / ours:6.2f}  ({torch:.3f} s)")


def written(layers: int) -> str:
    pair = "  - Conv2d: {out_channels: 8, kernel_size: 3, padding: 1}\n  - ReLU\n"
    return f"netspec: 1\ninput: [3, 8, 8]\nmodel:\n{pair * (layers // 2)}"


def large() -> None:
    whole = {}
    for layers in (1_000, 10_000):
        text = written(layers)

        def everything(text: str = text) -> None:
            spec, findings = interpret(parse(text), ROOT)
            assert spec is not None and check(spec, findings) is not None

        def reading(text: str = text) -> None:
            checking.check(Findings(parse(text)))

        whole[layers], floor = interleaved(7, everything, reading)
        ratio = whole[layers] / floor
        print(
            f"check of {layers:6,} layers / reading + schema {ratio:6.2f}  ({whole[layers]:.3f} s)"
        )
    growth = whole[10_000] / whole[1_000]
    print(f"10,000 layers / 1,000 layers                {growth:6.2f}")


def building() -> None:
    import netspec
    from netspec import compiler, emit

    made = netspec.plan(netspec.load(ROOT / "specs" / "zoo" / "resnet50.yaml"))
    by_hand: dict[str, Callable[[], object]] = {}
    exec(compile(emit.python(made), "emitted", "exec"), by_hand)
    ours, hand = interleaved(9, lambda: compiler.build(made), by_hand["build_model"])
    print(f"build of ResNet-50 / the same by hand       {ours / hand:6.2f}  ({ours:.3f} s)")


if __name__ == "__main__":
    print(f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores")
    processes()
    large()
    building()
