"""The first convolution of RGB weights, for images of other channels or levels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

# Of every backbone that has weights of other projects.
FIRST_CONVOLUTION = "backbone.stem.kernel"


class Widening(NamedTuple):
    """What images were for the weights of a file, in terms of what they are here."""

    factors: tuple[float, float, float] = (1.0, 1.0, 1.0)  # of a level, in RGB
    bgr: bool = False  # whether the file's filters are for BGR


def widened(kernel: np.ndarray, channels: int, widening: Widening) -> np.ndarray:
    """Returns a kernel for images of any channels, from one for RGB or BGR.

    The first three channels have the filters of red, green and blue, and each further
    one the mean of these; fewer than three have the mean alone. All are multiplied by
    3 / channels: where the channels say the same, responses are those to RGB.

    Args:
      kernel: float `[height, width, 3, outputs]`.
      channels: of the images.
      widening: how levels differ.
    """
    rgb = kernel[:, :, ::-1] if widening.bgr else kernel
    rgb = rgb * np.array(widening.factors, rgb.dtype)[:, None]
    if channels == 3:
        return rgb
    own = rgb[:, :, : 3 if channels > 3 else 0]
    mean = rgb.mean(axis=2, keepdims=True)
    further = np.repeat(mean, channels - own.shape[2], axis=2)
    return np.concatenate([own, further], axis=2) * np.float32(3 / channels)


def with_wide_stem(
    values: Mapping[str, np.ndarray], channels: int, widening: Widening | None
) -> tuple[dict[str, np.ndarray], str]:
    """Returns arrays by the model's names, and what became of the first convolution.

    Args:
      values: of a file, as the model has them.
      channels: of the model's images.
      widening: None leaves all as they are, whether or not they fit.
    """
    found, kernel = dict(values), values.get(FIRST_CONVOLUTION)
    is_rgb = kernel is not None and kernel.ndim == 4 and kernel.shape[2] == 3
    if widening is None or kernel is None or not is_rgb:
        return found, ""
    if channels == 3 and widening == Widening():
        return found, ""
    found[FIRST_CONVOLUTION] = widened(kernel, channels, widening)
    said = [f"{FIRST_CONVOLUTION} for {channels} channels from RGB's filters"]
    if channels != 3:
        which = "further ones have" if channels > 3 else "all have"
        said.append(f"{which} their mean, and all are times 3/{channels}")
    if widening.factors != Widening().factors:
        factors = ", ".join(f"{factor:.3g}" for factor in widening.factors)
        said.append(f"red, green and blue times {factors} for the levels here")
    return found, "; ".join(said)
