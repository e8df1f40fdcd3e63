"""Region-aware losses for semantic segmentation in JAX, as pure functions.

Logits are floating point, `[..., height, width, classes]`, and labels integer,
`[..., height, width]`, with any number of leading axes; windows may also span sequences
and volumes. Pixels labeled `ignore_label` (default 255; a number or several) or with
`where=False` are ignored. Losses are float32, or float64 for float64 logits.

The locally adaptive learning loss (Guo et al. 2018, arXiv:1802.08290)
  locally_adaptive_loss     one loss per image (Eq. 2–5)
and its parts
  standard_score            each pixel's logits to mean 0 and standard deviation 1
  selective_pool            average over neighbors of the same label (Eq. 2)
  selective_pool_by_patches the same by its definition, to read and to test against
  chessboard_weights        neighbor weights ω of the paper
  uniform_weights           neighbor weights that are all 1
  gaussian_weights          neighbor weights that fall off as a Gaussian
  selective_cross_entropy   one loss per window (Eq. 3, 4)
  minkowski_mean            power mean over an image's valid pixels (Eq. 5)

Its counterparts, one loss per pixel
  softmax_cross_entropy     the baseline
  focal_loss                down-weights well-classified pixels (Lin et al. 2017)
  center_loss               distance to the center of the class (Wen et al. 2016)
  update_centers            moves the centers after a step

Overlap of regions, one loss per image or one per batch
  dice_loss                 1 − F1 of each class (Milletari et al. 2016)
  generalized_dice_loss     of all classes, rare ones weigh more (Sudre et al. 2017)
  jaccard_loss              1 − IoU of each class (Rahman and Wang 2016)
  lovasz_softmax_loss       1 − IoU of sets, extended (Berman et al. 2018)
  tversky_loss              with costs of misses and false alarms (Salehi et al. 2017)

Distances to the regions, one loss per image or one per batch
  boundary_loss             probabilities by how far off they are (Kervadec et al. 2019)
  signed_distances          distance of each pixel to each class, negative inside

Windows and shapes, likewise one loss per image or one per batch
  region_mutual_information_loss  what windows tell of the labels (Zhao et al. 2019)
  cl_dice_loss              Dice of centerlines, for thin regions (Shit et al. 2021)

Features before the classifier, likewise, of pixels drawn at random
  pixel_contrast_loss       classes apart, by supervised contrast (Wang et al. 2021)
  pixel_triplet_loss        by the hardest triplets (Hermans et al. 2017)

Other ways to pool, also as `pool=` of locally_adaptive_loss
  masked_mean               mean over an image's valid pixels
  class_balanced_mean       mean in which an image's rare classes weigh more
  hard_pixel_mean           mean of the largest losses (OHEM, top-k)
  loss_max_pooling          largest weighted sum with the weights' norms bounded
  weighted_ensemble         weighted mean of several estimates (Eq. 1)

Helpers
  valid_mask                mask of the pixels that are not ignored
  check_labels              raises for labels out of range, outside jit
  label_counts              number of pixels of each class
  class_weights_from_counts class weights that balance rare classes

  gradients                 the loss's gradient in closed form (Eq. 6–8)
  metrics                   IoU, Dice, accuracies and those of borders, as counts that
                            add up over batches and devices
"""

from lal_jax import gradients, metrics
from lal_jax.boundary import boundary_loss
from lal_jax.center import center_loss, update_centers
from lal_jax.cl_dice import cl_dice_loss
from lal_jax.class_balance import class_balanced_mean
from lal_jax.class_weights import class_weights_from_counts, label_counts
from lal_jax.cross_entropy import softmax_cross_entropy
from lal_jax.distances import signed_distances
from lal_jax.ensemble import weighted_ensemble
from lal_jax.focal import focal_loss
from lal_jax.generalized_dice import generalized_dice_loss
from lal_jax.hard_pixels import hard_pixel_mean, loss_max_pooling
from lal_jax.locally_adaptive import locally_adaptive_loss
from lal_jax.lovasz import lovasz_softmax_loss
from lal_jax.masks import check_labels, valid_mask
from lal_jax.neighbor_weights import (
    chessboard_weights,
    gaussian_weights,
    uniform_weights,
)
from lal_jax.overlap import dice_loss, jaccard_loss, tversky_loss
from lal_jax.patches import selective_pool_by_patches
from lal_jax.pixel_contrast import pixel_contrast_loss
from lal_jax.pixel_triplet import pixel_triplet_loss
from lal_jax.pooling import selective_pool
from lal_jax.reductions import masked_mean, minkowski_mean
from lal_jax.region_mutual_information import region_mutual_information_loss
from lal_jax.selective_loss import selective_cross_entropy
from lal_jax.standard_score import standard_score

__version__ = "0.1.0"

__all__ = [
    "boundary_loss",
    "center_loss",
    "check_labels",
    "chessboard_weights",
    "cl_dice_loss",
    "class_balanced_mean",
    "class_weights_from_counts",
    "dice_loss",
    "focal_loss",
    "gaussian_weights",
    "generalized_dice_loss",
    "gradients",
    "hard_pixel_mean",
    "jaccard_loss",
    "label_counts",
    "locally_adaptive_loss",
    "loss_max_pooling",
    "lovasz_softmax_loss",
    "masked_mean",
    "metrics",
    "minkowski_mean",
    "pixel_contrast_loss",
    "pixel_triplet_loss",
    "region_mutual_information_loss",
    "selective_cross_entropy",
    "selective_pool",
    "selective_pool_by_patches",
    "signed_distances",
    "softmax_cross_entropy",
    "standard_score",
    "tversky_loss",
    "uniform_weights",
    "update_centers",
    "valid_mask",
    "weighted_ensemble",
]
