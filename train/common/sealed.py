"""Files of JSON with a checksum of every byte, so that damage is seen.

The checksum is a field of the file, counted as zeros where it stands.
"""

from __future__ import annotations

import functools
import json
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from train.common.files import create_bytes, replace_text
from train.common.regular import read_regular

_FIELD = "checksum"
_NONE = "00000000"
_MOST = 2**26  # bytes of a file


def write_sealed(path: Path, content: Mapping[str, Any]) -> None:
    """Writes a table as JSON, with its checksum, as a whole or not at all."""
    replace_text(path, _sealed(content))


def create_sealed(path: Path, content: Mapping[str, Any]) -> bool:
    """Writes one that is not there yet; returns whether no other process was first."""
    return create_bytes(path, _sealed(content).encode(errors="backslashreplace"))


def _sealed(content: Mapping[str, Any]) -> str:
    text = json.dumps({**content, _FIELD: _NONE}, indent=2) + "\n"
    return _with(text, _NONE, _checksum(text))


def read_sealed(
    path: Path, *, always: Callable[[dict[str, Any]], bool] = lambda content: False
) -> Any:
    """Returns the content of a file of JSON, without its checksum.

    One that has none is said to have none.

    Args:
      path: of the file.
      always: tells by the content whether there has to be a checksum.

    Raises:
      ValueError: it is no JSON, or is not as it was written.
      UserError: it is no file, or larger than any that is written.
    """
    text = _text(path)
    content = parse_json(text)
    if not isinstance(content, dict):
        return content
    found = content.pop(_FIELD, None)
    if found is None:
        if always(content):
            raise ValueError("its checksum is missing")
        say_unsealed(path)
    elif found != _checksum(_with(text, found, _NONE)):
        raise ValueError("its checksum is of another content")
    return content


def checksum_of(path: Path) -> str:
    """Returns the checksum that a file states, "" for one without."""
    content = parse_json(_text(path))
    return content.get(_FIELD, "") if isinstance(content, dict) else ""


def _text(path: Path) -> str:
    return read_regular(path, _MOST).decode()


def parse_json(text: str) -> Any:
    """Returns what JSON says.

    Raises:
      ValueError: it is none, names a field twice, or is nested too deeply.
    """
    try:
        return json.loads(text, object_pairs_hook=_table)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


def _table(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table: dict[str, Any] = {}
    for name, value in pairs:
        if name in table:
            raise ValueError(f"it has the field {name!r:.100} twice")
        table[name] = value
    return table


def _with(text: str, before: object, after: str) -> str:
    """Returns the text with another checksum in the place of one."""
    return text.replace(f'"{_FIELD}": "{before}"', f'"{_FIELD}": "{after}"')


def _checksum(text: str) -> str:
    return f"{zlib.crc32(text.encode()):08x}"


@functools.cache
def say_unsealed(path: Path) -> None:
    """Says once that a file has no checksum."""
    print(
        f"{path} is of an earlier version and has no checksum: damage to it would not "
        "be seen."
    )
