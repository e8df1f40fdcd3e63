"""The network of a run: its options, and how it is made.

JAX is imported where it is used, so that the options load without it.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from models.backbones import BACKBONES, check_backbone, output_strides
from models.heads import HEADS, check_head
from models.pretrained import PRETRAINED
from models.styles import STYLES
from models.upsamplings import UPSAMPLINGS
from train.common.errors import UserError
from train.common.options import (
    POSITIVE,
    Group,
    Limit,
    Rule,
    choice,
    one_of,
    option,
)
from train.data.preprocessing import PREPROCESSINGS

if TYPE_CHECKING:
    from flax import nnx

    from models.deeplab import DeepLab


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelOptions(Group):
    """The network, and its initial weights."""

    backbone: str = choice("resnet101", "Backbone", BACKBONES)
    style: str = choice(
        "torchvision",
        "Where a ResNet strides and dilates, to match its weights",
        STYLES,
    )
    head: str = choice("v2", "Head", HEADS)
    output_stride: int = option(
        8,
        "Pixels per feature; what a backbone can do differs.",
        Limit(
            lambda stride: stride in output_strides(),
            lambda: f"must be one of: {', '.join(map(str, output_strides()))}",
        ),
    )
    dilations: tuple[int, ...] = option(
        (),
        "Dilation of each of the head's convolutions, features; none for its paper's.",
        Limit(  # crops have up to 512 features a side
            lambda dilations: (
                len(dilations) <= 16 and all(1 <= one <= 128 for one in dilations)
            ),
            "must be 16 or fewer, each in [1, 128]",
        ),
        earlier="rates",
    )
    upsampling: str = choice("bilinear", "From features back to pixels", UPSAMPLINGS)
    batch_norm: str = option(
        "trained",
        "trained, or frozen: the backbone keeps its statistics and affine.",
        one_of(("trained", "frozen")),
    )
    norm_epsilon: float = option(
        1e-5, "Added to the variances of batch norm.", POSITIVE
    )
    weights: str = option(
        "",
        "File of initial weights (.safetensors or PyTorch's), or the name of installed "
        f"ones: {PRETRAINED.help()}; empty for random ones.",
        path=True,
    )
    new_head: bool = option(
        False, "Initializes the head at random instead of from the file."
    )
    new_stages: bool = option(
        False, "Initializes stages of the backbone that the file lacks at random."
    )
    preprocessing: str = choice(
        "imagenet", "What images become, to match the weights", PREPROCESSINGS
    )
    precision: str = option(
        "float32",
        "float32 or bfloat16 for activations; parameters and loss are float32.",
        one_of(("float32", "bfloat16")),
    )
    remat: bool = option(
        False, "Computes each block again in the backward pass, to save memory."
    )

    remat_norms: bool = option(
        False,
        "Computes norms and activations again in the backward pass, to save memory for "
        "little time.",
    )

    rules = (
        Rule(
            "remat_norms",
            lambda options: not (options.remat and options.remat_norms),
            "is a part of --remat; give one of the two",
        ),
        Rule(
            "new_head",
            lambda options: options.weights != "" or not options.new_head,
            "needs --weights",
        ),
        Rule(
            "new_stages",
            lambda options: options.weights != "" or not options.new_stages,
            "needs --weights",
        ),
    )

    def __post_init__(self) -> None:
        """Validates the options, also those that backbone and head may not have.

        Raises:
          UserError: it names the option, the limit and the value.
        """
        super().__post_init__()
        try:
            check_backbone(
                self.backbone, output_stride=self.output_stride, style=self.style
            )
        except ValueError as error:
            raise UserError(f"--backbone {error}") from error
        try:
            check_head(
                self.head, output_stride=self.output_stride, dilations=self.dilations
            )
        except ValueError as error:
            raise UserError(f"--head {error}") from error


def make_model(
    options: ModelOptions, classes: int, *, channels: int = 3, seed: int
) -> DeepLab:
    """Returns the run's network with random weights.

    Args:
      options: of the network.
      classes: their number.
      channels: of the images.
      seed: of the weights.
    """
    import jax.numpy as jnp
    from flax import nnx

    from models.deeplab import DeepLab

    architecture: Any = {
        name: getattr(options, name)
        for name in (
            "backbone",
            "style",
            "head",
            "output_stride",
            "dilations",
            "upsampling",
            "norm_epsilon",
        )
    }
    return DeepLab(
        classes=classes,
        remat="norms" if options.remat_norms else options.remat,
        inputs=channels,
        frozen_norm=options.batch_norm == "frozen",
        dtype=jnp.dtype(options.precision),
        rngs=nnx.Rngs(seed),
        **architecture,
    )


def split_model(
    model: DeepLab,
) -> tuple[nnx.GraphDef[DeepLab], nnx.State, nnx.State]:
    """Returns a network's structure, its parameters, and the rest of its state."""
    from flax import nnx

    return nnx.split(model, nnx.Param, ...)  # type: ignore[return-value]
