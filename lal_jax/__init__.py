"""Region-aware losses for semantic segmentation in JAX, as pure functions.

Logits are `[..., height, width, classes]` floating point, labels `[..., height, width]`
integer, with any number of leading axes; windows over sequences and volumes take those.
Void pixels are `ignore_label` (default 255) or `where=False`. Losses are computed in
float32 whatever comes in, in float64 where that is given.

The locally adaptive learning loss (Guo et al. 2018, arXiv:1802.08290)
  locally_adaptive_loss     one loss an image (Eq. 2–5)
and its parts
  standard_score            a pixel's logits to mean 0 and deviation 1
  selective_pool            average over neighbors of the same label (Eq. 2)
  chessboard_weights        the neighbor weights ω of the paper
  uniform_weights           … all alike
  gaussian_weights          … falling off as a Gaussian
  selective_cross_entropy   a loss for each pixel's window (Eq. 3, 4)
  minkowski_mean            power mean over an image's valid pixels (Eq. 5)

Its counterparts, a loss for each pixel
  softmax_cross_entropy     the baseline
  focal_loss                fades where the prediction is right (Lin et al. 2017)
  center_loss               distance to the class's center (Wen et al. 2016)
  update_centers            moves the centers after a step

Other ways to pool, also as `pool=` of locally_adaptive_loss
  masked_mean               mean over an image's valid pixels
  hard_pixel_mean           mean of the largest losses (OHEM, top-k)
  loss_max_pooling          the weights within two norms that weigh the hard pixels most
  weighted_ensemble         weighted mean of several estimates (Eq. 1)

Helpers
  valid_mask                which pixels count
  check_labels              refuses labels that no class has, outside jit
  label_counts              how often each class occurs
  class_weights_from_counts weights that make up for rare classes

  gradients                 the loss's gradient in closed form (Eq. 6–8)
"""

from lal_jax import gradients
from lal_jax.center import center_loss, update_centers
from lal_jax.class_weights import class_weights_from_counts, label_counts
from lal_jax.cross_entropy import softmax_cross_entropy
from lal_jax.ensemble import weighted_ensemble
from lal_jax.focal import focal_loss
from lal_jax.hard_pixels import hard_pixel_mean, loss_max_pooling
from lal_jax.locally_adaptive import locally_adaptive_loss
from lal_jax.masks import check_labels, valid_mask
from lal_jax.neighbor_weights import (
    chessboard_weights,
    gaussian_weights,
    uniform_weights,
)
from lal_jax.patches import selective_pool_by_patches
from lal_jax.pooling import selective_pool
from lal_jax.reductions import masked_mean, minkowski_mean
from lal_jax.selective_loss import selective_cross_entropy
from lal_jax.standard_score import standard_score

__version__ = "0.1.0"

__all__ = [
    "center_loss",
    "check_labels",
    "chessboard_weights",
    "class_weights_from_counts",
    "focal_loss",
    "gaussian_weights",
    "gradients",
    "hard_pixel_mean",
    "label_counts",
    "locally_adaptive_loss",
    "loss_max_pooling",
    "masked_mean",
    "minkowski_mean",
    "selective_cross_entropy",
    "selective_pool",
    "selective_pool_by_patches",
    "softmax_cross_entropy",
    "standard_score",
    "uniform_weights",
    "update_centers",
    "valid_mask",
    "weighted_ensemble",
]
