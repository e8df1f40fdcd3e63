"""Every network of the tables has an ONNX form that computes what JAX does."""

import pytest

from models.backbones import BACKBONES
from models.heads import HEADS
from models.upsamplings import UPSAMPLINGS
from train.config import Config

from .sessions import assert_parity, random_trained


@pytest.mark.parametrize("backbone", BACKBONES)
def test_backbone(backbone: str) -> None:
    stride = max(BACKBONES[backbone].output_strides)
    config = Config().replace(backbone=backbone, output_stride=stride)
    assert_parity(random_trained(config), [(1, 65, 96)])


@pytest.mark.parametrize("upsampling", UPSAMPLINGS)
@pytest.mark.parametrize("head", HEADS)
def test_head(head: str, upsampling: str) -> None:
    options = {"backbone": "resnet_small", "head": head, "upsampling": upsampling}
    assert_parity(random_trained(Config().replace(**options)), [(1, 65, 96)])
