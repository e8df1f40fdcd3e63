"""Sets that TFDS has prepared: found, and read from what their JSON files say.

TFDS does not read those files here: it imports whatever classes they name, and takes
folders from names of sets and of files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import tensorflow_datasets as tfds

from models.text import shortened
from train.common.errors import UserError
from train.data.convert.conversion import Number, read_json
from train.data.inside import check_links, check_links_in, folders_once, within
from train.data.places import TFDS

ARRAY_RECORD, TFRECORD = "array_record", "tfrecord"
_INFO, _FEATURES = "dataset_info.json", "features.json"

_NAME = re.compile(
    r"([a-z][a-z0-9_]*)(?:/(\w[\w+.-]*))?(?::((?:\d+|\*)(?:\.(?:\d+|\*)){2}))?",
    re.ASCII,
)
_CONFIG = re.compile(r"\w[\w+.-]*", re.ASCII)
_SPLIT = re.compile(r"[\w-]{1,200}", re.ASCII)
_WORD = re.compile(r"\{([A-Z_]+)\}")
_IMAGES = (
    "tensorflow_datasets.core.features.image_feature.Image",
    "tensorflow_datasets.core.features.labeled_image.LabeledImage",
)
_DAMAGED = "Prepare the set again."
_LONGEST = 255  # characters of a name of a file, and of what it is made of


class PreparedSplit(NamedTuple):
    """A split of a set: how many records it has, and in which files."""

    total: int
    files: Sequence[Path]


class ImageFeature(NamedTuple):
    """What a set says of a feature that TFDS keeps as images."""

    channels: str
    dtype: str = "uint8"


class PreparedSet(NamedTuple):
    """A set that TFDS has prepared."""

    folder: Path
    full_name: str  # NAME/CONFIG/VERSION
    form: str  # ARRAY_RECORD, TFRECORD or one that is not read
    images: Mapping[str, ImageFeature]
    splits: Mapping[str, PreparedSplit]


class _Shape(msgspec.Struct):
    dimensions: list[Number | None] = []


class _Pixels(msgspec.Struct):
    shape: _Shape | list[Number | None] = []
    dtype: str = "uint8"


class _Feature(msgspec.Struct, rename="camel"):
    python_class_name: str = ""
    type: str = ""  # in its place until TFDS 4.3, and `content`
    image: _Pixels | None = None
    content: Any = None


class _Features(msgspec.Struct):
    features: dict[str, _Feature] = {}


class _Described(msgspec.Struct, rename={"features_dict": "featuresDict"}):
    """features.json; later versions of TFDS have the first, earlier ones the rest."""

    features_dict: _Features | None = None
    proto_cls: str = ""
    content: Any = None


class _SplitInfo(msgspec.Struct, rename="camel"):
    name: str
    shard_lengths: list[Number] = []
    filepath_template: str = "{DATASET}-{SPLIT}.{FILEFORMAT}-{SHARD_X_OF_Y}"


class _Info(msgspec.Struct, rename="camel"):
    """dataset_info.json, as far as it is read."""

    name: str
    file_format: str = TFRECORD
    splits: list[_SplitInfo] = []


class _Configs(msgspec.Struct):
    """.config/metadata.json."""

    default_config_name: str = ""


def base_name(name: str) -> str:
    """Returns the name of a set without configuration and version.

    Raises:
      UserError: it is no name of a set.
    """
    return _parts(name)[0]


def find_prepared(name: str) -> PreparedSet:
    """Returns a set by its name, `NAME[/CONFIG][:VERSION]`; no code is loaded.

    Raises:
      UserError: it is no name, the set is not prepared, or its files are damaged.
    """
    parts = _parts(name)
    places = [Path(it) for it in tfds.core.utils.file_utils.list_data_dirs()]
    there = [
        (folder, folder.relative_to(place).as_posix())
        for place in places
        for folder in _folders(place, *parts)
    ]
    if len(there) > 1:
        (first, _), (other, _) = there[:2]
        names = [TFDS + ":".join(it.rsplit("/", 1)) for _, it in there[:2]]
        raise UserError(
            f"--data {TFDS}{name}: {first} and {other} are both called so: which of "
            f"them is meant is not said. Write {' or '.join(names)}, or move one of "
            "them elsewhere."
        )
    if there:
        return _read(*there[0])
    found = sorted(it for place in places for it in _configs(place / parts[0]))
    configs = f"Configurations of it are there: {', '.join(found)}. " if found else ""
    raise UserError(
        f"--data {TFDS}{name}: no such set is prepared in "
        f"{', '.join(map(str, places))}. {configs}{how_to_build(name)} TFDS_DATA_DIR "
        "names another folder."
    )


def how_to_build(name: str) -> str:
    """Returns how a set is prepared, for a message."""
    return (
        f"Prepare it with: tfds build {name} (which needs pip install tensorflow; to "
        "read what is prepared nothing more is needed)."
    )


def _parts(name: str) -> tuple[str, str, str]:
    """Returns name, configuration and version."""
    if not (found := _NAME.fullmatch(name)):
        raise UserError(
            f"--data {TFDS}{name}: {name!r} is no name of a set. Write NAME, "
            "NAME/CONFIG, NAME:VERSION or NAME/CONFIG:VERSION; NAME has small letters, "
            "digits and underscores. TFDS_DATA_DIR, not the name, says where sets are."
        )
    return found[1], found[2] or "", found[3] or ""


def _folders(place: Path, name: str, config: str, version: str) -> list[Path]:
    """Returns the folders of a set's latest version that may be meant.

    Where no configuration is named, there may be one of a version without any, too.
    """
    base = place / name
    inner = config or _default_config(base)
    within_base = [base / inner] if config or not inner else [base, base / inner]
    found = (_latest(folder, version or "*.*.*") for folder in within_base)
    return [*filter(None, found)]


def _latest(folder: Path, version: str) -> Path | None:
    """Returns the folder of the latest version, None if there is none.

    Raises:
      UserError: it is not whole, or a link beside it leads to nothing.
    """
    check_links([folder])
    check_links_in(folder)
    if not (versions := _versions(folder, version)):
        return None
    latest = folder / max(versions, key=lambda name: [*map(int, name.split("."))])
    for name in (_INFO, _FEATURES):
        if not (latest / name).is_file():
            raise UserError(
                f"{latest} has no {name}: it is not whole. Prepare it again, move it "
                "elsewhere, or add :VERSION, that of another, to the name of the set."
            )
    return latest


def _versions(folder: Path, version: str = "*.*.*") -> list[str]:
    """Returns the versions in a folder that may be meant, whole or not."""
    form = version.replace(".", r"\.").replace("*", "[0-9]+")
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return [name for name in names if re.fullmatch(form, name)]


def _configs(base: Path) -> list[str]:
    """Returns the configurations of which a set has versions."""
    folders = [it for it in folders_once(base) if _CONFIG.fullmatch(it.name)]
    return [folder.name for folder in folders if _versions(folder)]


def _default_config(base: Path) -> str:
    """Returns the configuration that is meant where none is named, "" if unknown."""
    configs, path = _configs(base), base / ".config" / "metadata.json"
    check_links([path])
    if len(configs) > 1 and path.is_file():
        named = read_json(path, _Configs, "TFDS's metadata", _DAMAGED)
        configs = [it for it in configs if it == named.default_config_name]
    return configs[0] if len(configs) == 1 else ""


def _read(folder: Path, full_name: str) -> PreparedSet:
    path, of_images = folder / _INFO, folder / _FEATURES
    info = read_json(path, _Info, "TFDS's metadata", _DAMAGED, strict=False)
    splits = {}
    for split in info.splits:
        if not _SPLIT.fullmatch(split.name):
            raise UserError(f"{path} has a split {split.name!r}. {_DAMAGED}")
        if split.name in splits:
            raise UserError(f"{path} has split {split.name!r} twice. {_DAMAGED}")
        shards = range(len(split.shard_lengths))
        files = [folder / _file_name(info, split, path, i) for i in shards]
        splits[split.name] = PreparedSplit(sum(split.shard_lengths), files)
    kept = read_json(of_images, _Described, "TFDS's metadata", _DAMAGED, strict=False)
    images = _images(kept, of_images)
    return PreparedSet(folder, full_name, info.file_format, images, splits)


def _file_name(info: _Info, split: _SplitInfo, path: Path, index: int) -> str:
    """Returns the name of a file in the folder of its set.

    Raises:
      UserError: it is longer than names are, or leads out of the folder.
    """
    count = len(split.shard_lengths)
    shard, shards = (f"{number:05d}" for number in (index, count))
    template = split.filepath_template
    words = {
        "DATASET": info.name,
        "SPLIT": split.name,
        "FILEFORMAT": info.file_format,
        "SHARD_INDEX": shard,
        "NUM_SHARDS": shards,
        "SHARD_X_OF_Y": f"{shard}-of-{shards}",
    }
    # Before and after: together they make a name as long as their product.
    long = max(map(len, (template, *words.values()))) > _LONGEST
    name = "" if long else _WORD.sub(lambda it: words.get(it[1], it[0]), template)
    if long or len(name.encode(errors="replace")) > _LONGEST:
        raise UserError(
            f"{path}: {shortened(template)!r} makes the name of a file of the set "
            f"{shortened(info.name)!r} longer than {_LONGEST} bytes. {_DAMAGED}"
        )
    if within(name) is None:
        raise UserError(f"{path} names the file {name!r}, elsewhere. {_DAMAGED}")
    return name


def _images(described: _Described, path: Path) -> dict[str, ImageFeature]:
    """Returns the features that are images."""
    try:
        if described.features_dict:
            features = described.features_dict.features
        elif described.proto_cls:
            features = _converted(described.content, _Features).features
        else:
            features = _converted(described.content, dict[str, _Feature])
        return {
            name: _image(feature.image or _converted(feature.content, _Pixels))
            for name, feature in features.items()
            if (feature.python_class_name or feature.type) in _IMAGES
        }
    except msgspec.ValidationError as error:
        raise UserError(f"{path} is damaged: {error}. {_DAMAGED}") from error


def _converted(content: Any, form: Any) -> Any:
    return msgspec.convert(content or {}, form, strict=False)


def _image(pixels: _Pixels) -> ImageFeature:
    shape = pixels.shape
    sizes = shape.dimensions if isinstance(shape, _Shape) else shape
    return ImageFeature(str(sizes[-1]) if sizes else "?", pixels.dtype)
