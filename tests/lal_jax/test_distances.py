"""Signed distances against loops, SciPy and closed forms, and what they ignore."""

import functools
from typing import Any

import jax
import numpy as np
import pytest
from scipy.ndimage import distance_transform_edt

from lal_jax import signed_distances
from tests import reference_boundary
from tests.lal_jax.effort import full_jit
from tests.lal_jax.functions import refuses
from tests.tolerances import assert_close

CLASSES = 4
SPACES: dict[str, tuple[tuple[int, ...], Any]] = {
    "image": ((2, 6, 7), 1.0),
    "oblong pixels": ((5, 9), (0.7, 1.9)),
    "sequences": ((2, 3, 13), (1.0,)),
    "one place": ((2, 1), (3.0,)),
    "volumes": ((2, 3, 4, 5), (2.5, 1.0, 0.3)),
}


def scene(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[Any, Any]:
    """Labels 0 to 2 of four classes, some of them 255, and a `where`."""
    labels = rng.integers(3, size=shape)
    labels[rng.uniform(size=shape) < 0.1] = 255
    return labels, rng.uniform(size=shape) < 0.9


@functools.cache
def compiled(**options: Any) -> Any:
    return jax.jit(functools.partial(signed_distances, num_classes=CLASSES, **options))


def distances(labels: Any, where: Any = None, **options: Any) -> jax.Array:
    return compiled(**options)(labels, where=where)


@pytest.mark.parametrize("space", SPACES)
@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_equal_reference(rng, space, dtype):
    shape, spacing = SPACES[space]
    labels, where = scene(rng, shape)
    expected = reference_boundary.signed_distances(
        labels, num_classes=CLASSES, spacing=spacing, where=where
    )
    with jax.enable_x64(dtype == "float64"):
        actual = distances(labels, spacing=spacing, where=where)
    assert actual.dtype == dtype
    assert_close(actual, expected, length=9)


def test_scipy_is_of_the_same_opinion(rng):
    """On regions, not noise, some of them ignored; an image of several blocks."""
    blocks = rng.integers(CLASSES, size=(5, 8))
    labels = np.kron(blocks, np.ones((9, 6), int))
    where = rng.uniform(size=labels.shape) < 0.8
    actual = distances(labels, spacing=(2.0, 0.5), where=where)
    for c in range(CLASSES):
        inside = where & (labels == c)
        outward, inward = (
            distance_transform_edt(~sources, sampling=(2.0, 0.5))
            for sources in (inside, where & ~inside)
        )
        expected = np.where(inside, -inward, outward) * where
        assert_close(actual[..., c], expected, length=9)


def test_to_one_pixel_they_are_those_of_a_circle():
    labels = np.zeros((40, 70), int)
    labels[11, 20] = 1
    rows, columns = np.indices(labels.shape)
    radius = np.hypot(rows - 11, columns - 20)
    radius[11, 20] = -1
    actual = distances(labels)
    assert_close(actual[..., 1], radius, length=9)
    np.testing.assert_array_equal(actual[..., 0], -actual[..., 1])


def test_a_class_that_is_absent_or_alone_has_none():
    alone = np.full((3, 4), 2)
    assert not distances(alone).any()
    alone[0, 0] = 255
    assert not distances(alone).any()
    alone[0, 0] = 0
    both = distances(alone)
    assert both[..., [0, 2]].all() and not both[..., [1, 3]].any()


@pytest.mark.parametrize("stray", [255, -1, CLASSES, 77])
def test_ignored_pixels_are_neither_here_nor_there(rng, stray):
    """Whichever way they are ignored, and whatever label they have."""
    labels, where = scene(rng, (2, 6, 7))
    void = ~where | (labels == 255)
    expected = distances(labels, where=where)
    assert not expected[void].any()
    assert expected[~void][:, :3].all()
    actual = distances(np.where(void, stray, labels))
    np.testing.assert_array_equal(actual, expected)
    other = np.where(void, rng.integers(CLASSES, size=labels.shape), labels)
    np.testing.assert_array_equal(distances(other, where=~void), expected)
    np.testing.assert_array_equal(
        distances(labels, ignore_label=(255, 1), where=where),
        distances(labels, where=where & (labels != 1)),
    )


def test_nothing_to_measure():
    assert not distances(np.full((2, 3, 4), 255)).any()
    for shape in ((0, 3, 4), (2, 0, 4), (2, 3, 0)):
        assert distances(np.zeros(shape, int)).shape == (*shape, CLASSES)


def test_turned_images_have_turned_distances(rng):
    labels, where = scene(rng, (3, 6, 7))
    straight = np.asarray(distances(labels, spacing=(2.0, 0.5), where=where))
    for turn in (
        lambda array: array[::-1],
        lambda array: array[:, ::-1],
        lambda array: array[:, :, ::-1],
    ):
        turned = distances(turn(labels), spacing=(2.0, 0.5), where=turn(where))
        np.testing.assert_array_equal(turned, turn(straight))
    swapped = distances(
        labels.swapaxes(1, 2), spacing=(0.5, 2.0), where=where.swapaxes(1, 2)
    )
    np.testing.assert_array_equal(swapped, straight.swapaxes(1, 2))


def test_classes_are_names_and_units_are_units(rng):
    labels, where = scene(rng, (2, 6, 7))
    straight = distances(labels, where=where)
    names = np.array([2, 0, 3, 1])
    renamed = np.where(labels == 255, 255, names[labels % 255])
    np.testing.assert_array_equal(distances(renamed, where=where)[..., names], straight)
    np.testing.assert_array_equal(
        distances(labels, spacing=4.0, where=where), 4 * straight
    )


def test_any_leading_axes_and_one_image(rng):
    labels, _ = scene(rng, (2, 3, 4, 5))
    batch = distances(labels)
    np.testing.assert_array_equal(distances(labels[1, 2]), batch[1, 2])
    each = jax.vmap(jax.vmap(functools.partial(signed_distances, num_classes=CLASSES)))
    np.testing.assert_array_equal(jax.jit(each)(labels), batch)
    np.testing.assert_array_equal(distances(labels.astype(np.uint8)), batch)


def test_memory_is_a_few_arrays_of_the_result():
    """Of a volume; an array for each place of an axis would be 20 to 60 more."""
    labels = jax.ShapeDtypeStruct((20, 40, 60), "int32")
    measure = functools.partial(signed_distances, num_classes=5, spacing=(1.0,) * 3)
    whole = full_jit(measure)
    analysis = whole.lower(labels).compile().memory_analysis()
    assert analysis is not None
    assert analysis.temp_size_in_bytes <= 5 * analysis.output_size_in_bytes


def test_misuse_is_named():
    labels: Any = np.zeros((4, 5), int)
    measure: Any = functools.partial(signed_distances, labels, num_classes=2)
    number: Any
    for number in (0, 2.0, None):
        with refuses("num_classes must be an integer of at least 1", f"got {number}"):
            signed_distances(labels, num_classes=number)
    for spacing in (1e-20, (1.0, 1e19)):
        with refuses("spacing must lie in [1e-12, 1e+12]", "take another unit"):
            measure(spacing=spacing)
    for spacing in (0, -1.0, np.nan, np.inf, (1.0, 0.0)):
        with refuses("spacing must be a finite number above 0", "got"):
            measure(spacing=spacing)
    with refuses("spacing must be a single number", "got '1'"):
        measure(spacing="1m")
    with refuses("spacing must be a number, or a tuple", "each spatial axis: got ()"):
        measure(spacing=())
    with refuses("labels must have 3 spatial axes", "(1.0, 1.0, 1.0), got (4, 5)"):
        measure(spacing=(1.0,) * 3)
    with refuses("labels must have 2 spatial axes", "(5,)", "spacing=(1.0,) for seq"):
        signed_distances(labels[0], num_classes=2)
    with refuses("labels must be integer", "got float64"):
        signed_distances(labels * 1.0, num_classes=2)
    with refuses("spacing must be known before tracing", "Tracer"):
        jax.jit(lambda step: measure(spacing=step))(1.0)
    with refuses("where must have the shape of the labels", "(5,)", "(4, 5)"):
        measure(where=labels[0] > 0)
