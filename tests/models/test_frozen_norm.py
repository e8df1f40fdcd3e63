"""Frozen batch norm: beside a convolution, or as part of it."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from models.layers import BatchNorm, Conv, FrozenBatchNorm, FrozenStat, normalized


def layers(
    rng: np.random.Generator,
    dtype: str | None,
    norm: Any = FrozenBatchNorm,
    kernel: int = 3,
    **options: Any,
) -> tuple[Conv, Any]:
    rngs = nnx.Rngs(0)
    conv = Conv(6, 6, kernel, dtype=dtype, rngs=rngs, **options)
    made = norm(6, epsilon=1e-3, dtype=dtype, rngs=rngs)
    for name in ("scale", "bias", "mean", "var"):
        value = rng.uniform(0.5, 2.0, 6)
        getattr(made, name).set_value(jnp.asarray(value, jnp.float32))
    return conv, made


@pytest.mark.parametrize(
    "options",
    [{}, {"stride": 2}, {"dilation": 2}, {"groups": 6}, {"kernel": 1, "stride": 2}],
)
def test_norm_in_the_kernel_is_the_norm(
    options: dict[str, int], rng: np.random.Generator
) -> None:
    conv, norm = layers(rng, None, **options)
    images = jnp.asarray(rng.normal(size=(2, 9, 7, 6)), jnp.float32)
    expected = norm(conv(images), train=True)
    factor, offset = norm.affine()
    for found in (
        conv.scaled(images, factor) + offset,
        conv.scaled(images, factor, offset),
    ):
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_half_precision_has_the_norm_in_the_kernel(rng: np.random.Generator) -> None:
    images = jnp.asarray(rng.normal(size=(2, 9, 7, 6)), jnp.bfloat16)

    def products(dtype: str) -> int:
        """Returns how many products of features there are in forward and backward."""
        conv, norm = layers(rng, dtype)
        graph, state = nnx.split(conv)

        def total(state: nnx.State, images: jax.Array) -> jax.Array:
            conv = nnx.merge(graph, state)
            return normalized(conv, norm, images, train=True).astype("float32").sum()

        program = str(jax.make_jaxpr(jax.grad(total, (0, 1)))(state, images))
        return program.count("[2,9,7,6] = mul ")

    assert products("float32") == 2
    assert products("bfloat16") == 0


def test_half_precision_is_as_near_as_its_roundings(rng: np.random.Generator) -> None:
    conv, norm = layers(rng, "bfloat16")
    images = jnp.asarray(rng.normal(size=(2, 9, 7, 6)), jnp.bfloat16)
    found = normalized(conv, norm, images, train=True)
    conv.dtype = norm.dtype = None
    exact = norm(conv(images.astype("float32")), train=True)
    assert found.dtype == jnp.bfloat16
    error = jnp.abs(found - exact).max() / jnp.abs(exact).max()
    assert float(error) < 2**-7  # two roundings, and that of the kernel


def test_norm_that_trains_sees_the_batch(rng: np.random.Generator) -> None:
    conv, norm = layers(rng, "bfloat16", norm=BatchNorm)
    images = jnp.asarray(rng.normal(size=(2, 9, 7, 6)), jnp.bfloat16)
    before = np.asarray(norm.mean[...])
    normalized(conv, norm, images, train=True)
    assert (np.asarray(norm.mean[...]) != before).all()


def test_statistics_that_stay_are_known_as_such(rng: np.random.Generator) -> None:
    kinds = {
        type(leaf) for _, leaf in nnx.to_flat_state(nnx.state(layers(rng, None)[1]))
    }
    assert kinds == {FrozenStat}
