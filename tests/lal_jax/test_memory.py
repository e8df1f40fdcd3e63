"""Compiled memory: losses store no windows, and few copies of the logits."""

import jax
import jax.numpy as jnp
import pytest

from lal_jax import (
    cl_dice_loss,
    class_balanced_mean,
    locally_adaptive_loss,
    lovasz_softmax_loss,
    region_mutual_information_loss,
    targets,
)
from tests.lal_jax.effort import full_jit
from tests.lal_jax.functions import DRAWN, OF_SUMS, Function, every


@pytest.fixture(autouse=True)
def _one_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """As users mostly have it; programs that may be divided take more."""
    monkeypatch.setattr(targets, "several_devices", lambda: False)


@pytest.mark.parametrize(
    ("most", "options"),
    [
        (1.6, {}),
        (1.6, {"kernel_size": 7}),
        (1.6, {"label_smoothing": 0.1}),
        (1.4, {"normalization": "none"}),
        (1.6, {"score_scale": 4.0}),
        (2.5, {"pool": class_balanced_mean}),
        (2.5, {"normalization": "image_score"}),
        (2.2, {"dilation": 8}),  # the border alone is 0.5
        (3.0, {"dilation": 8, "normalization": "image_score", "score_scale": 4.0}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, dict) else value,
)
def test_memory_stays_far_below_materialized_patches(most, options):
    """Value and gradient keep one padded copy of the logits; 5×5 patches are 25."""
    assert temporaries((1, 129, 129, 21), "float32", options) <= most


def test_labels_closed_over_are_not_folded_into_masks(rng):
    """As constants they would become a mask of floats for each place of the window."""
    labels = jnp.asarray(rng.integers(21, size=(1, 129, 129)), "int32")
    assert temporaries((1, 129, 129, 21), "float32", {}, labels) <= 5


@every(OF_SUMS)
def test_overlap_takes_few_copies_of_the_logits(function):
    """3 ×; one-hot labels as floats, with JAX's own derivatives, take 5 ×."""
    assert temporaries((1, 129, 129, 21), "float32", {}, function=function) <= 4


def test_a_sort_takes_as_many_again():
    """8 ×: keys, in order, the steps of Δ there, and where each pixel finds its own."""
    function = lovasz_softmax_loss
    assert temporaries((1, 129, 129, 21), "float32", {}, function=function) <= 8.5


@pytest.mark.parametrize(
    ("radius", "downsampling", "classes"), [(3, 4, 21), (3, 1, 21), (5, 2, 2)]
)
def test_windows_are_stored_of_blocks_and_of_one_class(radius, downsampling, classes):
    """As documented; of all classes at once the second would take 71 × the logits."""
    options = {"radius": radius, "downsampling": downsampling}
    taken = temporaries(
        (1, 96, 96, classes),
        "float32",
        options,
        function=region_mutual_information_loss,
    )
    assert taken <= 2 + (1 + 9 * radius**2 / classes) / downsampling**2


@pytest.mark.parametrize("iterations", [3, 10])
def test_two_images_of_an_erosion_are_kept_and_of_one_class(iterations):
    """As documented, and not all of the pools of an erosion."""
    options = {"iterations": iterations}
    shape = (1, 96, 96, 3)
    taken = temporaries(shape, "float32", options, function=cl_dice_loss)
    assert taken <= 2.5 + (14 + 2 * iterations) / 3


@every(DRAWN)
@pytest.mark.parametrize("per_image", [True, False])
def test_pairs_are_of_the_pixels_drawn(function, per_image):
    """As documented; the pairs of all pixels would take 130 times the features."""
    shape, samples = (2, 65, 65, 64), 512
    options = {"samples": samples, "per_image": per_image}
    taken = temporaries(shape, "float32", options, function=function)
    features = 2 * 65 * 65 * 64
    losses = 2 if per_image else 1
    assert taken <= 1 + 5 * samples**2 * losses / features


def temporaries(
    shape, dtype, options, labels=None, function: Function = locally_adaptive_loss
):
    """XLA's temporaries for value and gradient, relative to the size of the logits."""
    logits = jax.ShapeDtypeStruct(shape, dtype)

    def loss(x, y):
        return function(x, y, **options).mean()

    if labels is None:
        arguments = (logits, jax.ShapeDtypeStruct(shape[:-1], "int32"))
        lowered = full_jit(jax.value_and_grad(loss)).lower(*arguments)
    else:
        lowered = full_jit(jax.value_and_grad(lambda x: loss(x, labels))).lower(logits)
    analysis = lowered.compile().memory_analysis()
    assert analysis is not None
    return analysis.temp_size_in_bytes / (logits.size * logits.dtype.itemsize)
