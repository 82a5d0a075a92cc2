"""Cache files: found again, trusted only where they are whole and of these images."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from PIL import Image
from torch import Tensor

from netspec.data import caching
from netspec.data.caching import Decoded, keep
from netspec.data.dataset import Dataset, Part, Pictures, Subset
from netspec.data.loading import load
from netspec.data.reading.masks import MaskFiles
from netspec.diagnostics import InputError, SetupError, Severity, SpecError
from tests.data.pictures import masked, photos, planned

RESIZE = {"evaluate": [{"Resize": {"size": [8, 8]}}]}
SIZES = [(20, 30), (31, 17), (20, 20), (9, 12), (25, 25), (40, 30)]

WRITER = """
import sys
from pathlib import Path
from netspec.data.caching import keep
from netspec.data.loading import load
from netspec.data.reading.masks import MaskFiles
from tests.data.pictures import planned

plan = planned(Path(sys.argv[1]), [3, 8, 8], cache="disk", evaluate=[{"Resize": {"size": [8, 8]}}])
dataset = load(plan)
print("ready", flush=True)
sys.stdin.readline()
keep(plan, dataset)
print("done", flush=True)
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "cache"
    monkeypatch.setenv("NETSPEC_CACHE", str(folder))
    return folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    photos(tmp_path / "photos", SIZES)
    # So that their times are settled: what has just been written is hashed again.
    for path in (tmp_path / "photos").rglob("*.*"):
        os.utime(path, (1_700_000_000, 1_700_000_000))
    return tmp_path / "photos"


@pytest.fixture
def settled(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if all had been written long ago: a file's time of change cannot be set."""
    monkeypatch.setattr(caching, "SETTLED", -(10**12))


def kept(root: Path, cache: str = "disk", **data: Any) -> Dataset:
    plan = planned(root, [3, 8, 8], **RESIZE, **data, cache=cache)
    return keep(plan, load(plan))


def pixels(part: Part) -> list[Tensor]:
    assert isinstance(part.inputs, Pictures)
    return [part.inputs[index] for index in range(len(part))]


def equal(one: list[Tensor], other: list[Tensor]) -> bool:
    return all(torch.equal(x, y) for x, y in zip(one, other, strict=True))


def decoded(root: Path) -> list[Tensor]:
    plan = planned(root, [3, 8, 8], **RESIZE)
    return pixels(load(plan).parts["train"])


def the_file(cache: Path) -> Path:
    (path,) = cache.iterdir()
    return path


def count_decoding(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Grows by one for each image that is decoded for a cache."""
    found: list[int] = []
    whole = caching._pixels

    def counted(pictures: Pictures, index: int) -> Any:
        found.append(index)
        return whole(pictures, index)

    monkeypatch.setattr(caching, "_pixels", counted)
    return found


@pytest.mark.parametrize("cache_", ["auto", "memory", "disk", "none"])
def test_what_is_kept_is_what_was_decoded(root: Path, cache: Path, cache_: str) -> None:
    dataset = kept(root, cache_)
    assert equal(pixels(dataset.parts["train"]), decoded(root))
    assert isinstance(dataset.parts["train"].inputs, Decoded) == (cache_ != "none")
    assert cache.exists() == (cache_ == "disk")
    # A run goes on whatever the cache.
    assert dataset.fingerprint == load(planned(root, [3, 8, 8], **RESIZE)).fingerprint
    assert dataset.warnings == ()


def test_a_cache_file_is_found_again(
    root: Path, monkeypatch: pytest.MonkeyPatch, settled: None
) -> None:
    first = pixels(kept(root).parts["train"])
    seen = count_decoding(monkeypatch)
    hashed: list[Any] = []
    monkeypatch.setattr(caching, "_sha256", hashed.append)
    assert equal(pixels(kept(root).parts["train"]), first)
    assert (seen, hashed) == ([], [])


def test_what_was_just_written_is_hashed_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept(root)
    seen, hashed, whole = count_decoding(monkeypatch), list[Any](), caching._sha256

    def counted(extent: Any) -> Any:
        hashed.append(extent)
        return whole(extent)

    monkeypatch.setattr(caching, "_sha256", counted)
    kept(root)
    assert (len(seen), len(hashed)) == (0, len(SIZES))


def test_parts_of_any_split_share_one_file(root: Path, cache: Path) -> None:
    for seed in (0, 1):
        dataset = kept(root, split={"validation": 0.34, "seed": seed})
        for part in dataset.parts.values():
            assert isinstance(part.inputs, Subset) and isinstance(part.inputs.whole, Decoded)
        plan = planned(root, [3, 8, 8], **RESIZE, split={"validation": 0.34, "seed": seed})
        for name, part in load(plan).parts.items():
            assert equal(pixels(part), pixels(dataset.parts[name]))
    the_file(cache)


def test_touched_images_are_hashed_and_changed_ones_decoded_again(
    root: Path, monkeypatch: pytest.MonkeyPatch, settled: None
) -> None:
    kept(root)
    seen = count_decoding(monkeypatch)
    path = sorted((root / "a").iterdir())[0]
    os.utime(path, (1_600_000_000, 1_600_000_000))
    kept(root)
    assert not seen
    with Image.open(path) as image:
        other = image.transpose(Image.Transpose.ROTATE_180)
    other.save(path)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    assert equal(pixels(kept(root).parts["train"]), decoded(root))
    assert len(seen) == len(SIZES)


def test_a_changed_image_of_the_same_size_and_time_is_noticed(root: Path, settled: None) -> None:
    """By its time of change, which nobody can set."""
    first = sorted((root / "a").iterdir())[0]
    for value in (10, 200):
        Image.new("L", (8, 8), value).save(first, format="BMP")
        os.utime(first, (1_700_000_000, 1_700_000_000))
        assert pixels(kept(root).parts["train"])[0].unique().tolist() == [value]


@pytest.mark.parametrize("damage", ["empty", "cut", "longer", "footer", "record", "other", "text"])
def test_a_damaged_or_foreign_file_is_made_anew(
    root: Path, cache: Path, damage: str, tmp_path: Path
) -> None:
    kept(root)
    path = the_file(cache)
    intact = path.read_bytes()
    content = bytearray(intact)
    if damage == "footer":
        content[-100] ^= 1
    elif damage == "record":
        content[-caching.FOOTER.itemsize - 60] ^= 1
    elif damage == "other":  # of other images
        photos(tmp_path / "others", SIZES[::-1], seed=5)
        kept(tmp_path / "others")
        (other,) = set(cache.iterdir()) - {path}
        content = bytearray(other.read_bytes())
    made = {"empty": b"", "cut": intact[:-50], "longer": intact + b"\0", "text": b"x" * 5000}
    path.write_bytes(made.get(damage, bytes(content)))
    assert equal(pixels(kept(root).parts["train"]), decoded(root))
    assert path.read_bytes()[:1000] == intact[:1000] and len(path.read_bytes()) == len(intact)


def test_a_cache_may_be_removed_while_it_is_used(root: Path, cache: Path) -> None:
    dataset = kept(root)
    the_file(cache).unlink()
    cache.rmdir()
    assert equal(pixels(dataset.parts["train"]), decoded(root))
    assert equal(pixels(kept(root).parts["train"]), decoded(root))


def started(root: Path) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(root)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stdout.readline() == "ready\n"
    return process


def begin(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def test_a_killed_writer_leaves_no_cache_or_a_good_one(
    tmp_path: Path, cache: Path, request: pytest.FixtureRequest
) -> None:
    root, random = tmp_path / "photos", Random("kills")
    photos(root, [(300, 400)] * 120)
    whole = decoded(root)
    with started(root) as process:
        began = time.perf_counter()
        begin(process)
        assert process.stdout is not None and process.stdout.readline() == "done\n"
        lasts = time.perf_counter() - began
    left = gone = 0
    for _ in range(request.config.getoption("--kills")):
        the_file(cache).unlink()
        with started(root) as process:
            begin(process)
            time.sleep(random.uniform(0, 1.2 * lasts))
            process.kill()
        left += any(each.suffix == ".images" for each in cache.iterdir())
        gone += any(each.suffix != ".images" for each in cache.iterdir())
        assert equal(pixels(kept(root).parts["train"]), whole)
        the_file(cache)  # what the killed one was writing is swept
    print(f"\nof the killed {left} had written a cache, {gone} left an unfinished one")


def test_two_writers_at_once(tmp_path: Path, cache: Path) -> None:
    root = tmp_path / "photos"
    photos(root, [(300, 400)] * 20)
    both = [started(root) for _ in range(2)]
    for each in both:
        begin(each)
    assert [each.communicate()[0] for each in both] == ["done\n", "done\n"]
    the_file(cache)
    assert equal(pixels(kept(root).parts["train"]), decoded(root))


# Where there is no room


def test_a_folder_that_cannot_be_written(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NETSPEC_CACHE", str(root / "a" / "file"))
    (root / "a" / "file").write_text("no folder")
    with pytest.raises(SetupError, match="the cache folder cannot be used"):
        kept(root, "disk")
    monkeypatch.setattr(caching, "memory", lambda: 1000)
    dataset = kept(root, "auto")
    assert equal(pixels(dataset.parts["train"]), decoded(root))
    (warning,) = dataset.warnings
    assert warning.message.startswith("images are decoded anew in each epoch: the cache folder")
    assert warning.severity is Severity.WARNING


def test_auto_takes_the_disk_where_memory_is_short(
    root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caching, "memory", lambda: 10_000)
    assert isinstance(kept(root, "auto").parts["train"].inputs, Decoded)
    the_file(cache)
    with pytest.raises(SpecError, match=r"the decoded images take 0\.0 GiB") as caught:
        kept(root, "memory")
    assert caught.value.diagnostics[0].place.line is not None


def test_a_full_disk(root: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def usage(path: Path) -> Any:
        return type("Usage", (), {"free": 100})

    monkeypatch.setattr("shutil.disk_usage", usage)
    with pytest.raises(SetupError, match="and the disk has"):
        kept(root, "disk")
    assert not list(cache.iterdir())


# Damaged images


def broken(root: Path) -> Path:
    """An image whose middle is damaged, which its header does not tell."""
    path = root / "a" / "broken.png"
    pixels_ = torch.randint(0, 256, (40, 40, 3), dtype=torch.uint8)
    Image.fromarray(pixels_.numpy()).save(path)
    content = path.read_bytes()
    path.write_bytes(content[:2000] + bytes(100) + content[2100:])
    return path


@pytest.mark.parametrize("cache_", ["memory", "disk", "none"])
def test_damaged_images_are_left_out_where_the_spec_says_so(root: Path, cache_: str) -> None:
    whole = decoded(root)
    path = broken(root)
    dataset = kept(root, cache_, on_error="skip")
    part = dataset.parts["train"]
    assert (len(part.inputs), len(part)) == (len(whole), len(whole))
    assert equal(pixels(part), whole)
    (warning,) = dataset.warnings
    assert (warning.place.file, warning.severity) == (str(path), Severity.WARNING)
    assert warning.message.startswith("is left out: the image is damaged or cut off")


@pytest.mark.parametrize("cache_", ["memory", "disk"])
def test_all_damaged_images_are_named_before_the_first_step(root: Path, cache_: str) -> None:
    path = broken(root)
    other = path.with_name("other.png")
    other.write_bytes(path.read_bytes())
    for _ in range(2):  # from a cache file too, which is good
        with pytest.raises(InputError) as caught:
            kept(root, cache_)
        assert [each.place.file for each in caught.value.diagnostics] == [str(path), str(other)]


def test_a_part_without_an_image_left_is_refused(root: Path) -> None:
    path = broken(root)
    for each in root.rglob("*.*"):
        if each != path:
            each.write_bytes(path.read_bytes())
    with pytest.raises(InputError, match="damaged"):
        kept(root, "memory", on_error="skip")


def test_images_and_masks_are_kept_apart(root: Path, cache: Path) -> None:
    plan = planned(root, [3, 8, 8], **RESIZE, cache="disk")
    dataset = masked(plan)
    part = keep(plan, dataset).parts["train"]
    assert len(list(cache.iterdir())) == 2
    assert isinstance(part.targets, Decoded)
    for index in range(len(part)):
        assert part.targets[index].shape[1:] == part.inputs[index].shape[1:]
        assert torch.equal(part.targets[index], dataset.parts["train"].targets[index])


@dataclass(frozen=True, eq=False)
class Renumbered(MaskFiles):
    """`classes`: the class of each value that the files have, uint8 [256]."""

    classes: Tensor

    def __getitem__(self, index: int) -> Tensor:
        return self.classes[super().__getitem__(index).long()]

    @property
    def manner(self) -> bytes:
        return super().manner + self.classes.numpy().tobytes()


def test_masks_whose_values_mean_other_classes_have_another_file(
    root: Path, cache: Path, tmp_path: Path
) -> None:
    plan = planned(root, [3, 8, 8], **RESIZE, cache="disk")
    dataset = load(plan)
    paths = [tmp_path / f"{value}.png" for value in (3, 5)]
    for value, path in zip((3, 5), paths, strict=True):
        Image.new("L", (8, 9), value).save(path)
    for count, shift in enumerate((0, 1), start=1):
        classes = torch.arange(256).add(shift).remainder(256).to(torch.uint8)
        masks = MaskFiles(paths, tmp_path, classes)
        part = Part(torch.zeros(len(masks), 3), masks)
        kept_ = keep(plan, Dataset({"train": part}, dataset.target)).parts["train"].targets
        assert all(torch.equal(kept_[index], masks[index]) for index in range(len(masks)))
        assert len(list(cache.iterdir())) == count


def test_images_of_one_size_are_gathered_at_once(tmp_path: Path) -> None:
    photos(tmp_path / "photos", [(12, 16)] * 6)
    part = kept(tmp_path / "photos", split={"validation": 0.34}).parts["train"]
    rows, _ = part.gather(torch.tensor([2, 0]))
    assert isinstance(rows, Tensor)
    assert equal(list(rows), [part.inputs[2], part.inputs[0]])
