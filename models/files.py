"""Files written as a whole or not at all."""

from __future__ import annotations

import contextlib
import secrets
from pathlib import Path

# Ends the names of files that are being written; a kill can leave one.
PARTIAL = ".partial"


def replace_file(path: Path, content: bytes) -> None:
    """Replaces a file atomically: a kill or a full disk leaves the old one or none.

    A link is replaced, and what it leads to stays.

    Raises:
      OSError: it cannot be written.
    """
    partial = path.with_name(f".{secrets.token_hex(8)}{PARTIAL}")
    try:
        with partial.open("xb") as file:  # never one that is there, or a link
            file.write(content)
        partial.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise
