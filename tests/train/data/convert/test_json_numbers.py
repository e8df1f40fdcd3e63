"""Whole numbers of JSON files: bounded on both sides, in every form that is read."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from train.data.convert import coco, label_studio, tfds_files
from train.data.convert.run_lengths import decode_runs

FORMS: list[Any] = [
    coco._Content,
    list[label_studio._Task],
    tfds_files._Configs,
    tfds_files._Described,
    tfds_files._Features,
    tfds_files._Pixels,
    tfds_files._Info,
]


def numbers(found: Any, place: str, seen: set[int]) -> list[tuple[str, Any]]:
    """Returns the whole numbers of a form, by their places in it."""
    if isinstance(found, msgspec.inspect.IntType):
        return [(place, found)]
    if id(found) in seen or not isinstance(found, msgspec.inspect.Type):
        return []
    seen.add(id(found))
    inner = []
    for name in found.__struct_fields__:
        value = getattr(found, name)
        parts = value if isinstance(value, tuple) else (value,)
        for part in parts:
            if isinstance(part, msgspec.inspect.Field):
                inner += numbers(part.type, f"{place}.{part.name}", seen)
            else:
                inner += numbers(part, f"{place}.{name}", seen)
    return inner


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_every_whole_number_is_bounded(form: Any) -> None:
    found = numbers(msgspec.inspect.type_info(form), "", set())
    unbounded = [place for place, it in found if it.ge is None or it.lt is None]
    assert not unbounded
    assert found or form in (tfds_files._Configs,)


@pytest.mark.parametrize("counts", [[-(10**30), 10**30, 20], [-(2**63), 2**63, 20]])
def test_run_lengths_of_any_size(counts: list[int]) -> None:
    with pytest.raises(ValueError, match="not of 5×4 = 20 pixels"):
        decode_runs(counts, 5, 4)
