"""Initial weights from a file, checked against what the run makes of them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from flax import nnx

from models.deeplab import DeepLab
from models.layouts import Layout, find_layout
from models.weights import (
    Loaded,
    WeightsError,
    load_weights,
    read_header,
    read_weights,
)
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
    _check_use(config, path, _use(layout, metadata, ("style", "preprocessing")))


def _use(
    layout: Layout, metadata: dict[str, str], names: Sequence[str]
) -> dict[str, Any]:
    """Returns the options that a file's weights were trained with, as far as known."""
    use = (
        json.loads(metadata.get("config", "{}")) if layout.native else layout._asdict()
    )
    return {name: use[name] for name in names if use.get(name)}


def _check_use(config: Config, path: Path, trained: dict[str, Any]) -> None:
    other = _differing(config, trained)
    if other:
        these = ", ".join(f"{name} {value}" for name, value in other.items())
        here = ", ".join(str(getattr(config, name)) for name in other)
        raise UserError(
            f"--weights {path} was trained with {these}; this run has {here}. "
            f"Add {_as_options(other)}."
        )


def _differing(config: Config, trained: dict[str, Any]) -> dict[str, Any]:
    """Returns what the weights were trained with where the run has otherwise."""
    return {
        name: value for name, value in trained.items() if getattr(config, name) != value
    }


def _as_options(values: dict[str, Any]) -> str:
    return " ".join(f"--{name.replace('_', '-')} {v}" for name, v in values.items())


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
    try:
        _, metadata = read_header(path)
        arrays = read_weights(path)
        state, loaded = loaded_state(state, graph, arrays, new_head=config.new_head)
    except WeightsError as error:
        raise UserError(f"--weights {path}: {error}{_hint(error, config)}") from error
    new = f"; random weights: {', '.join(loaded.new)}" if loaded.new else ""
    note = "" if "head" in loaded.new else _note(loaded.layout, metadata, config)
    print(f"{path}: {loaded.arrays} arrays of {loaded.layout.title}{new}{note}")
    return state


def loaded_state(
    state: TrainState,
    graph: nnx.GraphDef[DeepLab],
    arrays: Mapping[str, np.ndarray],
    *,
    new_head: bool = False,
) -> tuple[TrainState, Loaded]:
    """Returns a state with a file's weights in its network, and what was taken.

    Raises:
      WeightsError: they do not fit the network.
    """
    model = nnx.merge(graph, state.params, state.statistics, copy=True)
    loaded = load_weights(model, arrays, new_head=new_head)
    _, params, statistics = split_model(model)
    return state._replace(params=params, statistics=statistics), loaded


def _hint(error: WeightsError, config: Config) -> str:
    """Returns the way out, as far as the keys at fault tell."""
    new_head = "--new-head to begin the head at random weights"
    if not error.keys:
        return ""
    if not error.head_only:
        return f"\nIs --backbone {config.backbone} that of the file?"
    if all(key.startswith("deconvolution") for key in error.keys):
        return (
            "\nThe file's upsampling is another: change --upsampling or "
            f"--output-stride, or add {new_head}."
        )
    if error.shapes_only:
        return f"\nIts classes are others: add {new_head}."
    other = "v2" if config.head == "v3" else "v3"
    return f"\nIs its head of another kind? Try --head {other}, or add {new_head}."


def _note(layout: Layout, metadata: dict[str, str], config: Config) -> str:
    """Returns what a loaded head was trained with, where the run has otherwise."""
    trained = _use(layout, metadata, ("output_stride", "upsampling"))
    other = _differing(config, trained)
    return f"; its head was trained with {_as_options(other)}" if other else ""
