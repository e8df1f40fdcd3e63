"""The programs with --crf: what they write, what they refuse, and how it is tuned."""

from __future__ import annotations

import json
import resource
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from flax import nnx
from PIL import Image

from train import browse, evaluate, predict, tune_crf
from train.common.errors import UserError
from train.config import Config, save_config
from train.data.dataset import DataOptions
from train.data.images import encode
from train.data.mask_colors import ShownColor
from train.evaluation import crf
from train.evaluation.crf_options import CrfOptions
from train.evaluation.crf_search import Grid
from train.evaluation.crf_worker import mean_field
from train.evaluation.preparation import at_size, prepared
from train.evaluation.views import PredictionOptions
from train.workdir import evaluated
from train.workdir.evaluated import SplitOptions
from train.workdir.trained import Trained

from .standins import STATE, Brightest
from .test_predict import COLORS, NAMES, call, model, photos, read_areas

__all__ = ["model", "photos"]  # fixtures

pytest.importorskip("pydensecrf", reason="the extra crf is not installed")

OPTIONS = CrfOptions(
    on=True, iterations=3, position_std=9.0, color_std=60.0, gaussian_std=1.5
)
GRAY = np.array([124, 116, 104], np.uint8)  # of which preprocessing makes 0
SIZE = (24, 32)


def trained(**options: Any) -> Trained:
    graph: nnx.GraphDef = nnx.graphdef(Brightest())
    return Trained(Config().replace(**options), NAMES, COLORS, graph, STATE)


def noisy(rng: np.random.Generator, *size: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns an image of a mask's colors, every fifth pixel of the wrong one."""
    truth = np.where(np.arange(size[1]) < size[1] // 2, 0, 2)
    truth = np.broadcast_to(truth, size).astype(np.uint8)
    seen = np.where(rng.random(size) < 0.2, 2 - truth, truth)
    image = np.broadcast_to(GRAY, (*size, 3)).copy()
    image += 40 * (seen[..., None] == np.arange(3)).astype(np.uint8)
    return image, truth


def refined(image: np.ndarray, options: CrfOptions = OPTIONS) -> np.ndarray:
    """Returns the marginals of the stand-in's probabilities."""
    found = trained().predictor().probabilities(STATE, image)
    return mean_field(image, found, options.parameters)


@pytest.mark.parametrize("height", [0, 18])
def test_masks_and_probabilities_are_the_crf_s(
    model: Path,
    tmp_path: Path,
    rng: np.random.Generator,
    height: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    its = trained(**({"image_height": height, "data": "x"} if height else {}))
    monkeypatch.setattr(predict, "load_trained", lambda *path: its)
    image, _ = noisy(rng, *SIZE)
    photo, out = tmp_path / "photo.png", tmp_path / "out"
    Image.fromarray(image).save(photo)
    call(model, photo, out=tmp_path / "plain")
    plain = PredictionOptions()
    predict.predict(model, (photo,), out, plain, probabilities=True, crf=OPTIONS)
    marginals = refined(prepared(image, height))
    mask = at_size(marginals.argmax(-1).astype(np.uint8), SIZE)
    with Image.open(out / "photo.png") as written:
        np.testing.assert_array_equal(written, mask)
    with Image.open(tmp_path / "plain" / "photo.png") as written:
        assert (np.asarray(written) != mask).mean() > 0.05
    shares = [f"{share:.6f}" for share in np.bincount(mask.ravel()) / mask.size]
    assert read_areas(out)[1][3:] == shares
    with np.load(out / "photo_probabilities.npz") as file:
        found = file["probabilities"]
    assert found.shape == (*SIZE, 3) and found.dtype == np.float16
    if not height:
        np.testing.assert_array_equal(found, marginals.astype(np.float16))
    np.testing.assert_array_equal(found.argmax(-1), mask)


def test_an_image_that_does_not_fit_is_named_and_the_others_are_done(
    model: Path, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = photos.parent / "out"
    monkeypatch.setattr(crf, "bytes_needed", lambda size, classes: size[0] * 10**8)
    monkeypatch.setattr(crf, "free_host_memory", lambda: 30 * 10**8 / crf._USABLE)
    with pytest.raises(UserError) as raised:
        predict.predict(model, (photos,), out, PredictionOptions(), crf=OPTIONS)
    said = str(raised.value)
    assert "2 of 3 masks written" in said and "1 failed" in said
    assert f"{photos / 'b.png'}: 40×30 pixels in 3 classes would take" in said
    assert {"a.png", "c.png"} < {path.name for path in out.iterdir()}
    assert not (out / "b.png").exists()


@pytest.mark.parametrize("program", ["predict", "evaluate", "browse", "tune_crf"])
def test_without_the_library_nothing_is_begun(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crf.importlib.util, "find_spec", lambda name: None)
    plain, out = PredictionOptions(), tmp_path / "out"
    with pytest.raises(UserError, match="python -m pip install"):
        if program == "predict":
            predict.predict(tmp_path / "no", (out,), out, plain, crf=OPTIONS)
        elif program == "evaluate":
            evaluate.evaluate(tmp_path / "no", plain, SplitOptions(), crf=OPTIONS)
        elif program == "browse":
            browse.browse(tmp_path / "no", plain, SplitOptions(), out, crf=OPTIONS)
        else:
            tune_crf.tune_crf(tmp_path / "no", plain, Grid(), tune_crf.Fixed())
    assert not out.exists()


@pytest.fixture
def run(
    tmp_path: Path, rng: np.random.Generator, monkeypatch: pytest.MonkeyPatch
) -> SimpleNamespace:
    """A run of six noisy images, and the options that its data were asked for with."""
    scenes = [noisy(rng, *SIZE) for _ in range(6)]
    source = [
        {
            "name": str(n).encode(),
            "image": encode(image, "PNG"),
            "label": encode(truth, "PNG"),
        }
        for n, (image, truth) in enumerate(scenes)
    ]
    found = SimpleNamespace(folder=tmp_path, scenes=scenes, asked=[], holdout=0.0)
    dataset = SimpleNamespace(
        name="six",
        class_names=NAMES,
        colors=COLORS,
        val=source,
        fingerprint="f",
        earlier="",
        splits={},
        void=(),
        shown=(),
        by_color=False,
    )

    found.dataset = dataset

    def load_dataset(options: DataOptions) -> SimpleNamespace:
        found.asked.append(options)
        return dataset

    def load_run(*path: object) -> Trained:
        return trained(holdout=found.holdout)

    for program in (evaluated, tune_crf):
        monkeypatch.setattr(program, "load_dataset", load_dataset)
        monkeypatch.setattr(program, "load_run", load_run)
    described = {
        "name": "",
        "class_names": NAMES,
        "colors": 3 * [[0, 0, 0]],
        "fingerprint": "f",
    }
    (tmp_path / "dataset.json").write_text(json.dumps(described))
    save_config(Config(), tmp_path / "config.json")
    return found


def test_an_evaluation_is_of_the_refined_masks(run: SimpleNamespace) -> None:
    evaluate.evaluate(run.folder, PredictionOptions(), SplitOptions(), crf=OPTIONS)
    path = run.folder / "evaluation_val_crf3x4x9x60x3x1.5.json"
    result = json.loads(path.read_text())
    assert result["crf"] == OPTIONS.noted()
    right = [(refined(image).argmax(-1) == truth).mean() for image, truth in run.scenes]
    assert result["pixel_accuracy"] == pytest.approx(np.mean(right))
    evaluate.evaluate(run.folder, PredictionOptions(), SplitOptions())
    plain = json.loads((run.folder / "evaluation_val.json").read_text())
    assert plain["crf"] is None
    assert plain["pixel_accuracy"] < result["pixel_accuracy"] - 0.1


def test_masks_of_other_palettes_are_refused(run: SimpleNamespace) -> None:
    path = run.folder / "dataset.json"
    described = json.loads(path.read_text())
    path.write_text(json.dumps({**described, "mask_colors": {"7,8,9": 2}}))
    run.dataset.shown = (ShownColor("7,8,9", 1, "a.png"),)
    said = f"^a.png shows 7,8,9 where the value is 1, but the masks that {run.folder} w"
    with pytest.raises(UserError, match=said):
        tune_crf.tune_crf(run.folder, PredictionOptions(), Grid(), tune_crf.Fixed())
    for program in (evaluate.evaluate, browse.browse):
        with pytest.raises(UserError, match=said):
            program(run.folder, PredictionOptions(), SplitOptions())


def test_held_out_images_are_those_of_the_run(run: SimpleNamespace) -> None:
    """Of another list, images that were trained on would be held out."""
    (run.folder / "summary.json").touch()
    run.holdout, run.dataset.fingerprint = 0.3, "another"
    with pytest.raises(UserError, match=r"was trained on other data \(f\) than"):
        tune_crf.tune_crf(run.folder, PredictionOptions(), Grid(), tune_crf.Fixed())


@pytest.mark.parametrize("holdout", [0.0, 0.3])
def test_tuning_looks_at_the_training_split_alone(
    run: SimpleNamespace, holdout: float, capsys: pytest.CaptureFixture[str]
) -> None:
    run.holdout = holdout
    grid = Grid(weights=(0.0, 4.0), position_stds=(9.0,), color_stds=(60.0,))
    fixed = tune_crf.Fixed(iterations=3, gaussian_std=1.5, gaussian_weight=0.0)
    tune_crf.tune_crf(run.folder, PredictionOptions(), grid, fixed, 3, 1)
    (asked,) = run.asked
    assert asked.holdout == holdout
    assert holdout or (asked.train_split, asked.val_split) == ("train", "train")
    result = json.loads((run.folder / "crf_train.json").read_text())
    assert result["images"] == ["0", "2", "5"] and result["held_out"] == bool(holdout)
    best = result["tried"][0]
    assert len(result["tried"]) == 3 and best["iterations"] == 3
    assert best["mean_iou"] > result["mean_iou_without"]
    (none,) = (one for one in result["tried"] if not one["weight"])
    assert none["mean_iou"] == result["mean_iou_without"]
    said = capsys.readouterr().out
    assert f"train/predict.py: {result['options']}\n" in said
    assert f"--crf-weight {best['weight']:g}" in result["options"]
    assert ("was trained on these 3 images" in said) == (not holdout)
    assert "without a CRF" in said and "an end of --weights, --position" in said


def test_tuning_by_another_training_split_has_another_name(
    run: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    """The network was not trained on all of it, and it may have validation images."""
    path = run.folder / "dataset.json"
    splits = {"train": "as trained", "val": "v"}
    described = {**json.loads(path.read_text()), "split_fingerprints": splits}
    path.write_text(json.dumps(described))
    grid = Grid(weights=(0.0,), position_stds=(9.0,), color_stds=(60.0,))
    for found, name in (("as trained", "crf_train"), ("another", "crf_train_data_f")):
        run.dataset.splits = {"train": found}
        tune_crf.tune_crf(run.folder, PredictionOptions(), grid, tune_crf.Fixed(), 2, 1)
        same = name == "crf_train"
        said = capsys.readouterr().out
        assert ("was trained on these 2 images" in said) == same
        assert ("Split 'train' of six has changed since" in said) != same
        (run.folder / f"{name}.json").unlink()


def test_a_crf_that_does_not_help_is_not_recommended(
    run: SimpleNamespace, capsys: pytest.CaptureFixture[str]
) -> None:
    grid = Grid(weights=(0.0,), position_stds=(67.0,), color_stds=(3.0,))
    fixed = tune_crf.Fixed(gaussian_weight=1000.0, gaussian_std=1000.0)
    tune_crf.tune_crf(run.folder, PredictionOptions(), grid, fixed, 2, 1)
    assert "leave --crf away" in capsys.readouterr().out
    result = json.loads((run.folder / "crf_train.json").read_text())
    assert result["options"] == "" and len(result["images"]) == 2


def test_a_full_temporary_folder_is_named_with_the_way_out(
    run: SimpleNamespace,
) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, before[1]))
    said = "the probabilities of 6 images .* number 1, 9216 bytes, .*too large.*TMPDIR="
    try:
        with pytest.raises(UserError, match=f"{said}.*--images"):
            fixed = tune_crf.Fixed()
            tune_crf.tune_crf(run.folder, PredictionOptions(), Grid(), fixed)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_values_that_cannot_work_are_refused_before_the_run_is_read(
    tmp_path: Path,
) -> None:
    with pytest.raises(UserError, match=r"--crf-color-std must lie in .*got 0.1"):
        grid = Grid(color_stds=(3.0, 0.1))
        tune_crf.tune_crf(tmp_path, PredictionOptions(), grid, tune_crf.Fixed())
    with pytest.raises(UserError, match="--images 0 and --rounds 2"):
        tune_crf.tune_crf(
            tmp_path, PredictionOptions(), Grid(), tune_crf.Fixed(), images=0
        )
