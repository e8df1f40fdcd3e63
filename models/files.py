"""Files written as a whole or not at all."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

# Ends the names of files that are being written; a kill can leave one.
PARTIAL = ".partial"


def replace_file(path: Path, content: bytes) -> None:
    """Replaces a file atomically: a kill or a full disk leaves the old one or none.

    A link is replaced, and what it leads to stays.

    Raises:
      OSError: it cannot be written.
    """
    with replacing(path) as file:
        file.write(content)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Opens what replaces a file, as `replace_file` does, once the block ends well.

    Raises:
      OSError: it cannot be written.
    """
    partial = path.with_name(f".{secrets.token_hex(8)}{PARTIAL}")
    try:
        with partial.open("x+b") as file:  # never one that is there, or a link
            yield file
        partial.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise
