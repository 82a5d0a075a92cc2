"""`specs/mnist_mlp.yaml` on MNIST over several seeds, against ten seeds of the plain PyTorch loop.

    python benchmarks/mnist_mlp.py MNIST_ROOT [--seeds 5]

Prints the mean test loss after each epoch and how many of the reference's standard deviations it
lies from the reference's mean; exits with 1 where that is more than 1.5.
"""

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

import netspec

# Ten seeds of the tutorial's loop on CPU, torch's default initialisation, file order.
REFERENCE = [
    (2.25573, 0.0061),
    (2.18847, 0.0105),
    (2.07395, 0.0190),
    (1.87759, 0.0315),
    (1.58546, 0.0413),
]
SPEC = Path(__file__).parent.parent / "specs" / "mnist_mlp.yaml"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("root", help="folder that holds MNIST/raw, as torchvision lays it out")
    parser.add_argument("--seeds", type=int, default=5)
    arguments = parser.parse_args()
    runs = []
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(arguments.seeds):
            settings = {"data.source": {"MNIST": {"root": arguments.root}}, "train.seed": seed}
            runs.append(netspec.train(netspec.load(SPEC, settings), device="cpu", root=folder))
        rows = [run.metrics for run in runs]
    print("epoch  test loss        reference        deviations  accuracy")
    worst = 0.0
    for epoch, (mean, deviation) in enumerate(REFERENCE):
        losses = [row[epoch]["test_loss"] for row in rows]
        accuracy = statistics.fmean(row[epoch]["test_accuracy"] for row in rows)
        found = statistics.fmean(losses)
        away = (found - mean) / deviation
        worst = max(worst, abs(away))
        spread = statistics.stdev(losses) if len(losses) > 1 else 0.0
        print(
            f"{epoch + 1:5}  {found:.5f} ± {spread:.4f}  {mean:.5f} ± {deviation:.4f}  "
            f"{away:+10.2f}  {accuracy:.3f}"
        )
    sys.exit(worst > 1.5)


if __name__ == "__main__":
    main()
