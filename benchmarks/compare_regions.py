"""Losses of regions beside PyTorch's: python benchmarks/compare_regions.py --rmi RMI.

Value and gradient by the logits, float32, nothing ignored, of the losses here and of
those that people use in PyTorch, in one run: Segmentation Models PyTorch, MONAI, the
region mutual information of github.com/ZJULearning/RMI (left out without `--rmi`), and
the boundary loss as its authors have it, with SciPy's distances. The two sides take
turns; printed are medians, in milliseconds and as multiples of optax's cross-entropy,
and how many times as long the other side takes.

In the environment of docs/peers.md.
"""

from __future__ import annotations

import argparse
import functools
import itertools
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import monai.losses  # type: ignore[import-not-found, unused-ignore]
import numpy as np
import segmentation_models_pytorch.losses as smp  # type: ignore[import-not-found, unused-ignore]
from scipy.ndimage import distance_transform_edt

import lal_jax
from benchmarks.compare_torch import jax_cross_entropy, torch_value_and_grad
from benchmarks.loss_speed import make_inputs
from benchmarks.torch_losses import functional, region_mutual_information, torch

Call = Callable[[], Any]
BASE = "cross-entropy"


def one_hot(labels: torch.Tensor, classes: int) -> torch.Tensor:
    """Returns targets with the classes before the pixels."""
    return functional.one_hot(labels, classes).movedim(-1, 1).float()


def torch_boundary(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Kervadec et al. 2019: the mean of p times signed distances."""
    targets = one_hot(labels, logits.shape[1]).numpy() > 0
    distances = np.zeros(targets.shape, np.float32)
    for image, number in np.ndindex(targets.shape[:2]):
        inside = targets[image, number]
        if inside.any():
            within = distance_transform_edt(inside)
            distances[image, number] = distance_transform_edt(~inside) - within + inside
    return (logits.softmax(1) * torch.from_numpy(distances)).mean()


def torch_cl_dice(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """MONAI's, of probabilities and targets."""
    loss = monai.losses.SoftclDiceLoss(iter_=10)
    return loss(one_hot(labels, logits.shape[1]), logits.softmax(1))


def contenders(classes: int, rmi: Path | None) -> dict[str, tuple[Callable, Callable]]:
    """Returns the losses by name: ours, and the other side's."""
    generalized = monai.losses.GeneralizedDiceLoss(softmax=True, to_onehot_y=True)
    found: dict[str, tuple[Callable, Callable]] = {
        BASE: (jax_cross_entropy, functional.cross_entropy),
        "Dice (SMP)": (lal_jax.dice_loss, smp.DiceLoss("multiclass")),
        "Tversky (SMP)": (
            lal_jax.tversky_loss,
            smp.TverskyLoss("multiclass", alpha=0.5, beta=0.5),
        ),
        "generalized Dice (MONAI)": (
            lal_jax.generalized_dice_loss,
            lambda logits, labels: generalized(logits, labels[:, None]),
        ),
        "Lovász-softmax (SMP)": (
            lal_jax.lovasz_softmax_loss,
            smp.LovaszLoss("multiclass", per_image=True),
        ),
        "boundary (SciPy)": (lal_jax.boundary_loss, torch_boundary),
        "clDice (MONAI)": (
            functools.partial(lal_jax.cl_dice_loss, iterations=10),
            torch_cl_dice,
        ),
    }
    if rmi is not None:
        found["mutual information (authors)"] = (
            lal_jax.region_mutual_information_loss,
            region_mutual_information(rmi, classes),
        )
    return found


def prepared(shape: tuple[int, ...], rmi: Path | None) -> dict[str, tuple[Call, Call]]:
    """Returns calls of either side, compiled and warm."""
    logits, labels = make_inputs(shape)
    image = torch.from_numpy(np.moveaxis(np.array(logits), -1, 1).copy())
    image, classes = image.requires_grad_(), torch.from_numpy(np.array(labels)).long()
    calls: dict[str, tuple[Call, Call]] = {}
    for name, (ours, theirs) in contenders(shape[-1], rmi).items():
        loss = jax.value_and_grad(lambda *of, ours=ours: jnp.mean(ours(*of)))
        program = jax.jit(loss).lower(logits, labels).compile()

        def mine(program: Any = program) -> Any:
            return jax.block_until_ready(program(logits, labels))

        def other(theirs: Callable = theirs) -> Any:
            return torch_value_and_grad(theirs, image, classes)

        for call in (mine, other):
            call()
        calls[name] = mine, other
    return calls


def main() -> None:
    """Prints a line for each loss."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", type=int, nargs=4, default=(2, 321, 321, 21))
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--rmi", type=Path)
    arguments = parser.parse_args()
    calls = prepared(tuple(arguments.shape), arguments.rmi)
    spent: dict[str, list[tuple[float, float]]] = {name: [] for name in calls}
    for _, name in itertools.product(range(arguments.turns), calls):
        times = []
        for call in calls[name]:
            began = time.perf_counter()
            call()
            times.append(time.perf_counter() - began)
        spent[name].append((times[0], times[1]))
    print(f"jax {jax.__version__}, torch {torch.__version__}, {arguments.shape}")
    print(f"{'loss':<30} {'ms':>8} {'× optax':>8} {'torch, ms':>10} {'÷ ours':>7}")
    base = [ours for ours, _ in spent[BASE]]
    for name, pairs in spent.items():
        ours, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
        to_base = statistics.median(
            mine / of for (mine, _), of in zip(pairs, base, strict=True)
        )
        ratio = statistics.median(other / mine for mine, other in pairs)
        print(
            f"{name:<30} {1e3 * ours:>8.1f} {to_base:>8.1f} {1e3 * theirs:>10.1f} "
            f"{ratio:>7.2f}"
        )


if __name__ == "__main__":
    main()
