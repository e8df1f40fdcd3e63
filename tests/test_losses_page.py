"""The blocks of docs/losses.md: each gives a loss with the gradient it is said to."""

import re
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lal_jax

PAGE = Path(__file__).parents[1] / "docs" / "losses.md"
SECTION = PAGE.read_text().split("## From a problem to a loss\n")[1].split("\n## ")[0]
PROBLEMS = dict(re.findall(r"### (.+?)\n(.+?)(?=\n### |\Z)", SECTION, re.DOTALL))
# The first block of the first problem is before all others.
BASELINE = next(iter(PROBLEMS))


def blocks_of(problem: str) -> list[str]:
    return re.findall(r"```python\n(.*?)```", PROBLEMS[problem], re.DOTALL)


def said_lengths() -> dict[str, list[float]]:
    """Returns the lengths of the gradients in the page's table, by problem."""
    row = re.compile(
        r"^\| .* \| \[.*\]\(#(.+)\) \| ([\d.]+) \| ([\d.]+) \|$", re.MULTILINE
    )
    rows = {link: [*map(float, said)] for link, *said in row.findall(SECTION)}
    return {name: rows[re.sub("[^a-z]+", "-", name.lower())] for name in PROBLEMS}


@pytest.fixture(scope="module")
def inputs() -> tuple[list[jax.Array], np.ndarray]:
    """Logits at the start and halfway, and labels: section 7 of docs/mathematics.md."""
    rng = np.random.default_rng(0)
    classes = (21 * rng.uniform(size=(2, 8, 8)) ** 2).astype(int)
    labels = np.kron(classes, np.ones((8, 8), int))
    noise = jnp.asarray(rng.normal(size=(2, 64, 64, 21)), jnp.float32)
    return [0.01 * noise, noise + 2 * jax.nn.one_hot(labels, 21)], labels


def run(problem: str, logits: jax.Array, labels: np.ndarray) -> dict[str, Any]:
    """Returns the names after the blocks of a problem, those before jit run before."""
    names: dict[str, Any] = {"train_labels": labels}
    counts, *others = blocks_of("Rare classes are missed")
    exec(compile("import lal_jax\n" + counts, PAGE, "exec"), names)  # noqa: S102
    rest = others if problem == "Rare classes are missed" else blocks_of(problem)
    if problem == "Volumes":
        logits, labels = jnp.stack([logits] * 2, 1), np.stack([labels] * 2, 1)
    names |= {"logits": logits, "labels": labels}
    names["targets"] = labels[..., None] == np.arange(21)
    names["drawn"] = labels != 255
    for block in (*blocks_of(BASELINE), *rest):
        exec(compile(block, PAGE, "exec"), names)  # noqa: S102
    return names


def test_every_problem_is_in_the_table() -> None:
    assert list(said_lengths()) == list(PROBLEMS)
    assert all(blocks_of(problem) for problem in PROBLEMS)
    assert SECTION.count("```python") == sum(len(blocks_of(p)) for p in PROBLEMS)


@pytest.mark.parametrize("problem", PROBLEMS)
def test_the_gradient_of_a_block_has_the_lengths_said(
    problem: str, inputs: tuple[list[jax.Array], np.ndarray]
) -> None:
    stages, labels = inputs

    def losses(logits: jax.Array) -> list[jax.Array]:
        names = run(problem, logits, labels)
        return [names["cross_entropy"], names["loss"]]

    both = jax.jit(lambda x: (losses(x), jax.jacrev(losses)(x)))
    for logits, said in zip(stages, said_lengths()[problem], strict=True):
        values, slopes = both(logits)
        assert all(value.shape == () and jnp.isfinite(value) for value in values)
        one, other = (float(jnp.linalg.norm(slope)) for slope in slopes)
        assert other / one == pytest.approx(said, rel=0.03)


def test_ignored_logits_do_not_reach_sigmoids() -> None:
    labels = np.array([[[0, 1, 255, 255]]])
    problem = next(name for name in PROBLEMS if "Several labels" in name)

    def loss(logits: jax.Array) -> jax.Array:
        return run(problem, logits, labels)["loss"]

    logits = jnp.zeros((1, 1, 4, 21)).at[..., 2:, :].set(jnp.nan)
    value, slope = jax.jit(jax.value_and_grad(loss))(logits)
    assert jnp.isfinite(value) and jnp.isfinite(slope).all()


def test_two_classes_are_told_apart_by_the_foreground_alone() -> None:
    text = SECTION.split("### Misses cost more")[1].split("\n### ")[0]
    labels = jnp.zeros((1, 64, 64), int).at[:, :, 32:].set(1)
    loss = jax.jit(lal_jax.tversky_loss)

    def cost(row: slice, column: int, **options: Any) -> str:
        found = labels.at[:, row, column].add(1) % 2
        sure = 20.0 * jax.nn.one_hot(found, 2)
        return f"{float(loss(sure, labels, **options)[0]):.3f}"

    fifty = slice(50)
    assert cost(fifty, 63) == cost(fifty, 0)
    assert f"as 50 false alarms, {cost(fifty, 63)}" in text
    one = {"class_weights": jnp.array([0.0, 1.0])}
    assert f"they cost {cost(fifty, 63, **one)} and {cost(fifty, 0, **one)}" in text
