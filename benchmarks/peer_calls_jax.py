"""What `peers.py` calls of the peers in JAX."""

from __future__ import annotations

from benchmarks.peer_calls import (
    BINARY_FOCAL,
    DICE,
    GENERALIZED,
    LINES,
    MEAN,
    TVERSKY,
    Call,
)

JAX_CALLS = [
    Call("optax", "Dice", "dice_loss(logits, one_hot, smooth=0.5)", DICE),
    Call(
        "optax",
        "Tversky",
        "dice_loss(logits, one_hot, alpha=0.3, beta=0.7)",
        TVERSKY,
    ),
    Call(
        "optax",
        "generalized Dice",
        "multiclass_generalized_dice_loss(logits, one_hot, smooth=0.5)",
        GENERALIZED,
        equal='dice_loss(logits, labels, classes="all", class_weights='
        "1 / one_hot.sum((0, 1, 2)) ** 2)",
        note="the mean of the classes' Dice under Sudre's weights, not one ratio",
    ),
    Call(
        "optax",
        "cross-entropy",
        "mean(softmax_cross_entropy_with_integer_labels(logits, labels * valid), "
        "where=valid)",
        MEAN,
    ),
    Call(
        "optax",
        "focal, sigmoid",
        "mean(sigmoid_focal_loss(logits, one_hot), where=inside)",
        BINARY_FOCAL,
    ),
]

KERAS = "from_logits=True, num_classes=4, ignore_class_ids=255"
MEDICAI = [
    ("Dice", "Dice", "", 'dice_loss(logits, labels, smooth=0.0, classes="all")'),
    ("Jaccard", "IoU", "", 'jaccard_loss(logits, labels, smooth=0.0, classes="all")'),
    (
        "Tversky",
        "Tversky",
        ", alpha=0.3, beta=0.7",
        'tversky_loss(logits, labels, smooth=0.0, classes="all")',
    ),
    ("generalized Dice", "GeneralizedDice", "", GENERALIZED),
    ("clDice", "CenterlineDice", ", iters=10, memory_efficient_skeleton=False", LINES),
]
JAX_CALLS += [
    Call(
        "MedicAI",
        loss,
        f"Sparse{name}Loss({KERAS}{more})(labels[..., None], logits)",
        ours,
    )
    for loss, name, more, ours in MEDICAI
]
JAX_CALLS += [
    Call(
        "Keras",
        "cross-entropy",
        "SparseCategoricalCrossentropy(from_logits=True, ignore_class=255)"
        "(labels, logits)",
        MEAN,
    ),
]
