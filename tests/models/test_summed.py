"""Summed convolutions in half precision: aligned products, none of them wider."""

import re

import jax
import jax.numpy as jnp
import numpy as np

from models.summed import summed_convolutions

DILATIONS = (1, 3)


def arrays(rng: np.random.Generator, dtype: str) -> tuple[jax.Array, list[jax.Array]]:
    images = jnp.asarray(rng.normal(size=(2, 9, 7, 6)), dtype)
    kernels = [jnp.asarray(rng.normal(size=(3, 3, 6, 5)), "float32") for _ in DILATIONS]
    return images, kernels


def pulled(
    images: jax.Array, kernels: list[jax.Array], slope: jax.Array
) -> tuple[jax.Array, list[jax.Array]]:
    def head(images: jax.Array, kernels: list[jax.Array]) -> jax.Array:
        return summed_convolutions(images, kernels, DILATIONS)

    return jax.vjp(head, images, kernels)[1](slope)


def test_products_are_aligned_and_no_wider_than_the_features(
    rng: np.random.Generator,
) -> None:
    slope = jnp.ones((2, 9, 7, 5))
    program = jax.jit(pulled).lower(*arrays(rng, "bfloat16"), slope).as_text()
    operands = re.findall(r"dot_general .*: \((tensor<\S+>), (tensor<\S+>)\)", program)
    assert len(operands) >= 2
    for pair in operands:
        assert all(operand.endswith("bf16>") for operand in pair)
        # 2 · 9 taps of 5 outputs are 90, and 96 is the next multiple of 16 bytes.
        assert any("96x" in operand for operand in pair)
        assert not any("90x" in operand for operand in pair)


def test_half_precision_is_as_near_as_its_roundings(rng: np.random.Generator) -> None:
    images, kernels = arrays(rng, "bfloat16")
    slope = jnp.asarray(rng.normal(size=(2, 9, 7, 5)), "float32")
    rounded = [kernel.astype("bfloat16").astype("float32") for kernel in kernels]
    exact = pulled(images.astype("float32"), rounded, slope)
    found = pulled(images, kernels, slope)
    for ours, known in zip(jax.tree.leaves(found), jax.tree.leaves(exact), strict=True):
        error = jnp.linalg.norm(ours.astype("float32") - known) / jnp.linalg.norm(known)
        assert float(error) < 2**-7  # the slope's rounding and the result's
    assert found[0].dtype == jnp.bfloat16
    assert {gradient.dtype for gradient in found[1]} == {jnp.dtype("float32")}
