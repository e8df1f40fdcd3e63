"""Random weights and images that two frameworks draw alike, from names and seeds.

`python tests/models/parity.py [CASE …]` writes parity.json, the outputs of PyTorch's
networks, or those of the cases named alone. It needs torch and, where a case compares
with them, torchvision, kazuto1011/deeplab-pytorch (on PYTHONPATH) and
efficientnet_lite_pytorch; none of their weights or code enters this project.
DeepLabV3+ is in parity_decoder.py.
"""

from __future__ import annotations

import hashlib
import json
import math
import sys
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

EXPECTED = Path(__file__).with_name("parity.json")
SAMPLES = 64
INTERIOR = (slice(None), slice(4, 7), slice(4, 11))  # of 96×128 pixels at stride 8

# Network, (height, width), options; `stage` is that of the feature map compared, as far
# as no border reaches.
CASES: dict[str, tuple[str, tuple[int, int], dict[str, Any]]] = {
    "kazuto_321": ("kazuto", (321, 321), {}),
    "kazuto_513x385": ("kazuto", (513, 385), {}),
    "kazuto_96x128": ("kazuto", (96, 128), {}),
    "resnet18": ("resnet18", (97, 130), {}),
    "resnet34": ("resnet34", (97, 130), {}),
    "resnet50": ("resnet50", (97, 130), {}),
    "resnet101": ("resnet101", (97, 130), {}),
    "resnet50_stride_8": ("resnet50", (97, 130), {"output_stride": 8}),
    "resnet101_stride_16": ("resnet101", (97, 130), {"output_stride": 16}),
    "deeplabv3_resnet50": ("deeplabv3_resnet50", (129, 98), {}),
    "efficientnet_lite0": ("efficientnet_lite0", (97, 129), {}),
    "efficientnet_lite0_even": ("efficientnet_lite0", (96, 128), {"stage": 1}),
}


def random_array(key: str, shape: tuple[int, ...]) -> np.ndarray:
    """Returns the random array of a key of PyTorch's, float32."""
    rng = np.random.default_rng(zlib.crc32(key.encode()))
    if key.endswith("running_var"):
        array = rng.uniform(0.5, 1.5, shape)
    elif len(shape) == 4:  # a kernel, out × in × height × width
        array = rng.normal(0, math.sqrt(1 / math.prod(shape[1:])), shape)
    elif key.endswith("weight"):
        # With less, EfficientNet-Lite's features would fade and never reach ReLU6's 6.
        array = rng.uniform(*((0.8, 1.6) if "_bn" in key else (0.3, 0.9)), shape)
    else:  # biases and running means
        array = rng.normal(0, 0.1, shape)
    return array.astype(np.float32)


def random_images(size: tuple[int, int]) -> np.ndarray:
    """Returns two images `[2, height, width, 3]`, already normalized, float32."""
    return np.random.default_rng(0).normal(size=(2, *size, 3)).astype(np.float32)


def sampled(size: int) -> np.ndarray:
    """Returns which numbers of a flat array of this size are compared."""
    return np.random.default_rng(1).integers(0, size, SAMPLES)


def describe(result: np.ndarray) -> dict[str, Any]:
    """Returns shape, standard deviation and samples of an array `[..., channels]`."""
    picked = sampled(result.size)
    return {
        "shape": list(result.shape),
        "deviation": float(result.std()),
        "samples": [float(value) for value in result.reshape(-1)[picked]],
    }


def digest(shapes: Mapping[str, tuple[int, ...]]) -> str:
    """Returns a checksum of keys and shapes, in any order."""
    lines = sorted(f"{key} {list(shape)}" for key, shape in shapes.items())
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _torch_network(name: str, size: tuple[int, int], options: dict[str, Any]) -> Any:
    if name == "efficientnet_lite0":
        return _torch_efficientnet(size, options)
    import torch
    from torchvision.models import resnet, segmentation

    if name == "kazuto":
        from libs.models.deeplabv2 import DeepLabV2

        return DeepLabV2(21, [3, 4, 23, 3], [6, 12, 18, 24])
    if name.startswith("deeplabv3"):
        return segmentation.deeplabv3_resnet50(
            weights=None, weights_backbone=None, num_classes=21, aux_loss=True
        )
    dilate = {8: (False, True, True), 16: (False, False, True), 32: None}
    made = getattr(resnet, name)(
        weights=None,
        replace_stride_with_dilation=dilate[options.get("output_stride", 32)],
    )
    features = torch.nn.Sequential(*list(made.children())[:-2])
    made.forward = features.forward
    return made


def _torch_efficientnet(size: tuple[int, int], options: dict[str, Any]) -> Any:
    from efficientnet_lite_pytorch import EfficientNet

    made = EfficientNet.from_name("efficientnet-lite0", image_size=size)
    blocks = (3, 5, 11, 16)[options.get("stage", 3)]

    def forward(images: Any) -> Any:
        x = made._swish(made._bn0(made._conv_stem(images)))
        for block in made._blocks[:blocks]:
            x = block(x)
        rows, columns = INTERIOR[1:] if "stage" in options else (slice(None),) * 2
        return x[:, :, rows, columns]

    made.forward = forward
    return made


def fill_torch(network: Any) -> dict[str, tuple[int, ...]]:
    """Gives a network its random arrays, for evaluation; returns shapes by key."""
    import torch

    state = network.eval().state_dict()
    shapes = {key: tuple(value.shape) for key, value in state.items()}
    network.load_state_dict(
        {
            key: torch.from_numpy(random_array(key, shape))
            for key, shape in shapes.items()
            if shape
        },
        strict=False,
    )
    return shapes


def _answer(name: str, size: tuple[int, int], options: dict[str, Any]) -> dict:
    import torch

    network = _torch_network(name, size, options)
    shapes = fill_torch(network)
    images = torch.from_numpy(random_images(size).transpose(0, 3, 1, 2).copy())
    with torch.no_grad():
        found = network(images)
        if name.startswith("deeplabv3"):
            coarse = network.classifier(network.backbone(images)["out"])
            full = found["out"].numpy().transpose(0, 2, 3, 1)
    if not name.startswith("deeplabv3"):
        coarse, full = found, None
    answer = describe(coarse.numpy().transpose(0, 2, 3, 1))
    if full is not None:
        answer["full"] = describe(full)
    answer["keys"] = digest(shapes)
    answer["parameters"] = sum(value.numel() for value in network.parameters())
    return answer


def main() -> None:
    """Writes parity.json."""
    answers = json.loads(EXPECTED.read_text())
    for case in sys.argv[1:] or CASES:
        answers[case] = _answer(*CASES[case])
        print(case, answers[case]["shape"], answers[case]["deviation"])
    EXPECTED.write_text(json.dumps(answers, indent=1) + "\n")


if __name__ == "__main__":
    main()
