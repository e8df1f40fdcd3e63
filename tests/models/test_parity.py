"""Parity with PyTorch: the same outputs under the same random weights."""

import functools
import json
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from models.backbones import Backbone
from models.deeplab import DeepLab, NetworkOutputs
from models.layouts import LEAVES, find_layout
from models.weights import load_weights

from .parity import (
    CASES,
    EXPECTED,
    INTERIOR,
    digest,
    random_array,
    random_images,
    sampled,
)

ANSWERS: dict[str, dict[str, Any]] = json.loads(EXPECTED.read_text())

# Features of the classifiers, which files hold and the networks here do not.
CLASSIFIER = {"resnet18": 512, "resnet34": 512, "resnet50": 2048, "resnet101": 2048}
LITE = {
    "_conv_head.weight": (1280, 320, 1, 1),
    **{f"_bn1.{leaf}": (1280,) for leaf in LEAVES.values()},
    "_bn1.num_batches_tracked": (),
    "_fc.weight": (1000, 1280),
    "_fc.bias": (1000,),
}
AUXILIARY = {
    "aux_classifier.0.weight": (256, 1024, 3, 3),
    **{f"aux_classifier.1.{leaf}": (256,) for leaf in LEAVES.values()},
    "aux_classifier.1.num_batches_tracked": (),
    "aux_classifier.4.weight": (21, 256, 1, 1),
    "aux_classifier.4.bias": (21,),
}


def make_model(network: str, output_stride: int) -> DeepLab:
    if network == "kazuto":
        return DeepLab(classes=21, style="caffe", rngs=nnx.Rngs(0))
    if network.startswith("deeplabv3"):
        return DeepLab(
            classes=21,
            backbone="resnet50",
            head="v3",
            upsampling="half_pixel",
            rngs=nnx.Rngs(0),
        )
    return DeepLab(
        classes=21,
        backbone=network,
        output_stride=output_stride,
        norm_epsilon=1e-3 if network.startswith("efficientnet") else 1e-5,
        rngs=nnx.Rngs(0),
    )


TELLTALES = {
    "kazuto": "layer1.conv1.conv.weight",
    "deeplabv3_resnet50": "classifier.0.convs.0.0.weight",
    **{name: "layer1.0.conv1.weight" for name in CLASSIFIER},
    "efficientnet_lite0": "_blocks.0._depthwise_conv.weight",
}


def file_shapes(network: str, model: DeepLab) -> dict[str, tuple[int, ...]]:
    """Returns the keys and shapes of PyTorch's file, as the layouts here have them."""
    layout, _ = find_layout([TELLTALES[network]])
    names = layout.names(model)
    shapes: dict[str, tuple[int, ...]] = {}
    for path, variable in nnx.to_flat_state(nnx.state(model)):
        *module, leaf = map(str, path)
        if ".".join(module) not in names:
            continue
        theirs, shape = names[".".join(module)], variable.shape
        if leaf == "kernel":
            shape = (shape[3], shape[2], *shape[:2])
        shapes[f"{theirs}.{LEAVES[leaf]}"] = shape
        if leaf == "mean":
            shapes[f"{theirs}.num_batches_tracked"] = ()
    if network in CLASSIFIER:
        shapes |= {"fc.weight": (1000, CLASSIFIER[network]), "fc.bias": (1000,)}
    if network.startswith("efficientnet"):
        shapes |= LITE
    return shapes | (AUXILIARY if network.startswith("deeplabv3") else {})


def close(found: np.ndarray, expected: dict[str, Any]) -> None:
    """Compares the outputs of both images, or those of the first."""
    assert [2, *found.shape[1:]] == expected["shape"]
    picked = sampled(math.prod(expected["shape"]))
    inside = picked < found.size
    assert inside.sum() > 20
    tolerance = 1e-4 * expected["deviation"]
    np.testing.assert_allclose(
        found.reshape(-1)[picked[inside]],
        np.asarray(expected["samples"])[inside],
        rtol=0,
        atol=tolerance,
    )
    if len(found) == 2:
        assert float(found.std()) == pytest.approx(expected["deviation"], rel=1e-4)


@jax.jit
def backbone_features(backbone: Backbone, images: jax.Array) -> list[jax.Array]:
    return backbone(images, train=False)


@jax.jit
def network_outputs(model: DeepLab, images: jax.Array) -> NetworkOutputs:
    return model.outputs(images, train=False)


@functools.lru_cache(maxsize=1)
def loaded_model(network: str, output_stride: int, keys: str) -> DeepLab:
    """Returns a network with the random weights of its counterpart's file.

    Args:
      network: as in `CASES`.
      output_stride: of torchvision's ResNets.
      keys: the checksum of the counterpart's keys and shapes.
    """
    model = nnx.eval_shape(lambda: make_model(network, output_stride))
    shapes = file_shapes(network, model)
    assert digest(shapes) == keys
    arrays = {key: random_array(key, shape) for key, shape in shapes.items()}
    loaded = load_weights(model, arrays)
    extra = sum(
        not key.endswith(tuple(LEAVES.values()))
        or key in LITE
        or "fc." in key
        or "aux" in key
        for key in shapes
    )
    assert loaded.arrays == len(shapes) - extra == len(shapes) - len(loaded.unused)
    assert loaded.new == (
        () if network.startswith(("kazuto", "deeplab")) else ("head",)
    )
    return model


@pytest.mark.parametrize("case", CASES)
def test_network_equals_its_counterpart(case: str) -> None:
    network, size, options = CASES[case]
    expected = ANSWERS[case]
    model = loaded_model(network, options.get("output_stride", 32), expected["keys"])
    # Large images take many seconds each; what one gives does not depend on the other.
    count = 1 if min(size) >= 321 else 2
    images = jnp.asarray(random_images(size)[:count])
    if "stage" in options:
        # Even sizes are padded one pixel less in front there: features i + 1 are its i.
        images = jnp.pad(images, ((0, 0), (1, 0), (1, 0), (0, 0)))
        maps = backbone_features(model.backbone, images)
        close(np.asarray(maps[options["stage"]])[:, 1:, 1:][INTERIOR], expected)
        return
    if network in CLASSIFIER or network.startswith("efficientnet"):
        close(np.asarray(backbone_features(model.backbone, images)[-1]), expected)
        return
    outputs = network_outputs(model, images)
    close(np.asarray(outputs.coarse), expected)
    if "full" in expected:
        close(np.asarray(outputs.logits), expected["full"])
