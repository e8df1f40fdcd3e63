"""What `peers.py` calls: each peer's loss and the one of lal_jax, as expressions.

The text of an expression is what is run and what stands in the tables. It is evaluated
among the names of the peer's module, beside

  logits, labels   in the peer's layout; ignored pixels are labeled 255
  one_hot          of the labels, as floats, with rows of zeros at ignored pixels
  mask             in PyTorch, 1 where a pixel counts, with an axis for the classes
  valid, inside    in JAX, True where a pixel counts; inside has all classes
  class_weights    of the four classes

and its mean is the loss.
"""

from __future__ import annotations

from typing import NamedTuple


class Peer(NamedTuple):
    """A library, or an authors' program, with losses of its own."""

    name: str
    module: str  # where the names of its expressions are found
    framework: str  # "torch" or "jax"
    package: str | None  # on the package index; None for a clone


class Call(NamedTuple):
    """A loss of a peer beside its counterpart."""

    peer: str
    loss: str
    theirs: str
    ours: str
    equal: str | None = None  # of lal_jax, what theirs equals, if `ours` is another
    ignoring: bool | None = True  # whether theirs can be told; None: it is told above
    note: str = ""  # what its definition has otherwise


PEERS = [
    Peer("optax", "optax.losses", "jax", "optax"),
    Peer("PyTorch", "torch.nn.functional", "torch", "torch"),
    Peer("MONAI", "monai.losses", "torch", "monai"),
    Peer(
        "smp",
        "segmentation_models_pytorch.losses",
        "torch",
        "segmentation_models_pytorch",
    ),
    Peer("Kornia", "kornia.losses", "torch", "kornia"),
    Peer("MMSegmentation", "mmseg.models.losses", "torch", "mmsegmentation"),
    Peer("MedicAI", "medicai.losses", "jax", "medicai"),
    Peer("Keras", "keras.losses", "jax", "keras"),
    Peer("RMI", "RMI.losses.rmi.rmi", "torch", None),
    Peer("clDice", "cldice_loss.pytorch.cldice", "torch", None),
]

DICE = 'dice_loss(logits, labels, classes="all")'
BATCH_DICE = "dice_loss(logits, labels, per_image=False)"
TVERSKY = 'tversky_loss(logits, labels, classes="all")'
GENERALIZED = "generalized_dice_loss(logits, labels)"
LOVASZ = "lovasz_softmax_loss(logits, labels)"
MEAN = "masked_mean(softmax_cross_entropy(logits, labels), where=valid, axis=None)"
WEIGHTED = (
    "masked_mean(softmax_cross_entropy(logits, labels), "
    "weights=class_weights[labels], where=valid, axis=None)"
)
FOCAL = "masked_mean(focal_loss(logits, labels, alpha=1.0), where=valid, axis=None)"
BINARY_FOCAL = (
    "masked_mean(focal_loss(stack([0 * logits, logits], -1), one_hot.astype(int), "
    "alpha=1.0, where=inside), where=inside, axis=None)"
)
ONE_REGION = (
    "softmax(logits).reshape(*labels.shape[:2], -1, 1), "
    "one_hot.reshape(*labels.shape[:2], -1, 1)"
)
BOUNDARY = "boundary_loss(logits, labels)"
ONE_LINE = (
    'cl_dice_loss(logits[..., :1], one_hot[..., :1], activation="sigmoid", where=valid)'
)
LINES = 'cl_dice_loss(logits, labels, smooth=0.0, classes="all")'
REGIONS = (
    "region_mutual_information_loss(logits, labels, downsampling=1, "
    'activation="sigmoid")'
)
