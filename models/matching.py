"""Which array of a file goes where in a model, by their names alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from models.layouts import Layout

_COUNTS = ".num_batches_tracked"  # PyTorch's, of each batch norm
_DECODER = "head.decoder."
_HEAD = {"head", "decoder", "deconvolution"}  # the parts that a new head replaces


class Match(NamedTuple):
    """A file's keys, each with what becomes of it, and what the file lacks."""

    table: dict[str, str]  # keys by the model's arrays that they are loaded into
    missing: tuple[str, ...]  # keys of parts that the file holds in part
    absent: dict[str, tuple[str, ...]]  # stages the file lacks, not allowed to be new
    unexpected: tuple[str, ...]  # keys that the model has no array for
    unused: dict[str, tuple[str, ...]]  # keys that the model needs not, by part
    new: tuple[str, ...]  # parts of the model that keep their weights


def match_keys(
    table: Mapping[str, str],
    arrays: Iterable[str],
    keys: Iterable[str],
    layout: Layout,
    prefix: str = "",
    *,
    new_head: bool = False,
    new_stages: bool = False,
) -> Match:
    """Returns what becomes of each key of a file, and what the file lacks.

    A part is a stage of the backbone, the rest of it, the head, its decoder, or what
    upsamples. What classifies in a file's head is unused where there is a decoder.

    Args:
      table: the file's key for each of the model's arrays that it may hold.
      arrays: names of all arrays of the model.
      keys: of the file.
      layout: that of the file.
      prefix: of all keys.
      new_head: ignores the file's head.
      new_stages: lets the file lack stages altogether.
    """
    keys = dict.fromkeys(keys)
    stages = {f"stage {n}": prefix + start for n, start in enumerate(layout.stages, 1)}
    parts = {ours: _part(ours, table.get(ours, ""), stages) for ours in arrays}
    held = {parts[ours] for ours, key in table.items() if key in keys}
    held = (held | {"backbone"}) - (_HEAD if new_head else set())
    absent = {} if new_stages else _absent(table, parts, stages.keys() - held)
    here = {ours: key for ours, key in table.items() if parts[ours] in held}
    aside = {name: stages[name] for name in stages.keys() - set(parts.values())}
    decodes = "decoder" in parts.values()
    heads = layout.head_keys if new_head else layout.undecoded if decodes else ()
    others = layout.unused + heads
    aside |= {start.rstrip("."): prefix + start for start in others}
    unused = _unused(keys, aside)
    expected = {*here.values(), *(key for some in unused.values() for key in some)}
    return Match(
        table=here,
        missing=tuple(key for key in here.values() if key not in keys),
        absent=absent,
        unexpected=tuple(sorted(set(keys) - expected)),
        unused=unused,
        new=tuple(sorted(set(parts.values()) - held)),
    )


def _part(ours: str, key: str, stages: Mapping[str, str]) -> str:
    """Returns the part of the model that an array, of some key in the file, is in."""
    for name, start in stages.items():
        if key.startswith(start):
            return name
    return "decoder" if ours.startswith(_DECODER) else ours.partition(".")[0]


def _absent(
    table: Mapping[str, str], parts: Mapping[str, str], stages: Iterable[str]
) -> dict[str, tuple[str, ...]]:
    """Returns the keys that the model would need of each of some stages."""
    absent = {
        name: tuple(key for ours, key in table.items() if parts[ours] == name)
        for name in sorted(stages)
    }
    return {name: keys for name, keys in absent.items() if keys}


def _unused(
    keys: Iterable[str], aside: Mapping[str, str]
) -> dict[str, tuple[str, ...]]:
    """Returns the keys of parts that are left aside, and counts of batches."""
    unused = {
        name: tuple(key for key in keys if key.startswith(start))
        for name, start in sorted(aside.items())
    }
    taken = {key for some in unused.values() for key in some}
    counts = tuple(key for key in keys if key.endswith(_COUNTS) and key not in taken)
    return {name: some for name, some in (unused | {"counts": counts}).items() if some}
