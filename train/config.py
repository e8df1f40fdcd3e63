"""The configuration of a run: groups of options, and their file.

Each group stands beside the code that reads it; here they are composed. Every option
has a name of its own, by which the command line, `config.json` and reports know it.
Nothing here loads JAX.
"""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_type_hints

import msgspec
import tyro

from models.heads import HEADS
from models.upsamplings import UPSAMPLINGS
from train.common.errors import UserError
from train.common.options import earlier_names, flag, marked, option_names
from train.common.processes import ProcessOptions
from train.common.sealed import create_sealed, read_sealed
from train.common.text import is_path
from train.data.augment import AugmentationOptions
from train.data.dataset import DataOptions
from train.data.places import anywhere, resolved
from train.data.preprocessing import check_preprocessing
from train.evaluation.views import EvaluationOptions
from train.training.devices import DeviceOptions
from train.training.loop import RunOptions
from train.training.loss_options import LossOptions
from train.training.network import ModelOptions
from train.training.optimizer import OptimizerOptions

# Of config.json; 1 had none, and other names for two options. Raise it with each option
# added: the present version must have them all, earlier ones take defaults.
CONFIG_VERSION = 10

# The first version whose files have a checksum.
_SEALED = 6

# Options in which the processes of a run may differ, each on its host.
_LOCAL = ("data", "prepared", "weights", "compilation_cache", "workers")

# What config.json holds beside the options: `began` is for the record alone.
_NO_OPTIONS = ("version", "began")


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
    devices: tyro.conf.OmitArgPrefixes[DeviceOptions] = DeviceOptions()
    processes: tyro.conf.OmitArgPrefixes[ProcessOptions] = ProcessOptions()

    def __post_init__(self) -> None:
        """Validates options across groups, before anything is read or written."""
        model, steps = self.model, self.optimizer
        if UPSAMPLINGS[model.upsampling].learns and self.loss.loss_resolution != "full":
            raise UserError(
                f"--loss-resolution must be full with --upsampling {model.upsampling}, "
                f"which could not learn otherwise, got {self.loss.loss_resolution!r}"
            )
        check_preprocessing(
            model.preprocessing, self.data.form, jitter=self.augmentation.jitter
        )
        fewest = HEADS[model.head].fewest_images
        if steps.batch_size < fewest * steps.accumulation:
            raise UserError(
                f"--accumulation must leave {fewest} images or more per part for "
                f"--head {model.head}, whose batch norm sees one value of each (raise "
                f"--batch-size), got {steps.accumulation}"
            )

    def options(self) -> dict[str, Any]:
        """Returns the value of every option by its name."""
        return {
            name: getattr(getattr(self, group), field)
            for name, (group, field) in PLACES.items()
        }

    def shared_options(self) -> dict[str, Any]:
        """Returns the options that all processes of a run must have alike, by flag."""
        own = {*_LOCAL, *(field.name for field in dataclasses.fields(ProcessOptions))}
        options = self.options().items()
        return {f"--{flag(name)}": value for name, value in options if name not in own}

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
                raise UserError(f"there is no option {name!r:.100}{hint}")
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


def places_of(groups: Mapping[str, type]) -> dict[str, tuple[str, str]]:
    """Returns the group and the field of each option, by its name.

    Raises:
      ValueError: two options have one name, or an earlier name is taken.
    """
    places: dict[str, tuple[str, str]] = dict.fromkeys(_NO_OPTIONS, ("", ""))
    for group, cls in groups.items():
        for field, name in option_names(cls).items():
            if name in places:
                raise ValueError(f"two options have the name {name!r}")
            places[name] = group, field
    taken = {old for cls in groups.values() for old, _ in earlier_names(cls)}
    if taken := taken & places.keys():
        raise ValueError(f"earlier names are those of other options: {taken}")
    return {name: place for name, place in places.items() if name not in _NO_OPTIONS}


EARLIER = {old: new for cls in GROUPS.values() for old, new in earlier_names(cls)}
PLACES = places_of(GROUPS)
# Options that a resumed run may change: they do not enter its result.
FREE = frozenset[str]().union(*(marked(cls, "free") for cls in GROUPS.values()))
PATHS = frozenset[str]().union(*(marked(cls, "path") for cls in GROUPS.values()))


def save_config(
    config: Config, path: Path, began: Mapping[str, Any] | None = None
) -> None:
    """Writes the configuration as JSON, every option by its name.

    One that is there stays: of several processes that begin a run, one begins it.

    Args:
      config: what to write.
      path: of the file.
      began: with what code, and where, the run began; for the record.
    """
    create_sealed(path, describe(config) | ({"began": began} if began else {}))


def describe(config: Config) -> dict[str, Any]:
    """Returns what `parse_options` reads, once it has been through JSON."""
    return {"version": CONFIG_VERSION, **config.options()}


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
        return parse_options(read_sealed(path, always=is_sealed))
    except (ValueError, UserError) as error:
        raise UserError(
            f"{path} cannot be read as a configuration: {error}. Restore it from a "
            "copy, or start another run with --workdir."
        ) from error


def is_sealed(content: Mapping[str, Any]) -> bool:
    """Returns whether a configuration is of a version whose files have checksums."""
    return content.get("version") in range(_SEALED, CONFIG_VERSION + 1)


def parse_options(described: object) -> Config:
    """Builds a configuration from the content of `config.json`.

    Raises:
      UserError: it is of another version, or an option is missing, unknown, of another
        type, or cannot work.
    """
    if not isinstance(described, dict):
        raise UserError(f"it is no table of options but {described!r:.60}")
    options = dict(described)
    version = options.pop("version", 1)
    options.pop("began", None)
    if version is True or version not in range(1, CONFIG_VERSION + 1):
        raise UserError(
            f"it is of version {version!r:.100}, and this code reads 1 to "
            f"{CONFIG_VERSION}; use the code that wrote it"
        )
    if version == 1:
        options = _renamed(options)
    missing = PLACES.keys() - options.keys()
    if version == CONFIG_VERSION and missing:
        raise UserError(f"it lacks {', '.join(sorted(missing))}")
    return Config().replace(
        **{name: _converted(name, value) for name, value in options.items()}
    )


def _renamed(options: dict[str, Any]) -> dict[str, Any]:
    """Returns options of version 1 by their present names."""
    for old, new in EARLIER.items():
        if old in options and new in options:
            raise UserError(f"it has both {old!r} and {new!r}, its present name")
    if not options:
        raise UserError("it has no options")
    return {EARLIER.get(name, name): value for name, value in options.items()}


def _converted(name: str, value: object) -> Any:
    """Returns a value of JSON in the type of its option, where there is one.

    Raises:
      UserError: it is of another type, or a text that nobody could give.
    """
    if name not in PLACES:
        return value  # refused by `Config.replace`
    group, field = PLACES[name]
    try:
        converted = msgspec.convert(value, get_type_hints(GROUPS[group])[field])
    except msgspec.ValidationError as error:
        raise UserError(f"--{flag(name)}: {error}, got {value!r:.200}") from error
    parts = converted if isinstance(converted, tuple) else (converted,)
    if not all(is_path(part) for part in parts if isinstance(part, str)):
        raise UserError(f"--{flag(name)}: no command line has {value!a:.200}")
    return converted


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
    return resolved(value) if name in PATHS else value


def differing_options(saved: Config, wanted: Config) -> list[str]:
    """Returns `name: saved → wanted` for each option that would change the result.

    `data` is left out: what is in the folder counts, and its fingerprint tells.
    """
    before = saved.options()
    return [
        f"{name}: {before[name]!r} → {new!r}"
        for name, new in changed_options(wanted, saved).items()
        if name != "data"
    ]


def portable(config: Config) -> Config:
    """Returns the configuration without what belongs to one machine or one call.

    Paths and free options have their defaults, and so have the options that go with a
    path; a folder of data is `DIR`, and a name of data stays.
    """
    local = FREE | PATHS | {"new_head", "new_stages"}
    defaults = {k: v for k, v in Config().options().items() if k in local}
    defaults["data"] = anywhere(config.data.folder)
    return config.replace(**defaults)


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
