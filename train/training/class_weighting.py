"""Weights of the classes in a loss: numbers, a file of them, or a rule.

JAX is imported where it is used, so that the options load without it.
"""

from __future__ import annotations

import dataclasses
import math
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from train.common.errors import UserError
from train.common.files import naming
from train.common.regular import read_regular
from train.common.text import shown, single
from train.training.losses import OF_CROSS_ENTROPY

if TYPE_CHECKING:
    from train.training.loss_options import LossOptions

# By the pixels of each class; `lal_jax.class_weights_from_counts` has the formulas.
RULES = (
    ("inverse_root",),
    ("inverse",),
    ("median_frequency",),
    ("effective_number",),
)

# Losses in which a pixel counts by the weight of its label.
_OF_PIXELS = ("locally_adaptive", "focal", *OF_CROSS_ENTROPY)

_OPTION = "--class-weights"
_MOST = 2**20  # bytes of a file of weights


def is_weight(word: str) -> bool:
    """Returns whether a word is a number that a class may weigh."""
    return 0 <= single(word) < math.inf


def with_weights_of_file(arguments: Sequence[str]) -> list[str]:
    """Returns a command line with numbers in place of a file that holds them.

    A configuration then has the numbers, whatever becomes of the file.

    Raises:
      UserError: the file holds anything else.
    """
    words: list[str] = []
    for word in arguments:  # --class-weights=FILE as --class-weights FILE
        option, equals, value = word.partition("=")
        is_joined = equals and option.replace("_", "-") == _OPTION
        words += [option, value] if is_joined else [word]
    for place, word in enumerate(words[:-1], 1):
        if word.replace("_", "-") != _OPTION:
            continue
        name, after = words[place], words[place + 1 :]
        alone = not after or after[0].startswith("--")
        if alone and (name,) not in RULES and os.path.exists(name):
            return [*words[:place], *_weights_in(Path(name)), *after]
    return words


def _weights_in(path: Path) -> list[str]:
    """Returns the numbers of a text file, between spaces, commas or new lines."""
    with naming(path):
        text = read_regular(path, _MOST).decode("utf-8-sig", errors="replace")
    words = text.replace(",", " ").split()
    strange = [word for word in words if not is_weight(word)]
    if strange or not words:
        what = f"it has {strange[0]!r:.40}" if strange else "it is empty"
        raise UserError(
            f"{_OPTION} {path}: {what}; write a number for each class into it, 0 or "
            "more, in the order of the masks' values, between spaces, commas or new "
            "lines."
        )
    return words


def with_class_weights(
    options: LossOptions, count_pixels: Callable[[], np.ndarray]
) -> LossOptions:
    """Returns options whose class weights are numbers, by their rule.

    Args:
      options: of the run.
      count_pixels: returns the pixels of each class, `[images, classes]`; called only
        where a rule needs them.
    """
    if options.class_weights not in RULES:
        return options
    import lal_jax

    (rule,) = options.class_weights
    weights = lal_jax.class_weights_from_counts(
        count_pixels(), method=cast("Any", rule)
    )
    numbers = tuple(map(repr, weights.tolist()))
    return dataclasses.replace(options, class_weights=numbers)


def warn_of_weightless(options: LossOptions, class_names: Sequence[str]) -> None:
    """Says which classes have a weight of 0 in a loss that counts pixels, if any."""
    if not options.has(*_OF_PIXELS) or options.class_weights in RULES:
        return
    pairs = zip(class_names, options.class_weights, strict=False)
    named = [name for name, weight in pairs if single(weight) == 0]
    if named:
        print(
            f"warning: {_OPTION} is 0 for {shown(', '.join(named))}: to take its "
            f"pixels for another class costs nothing in --loss {options.name}, but in "
            "terms of regions. The weights go into every term.",
            file=sys.stderr,
        )
