"""The page of a split after a dense CRF: its masks, its figures, and how it ends."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from train import browse, evaluate
from train.common.errors import UserError
from train.evaluation.crf import Crf, Workers
from train.evaluation.views import PredictionOptions
from train.report import browsing
from train.workdir.evaluated import SplitOptions

from ..test_crf_programs import OPTIONS, refined, run
from ..test_predict import COLORS
from .test_browsing import pixels, read

__all__ = ["run"]  # a fixture

NAME = "val_crf3x4x9x60x3x1.5"
FOLDER = f"browse_{NAME}"


def browsed(run: SimpleNamespace) -> None:
    """Browses the run after the CRF."""
    browse.browse(run.folder, PredictionOptions(), SplitOptions(), crf=OPTIONS)


def check_shown(folder: Path, scenes: dict[int, np.ndarray]) -> None:
    """Checks that a page shows the refined masks of images, by their numbers."""
    for number, image in scenes.items():
        picture = folder / "pictures" / f"{number:06d}_prediction.png"
        found = pixels(picture)[..., :3]
        np.testing.assert_array_equal(found, COLORS[refined(image).argmax(-1)])


def test_a_page_shows_the_refined_masks_and_says_so(run: SimpleNamespace) -> None:
    browsed(run)
    folder = run.folder / FOLDER
    scenes = {n: image for n, (image, _) in enumerate(run.scenes, start=1)}
    check_shown(folder, scenes)
    evaluate.evaluate(run.folder, PredictionOptions(), SplitOptions(), crf=OPTIONS)
    path = run.folder / f"evaluation_{NAME}.json"
    data = read(folder)
    assert data["mean_iou"] == json.loads(path.read_text())["mean_iou"]
    for entry, (image, truth) in zip(data["images"], run.scenes, strict=True):
        mask = refined(image).argmax(-1)
        right = sum(count for t, p, count in entry["counts"] if t == p)
        assert right == (mask == truth).sum()
    html = (folder / "index.html").read_text()
    said = "dense CRF (w₁ 4, σ_α 9, σ_β 60, w₂ 3, σ_γ 1.5, 3 iterations)"
    assert f"step 0 · refined by a {said}" in html
    browse.browse(run.folder, PredictionOptions(), SplitOptions())
    assert "CRF" not in (run.folder / "browse_val" / "index.html").read_text()


def test_no_pixel_is_of_a_void_class(run: SimpleNamespace) -> None:
    run.dataset.void = (2,)
    browsed(run)
    counts = [
        counts
        for image in read(run.folder / FOLDER)["images"]
        for counts in image["counts"]
    ]
    assert {(truth, prediction) for truth, prediction, _ in counts} == {(0, 0), (2, 0)}
    evaluate.evaluate(run.folder, PredictionOptions(), SplitOptions(), crf=OPTIONS)
    result = json.loads((run.folder / f"evaluation_{NAME}.json").read_text())
    assert result["pixel_accuracy"] == 0.5


def test_an_image_whose_crf_fails_has_another_try_and_is_named_once(
    run: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    its, failing = Crf.refined, ["2", "4", "4"]

    def refined_later(self: Crf, what: str, *arrays: np.ndarray) -> np.ndarray:
        if what in failing:
            failing.remove(what)
            raise UserError(f"{what}: too large")
        return its(self, what, *arrays)

    monkeypatch.setattr(Crf, "refined", refined_later)
    with pytest.raises(UserError, match="; 1 failed:\n4: too large$"):
        browsed(run)
    numbers = [1, 2, 3, 4, 6]
    folder = run.folder / FOLDER
    assert [image["number"] for image in read(folder)["images"]] == numbers
    check_shown(folder, {number: run.scenes[number - 1][0] for number in numbers})


def test_a_stop_ends_crfs_before_the_page_is_written(
    run: SimpleNamespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    reached, layers = [], browsing.layers
    stop, page = Workers.stop, browsing.browse_page

    def interrupted(panel: Any, colors: np.ndarray) -> dict[str, bytes]:
        if panel.name == "2":
            raise KeyboardInterrupt
        return layers(panel, colors)

    def stopped(self: Workers) -> None:
        reached.append("stopped")
        stop(self)

    def written(**options: Any) -> str:
        reached.append("page")
        return page(**options)

    monkeypatch.setattr(browsing, "layers", interrupted)
    monkeypatch.setattr(browsing, "browse_page", written)
    monkeypatch.setattr(Workers, "stop", stopped)
    with pytest.raises(KeyboardInterrupt):
        browsed(run)
    assert reached[:2] == ["stopped", "page"]
    folder = run.folder / FOLDER
    assert [image["number"] for image in read(folder)["images"]] == [1, 2]
