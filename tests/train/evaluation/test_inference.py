"""Scales and flips change how well is seen, not what is where."""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from train.evaluation import inference
from train.evaluation.inference import Predictor
from train.evaluation.scores import probabilities, scores
from train.evaluation.views import EvaluationOptions
from train.training.network import ModelOptions, make_model

from ..standins import (
    IMAGENET,
    STATE,
    Blurred,
    Brightest,
    Constant,
    predictor,
    random_image,
)

SCALES = (0.5, 1.0, 1.5)


@pytest.mark.parametrize(
    ("scale", "seen"), [(1.0, (48, 64)), (0.5, (24, 32)), (1.5, (72, 96))]
)
@pytest.mark.parametrize("part", [np.s_[11:, :], np.s_[:, 21:]])
def test_masks_stay_in_place_at_every_scale(
    scale: float, seen: tuple[int, int], part: tuple[slice, slice]
) -> None:
    truth = np.zeros((42, 60), np.uint8)  # padded to 48 × 64
    truth[part] = 2
    image = np.full((42, 60, 3), 20, np.uint8)
    np.put_along_axis(image, truth[..., None].astype(int), 250, axis=-1)
    Brightest.sizes.clear()
    graph: nnx.GraphDef = nnx.graphdef(Brightest())
    options = EvaluationOptions(size_multiple=16, scales=(scale,))
    mask = Predictor(graph, IMAGENET, options).mask(STATE, image)
    assert Brightest.sizes == [seen]
    np.testing.assert_array_equal(mask, truth)


def by_hand(
    model: Any, images: jax.Array, scales: tuple[float, ...], fusion: str
) -> jax.Array:
    """Flipped and not at every scale, with the tools of JAX alone."""
    pixels = (images - jnp.array([123.675, 116.28, 103.53])) / jnp.array(
        [58.395, 57.12, 57.375]
    )
    batch, height, width, _ = images.shape
    found = []
    for scale in scales:
        size = (batch, int(scale * height), int(scale * width), 3)
        for step in (1, -1):
            seen = jax.image.resize(pixels[:, :, ::step], size, "linear")
            logits = model(seen, train=False)
            shape = (batch, height, width, logits.shape[-1])
            back = jax.image.resize(logits, shape, "linear", antialias=False)
            found.append(back[:, :, ::step])
    if fusion == "max":
        return jnp.stack(found).max(axis=0)
    return jax.nn.softmax(jnp.stack(found)).mean(axis=0)


@pytest.mark.parametrize("fusion", ["mean", "max"])
def test_views_are_joined_as_by_hand(rng: np.random.Generator, fusion: str) -> None:
    images = np.stack([random_image(rng, 48, 64) for _ in range(2)])
    model = Blurred()
    options: dict[str, Any] = {
        "scales": SCALES,
        "flip": True,
        "fusion": fusion,
    }
    wanted = jax.jit(lambda images: by_hand(model, images, SCALES, fusion))(images)
    found = scores(model, images, IMAGENET, EvaluationOptions(**options))  # type: ignore[arg-type]
    np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
    views, state = predictor(model, **options)
    np.testing.assert_array_equal(views.batch(state, images), wanted.argmax(axis=-1))
    likely = probabilities(found, EvaluationOptions(**options))
    np.testing.assert_allclose(likely.sum(axis=-1), 1, rtol=1e-6)


@pytest.mark.parametrize("fusion", ["mean", "max"])
def test_one_view_ranks_logits(fusion: str) -> None:
    views, state = predictor(Constant(0.0, 1e-9, -1.0), fusion=fusion)
    assert (views.mask(state, np.zeros((9, 9, 3), np.uint8)) == 1).all()


@pytest.mark.parametrize("fusion", ["mean", "max"])
def test_flip_makes_left_and_right_equal(rng: np.random.Generator, fusion: str) -> None:
    image = random_image(rng, 48, 64)
    for flip in (False, True):
        views, state = predictor(Blurred(), flip=flip, fusion=fusion)
        mask, flipped = (views.mask(state, seen) for seen in (image, image[:, ::-1]))
        assert np.array_equal(flipped, mask[:, ::-1]) == flip


def test_scores_of_one_view_are_held(rng: np.random.Generator) -> None:
    views, state = predictor(Brightest(), scales=SCALES, flip=True)
    held: list[jax.Array] = []
    look = views._programs.look

    def noted(*arguments: Any) -> jax.Array:
        assert all(joined.is_deleted() for joined in held[:-1])
        held.append(look(*arguments))
        return held[-1]

    views._programs.look = noted  # type: ignore[assignment]
    views.batch(state, random_image(rng, 2, 48, 64))
    assert len(held) == 6
    assert [joined.is_deleted() for joined in held] == [True] * 5 + [False]


def test_programs_of_many_sizes_are_forgotten(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "_SHAPES", 3)
    views, state = predictor(Brightest())
    first, made = views._programs, set()
    for size in (8, 9, 10, 8, 11, 12, 8):
        views.mask(state, random_image(rng, size, 8))
        made.add(id(views._programs))
    assert len(made) == 2 and views._programs is not first
    assert len(views._shapes) == 3


@pytest.mark.parametrize(
    ("network", "fusion"),
    [("blurred", "mean"), ("blurred", "max"), ("deeplab", "mean")],
)
def test_scores_are_exported_for_any_batch(
    rng: np.random.Generator, network: str, fusion: str
) -> None:
    options = EvaluationOptions(
        scales=(0.5,) if network == "deeplab" else SCALES,
        flip=network == "blurred",
        fusion=fusion,
    )
    small = ModelOptions(backbone="resnet_small", dilations=(1, 2))
    model: Any = Blurred() if network == "blurred" else make_model(small, 3, seed=0)
    compiled = jax.jit(lambda images: scores(model, images, IMAGENET, options))
    shape = jax.export.symbolic_shape("b, 48, 64, 3")
    exported = jax.export.export(compiled)(jax.ShapeDtypeStruct(shape, jnp.uint8))
    images = np.stack([random_image(rng, 48, 64) for _ in range(3)])
    np.testing.assert_allclose(
        exported.call(images), compiled(images), rtol=1e-4, atol=1e-5
    )
