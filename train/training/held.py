"""A training state between steps, as the list of its arrays."""

from __future__ import annotations

import jax

from train.data.images import Example
from train.training.step import CompiledStep, LeafStep, Step, TrainState, on_leaves


class HeldState:
    """The state that steps follow one another on.

    Flax's containers are taken apart and put together by Python, for a ResNet-101 some
    milliseconds a step; a list of arrays is not. So the state is put together only
    where somebody looks at it.

    Args:
      step: takes the state it is given.
      state: where to begin.
    """

    def __init__(self, step: Step, state: TrainState):
        self._leaves, self._structure = jax.tree.flatten(state)
        self._step: LeafStep = (
            step.on_leaves(self._structure)
            if isinstance(step, CompiledStep)
            else on_leaves(step, self._structure)
        )

    @property
    def state(self) -> TrainState:
        """The state after the last step, valid until the next."""
        return jax.tree.unflatten(self._structure, self._leaves)

    def advance(self, batch: Example) -> dict[str, jax.Array]:
        """Takes a step on a batch; returns its metrics."""
        self._leaves, metrics = self._step(self._leaves, batch)
        return metrics
