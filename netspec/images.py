"""Image files → 8-bit pixels: the one way, for training and for the runtime.

Pixels come out as the file's author sees them: turned by the EXIF orientation, transparency laid on
white, 16-bit values by their high byte (as Pillow reads 16-bit colour), only the first frame of an
animation. Grey from colour is ITU-R 601 luma. Colour profiles are ignored, as torchvision does.
Files are untrusted: whatever is wrong with one is an InputError, never a traceback or a warning.
"""

from __future__ import annotations

import os
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image, UnidentifiedImageError

from netspec import files
from netspec.diagnostics import Code, InputError, NetspecError

Pixels = npt.NDArray[np.uint8]
Picture = Image.Image  # for those who know no Pillow

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF", "PPM")
_SUFFIXES = {
    **dict.fromkeys((".jpg", ".jpeg"), "JPEG"),
    **dict.fromkeys((".tif", ".tiff"), "TIFF"),
    **dict.fromkeys((".ppm", ".pgm", ".pbm", ".pnm"), "PPM"),
    **{f".{kind.lower()}": kind for kind in ("PNG", "BMP", "GIF", "WEBP")},
}
EXTENSIONS = frozenset(_SUFFIXES)
WHITE = 255
MAX_PIXELS = 89_478_485  # Pillow's own bound, from which it warns: 256 MiB of RGB
MAX_BYTES = 1 << 29

# What a whole file ends with, where its format says so.
_ENDS = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xae\x42\x60\x82", "GIF": b";"}

_HIGH_BYTE = frozenset({"I;16", "I;16L", "I;16B", "I;16N"})  # and PPM's I, scaled by Pillow
_ALPHA = frozenset({"LA", "PA", "RGBA", "RGBa"})
_BYTES = _ALPHA | {"1", "L", "P", "RGB", "RGBX", "CMYK", "YCbCr", "HSV"}
_NUMBERS = _HIGH_BYTE | {"1", "L", "P", "I"}
_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_UPENDING = frozenset({5, 6, 7, 8})
_TURNED = frozenset({"TIFF"})  # by Pillow itself, its size too


def load(path: str | os.PathLike[str], channels: int) -> Pixels:
    """The pixels of an image file, uint8 [height, width, channels]; `channels` is 1 or 3.

    The kind of file is told by its content, not its name. Raises InputError where the file is
    missing, not of FORMATS, damaged, or has more than MAX_PIXELS pixels by its header.
    """
    file = os.fspath(path)
    with _reading(file), _opened(file) as stream:
        return decode(stream, channels, file)


def decode(stream: BinaryIO, channels: int, file: str) -> Pixels:
    """As `load`, of a file that is open; `file` names it in errors."""
    with _reading(file), Image.open(stream, formats=FORMATS) as image:
        return _pixels(image, channels, file)


class Header(NamedTuple):
    """What an image file states of itself: its size before it is turned (of TIFF, afterwards), its
    kind, one of FORMATS, and whether turning exchanges its sides."""

    width: int
    height: int
    format: str
    upended: bool

    @property
    def shown(self) -> tuple[int, int]:
        """Width and height as `load` gives the image."""
        return (self.height, self.width) if self.upended else (self.width, self.height)


def check(path: str | os.PathLike[str]) -> tuple[int, int]:
    """The width and height that an image file's header states, before it is turned.

    Raises InputError as `header` does.
    """
    found = header(path)
    return found.width, found.height


def header(path: str | os.PathLike[str]) -> Header:
    """What an image file states of itself.

    Raises InputError as `load` does, but for damage in the middle of a file, which decoding alone
    shows: only a file that lacks its format's end is decoded.
    """
    file = os.fspath(path)
    with _reading(file), _opened(file) as stream:
        return examine(stream, file)


def examine(stream: BinaryIO, file: str) -> Header:
    """As `header`, of a file that is open; `file` names it in errors."""
    with _reading(file), Image.open(stream, formats=FORMATS) as image:
        if image.width * image.height > MAX_PIXELS:
            raise _wrong(file, *_TOO_LARGE)
        found = Header(*image.size, _kind(image), _upended(image))
        end = _ENDS.get(str(image.format), b"")
        stream.seek(max(0, stream.seek(0, os.SEEK_END) - len(end)))
        whole = stream.read() == end
    if not whole:
        stream.seek(0)
        decode(stream, 3, file)
    return found


def named(path: str | os.PathLike[str]) -> str | None:
    """The kind of image, one of FORMATS, that a file's name says it is; None where it says none."""
    suffix = os.path.splitext(os.fspath(path))[1].lower()  # noqa: PTH122 - of 100,000 names
    return _SUFFIXES.get(suffix)


def load_mask(path: str | os.PathLike[str]) -> Pixels:
    """The classes of a mask file's pixels, uint8 [height, width]: grey values or palette indices,
    as they stand in the file, turned as its EXIF orientation says.

    Raises InputError as `load` does, and for what has no one number for each pixel: colours, other
    than of a grey image, transparency, values beyond 255; and for JPEG, which changes values.
    """
    file = os.fspath(path)
    with _reading(file), _opened(file) as stream, Image.open(stream, formats=FORMATS) as image:
        if image.width * image.height > MAX_PIXELS:
            raise _wrong(file, *_TOO_LARGE)
        if _kind(image) == "JPEG":
            raise _wrong(file, "a mask in JPEG has other values than were drawn", _AS_PNG)
        image.load()
        turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
        values = _values(image, file)
    if turn is None:
        return values
    return np.array(Image.fromarray(values).transpose(turn))


_AS_PNG = "save masks as PNG with one channel: each pixel the number of its class"


def _values(image: Image.Image, file: str) -> Pixels:
    """Of each pixel the number that the file has for it."""
    if image.mode == "RGB":
        colours = np.asarray(image)
        if (colours != colours[..., :1]).any():
            raise _wrong(file, "the mask is in colours, and a class is a number", _AS_PNG)
        return np.array(colours[..., 0])
    if image.mode not in _NUMBERS:
        raise _wrong(file, f"a mask of Pillow's mode '{image.mode}' has no classes", _AS_PNG)
    numbers = np.asarray(image)
    if numbers.dtype != np.bool_ and int(numbers.max(initial=0)) > WHITE:
        raise _wrong(
            file,
            f"the mask has the value {int(numbers.max()):,}, and classes count to 254",
            _AS_PNG,
        )
    return numbers.astype(np.uint8)


def _upended(image: Image.Image) -> bool:
    """Whether turning exchanges its sides, without decoding it: Pillow would search a PNG without
    EXIF data before its pixels for some behind them."""
    if image.format in _TURNED or (image.format == "PNG" and "exif" not in image.info):
        return False
    return image.getexif().get(_ORIENTATION, 1) in _UPENDING


def _kind(image: Image.Image) -> str:
    """MPO is JPEG with further images behind it."""
    return "JPEG" if image.format == "MPO" else str(image.format)


def from_pillow(image: Image.Image, channels: int, file: str = "image") -> Pixels:
    """An opened image's pixels, uint8 [height, width, channels]; `file` names it in errors.

    Raises InputError for more than MAX_PIXELS pixels, damage that a lazily opened image shows only
    now, and modes without an agreed range (32-bit integers, floats).
    """
    with _reading(file):
        return _pixels(image, channels, file)


def find(path: str | os.PathLike[str]) -> list[Path]:
    """The image files below a folder, by extension, sorted; hidden files and folders left out.

    Links are followed, circles broken. Raises InputError where `path` is no readable folder.
    """
    folder = Path(path)
    if not folder.is_dir():
        raise _wrong(str(folder), "there is no such folder", "check the path")
    try:
        return sorted(_below(folder, frozenset()))
    except OSError as error:
        where = str(error.filename or folder)
        raise _wrong(
            where, f"the folder can't be read: {error.strerror}", "check its permissions"
        ) from None


def _pixels(image: Image.Image, channels: int, file: str) -> Pixels:
    if channels not in (1, 3):
        raise _wrong(
            file,
            f"images are read with 1 or 3 channels, not {channels}",
            "give the pixels as an array",
        )
    if image.width * image.height > MAX_PIXELS:
        raise _wrong(file, *_TOO_LARGE)
    image.load()
    if image.width * image.height > MAX_PIXELS:  # a GIF's frame may outgrow its header
        raise _wrong(file, *_TOO_LARGE)
    turn = _TURNS.get(image.getexif().get(_ORIENTATION, 1))
    if image.mode in _HIGH_BYTE or (image.mode == "I" and image.format == "PPM"):
        image = Image.fromarray((np.asarray(image) >> 8).astype(np.uint8))
    elif image.mode not in _BYTES:  # 32-bit integers, floats, LAB
        raise _wrong(
            file,
            f"no rule turns pixels of Pillow's mode '{image.mode}' into 8 bits",
            "convert the image to 8 or 16 bits, grey or RGB",
        )
    if image.mode in _ALPHA or image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, "white")
        image = Image.alpha_composite(white, image)
    wanted = "L" if channels == 1 else "RGB"
    if image.mode not in ("1", "L", "RGB"):
        image = image.convert("RGB")  # the one way to grey for every colour mode
    if image.mode != wanted:  # else it would be copied
        image = image.convert(wanted)
    if turn is not None:
        image = image.transpose(turn)
    return np.array(image, dtype=np.uint8).reshape(image.height, image.width, channels)


@contextmanager
def _opened(file: str) -> Iterator[BinaryIO]:
    files.size(Path(file), MAX_BYTES, Code.INPUT)
    with Path(file).open("rb") as stream:
        yield stream


def _below(folder: Path, above: frozenset[Path]) -> Iterator[Path]:
    real = folder.resolve()
    if real in above:
        return
    for entry in folder.iterdir():
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            yield from _below(entry, above | {real})
        elif entry.suffix.lower() in EXTENSIONS and entry.is_file():
            yield entry


@contextmanager
def _reading(file: str) -> Iterator[None]:
    """Turns whatever reading an image raises into one InputError about `file`."""
    try:
        with _quiet:
            yield
    except NetspecError:
        raise
    except Image.DecompressionBombError:
        raise _wrong(file, *_TOO_LARGE) from None
    except UnidentifiedImageError:
        raise _wrong(
            file,
            "this is no image that netspec reads, or its beginning is damaged",
            "give a file of one of " + ", ".join(FORMATS),
        ) from None
    except OSError as error:
        if error.errno is None:  # Pillow's own: truncated data, a broken stream
            raise _damaged(file, error) from None
        raise _wrong(
            file, f"the file can't be read: {error.strerror}", "check its permissions"
        ) from None
    # Decoders meet hostile bytes here and raise whatever they stumble over.
    except Exception as error:
        raise _damaged(file, error) from None


_TOO_LARGE = (
    f"the image has more than {MAX_PIXELS} pixels",
    "make it smaller before giving it to netspec",
)


def _wrong(file: str, message: str, remedy: str) -> NetspecError:
    return InputError.of(Code.INPUT, message, file=file, remedy=remedy)


def _damaged(file: str, error: Exception) -> NetspecError:
    why = " ".join(str(error).split())[:200] or type(error).__name__
    return _wrong(
        file, f"the image is damaged or cut off: {why}", "replace the file by an intact copy"
    )


class _Quiet:
    """Keeps Pillow's warnings silent, threads decoding side by side included.

    `warnings.catch_warnings` alone would restore the wrong filters where two of them overlap, so
    the first to enter sets the filter and the last to leave takes it away.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._within = 0
        self._filters = warnings.catch_warnings()

    def __enter__(self) -> None:
        with self._lock:
            if self._within == 0:
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\b")
            self._within += 1

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with self._lock:
            self._within -= 1
            if self._within == 0:
                self._filters.__exit__(kind, error, trace)


_quiet = _Quiet()
