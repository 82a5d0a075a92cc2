"""Of the random layers that torch runs, how many the static check accepts, and why not the rest.

    python -m benchmarks.agreement [--draws 300]

The soundness tests prove the other direction: whatever the check accepts, torch runs.
"""

import argparse
from collections import Counter

from netspec.catalogue.component import Refusal
from tests.planning.test_shapes_against_torch import DELIBERATE, as_written
from tests.soundness.cases import APPLIED, cases, say
from tests.soundness.oracle import Ran, run

# Not run, and not counted: torch would write out of bounds, and this process would fall.
HARMFUL = "lies wholly in the padding"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=300, help="random cases for each layer")
    drawn = parser.parse_args().draws
    both, families, lowest = 0, Counter[str](), (1.0, "")
    for layer in APPLIED:
        agreed, refused = 0, 0
        for case in cases(layer, drawn, "agreement"):
            said = say(case)
            if not isinstance(said, Refusal):
                agreed += 1  # the soundness tests prove that torch runs it
                continue
            args = None if HARMFUL in said.message else as_written(case)
            if args is not None and isinstance(run(case, args), Ran):
                refused += 1
                families[next(each for each in DELIBERATE if each in said.message)] += 1
        both += agreed
        lowest = min(lowest, (agreed / max(1, agreed + refused), layer.name))
    runs = both + families.total()
    print(f"{len(APPLIED)} layers, {drawn} draws each: torch runs {runs:,}")
    print(f"the static check accepts {both:,} of them, {both / runs:.1%}; the rest, on purpose:")
    for family, count in families.most_common():
        print(f"  {count:6,}  “…{family}…”: {DELIBERATE[family]}")
    print(f"lowest: {lowest[1]}, {lowest[0]:.1%}")


if __name__ == "__main__":
    main()
