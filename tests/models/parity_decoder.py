"""DeepLabV3+ in PyTorch, with the random arrays of parity.py.

`python -m tests.models.parity_decoder` writes its outputs into parity.json: those of
the network on torchvision's ResNet-50, and those of the head alone on random maps. It
needs torch, torchvision and jfzhang95/pytorch-deeplab-xception (on PYTHONPATH), whose
pyramid and decoder these are; its own ResNets dilate their last blocks further.
"""

from __future__ import annotations

import json
import types
from typing import Any

import numpy as np

from .parity import EXPECTED, describe, digest, fill_torch, random_images

# Corners are aligned there, as here at a multiple of the stride and 1.
SIZE = (129, 97)
MAPS = ((25, 33, 256), (13, 17, 2048))  # of 97×130 pixels, at strides 4 and 8


def random_maps() -> list[np.ndarray]:
    """Returns two random feature maps `[2, height, width, channels]`, float32."""
    rng = np.random.default_rng(2)
    return [rng.normal(size=(2, *shape)).astype(np.float32) for shape in MAPS]


def _to_torch(array: np.ndarray) -> Any:
    import torch

    return torch.from_numpy(array.transpose(0, 3, 1, 2).copy())


def _torch_head(output_stride: int, *, aligned: bool) -> Any:
    """Returns that project's head, called with an early map and the last.

    Args:
      output_stride: of the last map, 8 or 16.
      aligned: `align_corners` of its `interpolate`; true in that project.
    """
    import torch
    from modeling import aspp, decoder

    def interpolate(images: Any, size: Any, **_: Any) -> Any:
        return torch.nn.functional.interpolate(
            images, size, mode="bilinear", align_corners=aligned
        )

    decoder.F = types.SimpleNamespace(interpolate=interpolate)
    made: Any = torch.nn.Module()
    made.aspp = aspp.ASPP("resnet", output_stride, torch.nn.BatchNorm2d)
    made.decoder = decoder.Decoder(21, "resnet", torch.nn.BatchNorm2d)
    made.forward = lambda early, last: made.decoder(made.aspp(last), early)
    return made


def _answer(network: Any, *inputs: np.ndarray) -> dict[str, Any]:
    import torch

    shapes = fill_torch(network)
    with torch.no_grad():
        found = network(*map(_to_torch, inputs))
    answer = describe(found.numpy().transpose(0, 2, 3, 1))
    answer["keys"] = digest(shapes)
    answer["parameters"] = sum(value.numel() for value in network.parameters())
    return answer


def main() -> None:
    """Writes the cases of DeepLabV3+ into parity.json."""
    from torch.nn import Sequential
    from torchvision.models import resnet

    head = _torch_head(8, aligned=False)
    answers = json.loads(EXPECTED.read_text())
    answers["deeplabv3plus_head"] = _answer(head, *random_maps())
    head = _torch_head(16, aligned=True)
    head.backbone = resnet.resnet50(
        weights=None, replace_stride_with_dilation=[False, False, True]
    )
    del head.backbone.fc, head.backbone.avgpool
    layers, of_maps = list(head.backbone.children()), head.forward

    def forward(images: Any) -> Any:
        early = Sequential(*layers[:5])(images)
        return of_maps(early, Sequential(*layers[5:])(early))

    head.forward = forward
    answers["deeplabv3plus"] = _answer(head, random_images(SIZE))
    EXPECTED.write_text(json.dumps(answers, indent=1) + "\n")


if __name__ == "__main__":
    main()
