"""What is finite: checked within the step, told one step late, and before each save."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from train.common.errors import Diverged
from train.training.optimizer import OptimizerOptions

# What of a step is not finite, by the number that the step returns; 0 if all is.
FAULTS = (
    "",
    "the loss is {loss}",
    "the gradient is not finite (the loss is {loss:.4g})",
    "running statistics or centers are not finite (the loss is {loss:.4g})",
)
FAULT = "fault"  # that number's name among the metrics of a step


def all_finite(tree: Any) -> jax.Array:
    """Returns whether all floating-point arrays of a tree are finite, bool []."""
    leaves = [x for x in map(jnp.asarray, jax.tree.leaves(tree)) if _is_floating(x)]
    found = [jnp.all(jnp.isfinite(leaf)) for leaf in leaves]
    return jnp.all(jnp.stack(found)) if found else jnp.bool_(True)


def first_fault(loss: jax.Array, gradient: Any, kept: Any) -> jax.Array:
    """Returns the index in `FAULTS` of the first that is not finite, int32 []."""
    fault = jnp.int32(0)
    for index, tree in reversed([*enumerate((loss, gradient, kept), 1)]):
        fault = jnp.where(all_finite(tree), fault, index)
    return fault


def updated_where(sound: jax.Array, new: Any, old: Any) -> Any:
    """Returns the new state, or the old one where the update is not sound.

    Counts go on either way, so that batches and learning rates stay those of the step.
    """
    return jax.tree.map(
        lambda after, before: (
            jnp.where(sound, after, before) if _is_floating(after) else after
        ),
        new,
        old,
    )


def _is_floating(leaf: jax.Array) -> bool:
    return bool(jnp.issubdtype(leaf.dtype, jnp.inexact))


class FaultWatch:
    """Follows whether steps are finite, one step late: nothing waits for the device.

    Args:
      options: of the optimizer: how many updates may be left out, and what to lower.
      skipped: updates that have been left out before.
      batch_told: returns the sentences that tell of the batch of a step.
      say: prints a line.
    """

    def __init__(
        self,
        options: OptimizerOptions,
        skipped: int,
        batch_told: Callable[[int], str],
        say: Callable[[str], None],
    ):
        self.skipped = skipped
        self._options, self._batch_told, self._say = options, batch_told, say
        self._pending: tuple[int, dict[str, jax.Array]] | None = None

    def follow(self, step: int, metrics: dict[str, jax.Array]) -> None:
        """Takes the metrics of a step that may be running, and judges the one before.

        Raises:
          Diverged: as `settle`.
        """
        self.settle()
        self._pending = step, metrics

    def settle(self) -> None:
        """Judges the last step, once it is done.

        Raises:
          Diverged: it is not finite, and no further update may be left out.
        """
        if self._pending is None:
            return
        (step, metrics), self._pending = self._pending, None
        if not (fault := int(metrics[FAULT])):
            return
        what = FAULTS[fault].format(loss=float(metrics["loss"]))
        self.skipped += 1
        allowed = self._options.skip_nonfinite
        if self.skipped > allowed:
            raise Diverged(self._message(step, what), step)
        self._say(
            f"warning: {what} at step {step}, whose update is left out ({self.skipped} "
            f"of {allowed}). {self._batch_told(step)}"
        )

    def _message(self, step: int, what: str) -> str:
        allowed, rate = self._options.skip_nonfinite, self._options.learning_rate
        before = f" after {allowed} updates that were left out" if allowed else ""
        return (
            f"{what} at step {step}{before}. Lower --learning-rate (now {rate:g}); "
            "checkpoints up to the last are kept. To leave such updates out instead, "
            f"go on with --skip-nonfinite {max(allowed + 10, 2 * allowed)}.\n"
            f"{self._batch_told(step)}"
        )
