"""Auxiliary heads: in training alone, by cross-entropy on labels shrunk to a stage."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import lal_jax
from models.backbones import BACKBONES, BackboneEntry
from models.layers import Conv
from train.common.errors import UserError
from train.config import Config
from train.data.images import Example
from train.data.preprocessing import PREPROCESSINGS
from train.training.scales import shrink_labels
from train.training.step import abstract_state, make_state, make_step
from train.workdir.trained import Trained, load_trained, save_trained

from ..conftest import CLASSES, MakeConfig, add_entry


class Staged(nnx.Module):
    """A backbone of three stages, a convolution each."""

    channels: tuple[int, ...] = (4, 8, 16)

    def __init__(self, *, output_stride: int, rngs: nnx.Rngs, **_: Any):
        del output_stride
        self.stages = nnx.List(
            [
                Conv(3, 4, 3, stride=4, rngs=rngs),
                Conv(4, 8, 3, stride=2, rngs=rngs),
                Conv(8, 16, 3, rngs=rngs),
            ]
        )

    def __call__(self, images: jax.Array, *, train: bool) -> list[jax.Array]:
        maps = [images]
        for stage in self.stages:
            maps.append(nnx.relu(stage(maps[-1])))
        return maps[1:]


@pytest.fixture
def deep(make_config: MakeConfig, monkeypatch: pytest.MonkeyPatch) -> Config:
    """A network of three stages, with heads on the first two."""
    add_entry(monkeypatch, BACKBONES, "staged", BackboneEntry(Staged), "for tests")
    return make_config(
        backbone="staged",
        loss="softmax_cross_entropy",
        auxiliary=0.4,
        auxiliary_stages=(2, 1),
        label_smoothing=0.1,
    )


def test_heads_add_cross_entropy_on_shrunk_labels(deep: Config, batch: Example) -> None:
    graph, state = make_state(deep, CLASSES, seed=0)
    model = nnx.merge(graph, state.params, state.statistics, copy=True)
    images = PREPROCESSINGS["imagenet"](jnp.asarray(batch.image))

    @jax.jit
    def logits_of(model: Any, images: jax.Array) -> list[jax.Array]:
        outputs = model.outputs(images, train=True)
        heads = model.auxiliary_heads
        stages = [(heads[0], outputs.maps[1]), (heads[1], outputs.maps[0])]
        return [outputs.logits, *(head(x, train=True) for head, x in stages)]

    @jax.jit
    def mean_loss(logits: jax.Array) -> jax.Array:
        labels = shrink_labels(jnp.asarray(batch.label), logits.shape[1:3])
        losses = lal_jax.softmax_cross_entropy(logits, labels, label_smoothing=0.1)
        return lal_jax.masked_mean(losses, where=labels != 255).mean()

    main, second, first = (float(mean_loss(x)) for x in logits_of(model, images))
    before = [np.asarray(x) for x in jax.tree.leaves(state.params["auxiliary_heads"])]
    new, metrics = make_step(graph, deep)(state, batch)
    assert float(metrics["loss/auxiliary_2"]) == pytest.approx(second, rel=1e-4)
    assert float(metrics["loss/auxiliary_1"]) == pytest.approx(first, rel=1e-4)
    expected = main + 0.4 * (first + second)
    assert float(metrics["loss"]) == pytest.approx(expected, rel=1e-4)
    after = jax.tree.leaves(new.params["auxiliary_heads"])
    assert all(
        not np.array_equal(x, y)
        for x, y in zip(before, after, strict=True)
        if np.ndim(x) > 1
    )


def test_heads_train_the_stages_up_to_theirs(deep: Config, batch: Example) -> None:
    stages = []
    for config in (deep, deep.replace(auxiliary=0.0)):
        graph, state = make_state(config, CLASSES, seed=0)
        state, _ = make_step(graph, config)(state, batch)
        found = state.params["backbone"]["stages"]
        stages.append([jax.tree.leaves(found[stage]) for stage in range(3)])
    for stage in (0, 1):
        ((one,), (two,)) = (found[stage] for found in stages)
        assert not np.allclose(one, two)
    ((one,), (two,)) = (found[2] for found in stages)
    np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)


def test_heads_are_not_exported(
    deep: Config, tmp_path: Path, rng: np.random.Generator
) -> None:
    graph, state = make_state(deep, CLASSES, seed=0)
    colors = np.zeros((CLASSES, 3), np.uint8)
    path = tmp_path / "model.safetensors"
    trained = Trained(deep, ("a", "b", "c"), colors, graph, state)
    save_trained(trained, path)
    assert b"auxiliary_heads" not in path.read_bytes()
    loaded = load_trained(path)
    images = rng.integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    np.testing.assert_array_equal(
        loaded.predictor().batch(loaded.state, images),
        trained.predictor().batch(trained.state, images),
    )


def test_a_stage_that_is_not_there(make_config: MakeConfig) -> None:
    config = make_config(auxiliary=0.4, auxiliary_stages=(5,))
    message = "--auxiliary-stages must be from 1 to 4 for --backbone resnet_small.*5"
    with pytest.raises(UserError, match=message):
        abstract_state(config, CLASSES)
