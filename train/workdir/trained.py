"""A trained network, from the folder of a run or from an exported file."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

import jax.numpy as jnp
import msgspec
import numpy as np
from flax import nnx

from models.checksums import FIELD
from models.deeplab import DeepLab
from models.weights import (
    WeightsError,
    read_header,
    read_weights,
    save_weights,
)
from train.common.errors import UserError
from train.common.sealed import parse_json, say_unsealed
from train.config import (
    Config,
    describe,
    is_sealed,
    load_config,
    parse_options,
    portable,
)
from train.data.forms import Form
from train.data.image_files import PIXEL_LIMIT
from train.data.images import Size
from train.data.preprocessing import SPLIT, Preprocessing, preprocessing_of
from train.data.statistics import Statistics, check_statistics
from train.data.void import void_values
from train.evaluation.inference import Predictor
from train.evaluation.views import EvaluationOptions
from train.training.additions import network_alone
from train.training.best import warn_of_better
from train.training.initial_weights import loaded_state
from train.training.step import TrainState, abstract_state
from train.workdir.contents import Colors, Names, check_named_and_colored
from train.workdir.run import Run

Checkpoint = Literal["newest", "best"]  # of a run
_Step = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]

_UNREADABLE = KeyError, ValueError, TypeError, RecursionError, msgspec.DecodeError
# Of a file that `save_trained` wrote.
_METADATA = {"config", "class_names", "colors", "step", "statistics", FIELD}


class Use(NamedTuple):
    """All that predicting takes from a model's configuration.

    A model or a run may be another's: what it says of folders, caches and the like is
    left where it is.
    """

    preprocessing: str
    evaluation: EvaluationOptions
    crop: Size  # of training
    image_height: int  # that images are prepared at, 0 for their own
    pixel_limit: int  # of an image; no model raises the usual one
    void: tuple[str, ...]  # classes that do not count, and values
    form: Form  # of images


class Trained(NamedTuple):
    """A trained network, its configuration and its classes.

    Programs that predict look at `use`; `config` is for the record, and for evaluating
    a run on its own data.
    """

    config: Config
    class_names: tuple[str, ...]
    colors: np.ndarray  # uint8 [classes, 3]
    graph: nnx.GraphDef[DeepLab]
    state: TrainState
    statistics: Statistics | None = None  # of its training split, where it needs them

    @property
    def preprocess(self) -> Preprocessing:
        """What the network is given of images.

        Raises:
          UserError: it needs statistics, and there are none.
        """
        use = self.use
        return preprocessing_of(use.preprocessing, self.statistics, use.form)

    @property
    def void(self) -> tuple[int, ...]:
        """The classes that do not count; none of them is predicted."""
        values = void_values(self.use.void, self.class_names)
        return tuple(value for value in values if value < len(self.class_names))

    @property
    def use(self) -> Use:
        """What predicting takes from the configuration."""
        config = self.config
        return Use(
            config.model.preprocessing,
            config.evaluation,
            config.augmentation.crop,
            config.data.image_height,
            min(config.data.pixel_limit, PIXEL_LIMIT),
            config.data.void,
            config.data.form,
        )

    def predictor(self, options: EvaluationOptions | None = None) -> Predictor:
        """Returns its predictor, by its own options or by others."""
        use = self.use
        evaluation = options or use.evaluation
        return Predictor(
            self.graph,
            self.preprocess,
            evaluation,
            height=use.image_height,
            void=self.void,
        )


def load_trained(path: Path, checkpoint: Checkpoint = "newest") -> Trained:
    """Returns the network of a run's folder or of a file that `save_trained` wrote.

    Raises:
      UserError: it is neither, or is a file and has no best checkpoint.
    """
    if not (path.is_file() or path.suffix == ".safetensors"):
        return load_run(path, checkpoint)
    if checkpoint != "newest":
        raise UserError(f"--checkpoint {checkpoint} is for runs, and {path} is a file")
    return load_file(path)


def load_run(workdir: Path, checkpoint: Checkpoint = "newest") -> Trained:
    """Returns the network of a run's newest or best checkpoint, finished or not.

    The averaged one, where the run keeps an average.

    Raises:
      UserError: the folder is no run, has no such checkpoint yet, or says of its images
        what none have.
    """
    best = checkpoint == "best"
    run = Run(workdir)
    config = load_config(run.config_path)
    described = run.described()
    class_names = described.class_names
    found = described.statistics if config.model.preprocessing == SPLIT else None
    try:
        preprocessing_of(config.model.preprocessing, found, config.data.form)
    except UserError as error:
        raise UserError(f"{run.dataset_path}: {error}") from error
    graph, state = abstract_state(config, len(class_names))
    known = described.fingerprint, described.earlier_fingerprint
    if best and not run.best.is_dir():
        raise UserError(
            f"{workdir} has no best checkpoint. Those are kept with --keep-best of "
            "train/main.py, from an evaluation on; --checkpoint newest is there."
        )
    folder, restored = run.best if best else run.checkpoints, None
    if folder.is_symlink():
        raise UserError(
            f"{folder} is a link, and the checkpoints of a run lie in its own folder. "
            "Put what it leads to in its place; the run itself may be a link."
        )
    if folder.is_dir():  # Orbax would make it, where a link leads too
        with run.open_checkpoints(config, *known, best=best) as checkpoints:
            restored = checkpoints.restore(state)
    if restored is None:
        raise UserError(f"{workdir} has no checkpoint yet. Let it train longer first.")
    if best:
        step, lines = int(restored.state.step), run.history.lines()
        warn_of_better(run.best, step, restored.mean_iou, lines)
    colors = np.array(described.colors, np.uint8)
    averaged = restored.state.averaged()
    return Trained(config, class_names, colors, graph, averaged, found)


def save_trained(trained: Trained, path: Path) -> None:
    """Writes a network and its configuration as one safetensors file.

    The file's metadata are strings of JSON: `config`, `class_names`, `colors`, `step`,
    and `statistics` of the channels, where images are normalized by them. Nothing in it
    tells where it was trained: equal runs have equal files.
    """
    model = nnx.merge(trained.graph, trained.state.params, trained.state.statistics)
    metadata = described_network(trained)
    texts = {name: json.dumps(value) for name, value in metadata.items()}
    with network_alone(model):
        save_weights(model, path, texts)


def described_network(trained: Trained) -> dict[str, Any]:
    """Returns what files of a network say of it: `config`, `class_names` and so on."""
    described = {
        "config": describe(portable(trained.config)),
        "class_names": trained.class_names,
        "colors": trained.colors.tolist(),
        "step": int(trained.state.step),
    }
    if trained.statistics:
        described["statistics"] = trained.statistics
    return described


def load_file(path: Path) -> Trained:
    """Returns the network of a file that `save_trained` wrote.

    Raises:
      UserError: the file is missing, damaged, or of another project.
    """
    try:
        header = read_header(path)
        metadata = header.metadata
        config = _read_config(path, metadata)
        class_names, colors, step = _read_classes_and_step(metadata)
        void_values(config.data.void, class_names)
        statistics = _read_statistics(metadata)
        preprocessing_of(config.model.preprocessing, statistics, config.data.form)
        alone = config.replace(learn_score_scale=False, auxiliary=0.0, ema=0.0)
        graph, state = abstract_state(alone, len(class_names))
        state, loaded = loaded_state(state, graph, read_weights(path, header))
        if loaded.new:
            raise WeightsError(f"{path} has no {' and no '.join(loaded.new)}")
        if loaded.unused:
            raise WeightsError(
                f"{path} has {', '.join(loaded.unused_parts)}, which its own "
                "configuration does not"
            )
    except (UserError, WeightsError) as error:
        named = str(path) in str(error)
        raise UserError(f"{error}" if named else f"{path}: {error}") from error
    except _UNREADABLE as error:
        raise UserError(
            f"{path} has no configuration that can be read ({error!s:.300}): it is not "
            "a file that train/export.py wrote. To train from its weights, name it "
            "with train/main.py --weights."
        ) from error
    state = state._replace(step=jnp.int32(step))
    return Trained(config, class_names, colors, graph, state, statistics)


def _read_config(path: Path, metadata: Mapping[str, str]) -> Config:
    """Returns the configuration in a file's metadata, without paths and the like.

    Raises:
      KeyError, ValueError: it is missing or cannot be read.
      UserError: an option cannot work, or the file is not as it was written.
    """
    content = parse_json(metadata["config"])
    config = portable(parse_options(content))
    if unknown := sorted(metadata.keys() - _METADATA):
        raise UserError(
            f"its metadata have {', '.join(unknown):.200}, which none should"
        )
    if FIELD not in metadata:
        if is_sealed(content):
            raise UserError("it is damaged: its checksum is missing")
        say_unsealed(path)
    return config


def _read_classes_and_step(
    metadata: Mapping[str, str],
) -> tuple[tuple[str, ...], np.ndarray, int]:
    """Returns what `save_trained` wrote beside the configuration.

    Raises:
      KeyError: something is missing.
      DecodeError: it is of another kind.
      ValueError: names of classes are unfit, or colors are not as many.
    """
    names = msgspec.json.decode(metadata["class_names"], type=Names)
    colors = msgspec.json.decode(metadata["colors"], type=Colors)
    step = msgspec.json.decode(metadata["step"], type=_Step)
    check_named_and_colored(names, colors)
    return names, np.array(colors, np.uint8), step


def _read_statistics(metadata: Mapping[str, str]) -> Statistics | None:
    """Returns mean and standard deviation of the channels, None if there are none.

    Raises:
      DecodeError: they are of another kind.
      ValueError: no images have them.
    """
    if "statistics" not in metadata:
        return None
    found = msgspec.json.decode(metadata["statistics"], type=Statistics)
    check_statistics(*found)
    return found
