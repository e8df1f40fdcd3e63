"""The losses in PyTorch, for `compare_torch.py`."""

from __future__ import annotations

import importlib
import sys
import types
from collections.abc import Callable
from pathlib import Path

import jax

try:
    import torch  # type: ignore[import-not-found, unused-ignore]
    from torch.nn import functional  # type: ignore[import-not-found, unused-ignore]
except ModuleNotFoundError:
    raise SystemExit(
        "compare_torch.py needs PyTorch, which this project does without; in a new "
        "virtual environment run: pip install torch optax -e ."
    ) from None

VOID = 255
WINDOW = 5

TorchLoss = Callable[[torch.Tensor, torch.Tensor], torch.Tensor]


def torch_cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Plain PyTorch, averaged over the valid pixels."""
    return functional.cross_entropy(logits, labels, ignore_index=VOID)


def torch_locally_adaptive(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Eq. 2–5 of Guo et al. 2018; every image needs a valid pixel."""
    variance, mean = torch.var_mean(logits, dim=1, correction=0, keepdim=True)
    scores = (logits - mean) / torch.sqrt(variance + 1e-6)
    pooled = torch_selective_pool(scores, labels)
    losses = functional.cross_entropy(  # Eq. 3, 4; zero at void pixels
        pooled, labels, ignore_index=VOID, reduction="none"
    )
    count = (labels != VOID).sum((1, 2))
    return ((losses**3).sum((1, 2)) / count).pow(1 / 3).mean()  # Eq. 5


def torch_selective_pool(scores: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Eq. 2, every window written out; zeros at void pixels."""
    marks = torch.where(labels == VOID, 0, labels + 1)  # unfold puts 0 outside, too
    centers = marks.flatten(1)[:, None]
    neighbors = windows(marks[:, None].to(scores.dtype))[:, 0]
    same = ((neighbors == centers) & (centers > 0)).to(scores.dtype)  # μ
    rings = (torch.arange(WINDOW, device=scores.device) - WINDOW // 2).abs()
    weights = 2.0 ** (1 - torch.maximum(rings[:, None], rings)).reshape(-1, 1)  # ω
    total = (windows(scores) * (weights * same)[:, None]).sum(2)
    count = same.sum(1, keepdim=True).clamp(min=1)  # ξ
    return (total / count).unflatten(-1, labels.shape[1:])


def windows(values: torch.Tensor) -> torch.Tensor:
    """Returns `[batch, channels, places in the window, pixels]`."""
    patches = functional.unfold(values, WINDOW, padding=WINDOW // 2)
    return patches.unflatten(1, (values.shape[1], WINDOW**2))


def region_mutual_information(clone: Path, classes: int) -> TorchLoss:
    """Returns the clone's loss with the options of its script/train.sh."""
    return rmi_program(clone).RMILoss(
        num_classes=classes,
        rmi_radius=3,
        rmi_pool_way=1,
        rmi_pool_size=4,
        rmi_pool_stride=4,
    )


def rmi_program(clone: Path) -> types.ModuleType:
    """Returns the clone's module of the loss.

    Its code is run as it is. It calls itself RMI wherever it lies, names a CUDA type
    even on a CPU, and calls a function that PyTorch is about to remove.
    """
    package = types.ModuleType("RMI")
    package.__path__ = [str(clone)]
    sys.modules["RMI"] = package
    if torch_device() == "cpu":
        torch.cuda.DoubleTensor = torch.DoubleTensor
    torch.cholesky = torch.linalg.cholesky
    return importlib.import_module("RMI.losses.rmi.rmi")


def torch_losses(rmi: Path | None, classes: int) -> dict[str, TorchLoss]:
    """Returns PyTorch's losses by name."""
    losses: dict[str, TorchLoss] = {
        "cross-entropy, torch": torch_cross_entropy,
        "locally adaptive, torch": torch_locally_adaptive,
    }
    if rmi is not None:
        losses["region mutual information"] = region_mutual_information(rmi, classes)
    return losses


def torch_device() -> str:
    """Returns the kind of device that JAX has."""
    return "cuda" if jax.default_backend() == "gpu" else "cpu"
