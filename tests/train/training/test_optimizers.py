"""Each optimizer's update, against the same thing by hand."""

from collections.abc import Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from train.common.errors import UserError
from train.presets import parse_config
from train.training.optimizer import (
    OPTIMIZERS,
    OptimizerOptions,
    kernels,
    learning_rate,
    make_optimizer,
)

STEPS = 4
GROUPS = {"backbone": 1.0, "head": 10.0}


def draw(rng: np.random.Generator) -> nnx.State:
    """Returns a kernel and a bias of backbone and head, by path."""
    shapes = {"kernel": (3, 2), "bias": (2,)}
    return nnx.State(
        {
            group: {
                name: nnx.Param(jnp.array(rng.normal(size=shape), jnp.float32))
                for name, shape in shapes.items()
            }
            for group in GROUPS
        }
    )


def values(state: nnx.State) -> dict[tuple[Any, ...], np.ndarray]:
    flat = nnx.to_flat_state(state)
    return {path: np.asarray(leaf.get_value(), np.float64) for path, leaf in flat}


def options_of(**options: Any) -> OptimizerOptions:
    return OptimizerOptions(
        steps=10,
        learning_rate=0.1,
        weight_decay=0.3,
        head_kernel_rate=GROUPS["head"],
        head_bias_rate=GROUPS["head"],
        **options,
    )


def followed(
    update: optax.GradientTransformation, rng: np.random.Generator
) -> Iterator[tuple[nnx.State, nnx.State]]:
    """Yields drawn gradients, and the parameters after each; at first the start."""
    params = draw(rng)
    yield params, params
    memory = update.init(params)
    for _ in range(STEPS):
        slope = draw(rng)
        change, memory = update.update(slope, memory, params)
        params = optax.apply_updates(params, change)
        yield slope, params


@pytest.mark.parametrize("name", ["adam", "adamw"])
def test_moments_are_those_by_hand(rng: np.random.Generator, name: str) -> None:
    """Kingma and Ba's algorithm 1; Loshchilov and Hutter's algorithm 2, line 12."""
    first, second, epsilon = 0.8, 0.95, 1e-2
    options = options_of(
        name=name, adam_beta1=first, adam_beta2=second, adam_epsilon=epsilon
    )
    (_, start), *steps = followed(make_optimizer(options), rng)
    weights = values(start)
    mean = {path: np.zeros_like(weight) for path, weight in weights.items()}
    square = dict(mean)
    for number, (gradient, found) in enumerate(steps):
        rate = 0.1 * (1 - number / 10) ** 0.9
        for path, slope in values(gradient).items():
            weight = weights[path]
            decay = 0.3 * weight if path[-1] == "kernel" else 0.0
            if name == "adam":
                slope, decay = slope + decay, 0.0
            mean[path] = first * mean[path] + (1 - first) * slope
            square[path] = second * square[path] + (1 - second) * slope**2
            root = np.sqrt(square[path] / (1 - second ** (number + 1))) + epsilon
            move = mean[path] / (1 - first ** (number + 1)) / root
            weights[path] = weight - GROUPS[path[0]] * rate * (move + decay)
        for path, value in values(found).items():
            np.testing.assert_allclose(value, weights[path], rtol=1e-5, atol=1e-5)


def test_sgd_is_to_the_bit_what_it_was(rng: np.random.Generator) -> None:
    """Its state too, by its structure: checkpoints saved before are restored."""
    options = options_of(momentum=0.7)
    before = optax.chain(
        optax.identity(),
        optax.add_decayed_weights(0.3, mask=kernels),
        optax.sgd(learning_rate(options), momentum=0.7),
        optax.stateless(
            lambda updates, _: jax.tree_util.tree_map_with_path(
                lambda path, leaf: GROUPS[path[0].key] * leaf, updates
            )
        ),
    )
    now, start = make_optimizer(options), draw(rng)
    found, wanted = (str(jax.tree.structure(o.init(start))) for o in (now, before))
    assert found == wanted
    seeds = (np.random.default_rng(1) for _ in range(2))
    steps = (list(followed(each, next(seeds))) for each in (now, before))
    for (_, after), (_, expected) in zip(*steps, strict=True):
        jax.tree.map(np.testing.assert_array_equal, after, expected)


@pytest.mark.parametrize(
    ("words", "culprit"),
    [
        (
            "--optimizer lion",
            "--optimizer must be one of: sgd, adam, adamw, got 'lion'",
        ),
        ("--adam-beta1 0.5", "--adam-beta1 needs --optimizer adam or adamw, got 0.5"),
        ("--adam-beta2 0.9", "--adam-beta2 needs --optimizer adam or adamw, got 0.9"),
        ("--adam-epsilon 1", "--adam-epsilon needs --optimizer adam or adamw, got 1"),
        ("--optimizer adamw --momentum 0.5", "--momentum needs --optimizer sgd, got 0"),
        (
            "--optimizer adam --adam-beta1 1",
            r"--adam-beta1 must lie in \[0, 1\), got 1",
        ),
        ("--optimizer adam --adam-beta2 -1", r"--adam-beta2 must lie in .*got -1"),
        ("--optimizer adam --adam-epsilon 0", "--adam-epsilon must be above 0, got 0"),
        ("--ema 1", r"--ema must lie in \[0, 1\), got 1.0"),
        ("--ema -0.5", r"--ema must lie in \[0, 1\), got -0.5"),
    ],
)
def test_what_cannot_work_or_does_nothing_is_named(words: str, culprit: str) -> None:
    with pytest.raises(UserError, match=culprit):
        parse_config(words.split())


def test_what_an_optimizer_reads_is_taken() -> None:
    for name in OPTIMIZERS:
        own = "--momentum 0.5" if name == "sgd" else "--adam-beta1 0.5 --adam-epsilon 1"
        config = parse_config(["--optimizer", name, *own.split()])
        assert config.optimizer.name == name
