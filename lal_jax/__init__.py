"""Region-aware losses for semantic segmentation in JAX, as pure functions.

Logits are `[..., height, width, classes]` floating point, labels `[..., height, width]`
integer, with any number of leading axes. Void pixels are `ignore_label` (default 255)
or `where=False`. Losses are computed in float32 whatever comes in, in float64 where
that is given.

The locally adaptive learning loss (Guo et al. 2018, arXiv:1802.08290)
  locally_adaptive_loss     one loss an image (Eq. 2–5)
and its parts
  standard_score            a pixel's logits to mean 0 and deviation 1
  chessboard_weights        the neighbour weights ω
  selective_pool            average over neighbours of the same label (Eq. 2)
  selective_cross_entropy   a loss for each pixel's window (Eq. 3, 4)
  minkowski_mean            power mean over an image's valid pixels (Eq. 5)

Its counterparts, a loss for each pixel
  softmax_cross_entropy     the baseline
  focal_loss                fades where the prediction is right (Lin et al. 2017)
  center_loss               distance to the class's centre (Wen et al. 2016)
  update_centers            moves the centres after a step

Other ways to pool, also as `pool=` of locally_adaptive_loss
  masked_mean               mean over an image's valid pixels
  hard_pixel_mean           mean of the largest losses (OHEM, top-k)
  loss_max_pooling          the weights within two norms that weigh the hard pixels most
  weighted_ensemble         weighted mean of several estimates (Eq. 1)

Helpers
  valid_mask                which pixels count

  gradients                 the loss's gradient in closed form (Eq. 6–8)
"""

from lal_jax import gradients
from lal_jax.center import center_loss, update_centers
from lal_jax.cross_entropy import softmax_cross_entropy
from lal_jax.ensemble import weighted_ensemble
from lal_jax.focal import focal_loss
from lal_jax.hard_pixels import hard_pixel_mean, loss_max_pooling
from lal_jax.locally_adaptive import locally_adaptive_loss, selective_cross_entropy
from lal_jax.masks import valid_mask
from lal_jax.pooling import chessboard_weights, selective_pool
from lal_jax.reductions import masked_mean, minkowski_mean
from lal_jax.standard_score import standard_score

__version__ = "0.1.0"

__all__ = [
    "center_loss",
    "chessboard_weights",
    "focal_loss",
    "gradients",
    "hard_pixel_mean",
    "locally_adaptive_loss",
    "loss_max_pooling",
    "masked_mean",
    "minkowski_mean",
    "selective_cross_entropy",
    "selective_pool",
    "softmax_cross_entropy",
    "standard_score",
    "update_centers",
    "valid_mask",
    "weighted_ensemble",
]
