"""Groups of options: frozen dataclasses whose fields carry their help and limits.

A group stands beside the code that reads it. Groups are composed into a configuration
(`train/config.py`), in which every option has a name of its own; the command line,
`config.json`, help texts and refusals are all made from what the fields say here.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Iterator, Mapping
from typing import (
    Annotated,
    Any,
    ClassVar,
    NamedTuple,
    TypeVar,
    get_type_hints,
)

import tyro

from train.common.errors import UserError

_T = TypeVar("_T")


class Limit(NamedTuple):
    """A check of a value, and its wording: "must be above 0"."""

    holds: Callable[[Any], bool]
    text: str


class Rule(NamedTuple):
    """A check of several options of a group.

    Args:
      option: the field at fault.
      holds: the check, given the group.
      text: its wording.
    """

    option: str
    holds: Callable[[Any], bool]
    text: str


POSITIVE = Limit(lambda value: 0 < value < math.inf, "must be above 0")
NOT_NEGATIVE = Limit(lambda value: 0 <= value < math.inf, "must be finite and ≥ 0")
FRACTION = Limit(lambda value: 0 < value <= 1, "must lie in (0, 1]")
BELOW_ONE = Limit(lambda value: 0 <= value < 1, "must lie in [0, 1)")


def option(
    default: _T,
    help: str,
    limit: Limit | None = None,
    *,
    name: str = "",
    earlier: str = "",
    free: bool = False,
) -> _T:
    """Returns a field of a group.

    Args:
      default: the value where nothing is given.
      help: what it does, with its unit.
      limit: what its values must be.
      name: of the option, unless it is the field's.
      earlier: a name that the option had, which goes on working.
      free: a resumed run may change it, since it does not enter the result.
    """
    metadata = {
        "help": help,
        "limit": limit,
        "name": name,
        "earlier": earlier,
        "free": free,
    }
    return dataclasses.field(default=default, metadata=metadata)


def choice(default: str, help: str, choices: Mapping[str, object], **more: Any) -> Any:
    """Returns a field that holds one of the names of a table; see `option`.

    The help text lists the names, with what a `Registry` says of them.
    """
    listed = getattr(choices, "help", lambda: ", ".join(choices))()
    text = f"{help.rstrip('.')}: {listed}."
    return option(default, text, one_of(choices), **more)


def one_of(choices: Mapping[Any, object] | tuple[object, ...]) -> Limit:
    """Returns the limit that allows the listed values."""
    listed = ", ".join(str(name) for name in choices)
    return Limit(lambda value: value in choices, f"must be one of: {listed}")


class Group:
    """Base of all groups: validates its options when it is created."""

    rules: ClassVar[tuple[Rule, ...]] = ()

    def __post_init__(self) -> None:
        """Checks every field, then the rules.

        Raises:
          UserError: it names the option, the limit and the value.
        """
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            limit = field.metadata["limit"]
            if limit is not None and not limit.holds(getattr(self, field.name)):
                refuse(self, field.name, limit.text)
        for rule in self.rules:
            if not rule.holds(self):
                refuse(self, rule.option, rule.text)


def refuse(group: Group, field: str, text: str) -> None:
    """Raises the error of an invalid option."""
    value = getattr(group, field)
    shown = repr(value) if isinstance(value, str) else value
    raise UserError(f"--{flag(option_names(type(group))[field])} {text}, got {shown}")


def group(cls: type[_T]) -> type[_T]:
    """Annotates a dataclass with the names and help texts that tyro shows."""
    hints = get_type_hints(cls)
    for field in dataclasses.fields(cls):  # type: ignore[arg-type]
        earlier = field.metadata["earlier"]
        shown = tyro.conf.arg(
            name=flag(field.metadata["name"]) or None,
            help=field.metadata["help"],
            aliases=(f"--{flag(earlier)}",) if earlier else None,
        )
        cls.__annotations__[field.name] = Annotated[hints[field.name], shown]
    return cls


def option_names(cls: type) -> dict[str, str]:
    """Returns the name of each field's option, with underscores."""
    fields = dataclasses.fields(cls)
    return {field.name: field.metadata["name"] or field.name for field in fields}


def earlier_names(cls: type) -> Iterator[tuple[str, str]]:
    """Yields the earlier and the present name of each option that has had another."""
    for field in dataclasses.fields(cls):
        if field.metadata["earlier"]:
            yield field.metadata["earlier"], option_names(cls)[field.name]


def free_options(cls: type) -> set[str]:
    """Returns the names of the options that a resumed run may change."""
    names = option_names(cls)
    return {
        names[field.name] for field in dataclasses.fields(cls) if field.metadata["free"]
    }


def flag(name: str) -> str:
    """Returns an option's name as the command line spells it, without dashes."""
    return name.replace("_", "-")
