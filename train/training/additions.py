"""What training adds to the network: a learned scale, and auxiliary heads.

They are parameters of the network while it trains, so that they are updated and saved
with it; `network_alone` sets them aside where weights go in or out.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp
from flax import nnx

from models.auxiliary import AuxiliaryHead
from models.deeplab import DeepLab, NetworkOutputs
from train.common.errors import UserError
from train.training.losses import mean_cross_entropy
from train.training.scales import shrink_labels

if TYPE_CHECKING:
    from train.training.loss_options import LossOptions
    from train.training.network import ModelOptions

# Attributes of the network: the logarithm of the scale, any step of which leaves the
# scale positive; and a head for each stage.
_SCALE, _HEADS = "log_score_scale", "auxiliary_heads"


def add_parameters(
    options: LossOptions, network: ModelOptions, model: DeepLab, *, seed: int
) -> None:
    """Adds what the loss learns to the network.

    Args:
      options: of the loss.
      network: its options.
      model: the network.
      seed: of the heads' initial weights.

    Raises:
      UserError: the backbone lacks a stage.
    """
    if options.learn_score_scale:
        scale = jnp.float32(options.score_scale)
        setattr(model, _SCALE, nnx.Param(jnp.log(scale)))
    if options.auxiliary:
        channels = model.backbone.channels
        if max(options.auxiliary_stages) > len(channels):
            raise UserError(
                f"--auxiliary-stages must be from 1 to {len(channels)} for --backbone "
                f"{network.backbone}, got {max(options.auxiliary_stages)}"
            )
        rngs = nnx.Rngs(jax.random.fold_in(jax.random.key(seed), 1))
        heads = [
            AuxiliaryHead(
                channels[stage - 1],
                model.classes,
                norm_epsilon=network.norm_epsilon,
                dtype=jnp.dtype(network.precision),
                rngs=rngs,
            )
            for stage in options.auxiliary_stages
        ]
        setattr(model, _HEADS, nnx.List(heads))


@contextlib.contextmanager
def network_alone(model: DeepLab) -> Iterator[None]:
    """Sets aside what `add_parameters` added, within the block."""
    added = {
        name: getattr(model, name) for name in (_SCALE, _HEADS) if hasattr(model, name)
    }
    for name in added:
        delattr(model, name)
    yield
    for name, value in added.items():
        setattr(model, name, value)


def learned_scale(model: DeepLab) -> jax.Array | None:
    """Returns the score's scale, None where it is not learned."""
    parameter = getattr(model, _SCALE, None)
    return None if parameter is None else jnp.exp(parameter.get_value())


def auxiliary_losses(
    options: LossOptions, model: DeepLab, outputs: NetworkOutputs, labels: jax.Array
) -> dict[str, jax.Array]:
    """Returns the mean cross-entropy of the batch for each auxiliary head, by name.

    Args:
      options: of the loss.
      model: the network; its batch statistics are updated.
      outputs: of the network.
      labels: `[batch, height, width]`; the heads see them shrunk to their features.
    """
    if not options.auxiliary:
        return {}
    loss, found = mean_cross_entropy(options), {}
    heads = getattr(model, _HEADS)
    for stage, head in zip(options.auxiliary_stages, heads, strict=True):
        logits = head(outputs.maps[stage - 1], train=True)
        shrunk = shrink_labels(labels, logits.shape[1:3])
        found[f"auxiliary_{stage}"] = jnp.mean(loss(logits, shrunk))
    return found
