"""The blocks of docs/losses.md: each gives a loss with the gradient it is said to."""

import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import lal_jax

PAGE = Path(__file__).parents[1] / "docs" / "losses.md"
SECTION = PAGE.read_text().split("## From a problem to a loss\n")[1].split("\n## ")[0]
BLOCKS = dict(re.findall(r"### (.+?)\n.*?```python\n(.*?)```", SECTION, re.DOTALL))


def said_lengths() -> dict[str, list[float]]:
    """Returns the lengths of the gradients in the page's table, by heading."""
    row = re.compile(r"^\| .* \| \[.*\]\(#(.+)\) \| (.+) \|$", re.MULTILINE)
    rows = {
        link: [float(number) for number in said.split(", ")]
        for link, said in row.findall(SECTION)
    }
    return {name: rows[re.sub("[^a-z]+", "-", name.lower())] for name in BLOCKS}


@pytest.fixture(scope="module")
def half_trained() -> tuple[jax.Array, np.ndarray]:
    """The inputs of section 7 of docs/mathematics.md."""
    rng = np.random.default_rng(0)
    classes = (21 * rng.uniform(size=(2, 8, 8)) ** 2).astype(int)
    labels = np.kron(classes, np.ones((8, 8), int))
    noise = jnp.asarray(rng.normal(size=(2, 64, 64, 21)), jnp.float32)
    return noise + 2 * jax.nn.one_hot(labels, 21), labels


def lengths(
    blocks: list[str], wanted: list[str], logits: jax.Array, labels: np.ndarray
) -> list[float]:
    """Returns the norms of the gradients of what blocks call by the wanted names."""

    def losses(logits: jax.Array) -> list[jax.Array]:
        names: dict[str, Any] = {
            "lal_jax": lal_jax,
            "jnp": jnp,
            "optax": optax,
            "logits": logits,
            "labels": labels,
        }
        for block in blocks:
            exec(compile(block, PAGE, "exec"), names)  # noqa: S102
        return [names[name] for name in wanted]

    values, slopes = jax.jit(lambda x: (losses(x), jax.jacrev(losses)(x)))(logits)
    assert all(value.shape == () and jnp.isfinite(value) for value in values)
    return [float(jnp.linalg.norm(slope)) for slope in slopes]


def test_every_problem_has_a_block() -> None:
    assert list(said_lengths()) == list(BLOCKS)
    assert len(BLOCKS) == SECTION.count("\n### ") == SECTION.count("```python")


@pytest.mark.parametrize("problem", BLOCKS)
def test_the_gradient_of_a_block_has_the_length_said(
    problem: str, half_trained: tuple[jax.Array, np.ndarray]
) -> None:
    baseline = BLOCKS["A baseline"]
    weights = BLOCKS["Rare classes are missed"]
    wanted = ["cross_entropy", "loss"]
    if "focal" in BLOCKS[problem]:
        wanted.append("focal")
    blocks = [baseline, weights, BLOCKS[problem]]
    one, *others = lengths(blocks, wanted, *half_trained)
    found = [other / one for other in others]
    assert found == pytest.approx(said_lengths()[problem], rel=0.03)
