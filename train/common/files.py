"""Atomic file writes: a kill leaves the old file or the new one."""

from __future__ import annotations

from pathlib import Path


def replace_bytes(path: Path, content: bytes) -> None:
    """Replaces a file atomically."""
    partial = path.with_suffix(".partial")
    partial.write_bytes(content)
    partial.replace(path)


def replace_text(path: Path, text: str) -> None:
    """Replaces a text file atomically."""
    replace_bytes(path, text.encode())
