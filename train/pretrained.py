"""Initial weights from a file, checked against what the run makes of them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from flax import nnx

from models import DeepLab
from models.layouts import Layout, find_layout
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
    other = [name for name in trained if getattr(config, name) != trained[name]]
    if other:
        these = ", ".join(f"{name} {trained[name]}" for name in other)
        here = ", ".join(str(getattr(config, name)) for name in other)
        options = " ".join(f"--{name} {trained[name]}" for name in other)
        raise UserError(
            f"--weights {path} was trained with {these}; this run has {here}. "
            f"Add {options}."
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
        _, metadata = read_header(path)
        arrays = read_weights(path)
        loaded = load_weights(model, arrays, new_head=config.new_head)
    except WeightsError as error:
        raise UserError(f"--weights {path}: {error}{_hint(error, config)}") from error
    new = f"; random weights: {', '.join(loaded.new)}" if loaded.new else ""
    note = "" if "head" in loaded.new else _note(loaded.layout, metadata, config)
    print(f"{path}: {loaded.arrays} arrays of {loaded.layout.title}{new}{note}")
    _, params, statistics = split_model(model)
    return state._replace(params=params, statistics=statistics)


def _hint(error: WeightsError, config: Config) -> str:
    """Returns the way out, as far as the keys at fault tell."""
    new_head = "--new-head to begin the head at random weights"
    if not error.keys or not error.head_only:
        return f"\nIs --backbone {config.backbone} that of the file?" * bool(error.keys)
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
    other = [name for name in trained if getattr(config, name) != trained[name]]
    options = " ".join(f"--{name.replace('_', '-')} {trained[name]}" for name in other)
    return f"; its head was trained with {options}" if other else ""
