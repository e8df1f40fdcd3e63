"""Flax NNX models for semantic segmentation: atrous ResNets under DeepLab heads.

Modules are made with `nnx.Rngs` and split at once into a graph definition and state,
so that training is plain `jax.jit` and `jax.grad`:

    model = DeepLab(classes=21, backbone="resnet101", rngs=nnx.Rngs(0))
    graph, params, statistics = nnx.split(model, nnx.Param, ...)
"""

from models.deeplab import DeepLab, Outputs
from models.resnet import RESNETS, ResNet

__all__ = ["RESNETS", "DeepLab", "Outputs", "ResNet"]
