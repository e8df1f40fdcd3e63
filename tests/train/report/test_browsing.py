"""A split that is browsed: its figures are the evaluation's, and no image ends it."""

from __future__ import annotations

import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flax import nnx
from PIL import Image

from lal_jax.metrics import confusion_matrix, mean_iou
from train import browse, evaluate
from train.common.errors import UserError
from train.config import Config, save_config
from train.data.dataset import Dataset
from train.data.images import encode
from train.evaluation.inference import Predictor
from train.evaluation.views import PredictionOptions
from train.evaluation.whole_split import Panel
from train.report import browsing
from train.report.browse_layers import LONGEST, WRONG_COLOR, layers
from train.report.browse_page import Browsed
from train.workdir import evaluated
from train.workdir.evaluated import SplitOptions
from train.workdir.run import Run
from train.workdir.trained import Trained

from ..evaluation.test_not_finite import Breaking
from ..standins import STATE, random_image

NAMES = ("sky", "</script><b>road\\", "\u00fc & 'tree'")
COLORS = np.array([(200, 0, 0), (0, 200, 0), (0, 0, 200)], np.uint8)
SIZES = ((20, 30), (20, 30), (16, 18), (20, 30))
DATA = re.compile(r'<script type="application/json" id="data">(.*?)</script>', re.S)


@pytest.fixture
def source(rng: np.random.Generator) -> list[dict[str, Any]]:
    """Four images; of truth, half is what the network sees, two rows are ignored."""
    source: list[dict[str, Any]] = []
    for number, size in enumerate(SIZES):
        image = random_image(rng, *size) // 2
        truth = image.argmax(-1).astype(np.uint8)
        truth[:2] = 255
        truth[:, : size[1] // 2] = number % 2
        name = f"image {number} \u202e<i>".encode()
        files = {"image": encode(image, "PNG"), "label": encode(truth, "PNG")}
        source.append({"name": name, **files})
    return source


@pytest.fixture
def run(
    source: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A run whose network says which color is brightest, NaN of a white pixel."""
    graph: nnx.GraphDef = nnx.graphdef(Breaking(np.nan))
    trained = Trained(Config(), NAMES, COLORS, graph, STATE)
    dataset = Dataset("/data/four", NAMES, COLORS, "f", source, source)
    monkeypatch.setattr(evaluated, "load_run", lambda *path: trained)
    monkeypatch.setattr(evaluated, "load_dataset", lambda options: dataset)
    run = tmp_path / "run"
    run.mkdir()
    Run(run).record(trained.config.data, dataset)
    save_config(trained.config, run / "config.json")
    return run


def browsed(run: Path, *, limit: int = 0, **options: Any) -> Any:
    """Browses a run and returns what its page's script reads."""
    prediction = PredictionOptions(**options)
    browse.browse(run, prediction, SplitOptions(), limit=limit)
    return read(run / "_".join(["browse_val", *prediction.named()]))


def read(folder: Path) -> Any:
    html = (folder / "index.html").read_text()
    (data,) = DATA.findall(html)
    return json.loads(data)


def pixels(content: bytes | Path) -> np.ndarray:
    """Returns a picture with its opacity, uint8 [H, W, 4]."""
    file = io.BytesIO(content) if isinstance(content, bytes) else content
    with Image.open(file) as picture:
        return np.asarray(picture.convert("RGBA"))


@pytest.mark.parametrize("options", [{}, {"flip": True}])
def test_mean_iou_is_that_of_the_evaluation(run: Path, options: dict[str, Any]) -> None:
    data = browsed(run, **options)
    prediction = PredictionOptions(**options)
    evaluate.evaluate(run, prediction, SplitOptions())
    name = "_".join(["evaluation_val", *prediction.named()])
    result = json.loads((run / f"{name}.json").read_text())
    assert data["mean_iou"] == result["mean_iou"] and 0.3 < result["mean_iou"] < 0.9
    whole = np.zeros((3, 3), np.int64)
    for image in data["images"]:
        for truth, prediction_of, count in image["counts"]:
            whole[truth, prediction_of] += count
    assert float(mean_iou(whole)) == result["mean_iou"]


def test_images_are_those_of_the_list_in_its_order(run: Path) -> None:
    data = browsed(run)
    assert [image["number"] for image in data["images"]] == [1, 2, 3, 4]
    sizes = [(height, width) for width, height in (i["size"] for i in data["images"])]
    assert tuple(sizes) == SIZES
    ignored = [2 * (width - width // 2) for _, width in SIZES]
    assert [image["ignored"] for image in data["images"]] == ignored
    pictures = {path.name for path in (run / "browse_val" / "pictures").iterdir()}
    ends = (".jpg", "_truth.png", "_prediction.png", "_wrong.png", "_ignored.png")
    assert pictures == {f"{n:06d}{end}" for n in range(1, 5) for end in ends}


def test_few_images_are_spread_evenly(run: Path) -> None:
    assert [i["number"] for i in browsed(run, limit=2)["images"]] == [1, 4]
    html = (run / "browse_val" / "index.html").read_text()
    assert "Shown are 2 of the 4 images" in html
    assert len(list((run / "browse_val" / "pictures").iterdir())) == 10
    browsed(run)  # all, in its place
    assert "Shown are" not in (run / "browse_val" / "index.html").read_text()


def test_counts_that_are_0_are_not_kept(
    run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many classes there are, of which an image has few."""
    kept: list[Browsed] = []
    page = browsing.browse_page

    def counted(*masks: np.ndarray, num_classes: int) -> np.ndarray:
        counts = confusion_matrix(*masks, num_classes=num_classes)
        return np.pad(np.asarray(counts), (0, 200))

    def taken(**options: Any) -> str:
        kept.extend(options["images"])
        return page(**{**options, "class_names": names, "colors": colors})

    names = (*NAMES, *map(str, range(200)))
    colors = np.zeros((len(names), 3), np.uint8)
    monkeypatch.setattr(browsing, "confusion_matrix", counted)
    monkeypatch.setattr(browsing, "browse_page", taken)
    assert len(browsed(run)["images"]) == len(kept) == len(SIZES)
    for image in kept:
        assert image.counts.base is None and image.counts.size <= 3 * 9


def test_names_are_text(run: Path) -> None:
    data = browsed(run)
    assert [each["name"] for each in data["classes"]] == list(NAMES)
    assert data["images"][0]["name"] == "image 0 \\u202e<i>"
    html = (run / "browse_val" / "index.html").read_text()
    assert "<b>road" not in html and "<i>" not in html and "\u202e" not in html
    assert "/data/" not in html  # it can be given away


def test_page_asks_nothing_of_a_network(run: Path) -> None:
    browsed(run)
    html = (run / "browse_val" / "index.html").read_text()
    policy = re.findall(r'http-equiv="Content-Security-Policy" content="(.*?)"', html)
    assert policy[0].startswith("default-src 'none'; img-src 'self' file:;")
    assert not re.search(r"https?://|//\w+\.\w|<link|<iframe|src=\"", html)


def test_image_that_fails_is_named_and_the_others_are_shown(
    run: Path, source: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    white = random_image(np.random.default_rng(1), 20, 30) // 2
    white[5, 5] = 255
    source[1] = {**source[1], "image": encode(white, "PNG")}
    source[2] = {**source[2], "image": source[2]["image"][:-80]}
    source.append({**source[0], "name": b"half", "label": source[0]["label"][:60]})
    seen: list[int] = []
    batch = Predictor.batch

    def watched(self: Predictor, state: Any, images: np.ndarray) -> np.ndarray:
        seen.append(len(images))
        return batch(self, state, images)

    monkeypatch.setattr(Predictor, "batch", watched)
    with pytest.raises(UserError) as raised:
        browsed(run)
    text = str(raised.value)
    assert "; 3 failed:" in text and "index.html" in text
    for name, why in (("image 1", "not finite"), ("image 2", ""), ("half", "")):
        assert re.search(rf"\n{name}.*{why}", text)
    data = read(run / "browse_val")
    assert [image["number"] for image in data["images"]] == [1, 4]
    assert seen == [3, 1, 1, 1]  # together, then each alone
    assert "3 failed" in (run / "browse_val" / "index.html").read_text()


def test_nothing_is_written_where_all_fail(
    run: Path, source: list[dict[str, Any]]
) -> None:
    browsed(run, flip=True)
    whole = source[:]
    for broken in ({"label": b""}, {"image": b""}):
        source[:] = [{**record, **broken} for record in whole]
        for flip in (False, True):
            with pytest.raises(UserError, match="^No page was written; 4 failed:"):
                browsed(run, flip=flip)
    assert not (run / "browse_val").exists()
    assert len(read(run / "browse_val_flip")["images"]) == 4  # as it was


def test_stop_leaves_the_page_of_what_is_done(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    batch = Predictor.batch

    def stopped(self: Predictor, state: Any, images: np.ndarray) -> np.ndarray:
        if images.shape[1:3] == (16, 18):
            raise KeyboardInterrupt
        return batch(self, state, images)

    monkeypatch.setattr(Predictor, "batch", stopped)
    with pytest.raises(KeyboardInterrupt):
        browsed(run)
    assert [i["number"] for i in read(run / "browse_val")["images"]] == [1, 2, 4]
    html = (run / "browse_val" / "index.html").read_text()
    assert "Stopped: shown are 3 of the 4 images" in html
    assert "Page of what is done" in capsys.readouterr().out
    monkeypatch.undo()


def test_folder_is_named_or_within_the_run(run: Path, tmp_path: Path) -> None:
    (run / "browse_val").symlink_to(tmp_path)  # a run may be another's
    with pytest.raises(UserError, match="browse_val is a link.*--out"):
        browsed(run)
    browse.browse(run, PredictionOptions(), SplitOptions(), tmp_path / "out" / "a")
    assert len(read(tmp_path / "out" / "a")["images"]) == 4
    with pytest.raises(UserError, match="--limit must be 0 or more, got -1"):
        browsed(run, limit=-1)


def test_layers_show_what_they_are_named_after(rng: np.random.Generator) -> None:
    truth, prediction = (rng.integers(0, 3, (40, 50), np.uint8) for _ in range(2))
    truth[:10], truth[10, 0] = 255, 3
    panel = Panel("a", random_image(rng, 40, 50), truth, prediction)
    found = {end: pixels(content) for end, content in layers(panel, COLORS).items()}
    ignored = truth > 2
    for end, mask, there in (
        ("_truth.png", truth, ~ignored),
        ("_prediction.png", prediction, truth < 256),
    ):
        np.testing.assert_array_equal(found[end][..., 3], 255 * there)
        np.testing.assert_array_equal(found[end][there, :3], COLORS[mask[there]])
    wrong = (truth != prediction) & ~ignored
    np.testing.assert_array_equal(found["_wrong.png"][..., 3], 255 * wrong)
    assert (found["_wrong.png"][wrong, :3] == WRONG_COLOR).all()
    np.testing.assert_array_equal(found["_ignored.png"][..., 3] > 0, ignored)
    assert len(np.unique(found["_ignored.png"][ignored], axis=0)) == 2
    panel.truth[ignored] = 0
    assert "_ignored.png" not in layers(panel, COLORS)


def test_large_images_are_scaled_down_and_masks_with_them() -> None:
    size = 3, 2 * LONGEST
    truth = np.tile(np.arange(size[1]) % 4 // 2 * 2, (3, 1)).astype(np.uint8)
    panel = Panel("a", np.zeros((*size, 3), np.uint8), truth, 0 * truth)
    found = {end: pixels(content) for end, content in layers(panel, COLORS).items()}
    assert {each.shape for each in found.values()} == {(2, LONGEST, 4)}
    colors = np.unique(found["_truth.png"].reshape(-1, 4), axis=0)
    assert colors[:, :3].tolist() == COLORS[[2, 0]].tolist()
