"""Text from outside: names that cannot steer a terminal, or pass for words of ours."""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections.abc import Iterable, Sequence

import numpy as np

from models.text import STEERING, escaped, shortened

_BREAKING = re.compile(f"[\t\n]|{STEERING.pattern}")
# What looks like an escape; and bytes that are no UTF-8, escaped when they are printed.
_ESCAPE = re.compile(r"\\(?:[\\tnr]|x[0-9a-f]{2}|u[0-9a-f]{4})|[\ud800-\udfff]")
# As spreadsheets begin one, in wide characters too.
_FORMULA = re.compile("'*[=+\\-@\uff1d\uff0b\uff0d\uff20\t\r\n]")
_SEPARATED = re.compile("[;|:\t]")  # where some programs end a cell that is not quoted
_COUNT = re.compile("0|[1-9][0-9]{0,9}")
_DIGITS = re.compile(r"\s*[0-9]+\s*")
_LONGEST_PATH = 4096  # bytes, as Linux has it
_LONGEST_LINE = 20_000  # characters of a message: four paths and words
# Underscores within words are no emphasis.
_MARKDOWN = re.compile(r"[\\`*\[\]<>|$&~]|(?<![^\W_])_|_(?![^\W_])")


def shown(text: object) -> str:
    r"""Returns a name as it is printed: of one line, control characters escaped.

    Where a name has escapes, or what looks like one, its backslashes are escaped too,
    so that no two names are printed as one.

    >>> print(shown("two\nlines"), shown(r"two\nlines"), shown(r"C:\data"))
    two\nlines two\\nlines C:\data
    """
    name = str(text)
    if _BREAKING.search(name) or _ESCAPE.search(name):
        name = name.replace("\\", "\\\\")
    return _BREAKING.sub(escaped, name)


def first_few(names: Sequence[str], most: int = 5) -> str:
    """Returns the first few names, for a message."""
    return ", ".join(names[:most]) + ", …" * (len(names) > most)


def of_short_lines(message: str) -> str:
    """Returns a message whose lines have an end, whatever a file put into them."""
    return "\n".join(shortened(it, _LONGEST_LINE) for it in message.split("\n"))


def is_shown(text: str) -> bool:
    """Returns whether a name is of one line, without control characters."""
    return not _BREAKING.search(text)


def is_count(text: str) -> bool:
    r"""Returns whether a text is a number as programs write one, of ten digits at most.

    >>> is_count("120"), is_count("007"), is_count("\u00b2"), is_count("\u0663")
    (True, False, False, False)
    """
    return bool(_COUNT.fullmatch(text))


def whole_number(text: str) -> int:
    r"""Returns the number that a text says in the digits 0 to 9, spaces around or not.

    Raises:
      ValueError: it says none. Python itself reads 1_0, +1 and digits of all scripts.

    >>> whole_number(" 07 ")
    7
    """
    if not _DIGITS.fullmatch(text):
        raise ValueError(f"no whole number: {text}")
    return int(text)


def single(text: str) -> float:
    """Returns the number of a text, as single precision has it.

    0 of one too small for that, infinity of one too large, NaN of any other text.

    >>> single("0.5"), single("1e-50"), single("-1e39"), single("1_0")
    (0.5, 0.0, -inf, nan)
    """
    try:
        number = math.nan if "_" in text else float(text)
    except ValueError:
        return math.nan
    limits = np.finfo(np.float32)
    if abs(number) > float(limits.max):
        return math.copysign(math.inf, number)
    return 0.0 if abs(number) < float(limits.tiny) else number


def is_path(text: str) -> bool:
    r"""Returns whether a path or a command line could have a text.

    >>> is_path("a\udcff\nb"), is_path("a\0b"), is_path("\ud800")
    (True, False, False)
    """
    try:
        return "\0" not in text and len(os.fsencode(text)) < _LONGEST_PATH
    except UnicodeEncodeError:
        return False


def markdown(text: str) -> str:
    """Returns a name that Markdown shows as it is, in a cell of a table too."""
    return _MARKDOWN.sub(r"\\\g<0>", shown(text))


def csv_text(lines: Iterable[Sequence[object]]) -> str:
    """Returns lines of CSV in which no cell is a formula.

    A cell that would begin one is led by an apostrophe, as is one that begins with
    apostrophes before it, so `plain_cell` tells them apart. Lines with separators of
    other programs are quoted.
    """
    file = io.StringIO(newline="")
    for line in lines:
        cells = [_text_cell(str(cell)) for cell in line]
        apart = any(map(_SEPARATED.search, cells))
        write = csv.writer(file, quoting=csv.QUOTE_ALL) if apart else csv.writer(file)
        write.writerow(cells)
    return file.getvalue()


def _text_cell(text: str) -> str:
    return f"'{text}" if _FORMULA.match(text) else text


def plain_cell(cell: str) -> str:
    """Returns what `csv_text` wrote a cell from.

    >>> plain_cell("'=1"), plain_cell("'tis")
    ('=1', "'tis")
    """
    return cell[1:] if cell.startswith("'") and _FORMULA.match(cell) else cell
