"""Class weights that balance rare classes, from the number of their pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
from jax.typing import ArrayLike

from lal_jax import _checks
from lal_jax.masks import check_labels, ignored_labels, without

if TYPE_CHECKING:
    from jaxtyping import Float, Int

_METHODS = ("inverse", "inverse_root", "median_frequency", "effective_number")


def label_counts(
    labels: ArrayLike, *, classes: int, ignore_label: int | Sequence[int] = 255
) -> Int[np.ndarray, " classes"]:
    """Counts the pixels of each class, in NumPy.

    Add up the counts of the images, or stack them to `[images, classes]`, and pass them
    to `class_weights_from_counts`.

    Args:
      labels: class indices of any integer dtype and shape.
      classes: the number of classes.
      ignore_label: the label of ignored pixels, which are not counted, or several.

    Returns:
      The number of pixels of each class, `[classes]`, int64.

    Raises:
      ValueError: a label is out of range, or labels are not integers.

    >>> import numpy as np
    >>> label_counts(np.array([[0, 2], [2, 255]]), classes=3).tolist()
    [1, 0, 2]
    """
    check_labels(labels, classes=classes, ignore_label=ignore_label)
    flat = np.ravel(labels)
    counted = without(ignored_labels(ignore_label), flat, np.ones(flat.shape, bool))
    return np.bincount(flat[counted].astype(np.int64), minlength=classes)


def class_weights_from_counts(
    counts: ArrayLike,
    *,
    method: Literal["inverse", "inverse_root", "median_frequency", "effective_number"],
    beta: float = 0.9999,
) -> Float[np.ndarray, " classes"]:
    r"""Returns a weight for each class, for the losses' `class_weights`.

    With n_c the number of pixels of class c, N their sum and K the number of classes
    that occur:

    - `"inverse"`: :math:`w_c = N / (K n_c)`; over the counted pixels the weights
      average 1, so that the loss keeps its scale.
    - `"inverse_root"`: :math:`w_c = N / (\sqrt{n_c} \sum_k \sqrt{n_k})`, halfway to
      equal weights; they average 1 over the counted pixels too.
    - `"median_frequency"`: :math:`w_c = \mathrm{median}(f) / f_c`, with f_c the
      fraction of class c among the pixels of the images that contain it.
    - `"effective_number"`: :math:`w_c \propto (1-\beta) / (1-\beta^{n_c})`, with the
      weights of the classes that occur averaging 1.

    Args:
      counts: pixels per class, `[classes]`, or per image and class,
        `[images, classes]`. Median frequency needs the latter: given only sums, it
        assumes that every image contains every class.
      method: one of the above.
      beta: β in [0, 1) of the effective number: 0 gives equal weights, and β → 1 the
        inverse ones. The effective number saturates at 1/(1−β): with millions of
        pixels β = 0.9999 leaves the weights equal for all but the rarest classes.

    Returns:
      float64 weights, `[classes]`; 0 for a class that does not occur.

    Raises:
      ValueError: counts are negative, not finite or all 0, have a wrong shape, the
        method is unknown, or β does not lie in [0, 1).

    >>> class_weights_from_counts([60, 30, 10], method="inverse").round(3).tolist()
    [0.556, 1.111, 3.333]

    Source: median frequency after Eigen and Fergus 2015 (arXiv:1411.4734); the
    effective number after Cui et al. 2019 (arXiv:1901.05555), whose weights add up to
    the number of classes.
    """
    _checks.check_choice("method", method, _METHODS)
    _checks.check_below_one("beta", beta)
    table = np.asarray(counts, np.float64)
    known = table.size > 0 and np.isfinite(table).all() and (table >= 0).all()
    if table.ndim not in (1, 2) or not known:
        raise ValueError(
            "counts must be [classes] or [images, classes], finite and not negative: "
            f"got {counts!r}"
        )
    table = np.atleast_2d(table)
    per_class = table.sum(axis=0)
    occurs = per_class > 0
    if not occurs.any():
        raise ValueError("counts must have a class that occurs, got 0 for all of them")
    present = per_class[occurs]
    if method == "inverse":
        found = present.sum() / (len(present) * present)
    elif method == "inverse_root":
        found = present.sum() / (np.sqrt(present) * np.sqrt(present).sum())
    elif method == "median_frequency":
        pixels = (table > 0).T @ table.sum(axis=1)  # of the images that hold the class
        frequency = present / pixels[occurs]
        found = np.median(frequency) / frequency
    else:
        found = (1.0 - beta) / (1.0 - beta**present)
        found /= found.mean()
    weights = np.zeros(len(per_class))
    weights[occurs] = found
    return weights
