"""Flax NNX models for semantic segmentation: atrous backbones under DeepLab heads.

A model is made with `nnx.Rngs` and split at once into a graph definition and state, so
that training is plain `jax.jit` and `jax.grad`:

    from models.deeplab import DeepLab

    model = DeepLab(classes=21, backbone="resnet101", rngs=nnx.Rngs(0))
    graph, params, statistics = nnx.split(model, nnx.Param, ...)

The tables `backbones`, `heads` and `upsamplings` list what there is to choose from and
load neither JAX nor Flax. Another backbone is a new module and an entry in its table.
"""
