"""PNG files of any depth, some of which Pillow cannot write."""

import struct
import zlib
from pathlib import Path

import numpy as np

_COLOR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # by the number of channels


def write_png(
    path: Path, pixels: np.ndarray, *, depth: int, palette: bytes = b""
) -> Path:
    """Writes indices of a palette, gray, or channels in a last axis; unfiltered."""
    height, width = pixels.shape[:2]
    rows = pixels.reshape(height, -1)
    shifts = np.arange(depth - 1, -1, -1)
    bits = (rows[..., None].astype(np.uint32) >> shifts) & 1
    packed = np.packbits(bits.reshape(height, -1).astype(np.uint8), axis=1)
    lines = b"".join(b"\0" + line.tobytes() for line in packed)
    channels = pixels.shape[2] if pixels.ndim == 3 else 1
    header = struct.pack(
        ">IIBBBBB",
        width,
        height,
        depth,
        3 if palette else _COLOR_TYPES[channels],
        *bytes(3),
    )
    chunks = [(b"IHDR", header), (b"IDAT", zlib.compress(lines)), (b"IEND", b"")]
    if palette:
        chunks.insert(1, (b"PLTE", palette))
    content = b"\x89PNG\r\n\x1a\n"
    for kind, data in chunks:
        checked = kind + data
        content += struct.pack(">I", len(data)) + checked
        content += struct.pack(">I", zlib.crc32(checked))
    path.write_bytes(content)
    return path


def headed(size: tuple[int, int]) -> bytes:
    """Returns a gray PNG of no pixels, whose head says how many there are."""
    parts = [(b"IHDR", struct.pack(">IIBBBBB", *size, 8, 0, 0, 0, 0)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(content))
        + (name + content)
        + struct.pack(">I", zlib.crc32(name + content))
        for name, content in parts
    )
