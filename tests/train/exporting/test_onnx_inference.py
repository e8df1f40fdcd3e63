"""The ONNX file computes what JAX does, where JAX is not."""

import json
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import pytest
from flax import nnx

from models.backbones import BACKBONES, BackboneEntry
from models.checksums import FIELD
from models.resnet import Bottleneck, ResNet
from models.weights import read_header
from tests.train.conftest import CLASSES, MakeConfig, add_entry
from train.common.errors import UserError
from train.evaluation.preparation import at_size
from train.exporting.onnx_inference import onnx_inference
from train.workdir.trained import save_trained

from .sessions import (
    assert_parity,
    assert_same_masks,
    expected_scores,
    random_trained,
    run,
    session_of,
)

# What a stranger's program does with the file; it needs neither JAX nor our code.
PROGRAM = """
import sys
import numpy as np
import onnxruntime

file, images, logits, masks = sys.argv[1:]
session = onnxruntime.InferenceSession(file)
found = session.run(["logits", "masks"], {"images": np.load(images)})
foreign = {"jax", "flax", "models", "train", "lal_jax"} & set(sys.modules)
assert not foreign, foreign
expected = np.load(logits)
error = np.abs(found[0] - expected).max() / np.abs(expected).max()
assert error < 1e-4, error
np.save(masks, found[1])
"""


def test_file_gives_the_same_logits_without_jax(
    make_config: MakeConfig, short: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    options = {"backbone": short, "head": "v3", "upsampling": "learned"}
    trained = random_trained(make_config(**options))
    images = rng.integers(0, 256, (3, 45, 56, 3), dtype=np.uint8)
    expected = expected_scores(trained, images)
    names = ("inference.onnx", "images.npy", "logits.npy", "masks.npy")
    file, stored, logits, masks = (tmp_path / name for name in names)
    file.write_bytes(onnx_inference(trained))
    np.save(stored, images)
    np.save(logits, expected)
    command = [sys.executable, "-I", "-c", PROGRAM]
    command += [str(path) for path in (file, stored, logits, masks)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert_same_masks(np.load(masks), expected)


@pytest.fixture
def bottlenecks(monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a ResNet as 50 and 101 are, with few blocks and channels."""
    make = partial(ResNet, Bottleneck, (1, 1, 2), widths=(8,) * 3, stem_width=8)
    entry = BackboneEntry(make)
    add_entry(monkeypatch, BACKBONES, "bottlenecks", entry, "for tests")
    return "bottlenecks"


@pytest.mark.parametrize(
    "options",
    [
        {"style": "torchvision", "upsampling": "half_pixel", "norm_epsilon": 0.1},
        {"style": "caffe", "preprocessing": "bgr_mean", "batch_norm": "frozen"},
    ],
    ids=("torchvision", "caffe"),
)
def test_styles_are_those_of_the_network(
    make_config: MakeConfig, bottlenecks: str, options: dict
) -> None:
    trained = random_trained(make_config(backbone=bottlenecks, **options))
    assert_parity(trained, [(2, 40, 25)])  # at which Caffe's pool rounds up


@pytest.mark.parametrize(
    ("options", "sizes"),
    [
        ({"evaluation_scales": (0.6,), "evaluation_flip": True}, [(33, 52)]),
        ({"evaluation_scales": (1.3, 1.0), "evaluation_fusion": "max"}, [(33, 20)]),
        ({}, [(33, 20), (7, 52)]),
    ],
    ids=("mean", "max", "alone"),
)
def test_views_are_joined_at_any_size(
    make_config: MakeConfig, short: str, options: dict, sizes: list
) -> None:
    trained = random_trained(make_config(backbone=short, **options))
    found = assert_parity(trained, [(2, *size) for size in sizes])
    assert ("probabilities" in found) == ("evaluation_flip" in options)


@pytest.mark.parametrize("height", [24, 60])
def test_images_are_prepared_as_in_training(
    make_config: MakeConfig, short: str, rng: np.random.Generator, height: int
) -> None:
    trained = random_trained(make_config(backbone=short, image_height=height))
    images = rng.integers(0, 256, (1, 41, 57, 3), dtype=np.uint8)
    found = run(session_of(onnx_inference(trained)), images)
    assert found["logits"].shape == (1, height, round(57 * height / 41), CLASSES)
    expected = expected_scores(trained, images)
    # A resized color may be rounded to the other side.
    assert np.abs(found["logits"] - expected).max() < 0.02 * np.abs(expected).max()
    mask = at_size(expected[0].argmax(axis=-1), (41, 57))
    assert found["masks"].shape == found["confidence"].shape == (1, 41, 57)
    assert np.mean(found["masks"][0] != mask) < 1e-2 < np.mean(mask != mask[0, 0])


def test_logits_that_are_not_finite_have_no_confidence(make_config: MakeConfig) -> None:
    trained = random_trained(make_config())
    images = np.zeros((1, 24, 24, 3), np.uint8)
    for value in (np.inf, -np.inf, np.nan):
        model = nnx.merge(trained.graph, trained.state.params, trained.state.statistics)
        bias = model.head.branches[0].bias  # type: ignore[attr-defined]
        bias[...] = bias[...].at[1].set(value)
        state = trained.state._replace(params=nnx.state(model, nnx.Param))
        found = run(session_of(onnx_inference(trained._replace(state=state))), images)
        assert np.isnan(found["confidence"]).all()


def test_part_without_a_form_is_refused_by_name(
    make_config: MakeConfig, tiny: str
) -> None:
    trained = random_trained(make_config(backbone=tiny))
    with pytest.raises(UserError, match="backbone Tiny has no form.*inference.jax"):
        onnx_inference(trained)


def test_file_says_what_it_is(make_config: MakeConfig, tmp_path: Path) -> None:
    trained = random_trained(make_config(preprocessing="bgr_mean"))
    save_trained(trained, tmp_path / "model.safetensors")
    written = read_header(tmp_path / "model.safetensors").metadata
    for size, sides in ((None, ["height", "width"]), ((40, 56), [40, 56])):
        model = onnx.load_from_string(onnx_inference(trained, size))
        metadata = {entry.key: entry.value for entry in model.metadata_props}
        preprocessing = json.loads(metadata.pop("preprocessing"))
        assert preprocessing["bgr"] and preprocessing["mean"][0] == 122.675
        assert metadata == {k: v for k, v in written.items() if k != FIELD}
        assert json.loads(metadata["step"]) == 7
        assert [entry.version for entry in model.opset_import] == [18]
        for value in model.graph.input:
            dims = value.type.tensor_type.shape.dim
            found = [dim.dim_param or dim.dim_value for dim in dims]
            assert (value.name, found) == ("images", ["batch", *sides, 3])


def test_every_convolution_is_one_node(make_config: MakeConfig) -> None:
    model = onnx.load_from_string(onnx_inference(random_trained(make_config())))
    operators = [node.op_type for node in model.graph.node]
    # A stem, four blocks of two with a shortcut, and the head's two.
    assert operators.count("Conv") == 1 + 4 * 3 + 2
    assert operators.count("Resize") == 1 and len(operators) < 55
    assert not {"BatchNormalization", "Gather", "MatMul"} & set(operators)
