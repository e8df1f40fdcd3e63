"""Files of probabilities: written row by row, and told from all others by a mark.

The mark is a checksum of all before it, so a file that was changed since is another's.
"""

from __future__ import annotations

import contextlib
import functools
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from models.files import replacing
from train.common.files import naming
from train.data.images import Size

# The mark: the comment of the archive, which is the end of its file.
_MARK = re.compile(rb"predicted ([0-9a-f]{8})")
_BLANK = b"predicted 00000000"


@contextlib.contextmanager
def probability_file(
    path: Path, size: Size, class_names: Sequence[str]
) -> Iterator[Callable[[np.ndarray], object]]:
    """Opens a file of an image's probabilities; it is there once the block ends well.

    A compressed archive for `numpy.load`: `probabilities`, float16 `[height, width,
    classes]`, and `class_names`. Yields a function that takes the next rows.

    Args:
      path: of the file, which is replaced.
      size: height and width of the image, pixels.
      class_names: one for each class.

    Raises:
      OSError: it names the file.
    """
    described = {
        "descr": "<f2",
        "fortran_order": False,
        "shape": (*size, len(class_names)),
    }
    with naming(path), replacing(path) as file:
        with _archive(file) as archive:
            with archive.open("class_names.npy", "w") as names:
                np.lib.format.write_array(names, np.array(class_names, np.str_))
            with archive.open("probabilities.npy", "w", force_zip64=True) as array:
                np.lib.format.write_array_header_1_0(array, described)
                yield lambda rows: array.write(rows.astype("<f2").tobytes())
        mark = b"%08x" % _checksum(file)
        file.seek(-len(mark), 2)
        file.write(mark)


def _archive(file: BinaryIO) -> zipfile.ZipFile:
    """Begins an archive that ends in a mark, still blank."""
    archive = zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1)
    archive.comment = _BLANK
    return archive


def is_probability_file(path: Path) -> bool:
    """Returns whether a file is as `probability_file` wrote it, and no link."""
    if path.is_symlink() or not path.is_file():
        return False
    with path.open("rb") as file:
        file.seek(-min(len(_BLANK), file.seek(0, 2)), 2)
        mark = _MARK.fullmatch(file.read())
        return mark is not None and int(mark[1], 16) == _checksum(file)


def _checksum(file: BinaryIO) -> int:
    """Returns that of all but the mark."""
    left, checksum = file.seek(0, 2) - len(_BLANK), 0
    file.seek(0)
    for piece in iter(functools.partial(file.read, 1 << 20), b""):
        checksum = zlib.crc32(piece[: max(0, left)], checksum)
        left -= len(piece)
    return checksum
