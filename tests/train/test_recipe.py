"""The recipe: what each option does to a step, against the same thing by hand."""

from collections.abc import Callable
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

import lal_jax
from models.deeplab import DeepLab, NetworkOutputs
from models.layers import Remat
from train.config import Config
from train.data.images import Example
from train.data.preprocessing import PREPROCESSINGS
from train.training.network import make_model
from train.training.scales import shrink_labels
from train.training.step import TrainState, make_state, make_step

from .conftest import CLASSES, MakeConfig


def by_path(state: Any) -> dict[str, np.ndarray]:
    """Returns arrays by path, as in `head.branches.0.kernel`."""
    flat = nnx.to_flat_state(state)
    return {".".join(map(str, path)): np.array(leaf.get_value()) for path, leaf in flat}


@jax.jit
def training_outputs(model: DeepLab, images: jax.Array) -> NetworkOutputs:
    return model.outputs(images, train=True)


@pytest.fixture
def config(make_config: MakeConfig) -> Config:
    """The paper's recipe on a small network, with numbers that show."""
    return make_config(
        batch_norm="frozen",
        preprocessing="bgr_mean",
        head_kernel_rate=10.0,
        head_bias_rate=20.0,
        upsampling="learned",
        weight_decay=0.2,
        momentum=0.9,
        learning_rate=1e-4,
        steps=10,
    )


def gradient_by_hand(
    graph: nnx.GraphDef[DeepLab], batch: Example
) -> Callable[[TrainState], dict[str, np.ndarray]]:
    """Returns a function that takes the gradient of the loss alone, by path."""

    @jax.jit
    @jax.grad
    def gradient(params: nnx.State, state: TrainState) -> jax.Array:
        model = nnx.merge(graph, params, state.statistics, copy=True)
        pixels = batch.image[..., ::-1].astype(np.float32)
        pixels = pixels - np.array([104.008, 116.669, 122.675], np.float32)
        logits = model(jnp.asarray(pixels), train=True)
        return lal_jax.locally_adaptive_loss(logits, jnp.asarray(batch.label)).mean()

    return lambda state: by_path(gradient(state.params, state))


def test_three_steps_are_the_update_by_hand_in_every_group(
    config: Config, batch: Example
) -> None:
    graph, state = make_state(config, CLASSES, seed=0)
    step = make_step(graph, config)
    weights = by_path(state.params)
    memory = {name: np.zeros_like(value) for name, value in weights.items()}
    gradient = gradient_by_hand(graph, batch)
    for number in range(3):
        slopes = gradient(state)
        rate = 1e-4 * (1 - number / 10) ** 0.9
        for name, weight in weights.items():
            decay = 0.2 if name.endswith("kernel") else 0.0
            memory[name] = 0.9 * memory[name] + slopes[name] + decay * weight
            group = 1.0
            if name.startswith("head"):
                group = 20.0 if name.endswith("bias") else 10.0
            weights[name] = weight - group * rate * memory[name]
        state, metrics = step(state, batch)
        assert metrics["learning_rate"] == pytest.approx(rate, rel=1e-5)
    found = by_path(state.params)
    start = by_path(make_state(config, CLASSES, seed=0)[1].params)
    groups = {"backbone.stem.kernel", "head.branches.0.bias", "head.branches.1.kernel"}
    assert groups | {"deconvolution.kernel"} <= set(found)
    for name, expected in weights.items():
        moved = np.abs(expected - start[name]).max()
        np.testing.assert_allclose(
            found[name], expected, rtol=0, atol=1e-3 * moved, err_msg=name
        )


def test_frozen_norm_is_bit_equal_after_ten_steps(
    config: Config, batch: Example
) -> None:
    graph, state = make_state(config, CLASSES, seed=0)
    assert not any("norm" in name for name in by_path(state.params))
    before, kernels = by_path(state.statistics), by_path(state.params)
    assert {name.rsplit(".")[-1] for name in before} == {"scale", "bias", "mean", "var"}
    step = make_step(graph, config)
    for _ in range(10):
        state, _ = step(state, batch)
    after = by_path(state.statistics)
    assert all(np.array_equal(after[name], before[name]) for name in before)
    assert not any(
        np.array_equal(value, kernels[name])
        for name, value in by_path(state.params).items()
    )


def test_step_takes_over_the_memory_of_its_state(
    config: Config, batch: Example
) -> None:
    graph, state = make_state(config, CLASSES, seed=0)
    compiled = cast(Any, make_step(graph, config)).lower(state, batch).compile()
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
    assert compiled.memory_analysis().alias_size_in_bytes == size


def test_trained_norm_moves(make_config: MakeConfig, batch: Example) -> None:
    config = make_config()
    graph, state = make_state(config, CLASSES, seed=0)
    before = by_path(state.statistics) | by_path(state.params)
    state, _ = make_step(graph, config)(state, batch)
    after = by_path(state.statistics) | by_path(state.params)
    norms = [name for name in before if "norm" in name]
    assert len(norms) == 4 * 13
    assert not any(np.array_equal(after[name], before[name]) for name in norms)


def test_pooled_head_trains_its_norm_over_a_frozen_backbone(
    make_config: MakeConfig, batch: Example
) -> None:
    config = make_config(head="v3", batch_norm="frozen", learning_rate=1e-4)
    graph, state = make_state(config, CLASSES, seed=0)
    before = by_path(state.statistics)
    state, metrics = make_step(graph, config)(state, batch)
    assert np.isfinite(metrics["loss"])
    for name, value in by_path(state.statistics).items():
        same = np.array_equal(value, before[name])
        assert same == name.startswith("backbone"), name


@pytest.mark.parametrize("loss", ["locally_adaptive", "center"])
def test_parts_of_a_batch_add_up_to_it(
    config: Config, rng: np.random.Generator, loss: str, tiny: str
) -> None:
    batch = Example(
        rng.integers(0, 256, (6, 32, 32, 3), dtype=np.uint8),
        rng.integers(0, CLASSES, (6, 32, 32), dtype=np.uint8),
    )
    config = config.replace(backbone=tiny, batch_size=6, loss=loss, center_alpha=0.01)
    results = []
    for parts in (1, 3):
        divided = config.replace(accumulation=parts)
        graph, state = make_state(divided, CLASSES, seed=0)
        state, metrics = make_step(graph, divided)(state, batch)
        results.append((by_path(state.params), metrics["loss"]))
    (whole, value), (divided_weights, divided_value) = results
    assert float(divided_value) == pytest.approx(float(value), rel=1e-5)
    start = by_path(make_state(config, CLASSES, seed=0)[1].params)
    for name, expected in whole.items():
        moved = np.abs(expected - start[name]).max()
        np.testing.assert_allclose(
            divided_weights[name], expected, rtol=3e-7, atol=2e-3 * moved, err_msg=name
        )


def test_labels_shrink_to_the_networks_resolution(
    make_config: MakeConfig, batch: Example, tiny: str
) -> None:
    config = make_config(
        backbone=tiny, loss="softmax_cross_entropy", loss_resolution="network"
    )
    graph, state = make_state(config, CLASSES, seed=0)
    model = make_model(config.model, CLASSES, seed=0)
    images = PREPROCESSINGS["imagenet"](jnp.asarray(batch.image))
    coarse = training_outputs(model, images).coarse
    labels = jnp.asarray(batch.label)[:, 4::8, 4::8]  # ⌊(i + ½) · 32 / 4⌋
    losses = lal_jax.softmax_cross_entropy(coarse, labels)
    expected = lal_jax.masked_mean(losses, where=labels != 255).mean()
    _, metrics = make_step(graph, config)(state, batch)
    assert float(metrics["loss"]) == pytest.approx(float(expected), rel=1e-4)


@pytest.mark.parametrize("resolution", ["full", "network"])
def test_losses_of_all_scales_and_of_their_maximum_add_up(
    make_config: MakeConfig, batch: Example, resolution: str, tiny: str
) -> None:
    config = make_config(
        backbone=tiny,
        loss="softmax_cross_entropy",
        loss_resolution=resolution,
        input_scales=(0.75, 0.5),
        batch_norm="frozen",
    )
    graph, state = make_state(config, CLASSES, seed=0)
    model = make_model(config.model, CLASSES, seed=0)
    images = PREPROCESSINGS["imagenet"](jnp.asarray(batch.image))

    def mean_loss(logits: jax.Array) -> float:
        labels = shrink_labels(jnp.asarray(batch.label), logits.shape[1:3])
        losses = lal_jax.softmax_cross_entropy(logits, labels)
        return float(lal_jax.masked_mean(losses, where=labels != 255).mean())

    def resized(array: jax.Array, side: int) -> jax.Array:
        shape = (len(array), side, side, array.shape[-1])
        return jax.image.resize(array, shape, "linear", antialias=False)

    found = [training_outputs(model, resized(images, side)) for side in (32, 24, 16)]
    assert [outputs.coarse.shape[1] for outputs in found] == [4, 3, 2]
    largest = jnp.max(
        jnp.stack([resized(outputs.coarse, 4) for outputs in found]), axis=0
    )
    if resolution == "network":
        logits = [*(outputs.coarse for outputs in found), largest]
    else:
        full = model.upsample(largest, size=(32, 32))
        logits = [*(outputs.logits for outputs in found), full]
    _, metrics = make_step(graph, config)(state, batch)
    expected = sum(mean_loss(each) for each in logits)
    assert float(metrics["loss"]) == pytest.approx(expected, rel=1e-4)


def test_bfloat16_is_for_activations_alone(
    make_config: MakeConfig, batch: Example
) -> None:
    values = []
    for precision in ("float32", "bfloat16"):
        config = make_config(precision=precision)
        graph, state = make_state(config, CLASSES, seed=0)
        model = make_model(config.model, CLASSES, seed=0)
        images = PREPROCESSINGS["imagenet"](jnp.asarray(batch.image))
        outputs = jax.eval_shape(lambda m, x: m.outputs(x, train=True), model, images)
        assert outputs.features.dtype == jnp.dtype(precision)
        assert outputs.logits.dtype == outputs.coarse.dtype == jnp.float32
        state, metrics = make_step(graph, config)(state, batch)
        kept = jax.tree.leaves((state.params, state.statistics, state.optimizer))
        assert {str(leaf.dtype) for leaf in kept} <= {"float32", "int32"}
        assert metrics["loss"].dtype == jnp.float32
        values.append(float(metrics["loss"]))
    assert values[0] != values[1]
    assert values[1] == pytest.approx(values[0], rel=0.02)


def test_recomputing_blocks_keeps_little_and_changes_nothing() -> None:
    images = jax.random.normal(jax.random.key(0), (1, 32, 32, 3))
    kept, results = [], []
    remats: tuple[Remat, ...] = (False, "norms", True)
    for remat in remats:
        model = DeepLab(
            classes=3,
            backbone="resnet_small",
            dilations=(1,),
            remat=remat,
            rngs=nnx.Rngs(0),
        )
        graph, params, rest = nnx.split(model, nnx.Param, ...)  # type: ignore[misc]

        def loss(
            params: nnx.State, graph: Any = graph, rest: Any = rest
        ) -> tuple[jax.Array, nnx.State]:
            model = nnx.merge(graph, params, rest, copy=True)
            logits = model(images, train=True)
            return jnp.mean(logits**2), nnx.state(model, nnx.BatchStat)

        def backward(params: nnx.State, loss: Any = loss) -> Any:
            return jax.vjp(loss, params, has_aux=True)[1]

        saved = jax.tree.leaves(jax.eval_shape(backward, params))
        features = [leaf for leaf in saved if leaf.ndim == 4 and leaf.shape[0] == 1]
        kept.append(sum(leaf.size for leaf in features))
        (_, statistics), slopes = jax.jit(jax.value_and_grad(loss, has_aux=True))(
            params
        )
        results.append(by_path(statistics) | by_path(slopes))
    expected, *others = results
    for name, value in expected.items():
        scale = np.abs(value).max()
        for found in others:
            np.testing.assert_allclose(
                found[name], value, rtol=0, atol=1e-3 * scale, err_msg=name
            )
    whole, norms, blocks = kept
    assert blocks < 0.5 * whole  # the stem and the input of each block
    assert blocks < norms < 0.75 * whole
