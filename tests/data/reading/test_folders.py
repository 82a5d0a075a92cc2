"""`ImageFolder` and `ImageMasks`: what is read, and what is found before training begins."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from netspec.catalogue.sources import Classes
from netspec.data.dataset import Dataset, ImageFiles, Part, Pictures
from netspec.diagnostics import InputError, Severity
from tests.data.reading.test_sources import dataset, finding, sizes

# ImageFolder

PHOTO = {"input": "[3, 8, 8]", "layers": "Flatten, Linear: {out_features: 2}"}


def draw(path: Path, size: tuple[int, int] = (9, 7), mode: str = "RGB", **save: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(len(str(path))).integers(0, 256, (*size[::-1], 3), np.uint8)
    Image.fromarray(pixels).convert(mode).save(path, **save)


def folder(root: Path) -> str:
    return (
        f"ImageFolder: {{root: '{root}'}}\n"
        "  evaluate: [Resize: {size: 8}, CenterCrop: {size: 8}]"
    )


def files_of(part: Part) -> ImageFiles:
    assert isinstance(part.inputs, ImageFiles)
    return part.inputs


@pytest.mark.parametrize("name", ["val", "valid", "validation"])
def test_folders_are_parts(name: str, tmp_path: Path) -> None:
    for part, each in [("train", "ant"), ("train", "bee"), (name, "bee"), ("test", "ant")]:
        draw(tmp_path / part / each / "1.png")
    draw(tmp_path / "train" / "bee" / "deeper" / "2.JPG")
    (tmp_path / "train" / "bee" / "notes.txt").write_text("no image")
    (tmp_path / "train" / ".cache").mkdir()
    found = dataset(folder(tmp_path), **PHOTO)
    assert sizes(found) == {"train": 3, "validation": 1, "test": 1}
    assert found.classes == ("ant", "bee")
    assert found.target == Classes(2, ("ant", "bee"))
    assert found.parts["train"].labels.tolist() == [0, 1, 1]
    assert found.parts["validation"].labels.tolist() == [1]


def test_a_folder_without_parts_is_one_part(tmp_path: Path) -> None:
    for name in "ab":
        for number in range(5):
            draw(tmp_path / name / f"{number}.png")
    found = dataset(folder(tmp_path), split="{test: 0.2}", **PHOTO)
    assert sizes(found) == {"train": 8, "test": 2}


def test_images_are_grey_or_in_colour_as_the_input_wants_them(tmp_path: Path) -> None:
    draw(tmp_path / "a" / "grey.png", mode="L")
    draw(tmp_path / "b" / "colour.png")
    for channels in (1, 3):
        found = dataset(folder(tmp_path), **PHOTO | {"input": f"[{channels}, 8, 8]"})
        shapes = {image.shape for image in map(files_of(found.parts["train"]).__getitem__, (0, 1))}
        assert shapes == {(channels, 7, 9)}


def test_images_are_turned_as_their_exif_says(tmp_path: Path) -> None:
    for name, orientation in (("a", 1), ("b", 6)):
        exif = Image.Exif()
        exif[0x0112] = orientation
        draw(tmp_path / name / "1.jpg", exif=exif)
    shapes = [files_of(dataset(folder(tmp_path), **PHOTO).parts["train"])[i].shape for i in (0, 1)]
    assert shapes == [(3, 7, 9), (3, 9, 7)]


def test_folders_that_make_no_data_set(tmp_path: Path) -> None:
    def found() -> str:
        return finding(folder(tmp_path / "root"), **PHOTO).removeprefix("6: ")

    root = tmp_path / "root"
    assert found() == f"there is no folder '{root}'"
    root.mkdir()
    assert found() == f"'{root}' has no class folders"
    (root / "val").mkdir()
    assert found() == f"'{root}' has val, but no folder 'train'"
    (root / "train" / "ant").mkdir(parents=True)
    (root / "train" / "bee").mkdir(parents=True)
    assert found() == f"no images lie below '{root / 'train'}'"
    draw(root / "train" / "ant" / "1.png")
    assert found() == f"'{root / 'train' / 'bee'}' holds no image to learn from"
    draw(root / "train" / "bee" / "1.png")
    (root / "val" / "wasp").mkdir()
    assert found() == f"'{root / 'val'}' has classes that '{root / 'train'}' lacks: wasp"


def test_damaged_images_are_found_before_training_and_each_is_named(tmp_path: Path) -> None:
    for number in range(6):
        draw(tmp_path / "a" / f"{number}.png", size=(40, 40))
        draw(tmp_path / "a" / f"{number}.jpg", size=(40, 40))
    (tmp_path / "a" / "1.png").write_bytes(b"")
    (tmp_path / "a" / "2.png").write_text("<html>404</html>")
    cut = tmp_path / "a" / "3.jpg"
    cut.write_bytes(cut.read_bytes()[:-300])
    with pytest.raises(InputError) as caught:
        dataset(folder(tmp_path), **PHOTO)
    found = {Path(each.place.file).name: each.message for each in caught.value.diagnostics}
    assert list(found) == ["1.png", "2.png", "3.jpg"]
    assert found["3.jpg"].startswith("the image is damaged or cut off")


def test_an_image_that_resizing_makes_huge_is_named(tmp_path: Path) -> None:
    for name in "ab":
        draw(tmp_path / name / "1.png")
    long = tmp_path / "b" / "long.png"
    Image.new("L", (2_000_000, 4)).save(long)
    steps = "evaluate: [Resize: {size: 2048}, CenterCrop: {size: 8}]"
    source = f"ImageFolder: {{root: '{tmp_path}'}}\n  {steps}"
    found = finding(source, **PHOTO)
    assert found.startswith(f"6: '{long}' is 2,000,000x4, and Resize cannot take it: ")
    assert "[3, 2048, 1024000000]" in found


def test_more_class_folders_than_outputs_are_refused_at_the_loss(tmp_path: Path) -> None:
    for name in "abc":
        draw(tmp_path / name / "1.png")
    found = finding(folder(tmp_path), loss="CrossEntropyLoss", **PHOTO)
    assert "fewer scores than the data's 3 classes" in found
    assert found.startswith("9: ")


def warnings(found: Dataset) -> list[str]:
    assert all(each.severity is Severity.WARNING for each in found.warnings)
    return [each.message for each in found.warnings]


def skipping(root: Path) -> str:
    return folder(root) + "\n  on_error: skip"


def test_unreadable_images_are_left_out_where_the_spec_says_so(tmp_path: Path) -> None:
    for name in "ab":
        for number in range(3):
            draw(tmp_path / name / f"{number}.png")
    (tmp_path / "a" / "1.png").write_text("<html>404</html>")
    found = dataset(skipping(tmp_path), **PHOTO)
    assert sizes(found) == {"train": 5}
    assert found.parts["train"].labels.tolist() == [0, 0, 1, 1, 1]
    assert [path.name for path in files_of(found.parts["train"]).paths][:2] == ["0.png", "2.png"]
    (said,) = found.warnings
    assert Path(said.place.file).name == "1.png" and said.severity is Severity.WARNING
    assert said.message.endswith("it is left out")


def test_a_class_of_unreadable_images_alone_is_empty(tmp_path: Path) -> None:
    draw(tmp_path / "a" / "1.png")
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "1.png").write_text("<html>404</html>")
    assert finding(skipping(tmp_path), **PHOTO) == (
        f"6: '{tmp_path / 'b'}' holds no image to learn from"
    )


def test_damaged_images_of_every_part_are_named_at_once(tmp_path: Path) -> None:
    for part in ("train", "val"):
        draw(tmp_path / part / "a" / "1.png")
        (tmp_path / part / "a" / "2.png").write_bytes(b"nothing")
    with pytest.raises(InputError) as caught:
        dataset(folder(tmp_path), **PHOTO)
    assert [Path(each.place.file).parts[-3] for each in caught.value.diagnostics] == [
        "train",
        "val",
    ]


def test_an_image_of_another_kind_than_its_name_is_read_with_a_warning(tmp_path: Path) -> None:
    for number in range(3):
        draw(tmp_path / "a" / f"{number}.png")
    (tmp_path / "a" / "0.png").rename(tmp_path / "a" / "0.JPG")
    found = dataset(folder(tmp_path), **PHOTO)
    assert sizes(found) == {"train": 3}
    assert warnings(found) == [
        f"1 image is not what the name says: '{tmp_path / 'a' / '0.JPG'}' is PNG"
    ]


def test_parts_that_share_files(tmp_path: Path) -> None:
    for number in range(4):
        draw(tmp_path / "train" / "a" / f"{number}.png", size=(9, 7 + number))
    (tmp_path / "test" / "a").mkdir(parents=True)
    draw(tmp_path / "test" / "a" / "own.png", size=(20, 20))
    assert warnings(dataset(folder(tmp_path), **PHOTO)) == []
    one, other = tmp_path / "train" / "a" / "2.png", tmp_path / "test" / "a" / "other.png"
    shutil.copy(one, other)
    assert warnings(dataset(folder(tmp_path), **PHOTO)) == [
        f"1 of the test part's 2 images is in the train part too: '{other}' is '{one}'"
    ]


def test_files_of_one_size_and_one_end_are_not_shared(tmp_path: Path) -> None:
    for part, first in (("train", 0), ("test", 1)):
        pixels = np.zeros((100, 100, 3), np.uint8)
        pixels[-1] = first  # a BMP's rows begin with the last
        (tmp_path / part / "a").mkdir(parents=True)
        Image.fromarray(pixels).save(tmp_path / part / "a" / "1.bmp")
    assert warnings(dataset(folder(tmp_path), **PHOTO)) == []


# ImageMasks


def masks(root: Path, classes: str = "[background, road]", more: str = "") -> str:
    return (
        f"ImageMasks: {{root: '{root}', classes: {classes}}}\n"
        f"  evaluate: [Resize: {{size: [8, 8]}}]{more}"
    )


PIXELS = {"input": "[3, 8, 8]", "layers": "Conv2d: {out_channels: 2, kernel_size: 1}"}
CUT = "Conv2d: {out_channels: 2, kernel_size: 1}, Flatten"


def paint(path: Path, values: Any, mode: str = "L", **save: Any) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    array = np.asarray(values)
    if mode == "P":
        image = Image.fromarray(array.astype(np.uint8), "L").convert("P")
        image = Image.frombytes("P", image.size, array.astype(np.uint8).tobytes())
        image.putpalette([each * 7 % 256 for each in range(768)])
    elif mode == "1":
        image = Image.fromarray(array.astype(bool))
    else:
        image = Image.fromarray(array)
    image.save(path, **save)


MASK = np.array([[0, 1, 1], [0, 0, 255]], np.uint8)


def pair(root: Path, name: str = "1", mask: Any = MASK, mode: str = "L", part: str = "") -> None:
    height, width = np.asarray(mask).shape[:2]
    draw(root / part / "images" / f"{name}.jpg", size=(width, height))
    paint(root / part / "masks" / f"{name}.png", mask, mode)


def mask_of(part: Part, index: int = 0) -> Tensor:
    assert isinstance(part.targets, Pictures)
    return part.targets[index]


@pytest.mark.parametrize("mode", ["L", "P", "1", "RGB", "I;16"])
def test_a_mask_s_values_are_its_classes(mode: str, tmp_path: Path) -> None:
    values = MASK if mode != "1" else MASK % 2
    drawn = values.astype(np.uint16) if mode == "I;16" else values
    if mode == "RGB":
        drawn = np.stack([values] * 3, -1)
    pair(tmp_path, mask=drawn, mode=mode)
    found = dataset(masks(tmp_path), loss="CrossEntropyLoss", **PIXELS)
    mask = mask_of(found.parts["train"])
    assert mask.dtype == torch.uint8
    assert mask.tolist() == [values.tolist()]
    assert found.target == Classes(2, ("background", "road"), (8, 8), 255)
    assert found.classes == ("background", "road")


def test_masks_are_parts_of_their_images(tmp_path: Path) -> None:
    for part, names in (("train", "ab"), ("val", "c"), ("test", "d")):
        for name in names:
            pair(tmp_path, f"{name}/deep", part=part)
    found = dataset(masks(tmp_path), **PIXELS)
    assert sizes(found) == {"train": 2, "validation": 1, "test": 1}
    assert files_of(found.parts["test"]).paths[0].name == "deep.jpg"


def test_masks_are_split_with_their_images(tmp_path: Path) -> None:
    for number in range(10):
        pair(tmp_path, str(number), np.full((2, 2 + number), number % 2, np.uint8))
    found = dataset(masks(tmp_path), split="{validation: 0.3}", **PIXELS)
    assert sizes(found) == {"train": 7, "validation": 3}
    for part in found.parts.values():
        for index in range(len(part)):
            image, mask = part.inputs[index], mask_of(part, index)
            assert image.shape[1:] == mask.shape[1:]
            assert mask.unique().tolist() == [mask.shape[2] % 2]


def test_what_has_no_partner_is_named(tmp_path: Path) -> None:
    for name in "abc":
        pair(tmp_path, name)
    (tmp_path / "masks" / "b.png").unlink()
    assert finding(masks(tmp_path), **PIXELS) == (
        f"6: 1 image has no mask: '{tmp_path / 'images' / 'b.jpg'}'"
    )
    (tmp_path / "images" / "b.jpg").unlink()
    for name in "ac":
        (tmp_path / "images" / f"{name}.jpg").unlink()
    found = finding(masks(tmp_path), **PIXELS)
    assert found.startswith("6: 2 masks have no image: ")
    shutil.rmtree(tmp_path / "masks")
    assert finding(masks(tmp_path), **PIXELS) == f"6: '{tmp_path}' has no folder 'masks'"


def test_two_images_of_one_name(tmp_path: Path) -> None:
    pair(tmp_path)
    draw(tmp_path / "images" / "1.png")
    assert finding(masks(tmp_path), **PIXELS).endswith("have one name")


def wrong(source: str) -> list[tuple[str, str]]:
    """The name of each refused file, and why."""
    with pytest.raises(InputError) as caught:
        dataset(source, **PIXELS)
    return [(Path(each.place.file).name, each.message) for each in caught.value.diagnostics]


def test_masks_that_do_not_fit_are_all_named_before_training(tmp_path: Path) -> None:
    for name in "abcdefg":
        pair(tmp_path, name)
    folder = tmp_path / "masks"
    paint(folder / "b.png", MASK[:, :2])
    paint(folder / "c.png", np.where(MASK == 1, 8, MASK).astype(np.uint8))
    paint(folder / "d.png", np.stack([MASK, MASK, 1 - MASK], -1))
    paint(folder / "e.png", MASK.astype(np.uint16) * 200)
    (folder / "f.png").write_bytes((folder / "f.png").read_bytes()[:45])
    (folder / "g.png").unlink()
    paint(folder / "g.jpg", MASK)
    found = dict(wrong(masks(tmp_path)))
    assert found.keys() == {f"{name}.png" for name in "bcdef"} | {"g.jpg"}
    assert found["b.png"] == "the mask is 2x2, but its image is 3x2"
    assert found["c.png"] == (
        "the mask has the value 8, but its classes are 0 to 1, and 255 is ignored"
    )
    assert found["d.png"] == "the mask is in colours, and a class is a number"
    assert found["e.png"] == "the mask has the value 51,000, and classes count to 254"
    assert found["f.png"].startswith("the image is damaged or cut off")
    assert found["g.jpg"] == "a mask in JPEG has other values than were drawn"


def test_a_pair_of_which_one_is_unreadable_is_left_out(tmp_path: Path) -> None:
    for name in "abc":
        pair(tmp_path, name, np.full((2, ord(name)), ord(name) % 2, np.uint8))
    (tmp_path / "masks" / "a.png").write_bytes(b"")
    found = dataset(masks(tmp_path, more="\n  on_error: skip"), **PIXELS)
    part = found.parts["train"]
    assert [part.inputs[i].shape[2] for i in (0, 1)] == [ord("b"), ord("c")]
    assert [mask_of(part, i).shape[2] for i in (0, 1)] == [ord("b"), ord("c")]
    assert len(found.warnings) == 1
    paint(tmp_path / "masks" / "b.png", np.full((2, ord("b")), 9, np.uint8))
    assert [name for name, _ in wrong(masks(tmp_path, more="\n  on_error: skip"))] == ["b.png"]


def test_a_photograph_that_is_turned_has_a_mask_as_it_is_shown(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    draw(tmp_path / "images" / "1.jpg", size=(5, 3), exif=exif)
    paint(tmp_path / "masks" / "1.png", np.arange(15).reshape(5, 3).astype(np.uint8) % 2)
    part = dataset(masks(tmp_path), **PIXELS).parts["train"]
    assert part.inputs[0].shape == (3, 5, 3)
    paint(tmp_path / "masks" / "1.png", np.arange(15).reshape(3, 5).astype(np.uint8) % 2)
    assert wrong(masks(tmp_path)) == [("1.png", "the mask is 5x3, but its image is 3x5")]
    exif_of_mask = Image.Exif()
    exif_of_mask[0x0112] = 6
    lying = np.arange(15).reshape(3, 5).astype(np.uint8) % 2
    paint(tmp_path / "masks" / "1.png", lying, exif=exif_of_mask)
    part = dataset(masks(tmp_path), **PIXELS).parts["train"]
    assert mask_of(part)[0].tolist() == np.rot90(lying, -1).tolist()


def test_white_for_a_class_teaches_nothing_and_is_refused(tmp_path: Path) -> None:
    pair(tmp_path, mask=np.array([[0, 255, 255]], np.uint8))
    assert finding(masks(tmp_path), **PIXELS) == (
        "6: every pixel of the training masks is 'background' or 255, which is ignored"
    )


def test_a_class_in_no_mask_is_doubted(tmp_path: Path) -> None:
    pair(tmp_path)
    found = dataset(masks(tmp_path, "[background, road, river]"), **PIXELS)
    assert warnings(found) == ["no pixel of the training masks is 'river'"]
