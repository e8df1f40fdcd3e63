"""Metrics: their counts equal loops, and add up however they are divided."""

import itertools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import AxisType, NamedSharding, PartitionSpec

from lal_jax import metrics
from tests.lal_jax.effort import full_jit

CLASSES = 4
KINDS: dict[str, Callable[..., Any]] = {"NumPy": np.asarray, "JAX": jnp.asarray}
every_kind = pytest.mark.parametrize("kind", KINDS)


@pytest.fixture
def scene(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Predictions and labels of four images, in blots, some pixels ignored."""
    blots = rng.integers(CLASSES - 1, size=(2, 4, 4, 3))
    predictions, labels = blots.repeat(3, axis=2).repeat(3, axis=3)
    predictions = np.where(rng.random(labels.shape) < 0.3, predictions, labels)
    labels = np.where(rng.random(labels.shape) < 0.1, 255, labels)
    return predictions.astype(np.uint8), labels.astype(np.uint8)


def loops(predictions: np.ndarray, labels: np.ndarray) -> np.ndarray:
    table = np.zeros((CLASSES, CLASSES), np.int64)
    for found, truth in zip(predictions.flat, labels.flat, strict=True):
        if truth != 255:
            table[truth, found] += 1
    return table


@every_kind
def test_confusion_matrix_counts_as_loops_do(kind, scene):
    predictions, labels = map(KINDS[kind], scene)
    counts = metrics.confusion_matrix(predictions, labels, num_classes=CLASSES)
    np.testing.assert_array_equal(counts, loops(*scene))
    assert counts.dtype == np.int64  # as JAX has 64 bits in tests


def test_counts_are_the_same_however_the_images_are_divided(scene):
    count = full_jit(lambda p, y: metrics.confusion_matrix(p, y, num_classes=CLASSES))
    parts = [count(*(array[i : i + 1] for array in scene)) for i in range(4)]
    np.testing.assert_array_equal(sum(parts), loops(*scene))
    np.testing.assert_array_equal(jax.vmap(count)(*scene).sum(0), loops(*scene))

    summed = jax.vmap(lambda p, y: jax.lax.psum(count(p, y), "x"), axis_name="x")
    np.testing.assert_array_equal(summed(*scene)[0], loops(*scene))


@pytest.mark.parametrize("kind", [AxisType.Auto, AxisType.Explicit])
@pytest.mark.parametrize("spec", [PartitionSpec("x"), PartitionSpec(None, "x")])
def test_counts_of_sharded_images_are_gathered_as_sums_alone(kind, spec, scene):
    mesh = jax.make_mesh((4,), ("x",), axis_types=(kind,), devices=jax.devices()[:4])
    arrays = jax.device_put(scene, NamedSharding(mesh, spec))
    count = full_jit(lambda p, y: metrics.confusion_matrix(p, y, num_classes=CLASSES))
    with jax.set_mesh(mesh):
        program = count.lower(*arrays).compile()
        np.testing.assert_array_equal(program(*arrays), loops(*scene))
    assert "all-gather" not in str(program.as_text())


HALF = np.indices((4, 12, 9))[-1] < 5


@every_kind
@pytest.mark.parametrize("option", ["none", "several", "where"])
def test_ignored_pixels_are_inert(kind, option, scene):
    predictions, labels = scene
    options: dict[str, Any] = {
        "none": {},
        "several": {"ignore_label": (255, 0)},
        "where": {"where": KINDS[kind](HALF)},
    }[option]
    ignored = {"none": labels == 255, "several": labels % 255 == 0, "where": ~HALF}
    void = ignored[option] | (labels == 255)
    expected = loops(predictions, np.where(void, 255, labels))
    for found in (predictions, np.where(void, 3 - predictions, predictions)):
        counts = metrics.confusion_matrix(
            KINDS[kind](found), KINDS[kind](labels), num_classes=CLASSES, **options
        )
        np.testing.assert_array_equal(counts, expected)


def test_what_is_no_class_is_not_counted():
    predictions, labels = np.array([[0, 1, 9, 3]]), np.array([[0, 7, 1, 0]])
    for kind in KINDS.values():
        counts = metrics.confusion_matrix(
            kind(predictions), kind(labels), num_classes=2, ignore_label=-1
        )
        assert counts.tolist() == [[1, 0], [0, 0]]


@every_kind
def test_figures_are_those_of_their_definitions(kind, scene):
    counts = loops(*scene)
    assert not counts[CLASSES - 1].any()  # a class that is absent
    truth, found = counts.sum(1), counts.sum(0)
    occur = range(CLASSES - 1)
    iou = [counts[c, c] / (truth[c] + found[c] - counts[c, c]) for c in occur]
    f1 = [2 * counts[c, c] / (truth[c] + found[c]) for c in occur]
    recall = [counts[c, c] / truth[c] for c in occur]
    given = KINDS[kind](counts)
    expected = {
        "iou_by_class": [*iou, np.nan],
        "dice_by_class": [*f1, np.nan],
        "recall_by_class": [*recall, np.nan],
        "mean_iou": np.mean(iou),
        "dice": np.mean(f1),
        "mean_accuracy": np.mean(recall),
        "pixel_accuracy": np.trace(counts) / counts.sum(),
        "frequency_weighted_iou": np.dot(truth[occur], iou) / counts.sum(),
    }
    for name, value in expected.items():
        found = getattr(metrics, name)(given)
        np.testing.assert_allclose(found, value, rtol=1e-6, err_msg=name)


@every_kind
@pytest.mark.parametrize(
    "name",
    ["mean_iou", "dice", "mean_accuracy", "pixel_accuracy", "frequency_weighted_iou"],
)
def test_figure_of_no_pixels_is_zero(kind, name):
    counts = KINDS[kind](np.zeros((3, 3), np.int64))
    assert float(getattr(metrics, name)(counts)) == 0


@every_kind
@pytest.mark.parametrize("distance", [2, 20])
def test_near_border_is_where_another_label_is_near(kind, distance, scene):
    labels = scene[1][:1]
    found = np.asarray(metrics.near_border(KINDS[kind](labels), distance=distance))
    for place in itertools.product(*map(range, labels.shape)):
        image, *center = place
        rows, columns = (slice(max(0, i - distance), i + distance + 1) for i in center)
        near = labels[image, rows, columns]
        assert found[place] == (near != labels[place]).any()


def eroded(mask: np.ndarray, distance: int) -> np.ndarray:
    """Where all pixels within a distance are of the mask, none beyond the image."""
    padded = np.pad(mask, distance)
    size = 2 * distance + 1
    return np.array(
        [
            [padded[i : i + size, j : j + size].all() for j in range(mask.shape[1])]
            for i in range(mask.shape[0])
        ]
    )


@every_kind
@pytest.mark.parametrize("distance", [1, 2])
def test_boundary_iou_is_that_of_the_bands(kind, distance, scene):
    predictions, labels = scene
    both, either, occurs = (np.zeros(CLASSES) for _ in range(3))
    for found, truth in zip(predictions, labels, strict=True):
        for c in range(CLASSES):
            masks = [(index == c) & (truth != 255) for index in (truth, found)]
            true, predicted = (mask & ~eroded(mask, distance) for mask in masks)
            both[c] += (true & predicted).sum()
            either[c] += (true | predicted).sum()
            occurs[c] += true.sum()
    options: dict[str, Any] = {"num_classes": CLASSES, "distance": distance}
    count = full_jit(lambda p, y: metrics.boundary_counts(p, y, **options))
    if kind == "NumPy":
        counts = metrics.boundary_counts(predictions, labels, **options)
    else:
        counts = sum(count(*(array[i] for array in scene)) for i in range(4))
    np.testing.assert_array_equal(counts[:, 0], both)
    np.testing.assert_array_equal(counts[:, 1], occurs)
    expected = np.mean((both / np.maximum(either, 1))[occurs > 0])
    np.testing.assert_allclose(metrics.boundary_iou(counts), expected, rtol=1e-6)


def test_boundary_ignores_what_is_predicted_at_ignored_pixels(scene):
    predictions, labels = scene
    other = np.where(labels == 255, 3 - predictions, predictions)
    first, second = (
        metrics.boundary_counts(p, labels, num_classes=CLASSES, distance=2)
        for p in (predictions, other)
    )
    np.testing.assert_array_equal(first, second)


def matrix(predictions: Any, labels: Any, **options: Any) -> Any:
    return metrics.confusion_matrix(predictions, labels, num_classes=2, **options)


MISUSES: dict[str, Callable[[Any], Any]] = {
    r"\(3,\) and labels \(2, 3\)": lambda y: matrix(y[0], y),
    "predictions must be integer": lambda y: matrix(y / 2, y),
    "labels must be integer": lambda y: matrix(y, y / 2),
    "where must be boolean": lambda y: matrix(y, y, where=y),
    "num_classes .* got 0": lambda y: metrics.confusion_matrix(y, y, num_classes=0),
    "distance .* got 0": lambda y: metrics.near_border(y, distance=0),
    r"height, width.*\(3,\)": lambda y: metrics.near_border(y[0], distance=1),
    r"\[classes, classes\].*\(2, 3\)": metrics.mean_iou,
    r"\[classes, 3\].*\(2, 2\)": lambda y: metrics.boundary_iou(y[:, :2]),
}


@every_kind
@pytest.mark.parametrize("words", MISUSES)
def test_misuse_is_named(kind, words):
    with pytest.raises(ValueError, match=words):
        MISUSES[words](KINDS[kind](np.zeros((2, 3), np.int32)))


@pytest.mark.parametrize("found", ["int64", "uint64", "uint32"])
@pytest.mark.parametrize("truth", ["int64", "uint64"])
def test_labels_of_any_width(found, truth):
    """In NumPy, and with predictions of JAX, where it would cut labels to 32 bits."""
    labels = np.array([[0, 1, 2, 1]], truth)
    predictions = np.array([[0, 2, 2, 1]], found)
    labels[0, 3] += np.array(2**32, truth)
    for given in (predictions, jnp.asarray(predictions.astype("int32"))):
        for x64 in (True, False):
            with jax.enable_x64(x64):
                counts = metrics.confusion_matrix(given, labels, num_classes=3)
                assert counts.tolist() == [[1, 0, 0], [0, 0, 1], [0, 0, 1]]


@every_kind
def test_dice_of_more_pixels_than_half_of_int32(kind):
    counts = KINDS[kind](np.array([[1_200_000_000, 100], [0, 5]], np.int32))
    first, second = metrics.dice_by_class(counts).tolist()
    assert first == pytest.approx(2.4e9 / (2.4e9 + 100))
    assert second == pytest.approx(10 / 110)
    assert float(metrics.dice(counts)) == pytest.approx((first + second) / 2)


@every_kind
def test_empty_images_count_nothing(kind):
    empty = KINDS[kind](np.zeros((0, 3, 4), np.int32))
    assert not metrics.confusion_matrix(empty, empty, num_classes=2).any()
    counts = metrics.boundary_counts(empty, empty, num_classes=2, distance=1)
    assert counts.shape == (2, 3) and not counts.any()
