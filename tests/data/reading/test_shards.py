"""`WebDataset`: what its library groups, read where it lies; damage and code are refused."""

from __future__ import annotations

import io
import os
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import netspec
from netspec.catalogue.sources import Classes
from netspec.data.batches import Batches
from netspec.data.caching import keep
from netspec.data.dataset import Dataset, Part, Pictures
from netspec.data.loading import load
from netspec.diagnostics import InputError, NetspecError, SpecError
from netspec.planning import Plan, make_plan
from netspec.spec.loading import loads

pytest.importorskip("webdataset")

SPEC = """\
netspec: 1
name: shards
input: [3, 8, 8]
model: [Flatten, Linear: {out_features: 3}]
data:
  source:
    WebDataset: {urls: 'URLS', classes: [a, b, c]MORE}
  split: SPLIT
  on_error: ERROR
  evaluate: [Resize: {size: [8, 8]}]
train: {epochs: 2, batch_size: 8, loss: CrossEntropyLoss, optimizer: SGD, metrics: [accuracy]}
"""
Members = list[tuple[str, bytes]]


def planned(urls: object, split: str = "{}", more: str = "", error: str = "raise") -> Plan:
    text = SPEC.replace("URLS", str(urls)).replace("SPLIT", split).replace("MORE", more)
    return make_plan(loads(text.replace("ERROR", error)))


def image(seed: int, kind: str = "PNG") -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (10 + seed % 3, 9, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def members(start: int, count: int) -> Members:
    found: Members = []
    for number in range(start, start + count):
        found.append((f"all/{number:06}.jpg", image(number)))
        found.append((f"all/{number:06}.cls", str(number % 3).encode()))
        found.append((f"all/{number:06}.json", b"{}"))
    return found


def write(path: Path, found: Members, **how: Any) -> Path:
    with tarfile.open(path, "w", **how) as shard:
        for name, content in found:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            shard.addfile(info, io.BytesIO(content))
    return path


@pytest.fixture
def shards(tmp_path: Path) -> str:
    """Four shards of ten samples."""
    for number in range(4):
        write(tmp_path / f"train-{number:03}.tar", members(10 * number, 10))
    return f"{tmp_path}/train-{{000..003}}.tar"


def pictures(part: Part) -> Pictures:
    assert isinstance(part.inputs, Pictures)
    return part.inputs


def said(plan: Plan) -> str:
    with pytest.raises(NetspecError) as caught:
        load(plan)
    return "\n".join(each.message for each in caught.value.diagnostics)


def shown(number: int) -> torch.Tensor:
    with Image.open(io.BytesIO(image(number))) as opened:
        return torch.from_numpy(np.array(opened)).permute(2, 0, 1)


def test_samples_are_those_of_the_library(shards: str) -> None:
    from webdataset.tariterators import group_by_keys, tar_file_expander

    found = load(planned(shards))
    part = found.parts["train"]
    assert (found.target, found.classes) == (Classes(3, ("a", "b", "c")), ("a", "b", "c"))
    assert part.labels.tolist() == [number % 3 for number in range(40)]
    theirs: list[dict[str, Any]] = []
    for path in sorted(Path(shards).parent.glob("*.tar")):
        with path.open("rb") as stream:
            theirs += group_by_keys(tar_file_expander([{"url": str(path), "stream": stream}]))
    assert len(theirs) == len(part) == 40
    for number, sample in enumerate(theirs):
        assert sample["cls"] == str(int(part.labels[number])).encode()
        extent = pictures(part).extent(number)
        assert extent is not None and extent.length is not None
        content = extent.path.read_bytes()[extent.start : extent.start + extent.length]
        assert content == sample["jpg"]
        assert torch.equal(pictures(part)[number], shown(number))
        assert pictures(part).size(number) == (9, 10 + number % 3)


@pytest.mark.parametrize("format", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_format_and_long_names(format: int, tmp_path: Path) -> None:
    long = "folder/" * (14 if format == tarfile.USTAR_FORMAT else 60)
    found: Members = [
        ("__meta__/x.json", b"{}"),
        (f"{long}1.JPG", image(1)),
        (f"{long}1.cls", b"2\n"),
    ]
    found += [("plain.txt", b"1"), ("._2.jpg", b"fork"), ("2.cls", b" 0 "), ("2.jpg", image(2))]
    part = load(planned(write(tmp_path / "a.tar", found, format=format))).parts["train"]
    assert part.labels.tolist() == [2, 0]
    assert torch.equal(pictures(part)[1], shown(2))


def test_several_texts_and_kinds(tmp_path: Path) -> None:
    one = write(tmp_path / "a.tar", [("1.png", image(1)), ("1.y", b"1")])
    two = write(tmp_path / "b.tar", [("1.jpeg", image(2, "JPEG")), ("1.y", b"2")])
    part = load(planned(f"{one}::{two}", more=", image: 'png;jpeg', target: y")).parts["train"]
    assert part.labels.tolist() == [1, 2]


def batches(plan: Plan, found: Dataset, start: int = 0) -> list[torch.Tensor]:
    made = Batches(
        plan, found.parts["train"], torch.device("cpu"), batch_size=8, training=True, shuffle=True,
        seed=3,
    )  # fmt: skip
    return [each for batch in made.epoch(1, start) for each in (batch.inputs, batch.targets)]


def test_batches_follow_from_the_seed_and_an_epoch_goes_on_in_the_middle(shards: str) -> None:
    plan = planned(shards, "{validation: 0.25}")
    whole = batches(plan, load(plan))
    again = batches(plan, load(plan), 2)
    assert len(whole) == 8 and len(again) == 4
    for one, other in zip(whole[4:], again, strict=True):
        assert torch.equal(one, other)


def test_the_way_to_the_images_does_not_matter(
    shards: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NETSPEC_CACHE", str(tmp_path / "cache"))
    ways = [("none", 0), ("none", 2), ("memory", 0), ("disk", 0), ("disk", 0)]
    made = []
    for cache, workers in ways:
        plan = planned(shards, "{validation: 0.25}")
        assert plan.spec.data is not None
        data = plan.spec.data._replace(cache=cache, workers=workers)  # type: ignore[arg-type]
        plan = replace(plan, spec=replace(plan.spec, data=data))
        made.append(batches(plan, keep(plan, load(plan))))
    for other in made[1:]:
        assert all(torch.equal(one, two) for one, two in zip(made[0], other, strict=True))


def test_it_trains_with_a_split_and_its_file_gives_the_same_figures(
    shards: str, tmp_path: Path
) -> None:
    text = planned(shards, "{validation: 0.25, test: 0.1}").spec
    run = netspec.train(text, device="cpu", root=tmp_path / "runs")
    assert {name: len(rows) for name, rows in run.rows.items()} == {
        "train": 27, "validation": 9, "test": 4,
    }  # fmt: skip
    file = netspec.export_onnx(run, tmp_path / "a.onnx")
    by_run = netspec.evaluate(run, part="validation", device="cpu").measures
    by_file = netspec.evaluate(file.path, part="validation", spec=text).measures
    assert by_file["accuracy"] == pytest.approx(by_run["accuracy"])


# What is refused


@pytest.mark.parametrize(
    ("urls", "words"),
    [
        ("pipe:cat a.tar", "begins with 'pipe:'"),
        ("a.tar::http://x/b.tar", "begins with 'http:'"),
        ("s3://bucket/{000..009}.tar", "begins with 's3:'"),
        ("file:/a.tar", "begins with 'file:'"),
        ("{0..999999999}.tar", "more than 100,000 shards"),
        ("{0..9999}{0..9999}.tar", "more than 100,000 shards"),
        ("{0..99999999999999999999}.tar", "more than 100,000 shards"),
        ("${HOME}/a.tar".replace("$", "$$"), "a variable of the environment"),
        ("a{0..3.tar", "no other half"),
        ("a.tar.gz", "is compressed"),
    ],
)
def test_texts_that_are_no_local_shards(urls: str, words: str) -> None:
    with pytest.raises(SpecError) as caught:
        planned(urls)
    (found,) = caught.value.diagnostics
    assert words in found.message
    assert found.place.line == 7


def test_braces_hide_no_command(tmp_path: Path) -> None:
    mark = tmp_path / "ran"
    words = said(planned(f"{{pipe,pipe}}:touch {mark}"))
    assert "begins with 'pipe:'" in words
    assert not mark.exists()


@pytest.mark.parametrize("kind", ["pyd", "pth", "pickle", "PKL"])
@pytest.mark.parametrize("param", ["image", "target"])
def test_python_objects_are_refused_by_name(kind: str, param: str) -> None:
    with pytest.raises(SpecError, match="run code when they are read"):
        planned("a.tar", more=f", {param}: {kind}")


def test_a_shard_that_is_not_there(tmp_path: Path) -> None:
    write(tmp_path / "a0.tar", members(0, 1))
    assert (
        said(planned(f"{tmp_path}/a{{0..1}}.tar")) == f"'{tmp_path}/a1.tar': there is no such file"
    )
    assert "this is no file" in said(planned(tmp_path))


def good(number: int = 0) -> Members:
    return [(f"{number}.jpg", image(number)), (f"{number}.cls", b"1")]


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ([], "holds no samples"),
        ([("1.txt", b"x")], "holds no samples"),
        ([("1.jpg", image(0))], "the sample '1' has no '.cls'"),
        ([("1.cls", b"0")], "the sample '1' has no '.jpg'"),
        ([*good(), ("0.jpg", image(0))], "0.jpg: duplicate file name"),
        ([("1.jpg", image(0)), ("1.cls", b"cat")], "is no whole number as text"),
        ([("1.jpg", image(0)), ("1.cls", b"1" * 100)], "is no whole number as text"),
        ([("1.jpg", image(0)), ("1.cls", b"\x80\x04K\x01.")], "is no whole number as text"),
        ([("1.jpg", image(0)), ("1.cls", b"3")], "labels from 3 to 3, but classes count from 0"),
        ([("1.jpg", image(0)), ("1.cls", b"-1")], "labels from -1 to -1"),
    ],
)
def test_shards_that_hold_no_such_samples(found: Members, words: str, tmp_path: Path) -> None:
    assert words in said(planned(write(tmp_path / "a.tar", found)))


def test_images_that_are_damaged_are_all_named(tmp_path: Path) -> None:
    found = [*good(0), ("1.jpg", b"no image"), ("1.cls", b"0"), *good(2)]
    found += [("3.jpg", image(3)[:-40]), ("3.cls", b"0")]
    path = write(tmp_path / "a.tar", found)
    with pytest.raises(InputError) as caught:
        load(planned(path))
    assert [each.place.file for each in caught.value.diagnostics] == [
        f"{path}: 1.jpg", f"{path}: 3.jpg",
    ]  # fmt: skip

    skipped = load(planned(path, error="skip"))
    assert skipped.parts["train"].labels.tolist() == [1, 1]
    left_out = [each for each in skipped.warnings if "it is left out" in each.message]
    assert [each.place.file for each in left_out] == [f"{path}: 1.jpg", f"{path}: 3.jpg"]


def test_an_image_of_absurd_size(tmp_path: Path) -> None:
    content = bytearray(image(0))
    content[16:24] = (200_000).to_bytes(4, "big") * 2  # PNG's IHDR: width and height
    path = write(tmp_path / "a.tar", [("1.jpg", bytes(content)), ("1.cls", b"0")])
    assert "pixels" in said(planned(path)) or "damaged" in said(planned(path))


@pytest.mark.parametrize("step", range(0, 512, 37))
def test_every_cut_is_noticed(step: int, tmp_path: Path) -> None:
    path = write(tmp_path / "a.tar", [*good(0), *good(1)])
    content = path.read_bytes()
    end = content.rindex(b"1.cls") + 1024  # the last member's block; zeros follow
    for length in (step, 512 + step, end // 2 + step, end - step - 1):
        path.write_bytes(content[:length])
        assert f"'{path}' cannot be read as .tar" in said(planned(path))


@pytest.mark.parametrize("member", [0, 1, 2, 3])
def test_every_damaged_header_is_noticed(member: int, tmp_path: Path) -> None:
    path = write(tmp_path / "a.tar", [*good(0), *good(1)])
    content = bytearray(path.read_bytes())
    with tarfile.open(path) as shard:
        at = shard.getmembers()[member].offset
    for place in (0, 100, 130, 150, 156, 260):
        damaged = bytearray(content)
        damaged[at + place] ^= 0x15
        path.write_bytes(damaged)
        assert f"'{path}' cannot be read as .tar" in said(planned(path))


def test_a_header_as_long_as_the_shard_is_not_read(tmp_path: Path) -> None:
    info = tarfile.TarInfo("x")
    info.type, info.size = tarfile.XHDTYPE, 8_000_000_000
    path = tmp_path / "a.tar"
    path.write_bytes(info.tobuf() + bytes(1 << 16))
    os.truncate(path, 9_000_000_000)  # a hole, which takes no room
    assert "a header says that it has 8000000000 bytes" in said(planned(path))


@pytest.mark.parametrize("size", [b"\xff" * 12, b"\x80" + b"\x7f" * 11])
@pytest.mark.parametrize("kind", [tarfile.REGTYPE, tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_sizes_that_lead_backward_or_beyond(size: bytes, kind: bytes, tmp_path: Path) -> None:
    block = bytearray(tarfile.TarInfo("1.jpg").tobuf(tarfile.GNU_FORMAT))
    block[124:136], block[156:157] = size, kind
    block[148:156] = b" " * 8
    block[148:156] = f"{sum(block):06o}\0 ".encode()
    path = tmp_path / "a.tar"
    path.write_bytes(bytes(block) + bytes(4096))
    assert f"'{path}' cannot be read as .tar" in said(planned(path))


def test_links_and_folders_are_no_samples(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w") as shard:
        for kind in (tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE, tarfile.FIFOTYPE):
            info = tarfile.TarInfo("../9.jpg")
            info.type, info.linkname = kind, "/etc/passwd"
            shard.addfile(info)
        for name, content in good():
            info = tarfile.TarInfo(f"/../../{name}")
            info.size = len(content)
            shard.addfile(info, io.BytesIO(content))
    before = sorted(tmp_path.iterdir())
    assert len(load(planned(path)).parts["train"]) == 1
    assert sorted(tmp_path.iterdir()) == before


def test_a_compressed_shard_is_refused_by_its_content(tmp_path: Path) -> None:
    path = tmp_path / "a.tar"
    with tarfile.open(path, "w:gz") as shard:
        shard.addfile(tarfile.TarInfo("1.jpg"))
    assert "cannot be read as .tar" in said(planned(path))


def test_a_shard_that_changes_while_it_is_read(tmp_path: Path) -> None:
    path = write(tmp_path / "a.tar", good())
    part = load(planned(path)).parts["train"]
    path.write_bytes(bytes(range(256)) * 40)
    with pytest.raises(InputError, match="it has changed since training began"):
        pictures(part)[0]
    path.unlink()
    with pytest.raises(InputError, match="there is no such file"):
        pictures(part)[0]
