"""Writing files so that a kill leaves the old or the new one."""

from __future__ import annotations

from pathlib import Path


def replace_bytes(path: Path, content: bytes) -> None:
    """Writes a file as a whole or not at all."""
    partial = path.with_suffix(".partial")
    partial.write_bytes(content)
    partial.replace(path)


def replace_text(path: Path, text: str) -> None:
    """Writes a text file as a whole or not at all."""
    replace_bytes(path, text.encode())
