"""Processes that load data, and the signals that reach them."""

import itertools
import multiprocessing
import os
import signal

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
