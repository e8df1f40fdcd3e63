"""Groups of options: frozen dataclasses whose fields carry their help and limits.

A group stands beside the code that reads it. Groups are composed into a configuration
(`train/config.py`), in which every option has a name of its own; the command line,
`config.json`, help texts and refusals are all made from what the fields say here.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Collection, Iterator
from typing import (
    Annotated,
    Any,
    ClassVar,
    NamedTuple,
    TypeVar,
    get_type_hints,
)

import tyro

from models.registry import Registry
from train.common.errors import UserError

_T = TypeVar("_T")

_LARGE = 2**63  # what whole numbers of options are below, as in NumPy


class Limit(NamedTuple):
    """A check of a value, and its wording: "must be above 0".

    Texts may be functions, so that entries a table gets later are in them.
    """

    holds: Callable[[Any], bool]
    text: str | Callable[[], str]


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
    help: str | Callable[[], str],
    limit: Limit | None = None,
    *,
    name: str = "",
    earlier: str = "",
    free: bool = False,
    path: bool = False,
) -> _T:
    """Returns a field of a group.

    Args:
      default: the value where nothing is given.
      help: what it does, with its unit.
      limit: what its values must be.
      name: of the option, unless it is the field's.
      earlier: a name that the option had, which goes on working.
      free: a resumed run may change it, since it does not enter the result.
      path: it is one, and means the same in every spelling.
    """
    metadata = {
        "about": help,  # tyro would take "help" for its own
        "limit": limit,
        "name": name,
        "earlier": earlier,
        "free": free,
        "path": path,
    }
    return dataclasses.field(default=default, metadata=metadata)


def choice(default: str, help: str, choices: Registry[Any], **more: Any) -> Any:
    """Returns a field that holds one of the names of a table; see `option`.

    The help text lists the names with their captions.
    """
    return option(
        default, lambda: f"{help}: {choices.help()}.", one_of(choices), **more
    )


def one_of(choices: Collection[object]) -> Limit:
    """Returns the limit that allows the listed values."""
    return Limit(
        lambda value: value in choices,
        lambda: f"must be one of: {', '.join(map(str, choices))}",
    )


def text_of(text: str | Callable[[], str]) -> str:
    """Returns a text, or what a function returns for it now."""
    return text() if callable(text) else text


class Group:
    """Base of all groups: validates its options when it is created."""

    rules: ClassVar[tuple[Rule, ...]] = ()

    def __post_init__(self) -> None:
        """Checks every field, then the rules.

        Raises:
          UserError: it names the option, the limit and the value.
        """
        for field in dataclasses.fields(self):  # type: ignore[arg-type]
            value = getattr(self, field.name)
            parts = value if isinstance(value, tuple) else (value,)
            if any(isinstance(part, int) and abs(part) >= _LARGE for part in parts):
                refuse(self, field.name, "must be below 2⁶³")
            limit = field.metadata["limit"]
            if limit is not None and not limit.holds(value):
                refuse(self, field.name, text_of(limit.text))
        for rule in self.rules:
            if not rule.holds(self):
                refuse(self, rule.option, rule.text)


def refuse(group: Group, field: str, text: str) -> None:
    """Raises the error of an invalid option."""
    value = getattr(group, field)
    shown = repr(value) if isinstance(value, str) else str(value)
    name = flag(option_names(type(group))[field])
    raise UserError(f"--{name} {text}, got {shown:.200}")


def annotate(cls: type) -> None:
    """Annotates a group with the names and help texts that tyro shows now."""
    hints = get_type_hints(cls)
    for field in dataclasses.fields(cls):
        earlier = field.metadata["earlier"]
        shown = tyro.conf.arg(
            name=flag(field.metadata["name"]) or None,
            help=text_of(field.metadata["about"]),
            aliases=(f"--{flag(earlier)}",) if earlier else None,
        )
        cls.__annotations__[field.name] = Annotated[hints[field.name], shown]


def option_names(cls: type) -> dict[str, str]:
    """Returns the name of each field's option, with underscores."""
    fields = dataclasses.fields(cls)
    return {field.name: field.metadata["name"] or field.name for field in fields}


def earlier_names(cls: type) -> Iterator[tuple[str, str]]:
    """Yields the earlier and the present name of each option that has had another."""
    for field in dataclasses.fields(cls):
        if field.metadata["earlier"]:
            yield field.metadata["earlier"], option_names(cls)[field.name]


def marked(cls: type, mark: str) -> set[str]:
    """Returns the names of the options with a mark, `"free"` or `"path"`."""
    names = option_names(cls)
    return {
        names[field.name] for field in dataclasses.fields(cls) if field.metadata[mark]
    }


def flag(name: str) -> str:
    """Returns an option's name as the command line spells it, without dashes."""
    return name.replace("_", "-")
