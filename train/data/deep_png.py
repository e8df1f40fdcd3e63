"""PNG of 16 bits a channel, of which Pillow keeps the upper half alone."""

from __future__ import annotations

import io
import struct
import zlib

import numpy as np

from train.common.errors import UserError
from train.data.image_files import opened
from train.data.png_chunks import SIGNATURE, pixel_chunks

_CHANNELS = {0: 1, 2: 3, 4: 2, 6: 4}  # by the color type


def deep_pixels(content: bytes, name: str) -> np.ndarray:
    """Returns the pixels of a PNG of 16 bits, uint16 `[height, width, channels]`.

    PNG's filters take differences of bytes at the distance of a pixel, so the upper and
    the lower bytes of all channels are two filtered pictures of 8 bits, which Pillow
    can read.

    Args:
      content: of a file that Pillow has read whole, and so found to be sound.
      name: of the file, for messages.

    Raises:
      UserError: it is interlaced, or has fewer pixels than it says.
    """
    width, height, _, kind, *_, interlaced = struct.unpack(">IIBBBBB", content[16:29])
    if interlaced:
        raise UserError(
            f"{name} is an interlaced PNG of 16 bits, which is not read. Save it "
            "without interlacing."
        )
    channels = _CHANNELS[kind]
    size = height * (1 + 2 * width * channels)
    packed = b"".join(chunk for chunk, _ in pixel_chunks(io.BytesIO(content)))
    data = zlib.decompressobj().decompress(packed, size)
    if len(data) < size:
        raise UserError(f"{name} has fewer pixels than it says. Save it anew.")
    lines = np.frombuffer(data, np.uint8).reshape(height, -1)
    pairs = lines[:, 1:].reshape(height, width * channels, 2)
    upper, lower = (
        _unfiltered(
            np.hstack([lines[:, :1], pairs[..., half]]), (width, height), kind, name
        )
        for half in (0, 1)
    )
    pixels = upper.astype(np.uint16) * 256 + lower
    return pixels.reshape(height, width, channels)


def _unfiltered(
    lines: np.ndarray, size: tuple[int, int], kind: int, name: str
) -> np.ndarray:
    """Returns the pixels of filtered rows of bytes, as Pillow reads them."""
    head = struct.pack(">IIBBBBB", *size, 8, kind, 0, 0, 0)
    chunks = [
        (b"IHDR", head),
        (b"IDAT", zlib.compress(lines.tobytes(), 0)),
        (b"IEND", b""),
    ]
    halved = SIGNATURE + b"".join(_chunk(*chunk) for chunk in chunks)
    with opened(halved, name) as image:
        return np.asarray(image)


def _chunk(kind: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(kind + content)
    return (
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)
    )
