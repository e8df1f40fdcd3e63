"""What `peers.py` asks of a loss: the same questions, whoever wrote it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

import lal_jax

VOID = 255
SHAPE = (2, 22, 27, 4)  # 500 windows of 3×3 an image
KEPT = 16  # rows; those after them are ignored
DRAWS = [(seed, lead) for seed in (0, 1, 2) for lead in (0.0, 2.0, 6.0)]
CLASS_WEIGHTS = np.array([0.5, 1.0, 2.0, 4.0], np.float32)
NAMES = {
    "mean": jnp.mean,
    "stack": jnp.stack,
    "log": jnp.log,
    "softmax": jax.nn.softmax,
}

Result = tuple[float, np.ndarray]
ValueAndGrad = Callable[[np.ndarray, np.ndarray], Result]
JaxLoss = Callable[[jax.Array, jax.Array], jax.Array]
Answers = dict[str, float | bool | str]


class Inputs(NamedTuple):
    """Logits `[2, 22, 27, 4]`, and labels of four classes that are in both images."""

    logits: np.ndarray
    other: np.ndarray  # logits, for the pixels that are ignored
    labels: np.ndarray
    partly: np.ndarray  # labels, the last six rows ignored


def make_inputs(seed: int = 0, lead: float = 2.0) -> Inputs:
    """Returns labels in blocks, and N(0, 1) logits, the label's ahead by `lead`."""
    rng = np.random.default_rng(seed)
    batch, height, width, classes = SHAPE
    blocks = rng.integers(0, classes, (batch, -(-height // 4), -(-width // 4)))
    labels = np.kron(blocks, np.ones((4, 4), int))[:, :height, :width].astype(np.int32)
    ahead = np.float32(lead) * np.eye(classes, dtype=np.float32)[labels]
    logits = rng.standard_normal(SHAPE, np.float32) + ahead
    partly = labels.copy()
    partly[:, KEPT:] = VOID
    return Inputs(logits, 3 * rng.standard_normal(SHAPE, np.float32), labels, partly)


def jax_loss(expression: str, names: dict[str, object]) -> JaxLoss:
    """Returns the mean of an expression as a loss of logits and labels."""
    code = compile(expression, "<loss>", "eval")

    def loss(logits: jax.Array, labels: jax.Array) -> jax.Array:
        valid = labels != VOID
        arguments = {
            "logits": logits,
            "labels": labels,
            "one_hot": jax.nn.one_hot(labels, logits.shape[-1]),
            "valid": valid,
            "inside": jnp.broadcast_to(valid[..., None], logits.shape),
            "class_weights": jnp.asarray(CLASS_WEIGHTS),
        }
        return jnp.mean(eval(code, {**NAMES, **names, **arguments}))

    return loss


def by_jax(loss: JaxLoss, *, compiled: bool = True) -> ValueAndGrad:
    """Returns value and gradient of a loss as NumPy has them."""
    function = jax.value_and_grad(loss)
    function = jax.jit(function) if compiled else function

    def value_and_grad(logits: np.ndarray, labels: np.ndarray) -> Result:
        value, gradient = function(jnp.asarray(logits), jnp.asarray(labels))
        return float(value), np.asarray(gradient)

    return value_and_grad


def ours(expression: str) -> ValueAndGrad:
    """Returns value and gradient of an expression of lal_jax."""
    return by_jax(jax_loss(expression, vars(lal_jax)))


def ask(loss: ValueAndGrad, inputs: Inputs, *, ignoring: bool = True) -> Answers:
    """Asks everything, of ignored pixels only where a loss can be told them."""
    answers = of_all_pixels(loss, inputs)
    if ignoring:
        answers |= of_ignored_pixels(loss, inputs) | of_cropped_images(loss, inputs)
    return answers


def of_all_pixels(loss: ValueAndGrad, inputs: Inputs) -> Answers:
    """Asks how images are averaged, and about NaN and classes that are absent."""
    value, _ = loss(inputs.logits, inputs.labels)
    doubled = [
        loss(np.stack([logits] * 2), np.stack([labels] * 2))[0]
        for logits, labels in zip(inputs.logits, inputs.labels, strict=True)
    ]
    broken = inputs.logits.copy()
    broken[0, 1, 1] = np.nan
    absent = inputs.labels % 3
    wrong = 30 * np.eye(4, dtype=np.float32)[(absent + 1) % 3]
    return {
        "value": value,
        "over_batch": relative(value, float(np.mean(doubled))),
        "nan": outcome(loss, broken, inputs.labels),
        "absent": outcome(loss, inputs.logits, absent),
        "wrong": loss(wrong, absent)[0],
    }


def of_ignored_pixels(loss: ValueAndGrad, inputs: Inputs) -> Answers:
    """Asks whether ignored pixels matter, and about images that have no others."""
    void = inputs.partly == VOID
    value, gradient = loss(inputs.logits, inputs.partly)
    moved, _ = loss(
        np.where(void[..., None], inputs.other, inputs.logits), inputs.partly
    )
    broken = np.where(void[..., None], np.float32(np.nan), inputs.logits)
    second = np.where(np.arange(2)[:, None, None] == 1, VOID, inputs.labels)
    nowhere = np.full_like(inputs.labels, VOID)
    return {
        "moved": relative(moved, value),
        "slope": float(np.abs(gradient[void]).max() / np.abs(gradient).max()),
        "ignored_nan": outcome(loss, broken, inputs.partly),
        "one_empty": outcome(loss, inputs.logits, second),
        "all_empty": outcome(loss, inputs.logits, nowhere),
    }


def of_cropped_images(loss: ValueAndGrad, inputs: Inputs) -> Answers:
    """Asks whether ignored rows are as none."""
    value, _ = loss(inputs.logits, inputs.partly)
    cropped, _ = loss(inputs.logits[:, :KEPT], inputs.partly[:, :KEPT])
    return {"cropped": relative(value, cropped)}


def over_draws(loss: ValueAndGrad) -> Answers:
    """Returns the least and the most of what ignored rows do, over several inputs."""
    inputs = (make_inputs(*draw) for draw in DRAWS)
    off = [float(of_cropped_images(loss, drawn)["cropped"]) for drawn in inputs]
    return {"cropped_least": min(off), "cropped_most": max(off)}


def outcome(loss: ValueAndGrad, logits: np.ndarray, labels: np.ndarray) -> float | str:
    """Returns the value, or what is not finite, or that there is none."""
    try:
        value, gradient = loss(logits, labels)
    except (IndexError, RuntimeError, TypeError, ValueError):
        return "raises"
    if not np.isfinite(value):
        return "NaN"
    return value if np.isfinite(gradient).all() else "gradient NaN"


def compare(theirs: Result, ours: Result) -> Answers:
    """Returns how far apart values are, and gradients relative to the largest entry."""
    largest = np.abs(ours[1]).max()
    return {
        "value_apart": relative(theirs[0], ours[0]),
        "gradient_apart": float(np.abs(theirs[1] - ours[1]).max() / largest),
    }


def relative(value: float, base: float) -> float:
    """Returns by how much a value is off, relative to another."""
    return float((value - base) / abs(base))
