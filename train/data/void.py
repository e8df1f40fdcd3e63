"""Values of masks that do not count, beside 255: `--void`.

Values keep their meaning: a void class stays in the list, and no pixel is of it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence

import numpy as np

from models.text import shortened
from train.common.errors import UserError
from train.common.options import Limit
from train.data.masks import IGNORED

_VALUE = re.compile("[0-9]{1,3}")


def _is_void_word(word: str) -> bool:
    return bool(word) and (not _VALUE.fullmatch(word) or int(word) < IGNORED)


VOID = Limit(
    lambda words: len(words) <= IGNORED and all(map(_is_void_word, words)),
    f"must be values of 0 to {IGNORED - 1} ({IGNORED} never counts), or names of "
    "classes",
)


def values_of(words: Sequence[str]) -> set[int]:
    """Returns the values among words, of which others are names."""
    return {int(word) for word in words if _VALUE.fullmatch(word)}


def void_values(words: Sequence[str], names: Sequence[str]) -> tuple[int, ...]:
    """Returns the values that do not count, in order.

    Args:
      words: of `--void`: values, which may be of no class, or names of classes. A
        number is a value, whatever classes are called.
      names: of the classes, in the order of the values.

    Raises:
      UserError: there is no class of a name, or fewer than two are left.
    """
    places = {name: value for value, name in enumerate(names)}
    named = [word for word in words if not _VALUE.fullmatch(word)]
    for word in named:
        if word not in places:
            raise UserError(
                f"--void {shortened(word)!r}: no class has that name. Name one of "
                f"{_listed(names)}, or its value in the masks."
            )
    void = values_of(words) | {places[word] for word in named}
    check_left([name for value, name in enumerate(names) if value not in void], words)
    return tuple(sorted(void))


def check_left(names: Sequence[str], words: Sequence[str]) -> None:
    """Refuses to go on with fewer than two classes.

    Args:
      names: of the classes that count.
      words: of `--void`.

    Raises:
      UserError: it names what is left.
    """
    if words and len(names) < 2:
        what = f"class {shortened(names[0])!r} alone" if names else "no class"
        raise UserError(
            f"--void {shortened(' '.join(words))} leaves {what} to tell apart. Name "
            "those alone whose pixels do not count, and leave two classes or more."
        )


def _listed(names: Sequence[str], most: int = 20) -> str:
    shown = ", ".join(map(shortened, names[:most]))
    return shown + (f", … ({len(names)} in all)" if len(names) > most else "")


def without_void(label: np.ndarray, void: Collection[int]) -> np.ndarray:
    """Returns a mask, uint8, in which pixels of the values are ignored.

    >>> without_void(np.array([0, 1, 2], np.uint8), (0,)).tolist()
    [255, 1, 2]
    """
    if not void:
        return label
    table = np.arange(256, dtype=np.uint8)
    table[list(void)] = IGNORED
    return table[label]


def void_marked(names: Sequence[str], void: Collection[int]) -> tuple[str, ...]:
    """Returns the names of the classes for a table, which says of what is void.

    >>> void_marked(("sky", "road"), (0,))
    ('sky (void)', 'road')
    """
    return tuple(
        f"{name} (void)" if value in void else name for value, name in enumerate(names)
    )
