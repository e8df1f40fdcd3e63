"""The paper's recipe to the letter, on a miniature of Pascal VOC and random weights."""

import json
from pathlib import Path

import numpy as np
from flax import nnx
from safetensors.numpy import save_file

from models.deeplab import DeepLab
from train.presets import parse_config

from ..models.parity import random_array
from ..models.test_parity import file_shapes
from .conftest import write_voc
from .programs import call

LISTS = {"train_aug": ("a", "b", "c"), "val": ("d", "e")}


def make_voc(root: Path) -> Path:
    """Writes images of several sizes, and masks of squares below ignored rows."""
    rng = np.random.default_rng(0)

    def draw() -> tuple[np.ndarray, np.ndarray]:
        height, width = rng.integers(90, 125, 2).tolist()
        squares = rng.integers(0, 21, (13, 13), dtype=np.uint8)
        mask = squares.repeat(10, 0).repeat(10, 1)[:height, :width]
        mask[:3] = 255
        return rng.integers(0, 256, (height, width, 3), dtype=np.uint8), mask

    write_voc(root, LISTS, draw, masks="SegmentationClassAug")
    return root


def make_weights(path: Path) -> Path:
    """Writes random weights under the keys of DeepLab trained on COCO."""
    model = nnx.eval_shape(lambda: DeepLab(classes=21, style="caffe", rngs=nnx.Rngs(0)))
    shapes = file_shapes("kazuto", model)
    shapes = {key: shape for key, shape in shapes.items() if "aspp" not in key}
    shapes |= {"fc.weight": (91, 2048, 1, 1), "fc.bias": (91,)}
    save_file({key: random_array(key, shape) for key, shape in shapes.items()}, path)
    return path


def test_paper_recipe_runs_three_steps(tmp_path: Path) -> None:
    run = tmp_path / "run"
    paths = {
        "--data": make_voc(tmp_path / "VOC2012"),
        "--weights": make_weights(tmp_path / "deeplabv1_resnet101-coco.safetensors"),
        "--prepared": tmp_path / "prepared",
        "--workdir": run,
    }
    options = [part for pair in paths.items() for part in pair]
    preset = parse_config(["voc"])
    assert (preset.augmentation.crop, preset.optimizer.batch_size) == ((321, 321), 2)
    smaller = ("--crop", 97, 97, "--steps", 3)  # a tenth of the time
    done = call("main", "voc", *smaller, "--log-every", 1, *options)
    assert done.returncode == 0, done.stderr
    assert "520 arrays of DeepLab of kazuto1011" in done.stdout
    assert "random weights: deconvolution, head" in done.stdout
    config = json.loads((run / "config.json").read_text())
    assert (config["crop"], config["batch_size"]) == ([97, 97], 2)
    assert (config["backbone"], config["style"]) == ("resnet101", "caffe")
    lines = (run / "metrics.jsonl").read_text().splitlines()
    losses = [json.loads(line)["loss"] for line in lines if "loss" in line]
    assert len(losses) == 3 and np.isfinite(losses).all()
    summary = json.loads((run / "summary.json").read_text())
    assert summary["steps"] == 3 and len(summary["iou"]) == 21
