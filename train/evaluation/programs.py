"""The compiled functions of a prediction, one for each size of what they are given."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from models.deeplab import DeepLab
from train.common.errors import NotFinite
from train.data.preprocessing import Preprocessing
from train.evaluation.scores import join, probabilities
from train.evaluation.views import EvaluationOptions, View
from train.training.step import TrainState


class Programs:
    """Functions of images that a network sees, their scores and their masks.

    What they have compiled is forgotten with them.

    Args:
      graph: the network's structure.
      preprocess: what the network is given of an image.
      options: how scores are joined.
      void: classes that no pixel is predicted as.

    Attributes:
      look: scores `[batch, height, width, classes]` of uint8 images under a view,
        joined with those of earlier views.
      label: masks of scores, uint8 `[batch, height, width]`, and whether each image's
        scores are finite, `[batch]`.
      weigh: the probabilities of one image times weights of its rows and columns, and
        whether all are finite.
      rows: the probabilities of so many rows of one image.
    """

    def __init__(
        self,
        graph: nnx.GraphDef[DeepLab],
        preprocess: Preprocessing,
        options: EvaluationOptions,
        void: Sequence[int] = (),
    ):
        @functools.partial(jax.jit, static_argnames="view", donate_argnames="joined")
        def look(
            joined: jax.Array | None,
            params: nnx.State,
            statistics: nnx.State,
            images: np.ndarray,
            view: View,
        ) -> jax.Array:
            model = nnx.merge(graph, params, statistics, copy=True)
            pixels = preprocess(jnp.asarray(images))
            return join(joined, model, pixels, view, options, void)

        @jax.jit
        def label(found: jax.Array) -> tuple[jax.Array, jax.Array]:
            masks = jnp.argmax(found, axis=-1).astype(jnp.uint8)
            return masks, jnp.isfinite(found).all(axis=(1, 2, 3))

        @jax.jit
        def weigh(
            found: jax.Array, rows: jax.Array, columns: jax.Array
        ) -> tuple[jax.Array, jax.Array]:
            weights = rows[:, None, None] * columns[:, None]
            finite = jnp.isfinite(found).all()
            return probabilities(found[0], options) * weights, finite

        @functools.partial(jax.jit, static_argnames="count")
        def rows(found: jax.Array, first: int, count: int) -> jax.Array:
            some = jax.lax.dynamic_slice_in_dim(found[0], first, count)
            return probabilities(some, options)

        self.look, self.label, self.weigh, self.rows = look, label, weigh, rows

    def masks(self, found: jax.Array) -> np.ndarray:
        """Returns the masks of scores, uint8 `[batch, height, width]`.

        Raises:
          NotFinite: an image has a score that is NaN or infinite.
        """
        masks, finite = jax.device_get(self.label(found))
        if not finite.all():
            raise NotFinite(int(np.argmin(finite)))
        return masks

    def memory(
        self, state: TrainState, image: jax.ShapeDtypeStruct, views: Sequence[View]
    ) -> int:
        """Returns the bytes that looking at an image takes under all of the views.

        0 where the compiler does not tell.
        """
        seen = state.params, state.statistics, image, max(views)
        memory = self.look.lower(None, *seen).compile().memory_analysis()
        if memory is None:
            return 0
        # The scores of earlier views are held as well.
        results = min(2, len(views)) * memory.output_size_in_bytes
        return memory.temp_size_in_bytes + results
