"""A network from the folder of a run, ready to predict."""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from train.checkpoint import Checkpoints
from train.config import Config, load_config
from train.errors import UserError
from train.inference import Predictor
from train.loop import TrainState, make_state
from train.run import Run


class Trained(NamedTuple):
    """The newest checkpoint of a run and what belongs to it."""

    config: Config
    class_names: tuple[str, ...]
    colors: np.ndarray  # uint8 [classes, 3]
    predictor: Predictor
    state: TrainState


def load_run(workdir: Path) -> Trained:
    """Returns the network of a run, finished or not.

    Raises:
      UserError: the folder is no run, or has no checkpoint yet.
    """
    run = Run(workdir)
    config = load_config(run.config_path)
    if not run.dataset_path.is_file():
        raise UserError(
            f"{run.dataset_path} is missing. Begin the run again in another folder."
        )
    described = json.loads(run.dataset_path.read_text())
    class_names = tuple(described["class_names"])
    graph, state = make_state(config, len(class_names))
    with Checkpoints(
        run.checkpoints, config.seed, described["fingerprint"]
    ) as checkpoints:
        restored = checkpoints.restore(state)
    if restored is None:
        raise UserError(f"{workdir} has no checkpoint yet. Let it train longer first.")
    state, _ = restored
    colors = np.array(described["colors"], np.uint8)
    predictor = Predictor(graph, config)
    return Trained(config, class_names, colors, predictor, state)
