"""Sums of losses, as in `softmax_cross_entropy + 0.5 * dice`.

JAX is imported where it is used, so that the options load without it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import train.training.region_losses  # noqa: F401 (adds them to the table)
from train.common.text import single
from train.training.losses import LOSSES

if TYPE_CHECKING:
    import jax

    from models.deeplab import NetworkOutputs
    from train.training.loss_options import LossOptions

_TOKEN = re.compile(
    r"\s*(?:(?P<number>[0-9.][\w.]*(?:(?<=[eE])[-+]\d+)?)|(?P<name>\w+)|(.))"
)


class Term(NamedTuple):
    """A loss of a sum, and its factor."""

    name: str
    factor: float = 1.0

    def __str__(self) -> str:
        """Returns the term as `terms_of` reads it."""
        return self.name if self.factor == 1 else f"{self.factor!r} * {self.name}"


def terms_of(text: str) -> tuple[Term, ...]:
    """Reads a sum of losses.

    Args:
      text: names of `LOSSES`, each with a number and `*` before it or not, joined by
        `+`.

    Returns:
      The terms, in their order.

    Raises:
      ValueError: it does not parse, a name is not in the table or there twice, or a
        factor is not above 0; with the position.

    >>> [str(term) for term in terms_of("softmax_cross_entropy+.5*dice")]
    ['softmax_cross_entropy', '0.5 * dice']
    """
    tokens = _tokens(text)
    terms: list[Term] = []
    place, sign = -1, "+"
    while sign == "+":
        term, place = _term(tokens)
        if term.name in [other.name for other in terms]:
            raise _error(f"{term.name} is there twice; add up its factors", place)
        terms.append(term)
        _, sign, place = next(tokens)
    if sign:
        raise _error(f"after a loss comes + or the end, not {sign!r:.40}", place)
    return tuple(terms)


def _tokens(text: str) -> Iterator[tuple[str, str, int]]:
    """Yields the kind, the text and the place of each token; at the end empty ones."""
    for found in _TOKEN.finditer(text.rstrip()):
        kind = found.lastgroup or ""
        place = found.start(found.lastindex or 0)
        yield kind, text[place : found.end()], place
    while True:
        yield "", "", len(text)


def _term(tokens: Iterator[tuple[str, str, int]]) -> tuple[Term, int]:
    """Reads a term, and returns the place of its name too."""
    factor = 1.0
    kind, text, place = next(tokens)
    if kind == "number":
        factor = _number(text, place)
        _, star, place = next(tokens)
        if star != "*":
            raise _error(f"after {text:.40} comes * and the name of a loss", place)
        kind, text, place = next(tokens)
    if kind != "name":
        what = f"{text!r:.40} is none" if text else "it ends"
        raise _error(f"a loss is missing where {what}", place)
    try:
        LOSSES.check(text)
    except ValueError as error:
        raise _error(f"there is {error}", place) from error
    return Term(text, factor), place


def _number(text: str, place: int) -> float:
    factor = single(text)
    if math.isnan(factor):
        raise _error(f"{text:.40} is not a number", place)
    if not 0 < factor < math.inf:
        raise _error(f"a factor must be above 0 and finite, not {text:.40}", place)
    return factor


def _error(what: str, place: int) -> ValueError:
    return ValueError(f"{what} (character {place + 1})")


class LossValue(NamedTuple):
    """Losses of a batch, and the centers of the next step."""

    losses: jax.Array  # [batch]: the sum, each term by its factor
    centers: jax.Array
    terms: dict[str, jax.Array]  # [batch] each, without factors; empty for one alone


def make_loss(options: LossOptions) -> Callable[..., LossValue]:
    """Returns the loss of a run: a function of what `losses.Loss` takes."""
    import jax.numpy as jnp

    terms = terms_of(options.name)
    functions = [LOSSES[term.name](options) for term in terms]

    def loss(
        outputs: NetworkOutputs,
        labels: jax.Array,
        centers: jax.Array,
        score_scale: jax.Array | None = None,
    ) -> LossValue:
        total, found = jnp.zeros(labels.shape[0]), {}
        for term, function in zip(terms, functions, strict=True):
            losses, centers = function(outputs, labels, centers, score_scale)
            total = total + term.factor * losses
            found[term.name] = losses
        return LossValue(total, centers, found if len(terms) > 1 else {})

    return loss
