"""Results that are published: of one data set, whole, and of every call."""

from __future__ import annotations

import errno
import json
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from train import reproduce
from train.common.errors import UserError
from train.experiments import publish

from .test_choice import held


def write(place: Path, *entries: dict[str, Any], experiment: str = "forms") -> None:
    """Publishes entries, of a search, as a call does whose runs they are of."""
    asked: Any = SimpleNamespace(experiment=experiment, preset="demo")
    run: Any = SimpleNamespace(config=SimpleNamespace(data=SimpleNamespace(folder="d")))
    places = place / "workdir", place / "results"
    for folder in places:
        folder.mkdir(exist_ok=True)
    reproduce._write(asked, entries, [run], "command", *places)


def entry(label: str, fingerprint: str) -> dict[str, Any]:
    return held(label, 0, 0.4, command=label, fingerprint=fingerprint)


def content(place: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in place.joinpath("results").iterdir()}


def test_results_of_other_data_are_left_as_they_are(tmp_path: Path) -> None:
    write(tmp_path, entry("a", "one"), entry("b", "one"))
    before = content(tmp_path)
    assert before.keys() == {"demo_forms.json", "demo_forms.md"}
    with pytest.raises(UserError, match="of a, seed 0.*choose another --results"):
        write(tmp_path, entry("a", "two"), entry("c", "two"))
    with pytest.raises(UserError, match="of d, seed 0. Choose another --workdir"):
        write(tmp_path, entry("c", "two"), entry("d", "one"))
    assert content(tmp_path) == before
    write(tmp_path, entry("c", "one"))
    assert len(json.loads(content(tmp_path)["demo_forms.json"])) == 3


def test_confirmed_results_of_other_data_are_left_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "results").mkdir()
    publish.write_json([entry("a", "one")], tmp_path / "results" / "demo_table1.json")
    before = content(tmp_path)
    with pytest.raises(UserError, match="of a, seed 0.*choose another --results"):
        write(tmp_path, entry("a", "two"), experiment="table1")
    assert content(tmp_path) == before
    path = tmp_path / "results" / "demo_table1.json"
    of_same_data = [entry("b", "one")]
    assert publish.with_earlier(of_same_data, path, kept=False) == of_same_data


def test_a_full_disk_leaves_the_results_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, entry("a", "one"))
    before, whole = content(tmp_path), publish.replace_text

    def full(path: Path, text: str) -> None:
        if path.suffix == ".md":
            raise OSError(errno.ENOSPC, "full", str(path))
        whole(path, text)

    monkeypatch.setattr(publish, "replace_text", full)
    with pytest.raises(OSError) as raised:
        write(tmp_path, entry("b", "one"))
    assert raised.value.filename == str(tmp_path / "results" / "demo_forms.md")
    assert content(tmp_path) == before


def test_results_of_two_calls_at_once_are_both_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, calls = publish.with_earlier, list[threading.Thread]()

    def slow(*arguments: Any, **options: Any) -> Any:
        found = whole(*arguments, **options)
        if not calls:  # the other one begins, and would read what is there now
            other = threading.Thread(target=write, args=(tmp_path, entry("b", "one")))
            calls.append(other)
            other.start()
            other.join(0.3)
        return found

    monkeypatch.setattr(reproduce, "with_earlier", slow)
    write(tmp_path, entry("a", "one"))
    calls[0].join()
    found = json.loads(content(tmp_path)["demo_forms.json"])
    assert {entry["label"] for entry in found} == {"a", "b"}
