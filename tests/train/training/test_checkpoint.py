"""Checkpoints: whole, or not there."""

import signal
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest

from train.training.checkpoint import Checkpoints
from train.training.step import make_state

from ..conftest import CLASSES, MakeConfig


def test_interruption_leaves_what_is_being_saved_whole(
    make_config: MakeConfig, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, state = make_state(make_config(), CLASSES, seed=0)
    with Checkpoints(tmp_path, 0, "data") as checkpoints:
        save = checkpoints._manager.save

        def interrupted(*arguments: Any, **options: Any) -> Any:
            signal.raise_signal(signal.SIGINT)
            return save(*arguments, **options)

        monkeypatch.setattr(checkpoints._manager, "save", interrupted)
        with pytest.raises(KeyboardInterrupt):
            checkpoints.save(state, 7.0)
    with Checkpoints(tmp_path, 0, "data") as checkpoints:
        restored = checkpoints.restore(state)
    assert restored is not None and restored[1] == 7.0
    jax.tree.map(np.testing.assert_array_equal, restored[0].params, state.params)
