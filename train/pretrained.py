"""Initial weights from a file, checked against what the run makes of them."""

from __future__ import annotations

import json
from pathlib import Path

from flax import nnx

from models import DeepLab
from models.layouts import find_layout
from models.weights import WeightsError, load_weights, read_header, read_weights
from train.config import Config
from train.errors import UserError
from train.loop import TrainState
from train.network import split_model

_HELP = "docs/weights.md says where to get the file and how to convert it"


def check_weights(config: Config) -> None:
    """Refuses a file that cannot serve, before any data is prepared.

    Raises:
      UserError: the file is missing, is no safetensors file, or wants another ResNet
        style or preprocessing.
    """
    if not config.weights:
        return
    path = Path(config.weights)
    if not path.is_file():
        raise UserError(
            f"--weights {path}: no such file; {_HELP}. To begin at random weights add "
            '--weights "" --batch-norm trained.'
        )
    try:
        keys, metadata = read_header(path)
        layout, _ = find_layout(keys)
    except WeightsError as error:
        raise UserError(str(error)) from error
    except LookupError as error:
        raise UserError(f"--weights {path}: {error}; {_HELP}.") from error
    trained = json.loads(metadata["config"]) if layout.native else layout._asdict()
    for name in ("style", "preprocessing"):
        if getattr(config, name) != trained[name]:
            raise UserError(
                f"--weights {path} was trained with {name} {trained[name]}, this run "
                f"has {getattr(config, name)}. Add --{name} {trained[name]}."
            )


def with_weights(
    state: TrainState, graph: nnx.GraphDef[DeepLab], config: Config
) -> TrainState:
    """Returns a state of step 0 whose network has the weights of `config.weights`.

    Prints what was taken from the file and what begins at random.

    Raises:
      UserError: the file does not fit the network; the message lists the keys.
    """
    if not config.weights:
        return state
    path = Path(config.weights)
    model = nnx.merge(graph, state.params, state.statistics, copy=True)
    try:
        arrays = read_weights(path)
        loaded = load_weights(model, arrays, new_head=config.new_head)
    except WeightsError as error:
        raise UserError(f"--weights {path}: {error}{_hint(error)}") from error
    new = f"; random weights: {', '.join(loaded.new)}" if loaded.new else ""
    print(f"{path}: {loaded.arrays} arrays of {loaded.layout.title}{new}")
    _, params, statistics = split_model(model)
    return state._replace(params=params, statistics=statistics)


def _hint(error: WeightsError) -> str:
    """Returns the way out where nothing but the head differs."""
    if not error.head_only:
        return ""
    return "\nAdd --new-head to begin the head at random weights."
