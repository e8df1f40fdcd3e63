"""The dense CRF beside plain loops over all pairs, and what it is for."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests import reference_crf
from train.evaluation import crf_worker
from train.evaluation.crf_worker import HEAD, Parameters, mean_field

pytest.importorskip("pydensecrf", reason="the extra crf is not installed")

DEFAULT = Parameters(10, 4, 67, 3, 3, 3)
SOFT = Parameters(10, 1, 3, 20, 0.5, 1.5)


def two_colors(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Returns an image of two gray levels, a little noisy, with an upright edge."""
    level = np.where(np.arange(width) < width // 2, 60, 160)[None, :, None]
    noise = rng.integers(0, 8, (height, width, 3))
    return (level + noise).astype(np.uint8)


# The library filters on a permutohedral lattice, which is a little off: on average by
# less than 0.01, at most by so much as named, the more the stronger the kernels pull.
@pytest.mark.parametrize(
    ("parameters", "most"),
    [
        (DEFAULT, 0.08),
        (SOFT, 0.015),
        (SOFT._replace(iterations=1), 0.015),
        (SOFT._replace(weight=0), 0.01),
        (SOFT._replace(gaussian_weight=0), 0.01),
        (SOFT._replace(position_std=1.5), 0.015),
        (SOFT._replace(color_std=80), 0.015),
        (SOFT._replace(gaussian_std=4), 0.015),
    ],
    ids=str,
)
def test_marginals_are_those_of_plain_loops(
    rng: np.random.Generator, parameters: Parameters, most: float
) -> None:
    image = two_colors(rng, 6, 7)
    probabilities = rng.dirichlet(np.full(3, 0.5), (6, 7)).astype(np.float32)
    probabilities[0, 0] = (1, 0, 0)  # whose logarithm is not finite
    found = mean_field(image, probabilities, parameters)
    wanted = reference_crf.mean_field(image, probabilities, *parameters)
    assert found.dtype == np.float32 and found.flags.c_contiguous
    off = np.abs(found - wanted)
    assert off.max() < most and off.mean() < 0.005
    # Another tolerance would not tell them from what they were made of.
    assert np.abs(wanted - probabilities).mean() > 3 * off.mean()


def test_a_ragged_border_moves_to_the_image_s_edge(rng: np.random.Generator) -> None:
    image = two_colors(rng, 24, 30)
    border = 15 + rng.integers(-4, 5, (24, 1))
    right = np.where(np.arange(30) < border, 0.3, 0.7)
    probabilities = np.stack([1 - right, right], -1).astype(np.float32)
    before = probabilities.argmax(-1)
    after = mean_field(image, probabilities, DEFAULT).argmax(-1)
    edge = np.broadcast_to(np.arange(30) >= 15, (24, 30))
    assert (before != edge).mean() > 0.05
    np.testing.assert_array_equal(after, edge)


@pytest.mark.parametrize("classes", [1, 3])
def test_what_is_sure_stays(rng: np.random.Generator, classes: int) -> None:
    image = np.asfortranarray(two_colors(rng, 5, 9))
    image.flags.writeable = False
    sure = np.zeros((5, 9, classes), np.float32)
    sure[..., classes - 1] = 1
    found = mean_field(image, sure, DEFAULT)
    np.testing.assert_allclose(found, sure, atol=1e-5)


BUSY = """
import ctypes
class DenseCRF2D:
    def __getattr__(self, name):
        return lambda *of, **more: None
    def __init__(self, *of):
        pass
    def startInference(self):
        print(0, file=open("densecrf", "w"))
        ctypes.PyDLL(None).sleep(100)  # with Python's lock, as the library computes
"""


@pytest.mark.parametrize("busy", [False, True])
def test_it_ends_with_the_program_that_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, busy: bool
) -> None:
    """That one is killed while the CRF computes, without an end in sight.

    It does iterations without end, or is busy with one.
    """
    if busy:
        (tmp_path / "pydensecrf").mkdir()
        (tmp_path / "pydensecrf/__init__.py").touch()
        (tmp_path / "pydensecrf/densecrf.py").write_text(BUSY)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    head = HEAD.pack(40, 40, 2, 2**40, 2**31, *SOFT[1:])
    parent = (
        "import os, subprocess, sys, time\n"
        "pipe = subprocess.PIPE\n"
        "words = [sys.executable, '-P', sys.argv[1], str(os.getpid())]\n"
        "worker = subprocess.Popen(words, stdin=pipe, stdout=pipe)\n"
        "worker.stdin.write(bytes.fromhex(sys.argv[2]) + bytes(40 * 40 * 11))\n"
        "worker.stdin.flush()\n"
        "print(worker.pid, flush=True)\n"
        "time.sleep(60)\n"
    )
    words = [sys.executable, "-c", parent, crf_worker.__file__, head.hex()]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        worker = Path("/proc") / process.stdout.readline().strip()
        mapped = tmp_path / "densecrf" if busy else worker / "maps"
        deadline = time.monotonic() + 60
        while not mapped.exists() or not (busy or "densecrf" in mapped.read_text()):
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.kill()
    try:
        while worker.exists():
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(worker.name), signal.SIGKILL)
