"""Processes that load data, and the signals that reach them."""

import itertools
import multiprocessing
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from train.data import image_files
from train.data.dataset import load_dataset
from train.workdir.batch import stream

from ..conftest import MakeConfig


def test_workers_outlive_ctrl_c(make_config: MakeConfig) -> None:
    config = make_config(steps=10**5, workers=1)
    train = load_dataset(config.data).train
    batches = stream(config, train, start=0, steps=10**5, workers=1)
    next(batches)
    (worker,) = multiprocessing.active_children()
    assert worker.pid
    os.kill(worker.pid, signal.SIGINT)
    more = list(itertools.islice(batches, 300))  # than are loaded ahead
    assert len(more) == 300


@pytest.mark.parametrize("workers", [0, 1])
def test_the_limit_of_pixels_is_that_of_the_program(
    make_config: MakeConfig, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(steps=2, workers=workers)
    train = load_dataset(config.data).train
    monkeypatch.setattr(image_files, "_limit", 9)
    batches = stream(config, train, start=0, steps=2, workers=workers)
    with pytest.raises(Exception, match="pixels, more than the 9 of --pixel-limit"):
        next(batches)


def test_batches_left_by_a_stop_are_freed_without_a_warning() -> None:
    program = """
        import os
        import numpy as np
        from train.data import batches
        from train.data.images import Example
        batches.decode = lambda record: record
        image = np.zeros((64, 64, 3), np.uint8)
        source = [Example(image, image[..., 0])] * 4
        options = dict(batch_size=4, seed=0, start=0, steps=1000, workers=1)
        next(batches.train_batches(source, lambda example, rng: example, **options))
        os._exit(0)
        """
    ended = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert ended.returncode == 0, ended.stderr
    assert "leaked" not in ended.stderr


def test_workers_end_with_a_program_that_is_killed() -> None:
    program = """
        import multiprocessing, os, time
        import numpy as np
        from train.data import batches
        from train.data.images import Example
        batches.decode = lambda record: record
        image = np.zeros((64, 64, 3), np.uint8)
        source = [Example(image, image[..., 0])] * 4
        options = dict(batch_size=4, seed=0, start=0, steps=10**6, workers=2)
        loaded = batches.train_batches(source, lambda example, rng: example, **options)
        next(loaded)
        next(loaded)
        print(*(child.pid for child in multiprocessing.active_children()), flush=True)
        time.sleep(100)
        """
    with subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(program)],
        cwd=Path(__file__).parents[3],
        stdout=subprocess.PIPE,
        text=True,
    ) as killed:
        assert killed.stdout
        workers = [int(word) for word in killed.stdout.readline().split()]
        assert len(workers) == 2
        killed.kill()
        try:
            killed.communicate(timeout=50)  # until they, who have it too, have ended
        except subprocess.TimeoutExpired:
            for worker in workers:
                os.kill(worker, signal.SIGKILL)
            raise
