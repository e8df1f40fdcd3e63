"""The number of pixels of each class in a split."""

from __future__ import annotations

import numpy as np
from tqdm import tqdm

import lal_jax
from train.data.images import IGNORED, Source, decode_label


def class_counts(source: Source, classes: int) -> np.ndarray:
    """Returns the pixels of each class in each image, int64 `[images, classes]`."""
    indices = tqdm(
        range(len(source)), desc="counting pixels", unit="mask", dynamic_ncols=True
    )
    return np.stack(
        [
            lal_jax.label_counts(
                decode_label(source[index]), classes=classes, ignore_label=IGNORED
            )
            for index in indices
        ]
    )
