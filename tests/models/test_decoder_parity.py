"""DeepLabV3+ gives what an independent implementation does, with its random weights."""

import json
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from models.decoder import DecodedPyramid
from models.deeplab import DeepLab
from models.layouts import LEAVES, _torchvision_resnet

from .parity import EXPECTED, digest, random_array, random_images
from .parity_decoder import SIZE, random_maps
from .test_parity import close, network_outputs

# Modules of the head, and convolution and norm of the counterpart's.
PAIRS = {
    **{f"branches.{i}": f"aspp.aspp{i + 1}.atrous_conv bn" for i in range(4)},
    "image": "aspp.global_avg_pool.1 2",
    "project": "aspp.conv1 bn1",
    "decoder.reduce": "decoder.conv1 bn1",
    "decoder.mix.0": "decoder.last_conv.0 1",
    "decoder.mix.1": "decoder.last_conv.4 5",
}


def names_there() -> dict[str, str]:
    """Returns the counterpart's name of each module of the head."""
    names = {"decoder.classify": "decoder.last_conv.8"}
    for ours, pair in PAIRS.items():
        conv, norm = pair.split()
        names[f"{ours}.conv"] = conv
        names[f"{ours}.norm"] = f"{conv.rpartition('.')[0]}.{norm}"
    return names


def fill(module: nnx.Module, names: Mapping[str, str]) -> dict[str, tuple[int, ...]]:
    """Gives a module its counterpart's random arrays; returns their shapes by key."""
    shapes: dict[str, tuple[int, ...]] = {}
    arrays = []
    for path, variable in nnx.to_flat_state(nnx.state(module)):
        *owner, leaf = map(str, path)
        theirs, shape = names[".".join(owner)], variable.shape
        if leaf == "kernel":
            shape = (shape[3], shape[2], *shape[:2])
        if leaf == "mean":
            shapes[f"{theirs}.num_batches_tracked"] = ()
        key = f"{theirs}.{LEAVES[leaf]}"
        shapes[key], array = shape, random_array(key, shape)
        if leaf == "kernel":
            array = array.transpose(2, 3, 1, 0)
        arrays.append((path, variable.replace(jnp.asarray(array))))
    nnx.update(module, nnx.from_flat_state(arrays))
    return shapes


def check_shapes(shapes: dict[str, tuple[int, ...]], expected: dict[str, Any]) -> None:
    assert digest(shapes) == expected["keys"]
    sizes = {key: np.prod(shape) for key, shape in shapes.items() if shape}
    parameters = sum(v for key, v in sizes.items() if "running" not in key)
    assert parameters == expected["parameters"]


def test_network_equals_its_counterpart() -> None:
    expected = json.loads(EXPECTED.read_text())["deeplabv3plus"]
    model = nnx.eval_shape(
        lambda: DeepLab(
            classes=21,
            backbone="resnet50",
            head="v3plus",
            output_stride=16,
            rngs=nnx.Rngs(0),
        )
    )
    head = {f"head.{ours}": theirs for ours, theirs in names_there().items()}
    names = _torchvision_resnet(model.backbone, "backbone.") | head
    check_shapes(fill(model, names), expected)
    outputs = network_outputs(model, jnp.asarray(random_images(SIZE)))
    close(np.asarray(outputs.coarse), expected)


def test_head_equals_its_counterpart_with_half_pixel_centers() -> None:
    expected = json.loads(EXPECTED.read_text())["deeplabv3plus_head"]
    head = nnx.eval_shape(
        lambda: DecodedPyramid(
            (256, 512, 1024, 2048),
            21,
            dilations=(12, 24, 36),
            output_stride=8,
            upsampling="half_pixel",
            rngs=nnx.Rngs(0),
        )
    )
    check_shapes(fill(head, names_there()), expected)
    logits = jax.jit(lambda head, maps: head(maps, train=False))
    close(np.asarray(logits(head, list(map(jnp.asarray, random_maps())))), expected)
