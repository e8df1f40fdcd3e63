"""Presets: ready configurations, each with its command and what it reached."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import tyro

from models.registry import Registry
from train.common.errors import UserError
from train.common.options import annotate, flag
from train.config import GROUPS, Config, command_words
from train.data.augment import AugmentationOptions
from train.data.dataset import DataOptions
from train.data.voc_classes import VOC_CLASSES
from train.evaluation.views import EvaluationOptions
from train.training.class_weighting import with_weights_of_file
from train.training.loop import RunOptions
from train.training.network import ModelOptions
from train.training.optimizer import OptimizerOptions, unread_options
from train.voc_presets import VOC, VOC_V3, VOC_V3PLUS

PRESETS: Registry[Config] = Registry("preset")

DEMO = PRESETS.add(
    "demo",
    Config(
        augmentation=AugmentationOptions(crop=(96, 128), scale=(0.75, 1.5)),
        model=ModelOptions(backbone="resnet_small", dilations=(1, 2)),
        optimizer=OptimizerOptions(
            steps=1900,
            batch_size=8,
            learning_rate=1.0,
            weight_decay=1e-4,
            max_gradient_norm=0.1,
        ),
        evaluation=EvaluationOptions(batch_size=20),
        run=RunOptions(workdir="runs/demo", evaluate_every=500, checkpoint_every=100),
    ),
    """The built-in scenes, on a CPU, in minutes.

    python train/main.py demo

    Reached a mean IoU of 73.6 to 75.1 %, by machine, in 3 to 4 minutes of training on 2
    cores, seed 0.
    """,
)

CAMVID = PRESETS.add(
    "camvid",
    Config(
        data=DataOptions(folder="camvid"),
        augmentation=AugmentationOptions(crop=(180, 240), scale=(0.4, 0.65)),
        model=ModelOptions(backbone="resnet_small", dilations=(1, 2, 4, 6)),
        optimizer=OptimizerOptions(
            steps=5000,
            batch_size=4,
            learning_rate=1.0,
            weight_decay=5e-5,
            max_gradient_norm=0.1,
        ),
        evaluation=EvaluationOptions(scales=(0.5,)),
        run=RunOptions(
            workdir="runs/camvid", evaluate_every=1000, checkpoint_every=200
        ),
    ),
    """CamVid at 480×360 from random weights, on a CPU, in half an hour.

    python train/main.py camvid --data DIR

    Reached a mean IoU of 57.8 % with the locally adaptive loss and 58.3 % with
    cross-entropy, in 20 minutes of training on 2 cores, seed 0.
    """,
)

CAMVID_SMALL = PRESETS.add(
    "camvid_small",
    CAMVID.replace(
        image_height=120,
        crop=(96, 96),
        scale=(0.75, 1.5),
        evaluation_scales=(1.0,),
        steps=3000,
        evaluate_every=500,
        checkpoint_every=500,
        evaluation_batch=20,
        workdir="runs/camvid_small",
    ),
    """CamVid shrunk to 160×120 from random weights, on a CPU, in two minutes.

    python train/main.py camvid_small --data DIR

    For comparisons of many runs. Over three seeds it reached a mean IoU of 52.7 % with
    cross-entropy and 51.1 % with the locally adaptive loss (docs/tables.md).
    """,
)

EFFICIENTNET = ModelOptions(
    backbone="efficientnet_lite0",
    output_stride=16,
    weights="efficientnet_lite0",
    preprocessing="plus_minus_one",
    norm_epsilon=1e-3,
)

CAMVID_PRETRAINED = PRESETS.add(
    "camvid_pretrained",
    dataclasses.replace(
        CAMVID.replace(steps=2000, workdir="runs/camvid_pretrained"),
        model=EFFICIENTNET,
    ),
    """CamVid at 480×360 from ImageNet weights, on a CPU, in the time of camvid.

    python train/main.py camvid_pretrained --data DIR

    EfficientNet-Lite0; make installs its weights.
    """,
)

PRESETS.add(
    "voc",
    VOC,
    """The paper's recipe on Pascal VOC 2012 with the augmented training list.

    python train/main.py voc --data DOWNLOADS

    Not run: it needs VOCtrainval_11-May-2012.tar and benchmark.tgz (SBD) in DOWNLOADS,
    as they are downloaded (docs/data.md), and the weights of DeepLab trained on COCO
    (docs/weights.md).
    """,
)

VOC_ANIMALS = PRESETS.add(
    "voc_animals",
    Config(
        data=DataOptions(folder="voc_animals", classes=tuple(VOC_CLASSES)),
        augmentation=AugmentationOptions(crop=(161, 161), scale=(0.5, 1.5)),
        # Trained, the norms' statistics are of 8 crops: 17.3 % after 300 steps on a
        # held-out part, 22.1 % frozen (cross-entropy, one run each).
        model=dataclasses.replace(EFFICIENTNET, batch_norm="frozen"),
        optimizer=OptimizerOptions(
            steps=600,
            batch_size=8,
            learning_rate=0.1,
            weight_decay=1e-4,
            max_gradient_norm=0.1,
        ),
        evaluation=EvaluationOptions(batch_size=8, size_multiple=64),
        run=RunOptions(
            workdir="runs/voc_animals", evaluate_every=300, checkpoint_every=100
        ),
    ),
    """Pascal VOC at half size from ImageNet weights, on a CPU.

    python train/main.py voc_animals --data DIR

    For a part of the data too, such as the images with animals.
    """,
)

CLOTHING = PRESETS.add(
    "clothing",
    VOC_ANIMALS.replace(
        data="clothing", classes=(), crop=(224, 160), workdir="runs/clothing"
    ),
    """Clothing Co-Parsing at half size from ImageNet weights, on a CPU.

    python train/main.py clothing --data DIR

    For upright photographs of one person with many small classes, in VOC layout.
    """,
)

PRESETS.add(
    "voc_v3",
    VOC_V3,
    """DeepLabV3 on Pascal VOC 2012, from torchvision's ResNet-50.

    python train/main.py voc_v3 --data DOWNLOADS

    Not run: it needs the data of preset voc, a GPU, and resnet50-11ad3fa6 converted to
    weights/ (docs/weights.md). The learning rate is DeepLabV3's for 16 images per step.
    """,
)

PRESETS.add(
    "voc_v3plus",
    VOC_V3PLUS,
    """DeepLabV3+ on Pascal VOC 2012, from torchvision's ResNet-50.

    python train/main.py voc_v3plus --data DOWNLOADS

    Not run: it needs what voc_v3 does, whose recipe it is with another head.
    """,
)


def parse_config(arguments: Sequence[str]) -> Config:
    """Returns the configuration that a command line asks for.

    Args:
      arguments: `[PRESET] [--option value …]`; no preset means `demo`.

    Raises:
      UserError: an unknown preset, or values that cannot work.
      SystemExit: an unknown option (status 2) or `--help` (status 0).
    """
    named = bool(arguments) and not arguments[0].startswith("-")
    name, *options = arguments if named else ("demo", *arguments)
    if name not in PRESETS:
        close = difflib.get_close_matches(name, PRESETS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else "."
        raise UserError(f"no preset {name!r}{hint} Choose from: {', '.join(PRESETS)}.")
    for group in GROUPS.values():
        annotate(group)
    config = tyro.cli(
        Config,
        args=with_weights_of_file(options),
        default=PRESETS[name],
        prog=f"train/main.py {name}",
        description=f"{_preset_list()}\n\nThis one: {PRESETS.caption(name)}",
    )
    _check_used(config, PRESETS[name])
    return config


class Unused(NamedTuple):
    """An option that has no effect beside others, and what to say of it."""

    option: str
    holds: Callable[[Config], bool]
    text: str


# Here, not as rules of the groups: the configurations of earlier runs stay readable.
UNUSED = (
    Unused(
        "classes",
        lambda config: not config.data.folder,
        "needs --data; the built-in scenes have classes of their own",
    ),
    Unused(
        "val_split",
        lambda config: (
            config.data.holdout > 0 and config.data.val_split != config.data.train_split
        ),
        "is not evaluated with --holdout, which takes its place; leave one of them out",
    ),
    Unused(
        "poly_power",
        lambda config: config.optimizer.schedule != "poly",
        "needs --schedule poly",
    ),
    *(Unused(*unread) for unread in unread_options()),
)


def _check_used(config: Config, preset: Config) -> None:
    """Refuses options that are given, other than the preset's, and have no effect.

    Those of losses and pools that are not chosen may stand: see `LossOptions`.

    Raises:
      UserError: it names the option, and the one that rules it out.
    """
    given, before = config.options(), preset.options()
    for option, unused, text in UNUSED:
        if unused(config) and given[option] != before[option]:
            value = " ".join(command_words({option: given[option]})[1:])
            raise UserError(f"--{flag(option)} {text}, got {value}")


def _preset_list() -> str:
    """Returns the presets, each with the first line of its caption."""
    lines = [f"{name}: " + PRESETS.caption(name).partition("\n")[0] for name in PRESETS]
    return "\n".join(["Presets, named before all options:", *lines])
