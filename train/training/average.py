"""The moving average of a network over the steps of its training."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx


class Average(NamedTuple):
    """A network's moving average.

    Statistics of batch norm are averaged as parameters are: those of the present
    network belong to its own activations, not to those of averaged weights.
    """

    params: nnx.State
    statistics: nnx.State

    def moved(
        self,
        params: nnx.State,
        statistics: nnx.State,
        *,
        step: jax.Array,
        decay: float,
    ) -> Average:
        """Returns the average with the network of one more step in it.

        A ← A + (1 − d) (network − A), d = min(decay, (1 + step) / (10 + step)): the
        first networks are soon forgotten.

        Args:
          params: of the network after the step.
          statistics: likewise.
          step: the number of steps before that one, int32 [].
          decay: in [0, 1).
        """
        share = jnp.maximum(1 - decay, 9 / (10 + step))
        network = Average(params, statistics)
        return jax.tree.map(lambda old, new: old + share * (new - old), self, network)


def begun(params: nnx.State, statistics: nnx.State) -> Average:
    """Returns the average of a network alone, in arrays of its own."""
    return jax.tree.map(jnp.copy, Average(params, statistics))
