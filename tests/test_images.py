"""Files become the pixels that a viewer would show, or one clean InputError."""

from __future__ import annotations

import os
import struct
import threading
import warnings
import zlib
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from netspec import images
from netspec.diagnostics import Code, InputError

GRADIENT = np.random.default_rng(0).integers(0, 256, (6, 8, 3), dtype=np.uint8)
WRITTEN = {
    "a.png": "RGB",
    "a.jpg": "RGB",
    "a.bmp": "RGB",
    "a.gif": "P",
    "a.webp": "RGB",
    "a.tif": "RGB",
    "a.ppm": "RGB",
}


def save(path: Path, mode: str = "RGB", **options: Any) -> Path:
    Image.fromarray(GRADIENT).convert(mode).save(path, **options)
    return path


def refused(path: Path, channels: int = 3) -> str:
    with pytest.raises(InputError) as caught:
        images.load(path, channels)
    (found,) = caught.value.diagnostics
    assert found.code == Code.INPUT
    assert found.place.file == str(path)
    assert found.remedy
    return found.message


@pytest.mark.parametrize("name", WRITTEN)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_format(tmp_path: Path, name: str, channels: int) -> None:
    path = save(tmp_path / name, WRITTEN[name])
    found = images.load(path, channels)
    assert found.shape == (6, 8, channels)
    assert found.dtype == np.uint8
    with Image.open(path) as image:
        wanted = np.asarray(image.convert("RGB").convert("L" if channels == 1 else "RGB"))
    np.testing.assert_array_equal(found, wanted.reshape(found.shape))


def test_lossless_pixels_are_the_pixels(tmp_path: Path) -> None:
    np.testing.assert_array_equal(images.load(save(tmp_path / "a.png"), 3), GRADIENT)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.webp"])
def test_orientation(tmp_path: Path, orientation: int, name: str) -> None:
    upright = np.full((16, 32, 3), 255, np.uint8)
    upright[:8, :8] = 0  # a black corner at the top left
    undo = {
        1: lambda a: a,
        2: lambda a: a[:, ::-1],
        3: lambda a: a[::-1, ::-1],
        4: lambda a: a[::-1],
        5: lambda a: a.swapaxes(0, 1),
        6: lambda a: np.rot90(a, 1),
        7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
        8: lambda a: np.rot90(a, -1),
    }
    stored = np.ascontiguousarray(undo[orientation](upright))
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.fromarray(stored).save(tmp_path / name, exif=exif)
    found = images.load(tmp_path / name, 3).astype(int)
    assert found.shape == upright.shape
    assert np.abs(found - upright).mean() < 4  # JPEG is lossy


def test_sixteen_bits_keep_their_high_byte(tmp_path: Path) -> None:
    deep = np.array([[0, 255, 256], [32768, 40000, 65535]], np.uint16)
    Image.fromarray(deep).save(tmp_path / "a.png")
    Image.fromarray(deep).save(tmp_path / "a.tif")
    header = b"P5\n3 2\n65535\n"
    (tmp_path / "a.pgm").write_bytes(header + deep.astype(">u2").tobytes())
    for name in ("a.png", "a.tif", "a.pgm"):
        np.testing.assert_array_equal(images.load(tmp_path / name, 1)[..., 0], deep >> 8)


def test_transparency_lies_on_white(tmp_path: Path) -> None:
    drawn = np.zeros((1, 3, 4), np.uint8)
    drawn[0, :, 3] = [0, 128, 255]
    Image.fromarray(drawn).save(tmp_path / "a.png")
    assert images.load(tmp_path / "a.png", 1)[0, :, 0].tolist() == [255, 127, 0]
    palette = Image.new("P", (2, 1))
    palette.putpalette([0, 0, 0, 9, 9, 9])
    palette.putpixel((1, 0), 1)
    palette.save(tmp_path / "p.png", transparency=b"\x00\xff")
    palette.save(tmp_path / "p.gif", transparency=0)
    for name in ("p.png", "p.gif"):
        assert images.load(tmp_path / name, 3).tolist() == [[[255] * 3, [9] * 3]]
    Image.new("LA", (1, 1), (0, 0)).save(tmp_path / "la.png")
    assert images.load(tmp_path / "la.png", 1).item() == 255


def test_cmyk_bilevel_and_animation(tmp_path: Path) -> None:
    Image.new("CMYK", (2, 2), (255, 0, 0, 0)).save(tmp_path / "a.jpg", quality=100)
    assert np.abs(images.load(tmp_path / "a.jpg", 3)[0, 0].astype(int) - [0, 255, 255]).max() < 4
    Image.fromarray(np.array([[0, 255]], np.uint8)).convert("1").save(tmp_path / "b.png")
    assert images.load(tmp_path / "b.png", 3).tolist() == [[[0] * 3, [255] * 3]]
    frames = [Image.new("L", (2, 2), shade) for shade in (10, 200)]
    frames[0].save(tmp_path / "c.gif", save_all=True, append_images=frames[1:])
    assert images.load(tmp_path / "c.gif", 1).max() == 10


@pytest.mark.parametrize("mode", ["I", "F"])
def test_pixels_without_a_range(tmp_path: Path, mode: str) -> None:
    Image.new(mode, (2, 2), 7).save(tmp_path / "a.tif")
    assert mode in refused(tmp_path / "a.tif")
    with pytest.raises(InputError):
        images.from_pillow(Image.new(mode, (2, 2)), 3)


def bomb(path: Path, width: int, height: int) -> Path:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        )

    header = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes((width // 8 + 1) * 16))
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    )
    return path


@pytest.mark.parametrize("size", [(9460, 9460), (15_000, 9_000), (30_000, 30_000)])
def test_bombs(tmp_path: Path, size: tuple[int, int]) -> None:
    assert str(images.MAX_PIXELS) in refused(bomb(tmp_path / "bomb.png", *size))


def test_a_gif_frame_beyond_its_header(tmp_path: Path) -> None:
    path = save(tmp_path / "a.gif", "P")
    data = bytearray(path.read_bytes())
    at = data.index(b"\x2c", 13 + 3 * 2 ** ((data[10] & 7) + 1))
    data[at + 5 : at + 9] = struct.pack("<HH", 60_000, 60_000)
    path.write_bytes(data)
    refused(path)


@pytest.mark.parametrize("name", WRITTEN)
def test_truncated_at_every_length(tmp_path: Path, name: str) -> None:
    whole = save(tmp_path / name, WRITTEN[name]).read_bytes()
    path = tmp_path / "cut"
    refusals = 0
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        try:
            assert images.load(path, 3).shape == (6, 8, 3)  # a trailer was missing
        except InputError:
            refusals += 1
    assert refusals > len(whole) * 0.6


@pytest.mark.parametrize("name", WRITTEN)
def test_corrupt_bytes_never_trace_back(tmp_path: Path, name: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    whole = save(tmp_path / name, WRITTEN[name], exif=exif).read_bytes()
    generator = np.random.default_rng(1)
    path = tmp_path / "corrupt"
    for _ in range(300):
        data = bytearray(whole)
        for at in generator.integers(0, min(len(data), 400), 3):
            data[at] = generator.integers(256)
        path.write_bytes(data)
        for read in (partial(images.load, channels=3), images.header, images.load_mask):
            try:
                read(path)
            except InputError as error:
                assert error.diagnostics[0].remedy


@pytest.mark.parametrize("name", WRITTEN)
def test_a_check_refuses_nothing_that_loads(tmp_path: Path, name: str) -> None:
    whole = save(tmp_path / name, WRITTEN[name]).read_bytes()
    path = tmp_path / f"cut{Path(name).suffix}"
    missed = 0
    for content in [whole + b"more", whole + bytes(9), *(whole[:n] for n in range(len(whole)))]:
        path.write_bytes(content)
        assert images.check(save(tmp_path / name, WRITTEN[name])) == (8, 6)
        try:
            size = images.check(path)
        except InputError as error:
            assert refused(path) == error.diagnostics[0].message
            continue
        assert size == (8, 6)
        try:
            images.load(path, 3)
        except InputError:
            missed += 1
    # Formats that say at their end that they are whole.
    assert not missed or name not in ("a.png", "a.jpg", "a.gif")


def test_what_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("no image")
    assert "no image" in refused(tmp_path / "text.png")
    (tmp_path / "empty.png").write_bytes(b"")
    refused(tmp_path / "empty.png")
    assert refused(tmp_path / "missing.png") == "there is no such file"
    assert refused(tmp_path) == "this is no file"
    save(tmp_path / "a.png", "L")
    refused(tmp_path / "a.png", channels=4)
    Image.new("L", (2, 2)).save(tmp_path / "a.ico", sizes=[(2, 2)])  # not of the safe list
    refused(tmp_path / "a.ico")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_a_fifo_does_not_block(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    assert refused(tmp_path / "a.png") == "this is no file"


def test_find(tmp_path: Path) -> None:
    for name in ("b/2.PNG", "b/1.jpeg", "a/x.webp", "z.txt", ".hidden.png", ".git/a.png", "b.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"")
    (tmp_path / "linked").symlink_to(tmp_path / "a")
    (tmp_path / "a" / "round").symlink_to(tmp_path)
    (tmp_path / "link.png").symlink_to(tmp_path / "b.png")
    (tmp_path / "broken.png").symlink_to(tmp_path / "nothing")
    found = [path.relative_to(tmp_path).as_posix() for path in images.find(tmp_path)]
    assert [name for name in found if "round" not in name] == [
        "a/x.webp",
        "b/1.jpeg",
        "b/2.PNG",
        "b.png",
        "link.png",
        "linked/x.webp",
    ]
    assert found == [p.relative_to(tmp_path).as_posix() for p in sorted(images.find(tmp_path))]
    assert len(found) < 20
    with pytest.raises(InputError, match="no such folder"):
        images.find(tmp_path / "b.png")


def test_threads_leave_the_warning_filters_alone(tmp_path: Path) -> None:
    path = bomb(tmp_path / "bomb.png", 9460, 9460)
    good = save(tmp_path / "a.png")
    before = list(warnings.filters)

    def work() -> None:
        for _ in range(30):
            assert images.load(good, 3).shape == (6, 8, 3)
            with pytest.raises(InputError):
                images.load(path, 3)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_header_says_how_the_image_is_shown(tmp_path: Path, orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    for name in ("a.jpg", "a.png", "a.tif"):
        path = save(tmp_path / name, exif=exif)
        found = images.header(path)
        assert (found.width, found.height) == images.check(path)
        height, width, _ = images.load(path, 3).shape
        assert found.shown == (width, height)
        np.testing.assert_array_equal(
            images.load_mask(save(tmp_path / "m.png", "L", exif=exif)),
            images.load(tmp_path / "m.png", 1)[..., 0],
        )


@pytest.mark.parametrize("name", WRITTEN)
def test_a_kind_is_told_by_content_and_by_name(tmp_path: Path, name: str) -> None:
    path = save(tmp_path / name, WRITTEN[name])
    assert images.header(path).format == images.named(path)
    other = path.rename(tmp_path / "b.unknown")
    assert images.header(other).format in images.FORMATS
    assert images.named(other) is None


def test_a_photograph_of_two_is_a_jpeg(tmp_path: Path) -> None:
    path, second = tmp_path / "a.jpg", Image.fromarray(GRADIENT)
    Image.fromarray(GRADIENT).save(path, format="MPO", save_all=True, append_images=[second])
    with Image.open(path) as image:
        assert image.format == "MPO"
    assert images.header(path).format == "JPEG"


@pytest.mark.parametrize("mode", ["RGBA", "LA", "CMYK", "RGB"])
def test_a_mask_has_one_number_for_each_pixel(tmp_path: Path, mode: str) -> None:
    path = save(tmp_path / "a.tif", mode)
    with pytest.raises(InputError) as caught:
        images.load_mask(path)
    (found,) = caught.value.diagnostics
    assert found.remedy is not None and "PNG with one channel" in found.remedy


def test_a_mask_s_palette_is_not_looked_at(tmp_path: Path) -> None:
    values = np.arange(48, dtype=np.uint8).reshape(6, 8)
    image = Image.frombytes("P", (8, 6), values.tobytes())
    image.putpalette(np.random.default_rng(0).integers(0, 256, 768).tolist())
    for name in ("a.png", "a.gif", "a.bmp"):
        image.save(tmp_path / name)
        np.testing.assert_array_equal(images.load_mask(tmp_path / name), values)
    image.save(tmp_path / "clear.png", transparency=3)
    np.testing.assert_array_equal(images.load_mask(tmp_path / "clear.png"), values)


def test_a_header_is_read_without_the_pixels(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg", "a.bmp"):
        noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)
        path = tmp_path / name
        Image.fromarray(noise).save(path)
        whole = path.read_bytes()
        path.write_bytes(whole[:2000] + bytes(1000) + whole[3000:])
        assert images.header(path)[:2] == (80, 60)
