"""The dense CRF of one image after the other, as a program of its own.

`crf.py` starts it, naming itself, and writes requests to its standard input. The
library keeps Python's lock while it computes, and ends its process where memory does
not suffice: neither matters here. Needs NumPy and pydensecrf2 alone.

Krähenbühl and Koltun, "Efficient Inference in Fully Connected CRFs with Gaussian Edge
Potentials", NeurIPS 2011.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np

# Of a request: height, width, classes, the bytes that it may take, the parameters.
HEAD = struct.Struct("<3IQI5d")

# Probabilities below are taken for this: −log of 0 is no energy.
_LEAST = 1e-5


class Parameters(NamedTuple):
    """Of a dense CRF, with the symbols of DeepLab's Eq. 2 and 3."""

    iterations: int
    weight: float  # w₁
    position_std: float  # σ_α, pixels
    color_std: float  # σ_β, of 0 to 255
    gaussian_weight: float  # w₂
    gaussian_std: float  # σ_γ, pixels

    def told(self) -> str:
        """Returns the values with their symbols, for people."""
        count, *values = self
        told = zip(("w₁", "σ_α", "σ_β", "w₂", "σ_γ"), values, strict=True)
        kernels = (f"{symbol} {value:g}" for symbol, value in told)
        return ", ".join([*kernels, f"{count} iteration{'s' * (count != 1)}"])


def mean_field(
    image: np.ndarray,
    probabilities: np.ndarray,
    parameters: Parameters,
    before_each: Callable[[], object] = lambda: None,
) -> np.ndarray:
    """Returns the mean-field marginals of a dense CRF.

    E(x) = Σᵢ −log pᵢ(xᵢ) + Σᵢ﹤ⱼ [xᵢ ≠ xⱼ] (w₁ exp(−|sᵢ−sⱼ|²/2σ_α² − |cᵢ−cⱼ|²/2σ_β²)
    + w₂ exp(−|sᵢ−sⱼ|²/2σ_γ²)), s the positions and c the colors of pixels. As in the
    authors' program, each kernel is divided by the roots of its sums at both pixels,
    and a pixel is one of its own neighbors.

    Args:
      image: uint8 `[height, width, 3]`.
      probabilities: float32 `[height, width, classes]`, p.
      parameters: a kernel of weight 0 is left out.
      before_each: called before each iteration.

    Returns:
      float32 `[height, width, classes]`.
    """
    from pydensecrf.densecrf import DenseCRF2D

    height, width, classes = probabilities.shape
    energies = -np.log(np.clip(probabilities, _LEAST, 1)).reshape(-1, classes).T
    crf = DenseCRF2D(width, height, classes)
    crf.setUnaryEnergy(np.ascontiguousarray(energies, np.float32))
    del energies
    if parameters.gaussian_weight:
        crf.addPairwiseGaussian(
            sxy=parameters.gaussian_std, compat=parameters.gaussian_weight
        )
    if parameters.weight:
        crf.addPairwiseBilateral(
            sxy=parameters.position_std,
            srgb=parameters.color_std,
            rgbim=np.require(image, np.uint8, ["C", "W"]),
            compat=parameters.weight,
        )
    marginals, *spare = crf.startInference()
    for _ in range(parameters.iterations):
        before_each()
        crf.stepInference(marginals, *spare)
    return np.ascontiguousarray(np.asarray(marginals).T).reshape(probabilities.shape)


def fill(array: np.ndarray, source: IO[bytes]) -> bool:
    """Reads an array's bytes from a pipe; returns whether all of them came."""
    left = array.data.cast("B")
    while left:
        if not (count := source.readinto(left)):  # type: ignore[attr-defined]
            return False
        left = left[count:]
    return True


def _answer(source: IO[bytes], drain: IO[bytes], parent: int) -> None:
    """Answers requests until there are no more, or the process that asks has gone."""
    import pydensecrf.densecrf  # noqa: F401 - before memory is limited

    def end_without_parent() -> None:
        if os.getppid() != parent:
            os._exit(1)

    head = np.empty(HEAD.size, np.uint8)
    while fill(head, source):
        height, width, classes, most, *parameters = HEAD.unpack(head.tobytes())
        image = np.empty((height, width, 3), np.uint8)
        probabilities = np.empty((height, width, classes), np.float32)
        if not (fill(image, source) and fill(probabilities, source)):
            return
        _limit_memory(most)
        request = image, probabilities, Parameters(*parameters)
        with _ended_by_silence(source):
            marginals = mean_field(*request, end_without_parent)
        drain.write(marginals.data)
        drain.flush()


@contextlib.contextmanager
def _ended_by_silence(source: IO[bytes]) -> Iterator[None]:
    """Lets the system end this process once nobody is left to write to a pipe.

    It does so by SIGIO, whatever the process computes just then, where it can: Linux
    sends that for pipes. Nobody may write within the block.
    """
    before = fcntl.fcntl(source, fcntl.F_GETFL)
    fcntl.fcntl(source, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(source, fcntl.F_SETFL, before | os.O_ASYNC)
    try:
        yield
    finally:
        fcntl.fcntl(source, fcntl.F_SETFL, before)


def _limit_memory(more: int) -> None:
    """Lets this process take so many bytes more than it has, where the system can."""
    with contextlib.suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + more
        resource.setrlimit(resource.RLIMIT_AS, (limit, resource.RLIM_INFINITY))


if __name__ == "__main__":
    _answer(sys.stdin.buffer, sys.stdout.buffer, int(sys.argv[1]))
