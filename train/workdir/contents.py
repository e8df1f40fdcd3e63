"""What the files of a run's folder hold, read by a schema."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Annotated, Any

import msgspec

from train.common.errors import UserError
from train.common.regular import read_regular
from train.common.sealed import parse_json, read_sealed
from train.common.text import is_path, shown
from train.data.mask_colors import MaskColor, MaskValue
from train.data.masks import IGNORED
from train.data.statistics import Statistics, check_statistics
from train.data.voc_classes import fault_of_names

_Channel = Annotated[int, msgspec.Meta(ge=0, le=255)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]  # of pixels, as IoUs are
_Step = Annotated[int, msgspec.Meta(ge=0, lt=2**31)]
Names = Annotated[tuple[str, ...], msgspec.Meta(min_length=2, max_length=IGNORED)]
Colors = list[tuple[_Channel, _Channel, _Channel]]  # red, green, blue
_ANEW = (
    "Move it elsewhere and give the command again: the run goes on from its last "
    "checkpoint and writes its own."
)


class Described(msgspec.Struct, forbid_unknown_fields=True):
    """The content of dataset.json: what a run was trained on."""

    name: str
    class_names: Names
    colors: Colors
    fingerprint: str
    # Those below are not in files of every version.
    earlier_fingerprint: str = ""
    split_fingerprints: dict[str, str] = {}
    val_names: tuple[str, ...] = ()  # that --split made
    folder: str = ""  # where the data are, as far as is known
    prepared: str = ""  # where their records are
    channel_mean: tuple[float, ...] = ()  # over the training split, if it was measured
    channel_std: tuple[float, ...] = ()
    mask_colors: dict[MaskColor, MaskValue] = {}  # of the masks' palettes

    def __post_init__(self) -> None:
        """Validates classes, paths and statistics.

        Raises:
          ValueError: as `check_named_and_colored` and `check_statistics`, or a folder
            has no path.
        """
        check_statistics(self.channel_mean, self.channel_std)
        check_named_and_colored(self.class_names, self.colors)
        for path in (self.folder, self.prepared):
            if not is_path(path):
                raise ValueError(f"no path is {path!a:.100}")

    @property
    def statistics(self) -> Statistics | None:
        """Mean and standard deviation of each channel, None if not measured."""
        found = Statistics(self.channel_mean, self.channel_std)
        return found if found.mean else None


def check_named_and_colored(names: tuple[str, ...], colors: Colors) -> None:
    """Refuses classes that a folder of data could not have.

    Raises:
      ValueError: a name is unfit, or there are not as many colors as classes.
    """
    if fault := fault_of_names(names):
        raise ValueError(f"it {fault}")
    if len(colors) != len(names):
        raise ValueError(f"{len(colors)} colors for {len(names)} classes")


def read_described(path: Path) -> Described:
    """Reads dataset.json.

    Raises:
      UserError: it is missing or damaged.
    """
    problem = "is missing"
    if path.is_file():
        try:
            return msgspec.convert(read_sealed(path), Described)
        except ValueError as error:
            problem = f"is damaged ({error!s:.300})"
    raise UserError(
        f"{path} {problem}. Give the command that trained the run again, which writes "
        "it anew."
    )


def read_result(path: Path, config: str, *numbers: str) -> dict[str, Any] | None:
    """Reads a run's result, None while there is none.

    Args:
      path: of the file.
      config: checksum of the run's config.json, which the file names as `config`.
      numbers: fields that it has to have.

    Raises:
      UserError: the file is damaged, or another run's; it is named.
    """
    if not path.is_file():
        return None
    try:
        result = msgspec.convert(read_sealed(path), dict[str, Any])
        for name in numbers:
            _check_number(name, result.get(name))
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error!s:.300}). {_ANEW}") from error
    # Those of earlier versions do not say whose they are.
    if result.pop("config", "") not in ("", config):
        raise UserError(
            f"{path} is the result of another run than that of the config.json beside "
            f"it. {_ANEW}"
        )
    return result


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Reads the metrics of a run, line by line.

    A damaged line costs itself alone, and is said; one that a kill cut short at the end
    is passed over.
    """
    whole: list[dict[str, Any]] = []
    lines = read_regular(path).splitlines(True) if path.is_file() else []
    for number, line in enumerate(lines, 1):
        try:
            whole.append(_metrics(line))
        except ValueError as error:
            if number < len(lines) or line.endswith(b"\n"):
                print(
                    f"{path}, line {number}, is damaged and left out: "
                    f"{shown(error):.200}"
                )
    return whole


def _metrics(line: bytes) -> dict[str, Any]:
    found = msgspec.convert(parse_json(line.decode()), dict[str, Any])
    place = [found.get("step"), found.get("split")]
    msgspec.convert(place, tuple[_Step, str])
    for name, value in found.items():
        if name not in ("step", "split") and value is not None:
            _check_number(name, value)
    reached = found.get("mean_iou")
    if reached is not None and not math.isnan(reached):
        msgspec.convert(reached, Share)
    return found


def _check_number(name: str, value: object) -> None:
    try:
        msgspec.convert(value, float)
    except ValueError as error:
        raise ValueError(f"{name:.40}: {error}") from error
