"""Notes: what is said of data as they are found and prepared; a page has them too."""

from __future__ import annotations

import contextlib
import contextvars
import sys
from collections.abc import Iterator

from train.common.text import of_short_lines

_KEPT: contextvars.ContextVar[list[str] | None] = contextvars.ContextVar(
    "_KEPT", default=None
)


def note(text: str) -> None:
    """Says something of data, beside what programs print; long lines are cut."""
    text = of_short_lines(text)
    print(text, file=sys.stderr)
    kept = _KEPT.get()
    if kept is not None and text not in kept:
        kept.append(text)


@contextlib.contextmanager
def kept_notes() -> Iterator[list[str]]:
    """Gives the list of what is said within the block."""
    notes: list[str] = []
    before = _KEPT.set(notes)
    try:
        yield notes
    finally:
        _KEPT.reset(before)
