"""Weights read from and written to safetensors; nothing here reads a pickle."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import nnx
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from models.deeplab import DeepLab
from models.layouts import Layout, find_layout, key_table

_COUNTS = ".num_batches_tracked"  # PyTorch's, unused
_PICKLES = (".pth", ".pt", ".bin", ".ckpt", ".pkl", ".pickle")


class WeightsError(ValueError):
    """A file does not hold the weights that a model needs.

    The message lists the keys at fault; of a long list it counts the keys per block.

    Args:
      problem: in words.
      missing: keys that the model needs and the file lacks.
      unexpected: keys that the model has no array for.
      wrong_shape: keys whose arrays do not fit, each with both shapes.
      damaged: keys of arrays that are not finite, or of negative variances.
      head_keys: prefixes of a head's keys.
    """

    def __init__(
        self,
        problem: str,
        *,
        missing: Sequence[str] = (),
        unexpected: Sequence[str] = (),
        wrong_shape: Sequence[str] = (),
        damaged: Sequence[str] = (),
        head_keys: tuple[str, ...] = (),
    ):
        lists = {
            "missing": missing,
            "unexpected": unexpected,
            "of another shape": wrong_shape,
            "not finite, or a negative variance": damaged,
        }
        lines = [f"  {name}: {_shorten(keys)}" for name, keys in lists.items() if keys]
        super().__init__("\n".join([problem, *lines]))
        self.keys = [key for keys in lists.values() for key in keys]
        self.shapes_only = len(self.keys) == len(wrong_shape)
        self.head_only = bool(self.keys) and all(
            key.startswith(head_keys) for key in self.keys
        )


def _shorten(keys: Sequence[str], count: int = 8) -> str:
    """Returns the keys, or their number per block, as `layer3.6 (15)`."""
    if len(keys) <= count:
        return ", ".join(keys)
    blocks = Counter(re.sub(r"^((?:\D*\d+){1,2}).*", r"\1", key) for key in keys)
    return ", ".join(f"{block} ({number})" for block, number in blocks.items())


class Loaded(NamedTuple):
    """Summary of what was loaded from a file."""

    layout: Layout
    arrays: int
    new: tuple[str, ...]  # parts of the model that the file does not hold
    unused: tuple[str, ...]  # keys of the file that the model has no array for


def read_header(path: Path) -> tuple[tuple[str, ...], dict[str, str]]:
    """Returns the keys and the metadata of a safetensors file, without the arrays.

    Raises:
      WeightsError: the file is missing, or is not a safetensors file.
    """
    with _open(path) as file:
        return tuple(file.keys()), file.metadata() or {}


def read_weights(path: Path) -> dict[str, np.ndarray]:
    """Returns the arrays of a safetensors file by key.

    Raises:
      WeightsError: the file is missing, or is not a safetensors file.
    """
    with _open(path) as file:
        return {key: file.get_tensor(key) for key in tuple(file.keys())}


@contextlib.contextmanager
def _open(path: Path) -> Iterator[Any]:
    if path.suffix in _PICKLES:
        raise WeightsError(
            f"{path} may hold a pickle, which can run any code when it is read. "
            f"Convert it: python models/convert_checkpoint.py {path} "
            f"{path.with_suffix('.safetensors')} (needs torch)"
        )
    if not path.is_file():
        raise WeightsError(f"{path}: no such file")
    try:
        with safe_open(path, framework="numpy") as file:
            yield file
    except (SafetensorError, TypeError, OSError) as error:
        raise WeightsError(
            f"{path} cannot be read as safetensors ({error}). If it is a PyTorch "
            "file under another name, convert it; else download it again and compare "
            "its checksum."
        ) from error


def save_weights(
    model: DeepLab, path: Path, metadata: Mapping[str, str] | None = None
) -> None:
    """Writes all arrays of a model, statistics included, under their paths in it.

    The file is written as a whole or not at all.
    """
    arrays = {
        key: np.ascontiguousarray(variable.get_value())
        for key, variable in _variables(model).items()
    }
    partial = path.with_suffix(".partial")
    partial.write_bytes(save(arrays, dict(metadata or {})))
    partial.replace(path)


def load_weights(
    model: DeepLab, arrays: Mapping[str, np.ndarray], *, new_head: bool = False
) -> Loaded:
    """Loads the arrays of a file into a model, or changes nothing.

    Every key is accounted for. A part of the model that the file lacks altogether, as a
    classifier's file lacks the head, keeps its weights.

    Args:
      model: is changed in place.
      arrays: by key, as `read_weights` returns them.
      new_head: ignores the file's head, whatever its classes.

    Raises:
      WeightsError: unknown layout, or that of another backbone; or arrays are missing,
        unexpected, of another shape, not finite, or negative variances.
    """
    layout, prefix = _layout_of(arrays, model)
    variables = _variables(model)
    table = key_table(layout, prefix, model, variables)
    head = tuple(prefix + start for start in layout.head_keys)
    aside = tuple(prefix + start for start in layout.unused)
    aside += head if new_head else ()
    unused = [key for key in arrays if key.startswith(aside) or key.endswith(_COUNTS)]
    held = {_part(ours) for ours, key in table.items() if key in arrays} | {"backbone"}
    held -= {"head", "deconvolution"} if new_head else set()
    table = {ours: key for ours, key in table.items() if _part(ours) in held}
    values = {
        ours: arrays[key] if layout.native else _from_torch(arrays[key])
        for ours, key in table.items()
        if key in arrays
    }
    fault = WeightsError(
        f"the weights, of {layout.title}, do not fit the model:",
        missing=[key for key in table.values() if key not in arrays],
        unexpected=sorted(set(arrays) - set(table.values()) - set(unused)),
        wrong_shape=[
            f"{table[ours]} {value.shape} for {variables[ours].shape}"
            for ours, value in values.items()
            if value.shape != variables[ours].shape
        ],
        damaged=[table[ours] for ours, v in values.items() if not _sound(ours, v)],
        head_keys=head,
    )
    if fault.keys:
        raise fault
    _assign(model, values)
    new = {_part(ours) for ours in variables} - {_part(ours) for ours in values}
    return Loaded(layout, len(values), tuple(sorted(new)), tuple(unused))


def _layout_of(arrays: Mapping[str, np.ndarray], model: DeepLab) -> tuple[Layout, str]:
    """Returns the layout of a file's keys and their prefix."""
    try:
        layout, prefix = find_layout(arrays)
    except LookupError as error:
        raise WeightsError(str(error)) from error
    if not isinstance(model.backbone, layout.backbone):
        raise WeightsError(
            f"the weights, of {layout.title}, are for a {layout.backbone.__name__}; "
            f"the model's backbone is a {type(model.backbone).__name__}"
        )
    return layout, prefix


def _variables(model: DeepLab) -> dict[str, nnx.Variable]:
    """Returns the model's arrays by path, as in `head.branches.0.kernel`."""
    flat = nnx.to_flat_state(nnx.state(model))
    return {".".join(map(str, path)): variable for path, variable in flat}


def _assign(model: DeepLab, values: Mapping[str, np.ndarray]) -> None:
    flat = [
        (path, variable.replace(jnp.asarray(values[name], variable.dtype)))
        for path, variable in nnx.to_flat_state(nnx.state(model))
        if (name := ".".join(map(str, path))) in values
    ]
    nnx.update(model, nnx.from_flat_state(flat))


def _sound(ours: str, value: np.ndarray) -> bool:
    lowest = 0 if ours.endswith(".var") else -np.inf
    return bool(np.isfinite(value).all() and (value >= lowest).all())


def _part(ours: str) -> str:
    return ours.partition(".")[0]


def _from_torch(array: np.ndarray) -> np.ndarray:
    """Returns a kernel `[out, in, h, w]` as `[h, w, in, out]`, other arrays as is."""
    return array.transpose(2, 3, 1, 0) if array.ndim == 4 else array
