"""Weights read from files and written to safetensors, every key accounted for."""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from flax import nnx
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from models import checksums
from models.arrays import from_torch, is_sound
from models.deeplab import DeepLab
from models.files import replace_file
from models.layouts import Layout, find_layout, key_table
from models.matching import match_keys
from models.text import shortened
from models.torch_files import (
    TorchFileError,
    is_torch_file,
    read_torch_file,
    read_torch_header,
)
from models.widening import Widening, with_wide_stem

# What a file's metadata may state, by the names of the options.
STATED = ("style", "preprocessing", "norm_epsilon")


class WeightsError(ValueError):
    """A file does not hold the weights that a model needs.

    The message lists the keys at fault; of a long list it counts the keys per block.

    Args:
      problem: in words.
      missing: keys that the model needs and the file lacks.
      unexpected: keys that the model has no array for.
      wrong_shape: keys whose arrays do not fit, each with both shapes.
      damaged: keys of arrays that are no finite floats, or of negative variances.
      absent: stages of the backbone that the file lacks altogether, with their keys.
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
        absent: Mapping[str, Sequence[str]] = MappingProxyType({}),
        head_keys: tuple[str, ...] = (),
    ):
        lists = {
            **{f"missing, all of {stage}": keys for stage, keys in absent.items()},
            "missing": missing,
            "unexpected": unexpected,
            "of another shape": wrong_shape,
            "no floats, not finite, or a negative variance": damaged,
        }
        lines = [f"  {name}: {_shorten(keys)}" for name, keys in lists.items() if keys]
        super().__init__("\n".join([problem, *lines]))
        self.keys = [key for keys in lists.values() for key in keys]
        whole = sum(map(len, absent.values()))
        self.absent_stages = tuple(absent) if len(self.keys) == whole else ()
        self.shapes_only = len(self.keys) == len(wrong_shape)
        self.head_only = bool(self.keys) and all(
            key.startswith(head_keys) for key in self.keys
        )


def _shorten(keys: Sequence[str], count: int = 8) -> str:
    """Returns the keys, or their number per block, as `layer3.6 (15)`."""
    if len(keys) <= count:
        return ", ".join(shortened(key, 200) for key in keys)
    blocks = Counter(re.sub(r"^((?:\D*\d+){1,2}).*", r"\1", key) for key in keys)
    named = (f"{shortened(block)} ({number})" for block, number in blocks.items())
    return shortened(", ".join(named), 2000)


class Loaded(NamedTuple):
    """Summary of what was loaded from a file."""

    layout: Layout
    arrays: int
    new: tuple[str, ...]  # parts of the model that the file does not hold
    unused: tuple[str, ...]  # keys of the file that the model has no array for
    unused_parts: tuple[str, ...]  # the names of their parts
    widened: str = ""  # what became of the first convolution, if it was changed


class Header(NamedTuple):
    """Content of a file of weights, without the arrays."""

    keys: tuple[str, ...]
    metadata: dict[str, str]  # of safetensors
    aside: tuple[str, ...] = ()  # what a checkpoint holds beside the weights


def read_header(path: Path) -> Header:
    """Returns what a file of safetensors or PyTorch holds, without the arrays.

    Raises:
      WeightsError: the file is missing, is neither, or holds more than tensors.
    """
    with _open(path) as (_, header):
        return header


def read_weights(path: Path, known: Header | None = None) -> dict[str, np.ndarray]:
    """Returns the arrays of a file of safetensors or PyTorch by key.

    Args:
      path: of the file.
      known: what it held before, when it was read for what its arrays mean.

    Raises:
      WeightsError: the file is missing, damaged, is neither, holds more than tensors,
        or has another header now.
    """
    with _open(path) as (file, header):
        if known not in (None, header):
            raise WeightsError(
                f"{path} has changed since its header was read. Give the command again."
            )
        if file is None:
            return read_torch_file(path)
        stated = header.metadata.get(checksums.FIELD)
        if stated is not None and not checksums.is_whole(path, stated):
            raise WeightsError(
                f"{path} is damaged: its checksum is of another content. Copy or "
                "export it again."
            )
        return {key: _array(path, file, key) for key in header.keys}


def _array(path: Path, file: Any, key: str) -> np.ndarray:
    """Returns an array of an open safetensors file, or refuses it by its key."""
    try:
        return file.get_tensor(key)
    except MemoryError:
        raise
    except Exception as error:  # NumPy's, of various types
        part = file.get_slice(key)
        raise WeightsError(
            f"{path}: {key:.80}, of the kind {part.get_dtype()} and the shape "
            f"{part.get_shape()!s:.80}, is no array of NumPy. Save it as float32."
        ) from error


@contextlib.contextmanager
def _open(path: Path) -> Iterator[tuple[Any, Header]]:
    """Opens a safetensors file; yields None for PyTorch's, known by their content."""
    if not path.is_file():
        raise WeightsError(f"{path}: no such file")
    try:
        if is_torch_file(path):
            keys, aside = read_torch_header(path)
            yield None, Header(keys, {}, aside)
        else:
            with safe_open(path, framework="numpy") as file:
                yield file, Header(tuple(file.keys()), file.metadata() or {})
    except TorchFileError as error:
        raise WeightsError(str(error)) from error
    except MemoryError as error:
        raise WeightsError(f"{path} takes more memory than there is.") from error
    except (SafetensorError, TypeError, OSError) as error:
        raise WeightsError(
            f"{path} cannot be read as safetensors ({str(error)[:300]}), and PyTorch "
            "did not write it. Download it again and compare its checksum."
        ) from error


def save_weights(
    model: DeepLab, path: Path, metadata: Mapping[str, str] | None = None
) -> None:
    """Writes all arrays of a model, statistics included, under their paths in it.

    The file is written as a whole or not at all.
    """
    variables = _variables(model).items()
    write_weights({key: v.get_value() for key, v in variables}, path, metadata)


def write_weights(
    arrays: Mapping[str, Any], path: Path, metadata: Mapping[str, str] | None = None
) -> None:
    """Writes arrays by key as safetensors, as a whole or not at all.

    A checksum is among the metadata.

    Raises:
      WeightsError: an array has the key under which safetensors has its metadata.
    """
    if checksums.METADATA in arrays:
        raise WeightsError(
            f"{path}: an array is called {checksums.METADATA}, which is where "
            "safetensors has metadata. Rename it."
        )
    solid = {key: np.ascontiguousarray(array) for key, array in arrays.items()}
    texts = {**(metadata or {}), checksums.FIELD: checksums.NONE}
    replace_file(path, checksums.with_checksum(save(solid, texts)))


def load_weights(
    model: DeepLab,
    arrays: Mapping[str, np.ndarray],
    *,
    new_head: bool = False,
    new_stages: bool = False,
    widening: Widening | None = None,
) -> Loaded:
    """Loads the arrays of a file into a model, or changes nothing.

    Every key is accounted for. The head, or a learned upsampling, keeps its weights if
    the file lacks it altogether, as a classifier's file does; a stage of the backbone
    only with `new_stages`.

    Args:
      model: is changed in place.
      arrays: by key, as `read_weights` returns them.
      new_head: ignores the file's head, whatever its classes.
      new_stages: lets the file lack stages of the backbone.
      widening: fits a first convolution for RGB to other images; None leaves it.

    Raises:
      WeightsError: unknown layout, or that of another backbone; or arrays are missing,
        unexpected, of another shape, no finite floats, or negative variances.
    """
    layout, prefix = _layout_of(arrays, model)
    variables = _variables(model)
    table = key_table(layout, prefix, model, variables)
    consent = {"new_head": new_head, "new_stages": new_stages}
    match = match_keys(table, variables, arrays, layout, prefix, **consent)
    values = {
        ours: arrays[key] if layout.native else from_torch(arrays[key])
        for ours, key in match.table.items()
        if key in arrays
    }
    values, said = with_wide_stem(values, model.inputs, widening)
    fault = WeightsError(
        f"the weights, of {layout.title}, do not fit the model:",
        absent=match.absent,
        missing=match.missing,
        unexpected=match.unexpected,
        wrong_shape=[
            f"{table[ours]} {value.shape} for {variables[ours].shape}"
            for ours, value in values.items()
            if value.shape != variables[ours].shape
        ],
        damaged=[table[ours] for ours, v in values.items() if not is_sound(ours, v)],
        head_keys=tuple(prefix + start for start in layout.head_keys),
    )
    if fault.keys:
        raise fault
    _assign(model, values)
    unused = tuple(key for keys in match.unused.values() for key in keys)
    parts = tuple(match.unused)
    return Loaded(layout, len(values), match.new, unused, parts, said)


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
