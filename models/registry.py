"""Tables of choices: what each option's names stand for, in one place each.

A table is filled by decorators, so that an entry stands with the code it names, and
help texts and refusals are made from it. Nothing here loads JAX.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Generic, TypeVar

Choice = TypeVar("Choice")


class Registry(Mapping[str, Choice], Generic[Choice]):
    """Entries by name, in the order in which they were added.

    Args:
      kind: what an entry is, for messages: "loss", "backbone".

    >>> shapes: Registry[int] = Registry("shape")
    >>> shapes.add("triangle", 3, "three corners")
    3
    >>> shapes.help()
    'triangle (three corners)'
    >>> shapes["circle"]
    Traceback (most recent call last):
    KeyError: "no shape 'circle'; there is: triangle"
    """

    def __init__(self, kind: str):
        self.kind = kind
        self._entries: dict[str, Choice] = {}
        self._captions: dict[str, str] = {}

    def add(self, name: str, entry: Choice, caption: str = "") -> Choice:
        """Adds an entry and returns it.

        Args:
          name: what the user writes.
          entry: what it stands for.
          caption: a few words for help texts.

        Raises:
          ValueError: the name is taken.
        """
        if name in self._entries:
            raise ValueError(f"{self.kind} {name!r} is registered twice")
        self._entries[name] = entry
        self._captions[name] = caption
        return entry

    def register(self, name: str, caption: str = "") -> Callable[[Choice], Choice]:
        """Returns a decorator that adds what it decorates; see `add`."""
        return lambda entry: self.add(name, entry, caption)

    def check(self, name: object) -> None:
        """Refuses a name that is not in the table.

        Raises:
          ValueError: it lists the names that are.
        """
        if name not in self._entries:
            raise ValueError(self._unknown(name))

    def help(self) -> str:
        """Returns every name with its caption, for a help text."""
        return ", ".join(
            f"{name} ({caption})" if caption else name
            for name, caption in self._captions.items()
        )

    def caption(self, name: str) -> str:
        """Returns the few words that describe an entry."""
        return self._captions[name]

    def __getitem__(self, name: str) -> Choice:
        try:
            return self._entries[name]
        except KeyError:
            raise KeyError(self._unknown(name)) from None

    def _unknown(self, name: object) -> str:
        known = ", ".join(self._entries)
        return f"no {self.kind} {name!r}; there is: {known}"

    def __contains__(self, name: object) -> bool:
        return name in self._entries

    def __iter__(self) -> Iterator[str]:
        return iter(self._entries)

    def __len__(self) -> int:
        return len(self._entries)
