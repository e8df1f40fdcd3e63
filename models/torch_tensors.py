"""Tensors as PyTorch pickles them: what its names stand for, checked, as arrays."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from models.pickles import Damaged, PickleRefused, checked_pairs

_LARGEST = 2**40  # sizes: no product with another overflows


class _Kind(NamedTuple):
    dtype: np.dtype[Any]  # as stored
    bfloat16: bool = False


class Storage(NamedTuple):
    """The numbers of a tensor or of several, one after the other."""

    kind: _Kind
    key: str
    size: int  # elements

    @property
    def nbytes(self) -> int:
        """Size in the file."""
        return self.size * self.kind.dtype.itemsize


class Tensor(NamedTuple):
    """A view of a storage, within its bounds."""

    storage: Storage
    offset: int  # elements, as the strides
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def elements(storage: Storage, data: bytes | memoryview) -> np.ndarray:
    """Returns a storage's bytes as a flat array, bfloat16 as float32."""
    flat = np.frombuffer(data, storage.kind.dtype)
    if storage.kind.bfloat16:  # the upper half of a float32
        flat = (flat.astype(np.uint32) << 16).view(np.float32)
    return flat


def array_of(tensor: Tensor, flat: np.ndarray) -> np.ndarray:
    """Returns a tensor as an array without gaps.

    Args:
      tensor: its bounds were checked when it was unpickled.
      flat: `elements` of its storage.
    """
    strides = tuple(stride * flat.itemsize for stride in tensor.strides)
    start = flat[tensor.offset :]
    view = np.lib.stride_tricks.as_strided(start, tensor.shape, strides)
    return np.ascontiguousarray(view).reshape(tensor.shape)


# What the names that a checkpoint's pickle may use stand for.


def storage_of(at: Any, length: int) -> Storage:
    """Returns what the persistent id of a storage stands for.

    Args:
      at: ("storage", kind, key, device, elements), and before PyTorch 1.6 None, in
        place of what the storage is a part of.
      length: 5 or 6, the id's.

    Raises:
      PickleRefused: it is another kind of id.
    """
    plain = type(at) is tuple and len(at) == length and at[0] == "storage"
    if not plain or not isinstance(at[1], _Kind) or at[5:] not in ((), (None,)):
        raise PickleRefused("refers to something that is no storage of a tensor")
    _, kind, key, location, size = at[:5]
    if not (type(key) is type(location) is str and _whole(size)):
        raise PickleRefused("refers to a storage without a key and a size")
    return Storage(kind, key, size)


def _rebuild(
    storage: Any, offset: Any, shape: Any, strides: Any, *others: Any
) -> Tensor:
    """Returns a tensor that is within the bounds of its storage."""
    sides = type(shape) is type(strides) is tuple and len(shape) == len(strides) <= 8
    sizes = (offset, *shape, *strides) if sides else ("none",)
    if not isinstance(storage, Storage) or not all(map(_whole, sizes)):
        raise PickleRefused("has a tensor without a storage, a shape or strides")
    if len(others) > 2 and others[2]:  # conjugated or negated when it is read
        raise PickleRefused("has a tensor whose values are not those of its storage")
    steps = zip(shape, strides, strict=True)
    last = offset + sum((side - 1) * stride for side, stride in steps)
    fits = math.prod(shape) <= storage.size and last < storage.size
    if 0 in shape:  # NumPy multiplies the other sides
        fits = math.prod(side or 1 for side in shape) <= _LARGEST
    if not fits:
        raise Damaged(
            f"a tensor of shape {shape} is beyond the bounds of its storage, of "
            f"{storage.size} elements"
        )
    return Tensor(storage, min(offset, storage.size), shape, strides)


def _whole(value: Any) -> bool:
    return type(value) is int and 0 <= value <= _LARGEST


def _rebuild_parameter(tensor: Any, *others: Any) -> Tensor:
    if not isinstance(tensor, Tensor):
        raise PickleRefused("has a parameter that is no tensor")
    return tensor


NAMES: dict[tuple[str, str], Any] = {
    # Python 2 pickled an OrderedDict's items as its argument.
    ("collections", "OrderedDict"): lambda pairs=(): dict(checked_pairs(pairs)),
    ("torch._utils", "_rebuild_tensor_v2"): _rebuild,
    ("torch._utils", "_rebuild_parameter"): _rebuild_parameter,
    ("torch", "BFloat16Storage"): _Kind(np.dtype("<u2"), bfloat16=True),
    **{
        ("torch", f"{name}Storage"): _Kind(np.dtype(code))
        for name, code in {
            "Float": "<f4",
            "Double": "<f8",
            "Half": "<f2",
            "Long": "<i8",
            "Int": "<i4",
            "Short": "<i2",
            "Char": "i1",
            "Byte": "u1",
            "Bool": "?",
        }.items()
    },
}
