"""What is added to a table of choices is found, used, logged and shown."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from train.common.sealed import read_sealed
from train.config import Config
from train.data.dataset import DataOptions, find_dataset
from train.data.images import Source, encode
from train.data.kinds import DATA_KINDS, Found
from train.evaluation.metrics import METRICS

from .conftest import CLASSES, add_entry, make_folder
from .programs import OPTIONS, call

COLORS = np.array([(1, 2, 3), (4, 5, 6), (7, 8, 9)], np.uint8)


def stripes(splits: Sequence[str]) -> dict[str, Source]:
    """Returns two images a split, their classes in columns that the colors show."""
    label = np.broadcast_to(np.arange(48, dtype=np.uint8) // 8 % CLASSES, (40, 48))
    image = np.repeat(label[..., None] * 100, 3, axis=-1)
    record = {"image": encode(image, "PNG"), "label": encode(label, "PNG")}
    return {split: [{**record, "name": split.encode()}] * 2 for split in splits}


def find_stripes(options: DataOptions) -> Found | None:
    if options.folder != "stripes":
        return None
    return Found("two stripes", ("a", "b", "c"), COLORS, "f1", stripes)


def mean_class(confusion: np.ndarray) -> float:
    """A fraction that no other metric gives: the mean index of the truth."""
    truth = confusion.sum(axis=1)
    return float(truth @ np.arange(CLASSES) / truth.sum() / 8)


class Finished(NamedTuple):
    """A run, and what it printed."""

    workdir: Path
    printed: str


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory, tiny: str) -> Finished:
    """A run on a kind of data, and with a metric, that the project does not have."""
    folder = tmp_path_factory.mktemp("added")
    paths = ("--workdir", folder / "run", "--prepared", folder / "prepared")
    budget = ("--steps", 2, "--data", "stripes", "--evaluation-batch", 2)
    often = ("--evaluate-every", 1, "--backbone", tiny, "--dilations", 1)
    words = [word for word in OPTIONS if word not in ("--evaluate-every", "4")]
    with pytest.MonkeyPatch.context() as patch:
        add_entry(patch, DATA_KINDS, "stripes", find_stripes, "for tests")
        add_entry(patch, METRICS, "mean_class", mean_class, "mean class")
        done = call("main", "demo", *words, *often, *budget, *paths)
    assert done.returncode == 0, done.stderr
    return Finished(folder / "run", done.stdout)


def test_kind_of_data_is_trained_on(finished: Finished) -> None:
    described = read_sealed(finished.workdir / "dataset.json")
    assert described == {
        "name": "two stripes",
        "class_names": ["a", "b", "c"],
        "colors": COLORS.tolist(),
        "fingerprint": "f1",
        "earlier_fingerprint": "",
        "split_fingerprints": {},
        "val_names": [],
        "channel_mean": [],
        "channel_std": [],
        "mask_colors": {},
        "folder": str(Path("stripes").resolve()),
        "prepared": str(finished.workdir.parent / "prepared"),
    }
    assert "on two stripes (2 images, 3 classes), from step 0 of 2" in finished.printed
    summary = json.loads((finished.workdir / "summary.json").read_text())
    assert summary["steps"] == 2
    assert summary["pixels"] == {"a": 1280, "b": 1280, "c": 1280}
    assert not (finished.workdir.parent / "prepared").exists()


def test_metric_is_logged_summarized_printed_and_reported(finished: Finished) -> None:
    lines = (finished.workdir / "metrics.jsonl").read_text().splitlines()
    logged = [json.loads(line) for line in lines]
    found = [line["mean_class"] for line in logged if line["split"] == "val"]
    assert found == [0.125, 0.125]  # at step 1, and at the end
    summary = json.loads((finished.workdir / "summary.json").read_text())
    assert summary["mean_class"] == 0.125
    assert 0 < summary["boundary"]["2"]["mean_class"] < 1
    (line,) = (s for s in finished.printed.splitlines() if s.startswith("mean class"))
    assert line.split() == ["mean", "class", "12.5"]
    page = (finished.workdir / "report.html").read_text()
    assert "<dt>Mean class</dt><dd>12.5%</dd>" in page


@pytest.mark.usefixtures("finished")
def test_what_was_added_is_gone_without_a_trace() -> None:
    assert "mean_iou" in METRICS and "mean_class" not in METRICS
    assert "VOC layout" in DATA_KINDS and "stripes" not in DATA_KINDS


@pytest.mark.parametrize("data", ["", "stripes", "voc"])
def test_finding_writes_nothing(
    data: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    make_folder(tmp_path / "voc")
    add_entry(monkeypatch, DATA_KINDS, "stripes", find_stripes, "for tests")
    before = set(tmp_path.rglob("*"))
    found = find_dataset(Config().replace(data=data, prepared="prepared").data)
    names = {"": "built-in scenes", "stripes": "two stripes", "voc": "voc"}
    assert found.name == names[data]
    assert len(found.class_names) >= CLASSES
    assert set(tmp_path.rglob("*")) == before
