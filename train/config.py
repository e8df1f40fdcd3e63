"""The configuration of a run: groups of options, and their file.

Each group stands beside the code that reads it; here they are composed. Every option
has a name of its own, by which the command line, `config.json` and reports know it.
Nothing here loads JAX.
"""

from __future__ import annotations

import dataclasses
import difflib
import json
from pathlib import Path
from typing import Any

import tyro

from train.common.errors import UserError
from train.common.files import replace_text
from train.common.options import earlier_names, flag, free_options, option_names
from train.data.augment import AugmentationOptions
from train.data.dataset import DataOptions
from train.evaluation.views import EvaluationOptions
from train.training.loop import RunOptions
from train.training.losses import LossOptions
from train.training.network import ModelOptions
from train.training.optimizer import OptimizerOptions

CONFIG_VERSION = 2  # of config.json; 1 had none, and other names for two options


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Trains a DeepLab for semantic segmentation with the locally adaptive loss."""

    data: tyro.conf.OmitArgPrefixes[DataOptions] = DataOptions()
    augmentation: tyro.conf.OmitArgPrefixes[AugmentationOptions] = AugmentationOptions()
    model: tyro.conf.OmitArgPrefixes[ModelOptions] = ModelOptions()
    loss: tyro.conf.OmitArgPrefixes[LossOptions] = LossOptions()
    optimizer: tyro.conf.OmitArgPrefixes[OptimizerOptions] = OptimizerOptions()
    evaluation: tyro.conf.OmitArgPrefixes[EvaluationOptions] = EvaluationOptions()
    run: tyro.conf.OmitArgPrefixes[RunOptions] = RunOptions()

    def __post_init__(self) -> None:
        """Validates options across groups, before anything is read or written."""
        if self.model.upsampling == "learned" and self.loss.loss_resolution != "full":
            raise UserError(
                "--loss-resolution must be full with --upsampling learned, which could "
                f"not learn otherwise, got {self.loss.loss_resolution!r}"
            )
        steps = self.optimizer
        if self.model.head == "v3" and steps.batch_size <= steps.accumulation:
            raise UserError(
                "--accumulation must leave two images or more a part for --head v3, "
                "whose batch norm would see a single value of the pooled image (raise "
                f"--batch-size), got {steps.accumulation}"
            )

    def options(self) -> dict[str, Any]:
        """Returns the value of every option by its name."""
        return {
            name: getattr(getattr(self, group), field)
            for name, (group, field) in PLACES.items()
        }

    def replace(self, **options: Any) -> Config:
        """Returns a copy with the named options changed.

        Raises:
          UserError: there is no such option, or a value cannot work.
        """
        changes: dict[str, dict[str, Any]] = {}
        for name, value in options.items():
            if name not in PLACES:
                close = difflib.get_close_matches(name, PLACES, n=1)
                hint = f"; did you mean {close[0]!r}?" if close else ""
                raise UserError(f"there is no option {name!r}{hint}")
            group, field = PLACES[name]
            changes.setdefault(group, {})[field] = value
        groups = {
            group: dataclasses.replace(getattr(self, group), **fields)
            for group, fields in changes.items()
        }
        return dataclasses.replace(self, **groups)


# The classes of the groups by their names here.
GROUPS: dict[str, Any] = {
    field.name: type(field.default) for field in dataclasses.fields(Config)
}
# The group and the field of each option, by its name.
PLACES = {
    name: (group, field)
    for group, cls in GROUPS.items()
    for field, name in option_names(cls).items()
}
# Options that a resumed run may change: they do not enter its result.
FREE = frozenset[str]().union(*map(free_options, GROUPS.values()))
_EARLIER = {old: new for cls in GROUPS.values() for old, new in earlier_names(cls)}


def save_config(config: Config, path: Path) -> None:
    """Writes the configuration as JSON, every option by its name."""
    described = {"version": CONFIG_VERSION, **config.options()}
    replace_text(path, json.dumps(described, indent=2) + "\n")


def load_config(path: Path) -> Config:
    """Reads a configuration that `save_config` wrote, in this or an earlier version.

    Raises:
      UserError: the file is missing, is not such a configuration, or is of a later
        version.
    """
    if not path.is_file():
        raise UserError(
            f"{path.parent} is not a run: it has no {path.name}. Name the folder that "
            "train/main.py wrote (its --workdir)."
        )
    try:
        described = json.loads(path.read_text())
        return parse_options(described)
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(
            f"{path} cannot be read as a configuration ({error}). Restore it from a "
            "copy, or start another run with --workdir."
        ) from error
    except UserError as error:
        raise UserError(f"{path}: {error}") from error


def parse_options(described: dict[str, Any]) -> Config:
    """Builds a configuration from the content of `config.json`.

    Raises:
      UserError: it is of a later version, or an option is unknown or cannot work.
      ValueError, TypeError, AttributeError: it is no such thing.
    """
    options = dict(described)
    version = options.pop("version", 1)
    if version not in (1, CONFIG_VERSION):
        raise UserError(
            f"this is a configuration of version {version}, and this code reads 1 to "
            f"{CONFIG_VERSION}. Use the code that wrote it, or start another run with "
            "--workdir."
        )
    if version == 1:
        options = {_EARLIER.get(name, name): value for name, value in options.items()}
    for name, value in options.items():
        if isinstance(value, list):
            options[name] = tuple(value)
    return Config().replace(**options)


def changed_options(config: Config, base: Config) -> dict[str, Any]:
    """Returns the options that differ from `base` and would change the result."""
    before = base.options()
    return {
        name: value
        for name, value in config.options().items()
        if name not in FREE and _meaning(name, value) != _meaning(name, before[name])
    }


def _meaning(name: str, value: Any) -> Any:
    """Normalizes a value for comparison: paths are resolved."""
    return Path(value).resolve() if name in ("data", "weights") and value else value


def differing_options(saved: Config, wanted: Config) -> list[str]:
    """Returns `name: saved → wanted` for each option that would change the result."""
    before = saved.options()
    return [
        f"{name}: {before[name]!r} → {new!r}"
        for name, new in changed_options(wanted, saved).items()
    ]


def command_words(options: dict[str, Any]) -> list[str]:
    """Returns options as command-line arguments."""
    words: list[str] = []
    for name, value in options.items():
        if isinstance(value, bool):
            words.append(f"--{flag(name)}" if value else f"--no-{flag(name)}")
        else:
            values = value if isinstance(value, tuple) else (value,)
            words += [f"--{flag(name)}", *map(str, values)]
    return words
