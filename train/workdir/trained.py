"""A trained network, from the folder of a run or from an exported file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, NamedTuple

import jax.numpy as jnp
import msgspec
import numpy as np
from flax import nnx

from models.deeplab import DeepLab
from models.weights import (
    WeightsError,
    read_header,
    read_weights,
    save_weights,
)
from train.common.errors import UserError
from train.config import Config, describe, load_config, parse_options, portable
from train.data.images import IGNORED
from train.data.preprocessing import PREPROCESSINGS
from train.evaluation.inference import Predictor
from train.evaluation.views import EvaluationOptions
from train.training.checkpoint import Checkpoints
from train.training.initial_weights import loaded_state
from train.training.losses import network_alone
from train.training.step import TrainState, abstract_state
from train.workdir.run import Run

_Names = Annotated[tuple[str, ...], msgspec.Meta(min_length=2, max_length=IGNORED)]
_Channel = Annotated[int, msgspec.Meta(ge=0, le=255)]
_Color = tuple[_Channel, _Channel, _Channel]
_Step = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]

_UNREADABLE = (
    *(KeyError, ValueError, TypeError),
    *(RecursionError, msgspec.DecodeError),
)


class Trained(NamedTuple):
    """A trained network, its configuration and its classes."""

    config: Config
    class_names: tuple[str, ...]
    colors: np.ndarray  # uint8 [classes, 3]
    graph: nnx.GraphDef[DeepLab]
    state: TrainState

    def predictor(self, options: EvaluationOptions | None = None) -> Predictor:
        """Returns its predictor, by its own options or by others."""
        preprocess = PREPROCESSINGS[self.config.model.preprocessing]
        return Predictor(
            self.graph,
            preprocess,
            options or self.config.evaluation,
            height=self.config.data.image_height,
        )


def load_trained(path: Path) -> Trained:
    """Returns the network of a run's folder or of a file that `save_trained` wrote.

    Raises:
      UserError: it is neither.
    """
    is_file = path.is_file() or path.suffix == ".safetensors"
    return load_file(path) if is_file else load_run(path)


def load_run(workdir: Path) -> Trained:
    """Returns the network of a run's newest checkpoint, finished or not.

    Raises:
      UserError: the folder is no run, or has no checkpoint yet.
    """
    run = Run(workdir)
    config = load_config(run.config_path)
    described = run.described()
    class_names = tuple(described["class_names"])
    graph, state = abstract_state(config, len(class_names))
    known = described["fingerprint"], described.get("earlier_fingerprint", "")
    with Checkpoints(run.checkpoints, config.run.seed, *known) as checkpoints:
        restored = checkpoints.restore(state)
    if restored is None:
        raise UserError(f"{workdir} has no checkpoint yet. Let it train longer first.")
    state, _ = restored
    colors = np.array(described["colors"], np.uint8)
    return Trained(config, class_names, colors, graph, state)


def save_trained(trained: Trained, path: Path) -> None:
    """Writes a network and its configuration as one safetensors file.

    The file's metadata are strings of JSON: `config`, `class_names`, `colors`, `step`.
    Nothing in it tells where it was trained: equal runs have equal files.
    """
    metadata = {
        "config": describe(portable(trained.config)),
        "class_names": trained.class_names,
        "colors": trained.colors.tolist(),
        "step": int(trained.state.step),
    }
    model = nnx.merge(trained.graph, trained.state.params, trained.state.statistics)
    texts = {name: json.dumps(value) for name, value in metadata.items()}
    with network_alone(model):
        save_weights(model, path, texts)


def load_file(path: Path) -> Trained:
    """Returns the network of a file that `save_trained` wrote.

    Raises:
      UserError: the file is missing, damaged, or of another project.
    """
    try:
        metadata = read_header(path).metadata
        # Paths of another machine, whatever they say, mean nothing here.
        config = portable(parse_options(json.loads(metadata["config"])))
        class_names, colors, step = _read_classes_and_step(metadata)
        alone = config.replace(learn_score_scale=False)
        graph, state = abstract_state(alone, len(class_names))
        state, loaded = loaded_state(state, graph, read_weights(path))
        if loaded.new:
            raise WeightsError(f"{path} has no {' and no '.join(loaded.new)}")
        if loaded.unused:
            raise WeightsError(
                f"{path} has {', '.join(loaded.unused_parts)}, which its own "
                "configuration does not"
            )
    except WeightsError as error:
        raise UserError(str(error)) from error
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
    except _UNREADABLE as error:
        raise UserError(
            f"{path} has no configuration that can be read ({error}): it is not a file "
            "that train/export.py wrote. To train from its weights, name it with "
            "train/main.py --weights."
        ) from error
    state = state._replace(step=jnp.int32(step))
    return Trained(config, class_names, colors, graph, state)


def _read_classes_and_step(
    metadata: Mapping[str, str],
) -> tuple[tuple[str, ...], np.ndarray, int]:
    """Returns what `save_trained` wrote beside the configuration.

    Raises:
      KeyError: something is missing.
      DecodeError: it is of another kind.
      ValueError: colors and classes are not as many.
    """
    names = msgspec.json.decode(metadata["class_names"], type=_Names)
    colors = msgspec.json.decode(metadata["colors"], type=list[_Color])
    step = msgspec.json.decode(metadata["step"], type=_Step)
    if len(colors) != len(names):
        raise ValueError(f"{len(colors)} colors for {len(names)} classes")
    return names, np.array(colors, np.uint8), step
