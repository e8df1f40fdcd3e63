"""What `peers.py` calls of the peers in PyTorch."""

from __future__ import annotations

from benchmarks.peer_calls import (
    BATCH_DICE,
    BINARY_FOCAL,
    BOUNDARY,
    DICE,
    FOCAL,
    GENERALIZED,
    LOVASZ,
    MEAN,
    ONE_LINE,
    ONE_REGION,
    REGIONS,
    TVERSKY,
    WEIGHTED,
    Call,
)

TORCH_CALLS = [
    Call(
        "PyTorch",
        "cross-entropy",
        "cross_entropy(logits, labels, ignore_index=255)",
        MEAN,
    ),
    Call(
        "PyTorch",
        "cross-entropy, class weights",
        "cross_entropy(logits, labels, weight=class_weights, ignore_index=255)",
        WEIGHTED,
    ),
    Call(
        "MONAI",
        "Dice",
        "DiceLoss(to_onehot_y=True, softmax=True, smooth_nr=1.0, smooth_dr=1.0, "
        "ignore_index=255)(logits, labels[:, None])",
        DICE,
    ),
    Call(
        "MONAI",
        "Dice, masked",
        "MaskedDiceLoss(softmax=True, smooth_nr=1.0, smooth_dr=1.0)"
        "(logits, one_hot, mask)",
        DICE,
    ),
    Call(
        "MONAI",
        "Jaccard",
        "DiceLoss(to_onehot_y=True, softmax=True, jaccard=True, smooth_nr=2.0, "
        "smooth_dr=2.0, ignore_index=255)(logits, labels[:, None])",
        'jaccard_loss(logits, labels, classes="all")',
    ),
    Call(
        "MONAI",
        "Tversky",
        "TverskyLoss(to_onehot_y=True, softmax=True, alpha=0.3, beta=0.7, "
        "smooth_nr=1.0, smooth_dr=1.0, ignore_index=255)(logits, labels[:, None])",
        TVERSKY,
    ),
    Call(
        "MONAI",
        "generalized Dice",
        "MaskedLoss(GeneralizedDiceLoss, softmax=True, smooth_nr=0.0, smooth_dr=0.0)"
        "(logits, one_hot, mask)",
        GENERALIZED,
        note="a class that is absent weighs as much as the rarest that is present",
    ),
    Call(
        "MONAI",
        "generalized Dice, softmax before",
        "MaskedLoss(GeneralizedDiceLoss, smooth_nr=0.0, smooth_dr=0.0)"
        "(logits.softmax(1), one_hot, mask)",
        GENERALIZED,
        note="as above",
    ),
    Call(
        "MONAI",
        "focal",
        "FocalLoss(to_onehot_y=True, use_softmax=True, ignore_index=255)"
        "(logits, labels[:, None])",
        FOCAL,
    ),
    Call(
        "MONAI",
        "focal, no ignore_index",
        "FocalLoss(to_onehot_y=True, use_softmax=True)(logits, labels[:, None])",
        FOCAL,
        equal=f"{FOCAL} / 4",
        ignoring=None,
        note="the mean is over the classes too, with ignore_index over pixels alone",
    ),
    Call(
        "MONAI",
        "clDice, one class",
        "MaskedLoss(SoftclDiceLoss, iter_=10, smooth=1e-12, sigmoid=True)"
        "(logits[:, :1], one_hot[:, :1], mask)",
        ONE_LINE,
        note="the centerlines of several classes are added up before the ratio",
    ),
    Call(
        "MONAI",
        "boundary",
        "MaskedLoss(BoundaryLoss, softmax=True)(logits, one_hot, mask)",
        BOUNDARY,
        equal="boundary_loss(logits, labels, distances="
        "signed_distances(labels, num_classes=4) + one_hot) / 4",
        note="the mean over classes; distances inside begin at 0",
    ),
    Call(
        "smp",
        "Dice",
        'DiceLoss("multiclass", smooth=0.5, ignore_index=255)(logits, labels)',
        BATCH_DICE,
        note="an absent class costs 0 and stays in the mean",
    ),
    Call(
        "smp",
        "Jaccard",
        'JaccardLoss("multiclass", smooth=1.0, ignore_index=255)(logits, labels)',
        "jaccard_loss(logits, labels, per_image=False)",
        note="as Dice",
    ),
    Call(
        "smp",
        "Tversky",
        'TverskyLoss("multiclass", alpha=0.3, beta=0.7, smooth=1.0, '
        "ignore_index=255)(logits, labels)",
        "tversky_loss(logits, labels, per_image=False)",
        note="as Dice",
    ),
    Call(
        "smp",
        "Lovász, per image",
        'LovaszLoss("multiclass", per_image=True, ignore_index=255)(logits, labels)',
        LOVASZ,
    ),
    Call(
        "smp",
        "focal, sigmoid",
        'FocalLoss("multiclass", ignore_index=255)(logits, labels)',
        BINARY_FOCAL,
    ),
    Call(
        "smp",
        "cross-entropy",
        "SoftCrossEntropyLoss(smooth_factor=0.0, ignore_index=255)(logits, labels)",
        MEAN,
    ),
    Call(
        "Kornia",
        "Dice",
        'dice_loss(logits, labels, average="macro", ignore_index=255)',
        "dice_loss(logits, labels, smooth=0.0)",
        note="an image without valid pixels costs 1",
    ),
    Call(
        "Kornia",
        "Tversky",
        "tversky_loss(logits, labels, alpha=0.3, beta=0.7, ignore_index=255)",
        "tversky_loss(logits, labels, smooth=0.0)",
        note="an image without valid pixels costs 1",
    ),
    Call(
        "Kornia",
        "Lovász",
        "lovasz_softmax_loss(logits, labels)",
        'lovasz_softmax_loss(logits, labels, classes="all")',
        ignoring=False,
    ),
    Call(
        "Kornia",
        "focal",
        'focal_loss(logits, labels, alpha=None, reduction="mean", ignore_index=255)',
        FOCAL,
        equal=f"{FOCAL} / 4",
        note="the mean is over ignored pixels and the classes too, as documented",
    ),
    Call(
        "MMSegmentation",
        "Dice",
        "DiceLoss(use_sigmoid=False, naive_dice=True, eps=1.0)(logits, labels)",
        DICE,
        equal=f'dice_loss({ONE_REGION}, activation="none")',
        note="all classes are one region: 1 minus the mean probability of the label",
    ),
    Call(
        "MMSegmentation",
        "Dice, squared",
        "DiceLoss(use_sigmoid=False, eps=1e-9)(logits, labels)",
        'dice_loss(logits, labels, squared=True, smooth=0.0, classes="all")',
        equal=f'dice_loss({ONE_REGION}, activation="none", squared=True, smooth=0.0)',
        note="all classes are one region",
    ),
    Call("MMSegmentation", "Tversky", "TverskyLoss()(logits, labels)", TVERSKY),
    Call(
        "MMSegmentation",
        "Lovász, per image",
        "LovaszLoss(per_image=True)(logits, labels)",
        LOVASZ,
    ),
    Call(
        "MMSegmentation",
        "cross-entropy",
        "CrossEntropyLoss()(logits, labels, ignore_index=255)",
        MEAN,
        note="the mean is over ignored pixels too, as documented",
    ),
    Call(
        "MMSegmentation",
        "cross-entropy, avg_non_ignore",
        "CrossEntropyLoss(avg_non_ignore=True)(logits, labels, ignore_index=255)",
        MEAN,
    ),
    Call(
        "RMI",
        "region mutual information",
        "RMILoss(num_classes=4, rmi_pool_size=1, rmi_pool_stride=1, "
        "loss_weight_lambda=0.0)(logits, labels)",
        REGIONS,
        equal=f"4 * ({REGIONS} + 0.5 * log(5e-4))",
        note="the sum of the classes, with ½ ln(nξ) for n windows; equal at n = 500",
    ),
    Call(
        "clDice",
        "clDice, one class",
        "soft_cldice()(one_hot[:, :1], logits[:, :1].sigmoid())",
        ONE_LINE,
        equal='cl_dice_loss(logits[..., :1], one_hot[..., :1], activation="sigmoid", '
        "per_image=False)",
        ignoring=False,
        note="one ratio for the batch",
    ),
]
