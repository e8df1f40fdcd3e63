"""Text from files, printed: what would steer a terminal is escaped."""

from __future__ import annotations

import math
import re

# What moves a cursor, changes colors, ends a line or turns the direction of writing.
STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]"
)


def inert(text: str) -> str:
    r"""Returns text whose control characters are escaped, all but tabs and new lines.

    >>> print(inert("a\x1b[2J b\u202e"))
    a\x1b[2J b\u202e
    """
    return STEERING.sub(escaped, text)


def shortened(text: str, most: int = 80) -> str:
    """Returns text of at most so many characters, and an ellipsis for the rest."""
    return text if len(text) <= most else f"{text[:most]}…"


def positive(text: str) -> float:
    """Returns a finite number above 0, as programs write one.

    Raises:
      ValueError: it is none.
    """
    # Python reads 1_0 and digits of all scripts, too.
    value = float(text if text.isascii() and "_" not in text else "nan")
    if not (math.isfinite(value) and value > 0):
        raise ValueError(f"{text!r} is no positive number")
    return value


def escaped(found: re.Match[str]) -> str:
    """Returns what a pattern has found, in escapes."""
    return found[0].encode("unicode_escape").decode()
