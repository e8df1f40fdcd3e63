"""Pickles of plain data, interpreted: no class is looked up and no code is run.

`pickle.Unpickler`, restricted to some classes, would still give out extensions that
`copyreg` knows, allocate what a pickle asks for, and crash on a deeply nested key. Here
only the operations below exist, those of protocols 2 to 4 for plain values, and names
that the caller gives. What a pickle makes takes memory in proportion to its length,
which calls with one long list, again and again, would not.
"""

from __future__ import annotations

import io
import pickletools
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, NoReturn

# Operations that push their argument; those that say nothing about the content.
_VALUES = frozenset(
    "LONG1 BININT BININT1 BININT2 BINFLOAT BINSTRING SHORT_BINSTRING BINUNICODE "
    "SHORT_BINUNICODE BINBYTES SHORT_BINBYTES".split()
)
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_SILENT = frozenset({"PROTO", "FRAME"})
# Whose hashes a file cannot choose: those of strings differ from process to process. A
# number is its own, so that only small ones may be keys, as those of parameters are.
_KEYS = (str, int, bool, type(None))
_LARGEST_KEY = 2**16

# Each can take 150 bytes of memory; a tensor needs about 30.
MOST_OPERATIONS = 4_000_000


class PickleRefused(Exception):
    """A pickle asks for more than plain data; the message goes on from its name."""


class Damaged(ValueError):
    """A file is not what it says of itself."""


def read_pickle(
    file: BinaryIO,
    names: Mapping[tuple[str, str], Any],
    persistent: Callable[[Any], Any],
) -> Any:
    """Returns the object of the pickle at a file's position, which moves past it.

    Args:
      file: is in memory: reading past its end costs nothing.
      names: what stands for a name `(module, name)`. The pickle may call those that are
        callable, on any plain data.
      persistent: returns the object that a persistent id stands for.

    Raises:
      PickleRefused: it asks for another name or operation, or for too many.
      Damaged: it is no whole pickle.
    """
    try:
        start = file.tell()
        length = file.seek(0, io.SEEK_END) - start
        file.seek(start)
        return _Machine(names, persistent, length).run(file)
    except Damaged:
        raise
    except (ValueError, IndexError, KeyError, TypeError) as error:
        raise Damaged(f"damaged pickle: {error}") from error


class _Machine:
    """A stack, marks in it, and the memo of objects that are referred to again."""

    def __init__(
        self,
        names: Mapping[tuple[str, str], Any],
        persistent: Callable[[Any], Any],
        length: int,
    ):
        self.names, self.persistent = names, persistent
        self.left = length  # items that calls may still take: each was written once
        self.stack: list[Any] = []
        self.outer: list[list[Any]] = []  # the stacks below the marks
        self.memo: dict[int, Any] = {}

    def run(self, file: BinaryIO) -> Any:
        for count, (operation, argument, _) in enumerate(pickletools.genops(file)):
            if count >= MOST_OPERATIONS:
                raise PickleRefused(f"asks for more than {MOST_OPERATIONS} operations")
            name = operation.name
            if name == "STOP":
                return self.stack.pop()
            if name in _VALUES:
                self.stack.append(argument)
            elif name in _CONSTANTS:
                self.stack.append(_CONSTANTS[name])
            elif name in _OPERATIONS:
                _OPERATIONS[name](self, argument)
            elif name not in _SILENT:
                raise PickleRefused(f"asks for the operation {name}")

    def since_mark(self) -> list[Any]:
        items, self.stack = self.stack, self.outer.pop()
        return items

    def mark(self, _: None) -> None:
        self.outer.append(self.stack)
        self.stack = []

    def push(self, make: Callable[[], Any]) -> None:
        self.stack.append(make())

    def tuple_since_mark(self, _: None) -> None:
        items = tuple(self.since_mark())
        self.stack.append(items)

    def tuple_of(self, count: int) -> None:
        if len(self.stack) < count:
            raise Damaged("a tuple lacks items")
        items = tuple(self.stack[-count:])
        self.stack[-count:] = [items]

    def append(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not list:
            _refuse_target("appends to", self.stack[-1])
        self.stack[-1].extend(items)

    def set_items(self, items: list[Any]) -> None:
        if type(self.stack[-1]) is not dict:
            _refuse_target("sets items of", self.stack[-1])
        self.stack[-1].update(checked_pairs(zip(items[::2], items[1::2], strict=True)))

    def put(self, index: int | None) -> None:
        index = len(self.memo) if index is None else index
        if index > len(self.memo) + 1:  # some count from 1
            raise Damaged("objects of a pickle are not numbered in turn")
        self.memo[index] = self.stack[-1]

    def get(self, index: int) -> None:
        self.stack.append(self.memo[index])

    def find(self, module: Any, name: Any) -> None:
        if not (isinstance(module, str) and isinstance(name, str)):
            raise PickleRefused("asks for a name that is no string")
        if (module, name) not in self.names:
            raise PickleRefused(f"asks for {module:.80}.{name:.80}")
        self.stack.append(self.names[module, name])

    def stack_global(self, _: None) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.find(module, name)

    def reduce(self, _: None) -> None:
        arguments, function = self.stack.pop(), self.stack.pop()
        if not callable(function) or type(arguments) is not tuple:
            _refuse_target("calls", function)
        self.left -= len(arguments) + sum(
            len(argument)
            for argument in arguments
            if isinstance(argument, list | tuple | dict)
        )
        if self.left < 0:
            raise PickleRefused("calls with more items than it has bytes")
        self.stack.append(function(*arguments))

    def build(self, _: None) -> None:
        """Passes over the versions that PyTorch notes beside a state dict."""
        state, target = self.stack.pop(), self.stack[-1]
        fits = type(target) is dict and type(state) is dict
        if not fits or set(state) - {"_metadata"}:
            _refuse_target("sets attributes of", target)

    def persistent_id(self, _: None) -> None:
        self.stack.append(self.persistent(self.stack.pop()))


def checked_pairs(pairs: Any) -> list[tuple[Any, Any]]:
    """Returns the items of a dictionary, each a pair with a plain key.

    Raises:
      PickleRefused: a key is none of a string, a small number or None.
    """
    items = [(key, value) for key, value in pairs]
    for key, _ in items:
        if type(key) not in _KEYS:
            raise PickleRefused(f"has a key that is not a string but {_kind(key)}")
        if type(key) is int and abs(key) > _LARGEST_KEY:
            raise PickleRefused(f"has a key that is a number above {_LARGEST_KEY}")
    return items


def _refuse_target(what: str, target: Any) -> NoReturn:
    raise PickleRefused(f"{what} {_kind(target)}")


def _kind(value: Any) -> str:
    return f"a {type(value).__name__}"


_OPERATIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "MARK": _Machine.mark,
    "EMPTY_LIST": lambda machine, _: machine.push(list),
    "EMPTY_DICT": lambda machine, _: machine.push(dict),
    "TUPLE": _Machine.tuple_since_mark,
    "TUPLE1": lambda machine, _: machine.tuple_of(1),
    "TUPLE2": lambda machine, _: machine.tuple_of(2),
    "TUPLE3": lambda machine, _: machine.tuple_of(3),
    "APPEND": lambda machine, _: machine.append([machine.stack.pop()]),
    "APPENDS": lambda machine, _: machine.append(machine.since_mark()),
    "SETITEM": lambda machine, _: machine.set_items(
        [machine.stack.pop(-2), machine.stack.pop()]
    ),
    "SETITEMS": lambda machine, _: machine.set_items(machine.since_mark()),
    "BINPUT": _Machine.put,
    "LONG_BINPUT": _Machine.put,
    "MEMOIZE": _Machine.put,
    "BINGET": _Machine.get,
    "LONG_BINGET": _Machine.get,
    "GLOBAL": lambda machine, names: machine.find(*names.split(" ", 1)),
    "STACK_GLOBAL": _Machine.stack_global,
    "REDUCE": _Machine.reduce,
    "BUILD": _Machine.build,
    "BINPERSID": _Machine.persistent_id,
}
