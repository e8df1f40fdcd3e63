"""Initial weights from a file, checked against the run's options."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from flax import nnx

from models.deeplab import DeepLab
from models.heads import HEADS
from models.layouts import Layout, find_layout
from models.weights import (
    Loaded,
    WeightsError,
    load_weights,
    read_header,
    read_weights,
)
from train.common.errors import UserError
from train.training.network import ModelOptions, split_model
from train.training.step import TrainState

_HELP = "docs/weights.md says where to get the file and how to convert it"


def check_initial_weights(options: ModelOptions) -> None:
    """Refuses an unsuitable weights file, before any data is prepared.

    Raises:
      UserError: the file is missing, is no safetensors file, or wants another ResNet
        style or preprocessing.
    """
    if not options.weights:
        return
    path = Path(options.weights)
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
    _check_use(options, path, _use(layout, metadata, ("style", "preprocessing")))


def _use(
    layout: Layout, metadata: dict[str, str], names: Sequence[str]
) -> dict[str, Any]:
    """Returns the options that a file's weights were trained with, as far as known."""
    use = (
        json.loads(metadata.get("config", "{}")) if layout.native else layout._asdict()
    )
    return {name: use[name] for name in names if use.get(name)}


def _check_use(options: ModelOptions, path: Path, trained: dict[str, Any]) -> None:
    other = _differing(options, trained)
    if other:
        these = ", ".join(f"{name} {value}" for name, value in other.items())
        here = ", ".join(str(getattr(options, name)) for name in other)
        raise UserError(
            f"--weights {path} was trained with {these}; this run has {here}. "
            f"Add {_as_options(other)}."
        )


def _differing(options: ModelOptions, trained: dict[str, Any]) -> dict[str, Any]:
    """Returns the options that the weights were trained with and the run changes."""
    return {
        name: value
        for name, value in trained.items()
        if getattr(options, name) != value
    }


def _as_options(values: dict[str, Any]) -> str:
    return " ".join(f"--{name.replace('_', '-')} {v}" for name, v in values.items())


def with_weights(
    state: TrainState, graph: nnx.GraphDef[DeepLab], options: ModelOptions
) -> TrainState:
    """Returns a state of step 0 whose network has the weights of `options.weights`.

    Prints what was taken from the file and what begins at random.

    Raises:
      UserError: the file does not fit the network; the message lists the keys.
    """
    if not options.weights:
        return state
    path = Path(options.weights)
    try:
        _, metadata = read_header(path)
        arrays = read_weights(path)
        state, loaded = loaded_state(state, graph, arrays, new_head=options.new_head)
    except WeightsError as error:
        raise UserError(f"--weights {path}: {error}{_hint(error, options)}") from error
    new = f"; random weights: {', '.join(loaded.new)}" if loaded.new else ""
    note = "" if "head" in loaded.new else _note(loaded.layout, metadata, options)
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


def _hint(error: WeightsError, options: ModelOptions) -> str:
    """Returns advice, as far as the keys at fault tell."""
    new_head = "--new-head to begin the head at random weights"
    if not error.keys:
        return ""
    if not error.head_only:
        return f"\nIs --backbone {options.backbone} that of the file?"
    if all(key.startswith("deconvolution") for key in error.keys):
        return (
            "\nThe file's upsampling is another: change --upsampling or "
            f"--output-stride, or add {new_head}."
        )
    if error.shapes_only:
        return f"\nIts classes are others: add {new_head}."
    others = " or ".join(f"--head {name}" for name in HEADS if name != options.head)
    return f"\nIs its head of another kind? Try {others}, or add {new_head}."


def _note(layout: Layout, metadata: dict[str, str], options: ModelOptions) -> str:
    """Returns a note on options that a loaded head was not trained with."""
    trained = _use(layout, metadata, ("output_stride", "upsampling"))
    other = _differing(options, trained)
    return f"; its head was trained with {_as_options(other)}" if other else ""
