"""The data's way to the network against the tutorial's, side by side in one run.

    python benchmarks/data.py [--seconds 4] [--photos 400]

For `mnist_mlp`, `cifar_quick` with crop and flip, and a folder of 500×375 JPEGs that is made for
it: images a second of the pipeline alone, and samples a second of training. The tutorial's way is a
transform for each sample inside a DataLoader; `one tensor` is a loop by hand over slices of floats
that lie ready. The ways take turns, and each one's best turn counts; only ratios hold elsewhere.
"""

import argparse
import os
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

import netspec
from netspec.compiler import build
from netspec.data.batches import Batches
from netspec.data.caching import keep
from netspec.data.dataset import Part
from netspec.data.loading import load
from netspec.planning import Plan, make_plan

SPECS = Path(__file__).parent.parent / "specs"
CPU = torch.device("cpu")
TURN = 0.5  # seconds: short, so that some find the machine quiet
PHOTOS = """
netspec: 1
name: photos
input: [3, 224, 224]
model:
  - Pretrained: {model: resnet18, weights: null, until: avgpool}
    expect: [512, 1, 1]
  - Flatten
  - Linear: {out_features: 2}
data:
  source: {ImageFolder: {root: %s}}
  augment: [RandomResizedCrop: {size: 224}, RandomHorizontalFlip]
  evaluate: [Resize: {size: 256}, CenterCrop: {size: 224}]
  preprocess: [Normalize: {mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225]}]
  cache: %s
  workers: %s
train: {epochs: 1, loss: CrossEntropyLoss, optimizer: {SGD: {lr: 0.01}}}
"""

Pairs = Iterable[tuple[Tensor, Tensor]]
Epoch = Callable[[int], Pairs]


class Transformed(Dataset[Any]):
    """Images [N, H, W, C] as the tutorial's data sets give them: through Pillow, one by one."""

    def __init__(self, pixels: np.ndarray[Any, Any], labels: Tensor, transform: Any) -> None:
        self.pixels, self.labels, self.transform = pixels, labels.tolist(), transform

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        return self.transform(Image.fromarray(self.pixels[index])), self.labels[index]


def ours(plan: Plan, part: Part, batch_size: int, *, shuffle: bool) -> Epoch:
    batches = Batches(plan, part, CPU, batch_size=batch_size, training=True, shuffle=shuffle)
    return lambda epoch: ((each.inputs, each.targets) for each in batches.epoch(epoch))


def tutorial(data: Dataset[Any], batch_size: int, *, shuffle: bool, workers: int = 0) -> Epoch:
    loader = DataLoader(
        data, batch_size, shuffle=shuffle, num_workers=workers, persistent_workers=workers > 0
    )
    return lambda epoch: loader


def limited(pairs: Pairs, seconds: float) -> Iterator[tuple[Tensor, Tensor]]:
    """As many as come in about that time."""
    end = time.perf_counter() + seconds
    for pair in pairs:
        yield pair
        if time.perf_counter() > end:
            return


def rate(epoch: Epoch, seconds: float, step: Callable[[Tensor, Tensor], None] | None) -> float:
    """Samples a second."""
    count, began = 0, time.perf_counter()
    for number in range(1000):
        for inputs, targets in limited(epoch(number), began + seconds - time.perf_counter()):
            if step is not None:
                step(inputs, targets)
            count += len(targets)
        if time.perf_counter() - began >= seconds:
            break
    return count / (time.perf_counter() - began)


def stepping(plan: Plan) -> Callable[[Tensor, Tensor], None]:
    model = build(plan).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)

    def step(inputs: Tensor, targets: Tensor) -> None:
        loss = nn.functional.cross_entropy(model(inputs), targets)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    return step


def compare(title: str, plan: Plan, ways: dict[str, Epoch], seconds: float) -> None:
    """A table of the ways; the first is what the ratios are to."""
    step = stepping(plan)
    best: dict[tuple[str, bool], float] = {}
    batch, alone = next(iter(next(iter(ways.values()))(0))), 0.0
    for _ in range(max(1, round(seconds / TURN))):
        for trained in (False, True):
            for name, epoch in ways.items():
                found = rate(epoch, TURN, step if trained else None)
                best[name, trained] = max(found, best.get((name, trained), 0.0))
        alone = max(alone, rate(lambda _: repeat(batch), TURN, step))
    first = next(iter(ways))
    print(f"\n{title}: the step alone {alone:,.0f} samples/s")
    print(f"{'way':<28}{'pipeline/s':>12}{'ratio':>8}{'training/s':>12}{'ratio':>8}{'share':>8}")
    for name in ways:
        data, training = best[name, False], best[name, True]
        # Of a step with its data, by what each takes alone.
        share = (1 / data) / (1 / data + 1 / alone)
        print(
            f"{name:<28}{data:>12,.0f}{data / best[first, False]:>8.2f}{training:>12,.0f}"
            f"{training / best[first, True]:>8.2f}{share:>8.1%}"
        )


def mnist(seconds: float) -> None:
    plan = make_plan(netspec.load(SPECS / "mnist_mlp.yaml"))
    pixels = torch.randint(0, 256, (60_000, 1, 28, 28), dtype=torch.uint8)
    labels = torch.randint(0, 10, (60_000,))
    floats = pixels.to(torch.float32) / 255
    transform = v2.Compose([v2.ToImage(), v2.ToDtype(torch.float32, scale=True)])
    data = Transformed(pixels.squeeze(1).numpy(), labels, transform)
    ways = {
        "tutorial": tutorial(data, 64, shuffle=False),
        "one tensor": lambda epoch: zip(floats.split(64), labels.split(64), strict=True),
        "netspec": ours(plan, Part(pixels, labels), 64, shuffle=False),
    }
    compare("mnist_mlp", plan, ways, seconds)


def cifar(seconds: float) -> None:
    plan = make_plan(netspec.load(SPECS / "cifar_quick.yaml"))
    pixels = torch.randint(0, 256, (50_000, 3, 32, 32), dtype=torch.uint8)
    labels = torch.randint(0, 10, (50_000,))
    assert plan.pipeline is not None
    (normalize,) = plan.pipeline.preprocess
    transform = v2.Compose(
        [
            v2.RandomCrop(32, padding=4),
            v2.RandomHorizontalFlip(),
            v2.ToImage(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(**normalize.args),
        ]
    )
    data = Transformed(pixels.permute(0, 2, 3, 1).contiguous().numpy(), labels, transform)
    ways = {
        "tutorial": tutorial(data, 64, shuffle=True),
        "tutorial, 2 workers": tutorial(data, 64, shuffle=True, workers=2),
        "netspec": ours(plan, Part(pixels, labels), 64, shuffle=True),
    }
    compare("cifar_quick, crop and flip", plan, ways, seconds)


def photos(seconds: float, count: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        random = np.random.default_rng(0)
        for index in range(count):
            path = Path(folder) / "photos" / "ab"[index % 2] / f"{index}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            coarse = Image.fromarray(random.integers(0, 256, (48, 64, 3), np.uint8))
            coarse.resize((500, 375), Image.Resampling.BICUBIC).save(path, quality=90)
        root = f"{folder}/photos"
        os.environ["NETSPEC_CACHE"] = f"{folder}/cache"
        streamed = make_plan(netspec.loads(PHOTOS % (root, "none", 0)))
        part = load(streamed).parts["train"]
        began = time.perf_counter()
        list(map(part.inputs.__getitem__, range(min(100, count))))
        alone = min(100, count) / (time.perf_counter() - began)
        ways: dict[str, Epoch] = {}
        transform = v2.Compose(
            [
                v2.RandomResizedCrop(224),
                v2.RandomHorizontalFlip(),
                v2.ToImage(),
                v2.ToDtype(torch.float32, scale=True),
                v2.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
            ]
        )
        data = ImageFolder(root, transform)
        ways["tutorial"] = tutorial(data, 32, shuffle=True)
        ways["tutorial, 2 workers"] = tutorial(data, 32, shuffle=True, workers=2)
        for cache in ("memory", "disk", "none"):
            plan = make_plan(netspec.loads(PHOTOS % (root, cache, 0)))
            dataset = load(plan)
            began = time.perf_counter()
            kept = keep(plan, dataset).parts["train"]
            taken = time.perf_counter() - began
            if cache != "none":
                print(
                    f"\nphotographs into {cache}: {count / taken:,.0f}/s, "
                    f"{count / taken / alone:.2f} of one thread that decodes alone"
                )
            ways[f"netspec, {cache}"] = ours(plan, kept, 32, shuffle=True)
        reading = make_plan(netspec.loads(PHOTOS % (root, "none", 2)))
        kept = keep(reading, load(reading)).parts["train"]
        ways["netspec, none, 2 workers"] = ours(reading, kept, 32, shuffle=True)
        compare("photographs of 500×375", streamed, ways, seconds)


def load_now() -> str:
    return f"load {os.getloadavg()[0]:.1f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=6, help="for each way and figure")
    parser.add_argument("--photos", type=int, default=400)
    arguments = parser.parse_args()
    print(
        f"{os.cpu_count()} cores, {torch.get_num_threads()} threads, load {os.getloadavg()[0]:.1f}"
    )
    mnist(arguments.seconds)
    cifar(arguments.seconds)
    photos(arguments.seconds, arguments.photos)
    print(f"\n{load_now()}")


if __name__ == "__main__":
    main()
