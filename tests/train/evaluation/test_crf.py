"""Dense CRFs in processes of their own: what is refused, and what becomes of them."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from train.common.errors import UserError
from train.evaluation import crf
from train.evaluation.crf import Crf, Workers, bytes_needed, check_installed, refiner
from train.evaluation.crf_options import WITHOUT, CrfOptions
from train.evaluation.crf_worker import Parameters, mean_field

from ..standins import random_image

PARAMETERS = Parameters(3, 2, 5, 20, 0.5, 1.5)

needs_library = pytest.mark.skipif(
    crf.importlib.util.find_spec("pydensecrf") is None,
    reason="the extra crf is not installed",
)


def scene(rng: np.random.Generator, *size: int) -> tuple[np.ndarray, np.ndarray]:
    probabilities = rng.dirichlet(np.ones(3), size).astype(np.float32)
    return random_image(rng, *size), probabilities


@needs_library
def test_threads_get_what_the_library_computes(rng: np.random.Generator) -> None:
    scenes = [scene(rng, 12, 10 + number) for number in range(6)]
    with Workers() as workers, ThreadPoolExecutor(2) as pool:
        refine = Crf(PARAMETERS, workers)
        found = list(pool.map(lambda one: refine.refined("it", *one), scenes))
        begun = [*workers._idle]
        assert 1 <= len(begun) <= 2
        assert all(os.getsid(one.pid) != os.getsid(0) for one in begun)  # Ctrl-C
    for one, marginals in zip(scenes, found, strict=True):
        np.testing.assert_array_equal(marginals, mean_field(*one, PARAMETERS))
    assert all(one.returncode is not None for one in begun)


@needs_library
def test_one_that_memory_does_not_suffice_for_is_refused_alone(
    rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Workers() as workers:
        refine = Crf(PARAMETERS, workers)
        small = scene(rng, 12, 12)
        wanted = refine.refined("a.png", *small)
        monkeypatch.setattr(crf, "bytes_needed", lambda *size: 1)
        monkeypatch.setattr(crf, "free_host_memory", lambda: 5e6)
        with pytest.raises(
            UserError, match="^b.png: its CRF takes more memory .*--crf"
        ):
            refine.refined("b.png", *scene(rng, 300, 300))
        monkeypatch.undo()
        np.testing.assert_array_equal(refine.refined("c.png", *small), wanted)


def test_a_defect_is_no_want_of_memory(
    rng: np.random.Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "broken.py"
    broken.write_text("raise ValueError('why')")
    monkeypatch.setattr(crf.crf_worker, "__file__", str(broken))
    with Workers() as workers:
        for size in ((12, 12), (300, 300)):  # less and more than a pipe holds
            with pytest.raises(RuntimeError, match="status 1: ValueError: why"):
                Crf(PARAMETERS, workers).refined("a.png", *scene(rng, *size))
        assert not workers._idle


def test_those_at_work_are_ended_by_a_stop(
    rng: np.random.Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "slow.py"
    slow.write_text("import sys, time; sys.stdin.buffer.read(9); time.sleep(100)")
    monkeypatch.setattr(crf.crf_worker, "__file__", str(slow))
    with Workers() as workers, ThreadPoolExecutor(3) as pool:
        refine = Crf(PARAMETERS, workers)
        monkeypatch.setattr(crf, "free_host_memory", lambda: 1.0)  # one at a time
        made = [pool.submit(refine.refined, "a", *scene(rng, 9, 9)) for _ in range(3)]
        deadline = time.monotonic() + 60
        while not workers._busy:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        (busy,) = workers._busy
        workers.stop()
        for one in made:
            with pytest.raises(UserError, match="stopped"):
                one.result(60)
        assert busy.returncode is not None and not workers._idle and not workers._busy


@pytest.mark.parametrize(
    ("size", "classes", "free", "changes", "message"),
    [
        ((100, 200), 21, 1e9, {}, ""),
        ((1000, 2000), 21, 2e9, {}, "1000×2000 pixels in 21 classes would take"),
        ((10, 6000), 2, 1e9, {"gaussian_std": 1.0}, "--crf-gaussian-std 2 or more"),
        ((6000, 10), 2, 1e9, {"position_std": 1.0}, "--crf-position-std 2 or more"),
        ((10, 6000), 2, 1e9, {"gaussian_std": 1.0, "gaussian_weight": 0.0}, ""),
        ((8000, 9000), 21, 1e15, {}, "21 classes are more than the CRF's library can"),
    ],
)
def test_what_cannot_be_computed_is_refused_before(
    size: tuple[int, int],
    classes: int,
    free: float,
    changes: dict[str, float],
    message: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(crf, "free_host_memory", lambda: free)
    refine = Crf(CrfOptions().parameters._replace(**changes), Workers())  # type: ignore[arg-type]
    if not message:
        refine.check("a.png", size, classes)
        return
    with pytest.raises(UserError, match="^a.png: ") as raised:
        refine.check("a.png", size, classes)
    assert message in str(raised.value)


@pytest.mark.parametrize(("needed", "together"), [(50, 1), (40, 2)])
def test_those_that_do_not_fit_together_wait(
    needed: int, together: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crf, "free_host_memory", lambda: 100.0)
    monkeypatch.setattr(crf, "_begin", object)
    monkeypatch.setattr(crf, "_end", lambda worker: None)
    at_work, most, limits, lock = 0, 0, set(), threading.Lock()

    def take(workers: Workers) -> None:
        nonlocal at_work, most
        with workers.one(needed) as (_, limit):
            with lock:
                at_work += 1
                most = max(most, at_work)
                limits.add(limit)
            time.sleep(0.005)
            with lock:
                at_work -= 1

    with Workers() as workers, ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(take, workers) for _ in range(20)]:
            done.result()
        with pytest.raises(RuntimeError), workers.one(50):
            raise RuntimeError
        assert workers._taken == 0
    assert most == together and limits == {80, *[40] * (together - 1)}


def test_without_the_library_a_command_installs_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(crf.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"python -m pip install .*'\.\[crf\]'"):
        check_installed(CrfOptions(on=True))
    check_installed(WITHOUT)
    with refiner(WITHOUT) as refine:
        assert refine is None


def test_memory_grows_with_pixels_and_classes() -> None:
    none = bytes_needed((0, 0), 5)
    assert bytes_needed((20, 30), 5) - none == 2 * (bytes_needed((10, 30), 5) - none)
    assert bytes_needed((20, 30), 6) > bytes_needed((20, 30), 5)
