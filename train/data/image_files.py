"""Files of images: the formats that are read, limits, and what is refused of a file.

Everything that Pillow opens is opened here; `images.py` makes pixels of it.
"""

from __future__ import annotations

import contextlib
import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image, UnidentifiedImageError

from train.common.errors import UserError, is_of_system, unreadable
from train.common.regular import check_size, open_regular
from train.common.text import shown
from train.data.bmp_heads import check_bmp
from train.data.exif import orientation_of
from train.data.image_work import Watched, check_measured
from train.data.jpeg_segments import JPEG_BEGINS, JpegPieces
from train.data.png_chunks import SIGNATURE, PngPieces, Unpacked, pixel_chunks
from train.data.tiff_entries import is_tiff, tiled_pixels
from train.data.tiff_files import TiffFile
from train.data.tiff_pictures import TiffPieces, silence_libtiff, unknown_channels

# By Pillow's names, with those of the documentation. All are decoded by Pillow itself:
# it hands others to programs, EPS, whatever its ending, to Ghostscript.
FORMATS = {
    "JPEG": "JPEG",
    "PNG": "PNG",
    "BMP": "BMP",
    "TIFF": "TIFF",
    "WEBP": "WebP",
}
Image.init()
silence_libtiff()
_THERE = tuple(name for name in FORMATS if name in Image.OPEN)  # as Pillow was built

_IDAT = zlib.crc32(b"IDAT")  # which checksums of pixels begin with

# Pillow tells its doubts of each tag; what cannot be read is told once, by its refusal.
warnings.filterwarnings("ignore", module=r"PIL\.")

# Of a file, which may claim any size; Pillow's own limit is lower, and only of its kind
# in each process.
Image.MAX_IMAGE_PIXELS = None
PIXEL_LIMIT = 1_000_000_000
_limit = PIXEL_LIMIT

_BLOCKS = 16  # of a file: what a decoder cannot use yet it is given again, with more

ORIENTATION = "orientation"  # of what `opened` gives: EXIF's number, in its `info`

# Bytes of a file: of each pixel, and of all else that it may hold.
_BYTES_OF_PIXEL, _OTHER_BYTES = 16, 2**26


def limit_pixels(limit: int) -> None:
    """Refuses files of more pixels from now on, in this process."""
    global _limit
    _limit = limit


def pixel_limit() -> int:
    """Returns the limit of this process, for others that it starts."""
    return _limit


def check_pixels(count: int, what: str, way_out: str) -> None:
    """Refuses what is larger than `limit_pixels` allows, before it takes memory."""
    if count > _limit:
        raise UserError(
            f"{what} {count} pixels, more than the {_limit} of --pixel-limit. {way_out}"
        )


def check_file(path: Path) -> None:
    """Refuses a file that is too large whatever its picture, before any is read."""
    check_size(path, path.stat().st_size, most_bytes(_limit))


def most_bytes(pixels: int, each: int = 1, other: int = _OTHER_BYTES) -> int:
    """Returns the most bytes that a file of so many pixels may have.

    Args:
      pixels: their number.
      each: bytes that one is unpacked to, where they may be many.
      other: bytes of all else that it may hold.
    """
    return max(_BYTES_OF_PIXEL, 2 * each) * pixels + other


def check_picture(
    name: str, width: int, height: int, tile: tuple[int, int] | None = None
) -> None:
    """Refuses a picture of more pixels than `limit_pixels` allows.

    Args:
      name: of its file.
      width: in pixels.
      height: likewise.
      tile: width and height of its tiles, all of which are decoded whole.

    Raises:
      UserError: it names the file, its pixels and the limit.
      ValueError: there are none.
    """
    if min(width, height, *(tile or ())) < 1:
        raise ValueError("it has no pixels")
    _check_count(width * height, f"{name} has {width}×{height} =")
    if tile:
        together = tiled_pixels((width, height), tile)
        _check_count(together, f"{name} has tiles of together")


@contextlib.contextmanager
def opened(
    source: Path | bytes, name: str = "a prepared record", *, bytes_of_pixel: int = 1
) -> Iterator[Image.Image]:
    """Opens an image by its content, to be decoded within the block.

    Its `info` has the `ORIENTATION` by which it is yet to be turned, 1 for none.
    Whatever is raised there, by the decoder of a damaged or a hostile file, becomes the
    refusal of that file.

    Args:
      source: the file, or its content.
      name: of content, for messages.
      bytes_of_pixel: as many of the file's pixels count as one.

    Raises:
      UserError: it is missing, of another format or too large, holds several pictures,
        or cannot be decoded.
    """
    name = str(source) if isinstance(source, Path) else name
    with blaming(name), contextlib.ExitStack() as stack:
        file = (
            stack.enter_context(open_regular(source))
            if isinstance(source, Path)
            else io.BytesIO(source)
        )
        check_measured(file, name)
        most = most_bytes(_limit, bytes_of_pixel)  # until its pixels are known
        check_size(name, size := file.seek(0, io.SEEK_END), most)
        watched = Watched(file, name)
        given, orientation = _pieces(watched, name, bytes_of_pixel)
        image: Any = stack.enter_context(_opened(given, name))
        _check_work(image, watched, name, bytes_of_pixel)
        if image.format == "WEBP":
            orientation = orientation_of(image.info.get("exif", b""))
        image.info[ORIENTATION] = orientation
        if len(image.tile) == 1 or image.format == "TIFF":
            image.decodermaxblock = max(image.decodermaxblock, size // _BLOCKS)
        yield image


def _pieces(file: Any, name: str, each: int) -> tuple[Any, int]:
    """Returns what of a file makes its pixels, and by which number it is turned.

    Nothing else is given to Pillow, whose metadata take any time and memory; of BMP
    and WebP it reads none.

    Args:
      file: any image.
      name: of it, for messages.
      each: as many of its pixels count as one.
    """
    file.seek(0)
    head = file.read(8)
    file.seek(0)
    if head == SIGNATURE:
        png = PngPieces(file)
        if png.has_frames:
            raise _several(name)
        return png, orientation_of(png.exif)
    if head.startswith(JPEG_BEGINS):
        jpeg = JpegPieces(file, name)
        return jpeg, orientation_of(jpeg.exif)
    if is_tiff(head):
        tiff = TiffFile(file, name)
        page = tiff.one_page()
        wide, tile = page.width // each, page.tile
        check_picture(name, wide, page.height, tile and (tile[0] // each, tile[1]))
        return TiffPieces(tiff, page), page.orientation
    return file, 1


def _opened(given: Any, name: str) -> Image.Image:
    try:
        return Image.open(given, formats=_THERE)
    except UnidentifiedImageError as error:
        if isinstance(given, TiffPieces):
            raise unknown_channels(name) from error
        raise


def check_pixel_sums(image: Image.Image, *, whole: bool = True) -> None:
    """Refuses a PNG whose pixels are not those of their checksums, which Pillow skips.

    Args:
      image: before it is decoded, as `opened` gives it.
      whole: looks whether it has all of its pixels, too, which takes as long as
        decoding.

    Raises:
      ValueError: they are not, or the file does not begin as PNGs do.
    """
    file: Any = getattr(image, "fp", None)
    if image.format != "PNG" or file is None:
        return
    place = file.tell()
    unpacked = Unpacked(file)
    for content, checksum in pixel_chunks(file):
        if zlib.crc32(content, _IDAT) != int.from_bytes(checksum):
            raise ValueError("its pixels differ from their checksum")
        if whole:
            unpacked.add(content)
    if whole and unpacked.missing > 0:
        raise ValueError("it has fewer pixels than it says")
    file.seek(place)


@contextlib.contextmanager
def blaming(name: str) -> Iterator[None]:
    """Makes whatever is raised within the block the refusal of a file."""
    try:
        yield
    except UserError:
        raise
    except FileNotFoundError as error:
        raise UserError(f"{name}: no such file.") from error
    except Exception as error:
        if is_of_system(error):
            raise unreadable(name, error) from error
        raise UserError(
            f"{name} cannot be decoded ({_reason(error)}). Replace the file, or leave "
            "it out."
        ) from error


def _reason(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "it takes more memory than there is"
    if isinstance(error, UnidentifiedImageError):
        *others, last = FORMATS.values()
        return f"it is damaged, or none of {', '.join(others)} and {last}"
    text = shown(str(error)[:200])
    known = isinstance(error, (OSError, SyntaxError, ValueError))
    return text if known and text else f"{type(error).__name__}: {text}"


def _check_work(image: Image.Image, file: Any, name: str, each: int) -> None:
    """Refuses an image that is too large, or made to seem small, before it is decoded.

    Raises:
      UserError: its pixels are more than the limit, or it takes more than they do.
      ValueError: it has several sizes.
    """
    pixels = image.width * image.height // each
    _check_count(pixels, f"{name} has {image.width // each}×{image.height} =")
    check_size(name, file.seek(0, io.SEEK_END), most_bytes(pixels, each))
    if image.format == "WEBP" and _is_animation(file):
        raise _several(name)
    if image.format == "BMP":
        check_bmp(file, image, name)


def _check_count(count: int, what: str) -> None:
    check_pixels(
        count,
        what,
        "If it is meant to be as large, give the command again with --pixel-limit "
        f"{count}.",
    )


def _several(name: str) -> UserError:
    return UserError(
        f"{name} holds several pictures (frames of an animation, or pages), and one is "
        "needed. Save it as a file of its own."
    )


def _is_animation(file: Any) -> bool:
    """Returns whether a WebP is an animation, of one frame or more.

    That of one may be smaller than the picture, or hide that it is transparent.
    """
    file.seek(12)
    while len(head := file.read(8)) == 8:
        part, size = struct.unpack("<4sI", head)
        if part in (b"ANIM", b"ANMF"):
            return True
        file.seek(size + size % 2, io.SEEK_CUR)
    return False
