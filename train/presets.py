"""Ready configurations, each with its command and what it reached."""

from __future__ import annotations

import dataclasses
import difflib
import itertools
from collections.abc import Callable, Sequence

import tyro

from train.config import Config
from train.errors import UserError

VOC_CLASSES = (
    "background aeroplane bicycle bird boat bottle bus car cat chair cow diningtable "
    "dog horse motorbike person pottedplant sheep sofa train tvmonitor"
).split()


def demo(loss: str) -> Config:
    """The built-in scenes, on a CPU, in minutes.

    python train/main.py demo

    Reached a mean IoU of 75.1 % in 3.3 minutes of training on 2 cores, seed 0.
    """
    rates = {"locally_adaptive": 1.0, "softmax_cross_entropy": 1.0}
    return Config(
        backbone="resnet_small",
        rates=(1, 2),
        crop=(96, 128),
        scale=(0.75, 1.5),
        steps=1900,
        batch_size=8,
        learning_rate=rates.get(loss, 1.0),
        weight_decay=1e-4,
        max_gradient_norm=0.1,
        evaluate_every=500,
        checkpoint_every=100,
        evaluation_batch=20,
        workdir="runs/demo",
    )


def camvid(loss: str) -> Config:
    """CamVid at 480×360 from random weights, on a CPU, in half an hour.

    python train/main.py camvid --data DIR

    Reached a mean IoU of 57.8 % with the locally adaptive loss and 58.3 % with
    cross-entropy, in 20 minutes of training on 2 cores, seed 0.
    """
    rates = {"locally_adaptive": 1.0, "softmax_cross_entropy": 1.0}
    return Config(
        data="camvid",
        backbone="resnet_small",
        rates=(1, 2, 4, 6),
        crop=(180, 240),
        scale=(0.4, 0.65),
        evaluation_scales=(0.5,),
        steps=5000,
        batch_size=4,
        learning_rate=rates.get(loss, 1.0),
        weight_decay=5e-5,
        max_gradient_norm=0.1,
        evaluate_every=1000,
        checkpoint_every=200,
        workdir="runs/camvid",
    )


def camvid_small(loss: str) -> Config:
    """CamVid shrunk to 160×120 from random weights, on a CPU, in two minutes.

    python train/main.py camvid_small --data DIR

    For comparisons of many runs. Over three seeds it reached a mean IoU of 52.7 % with
    cross-entropy and 51.1 % with the locally adaptive loss (docs/results.md).
    """
    return dataclasses.replace(
        camvid(loss),
        image_height=120,
        crop=(96, 96),
        scale=(0.75, 1.5),
        evaluation_scales=(1.0,),
        steps=3000,
        evaluate_every=500,
        checkpoint_every=500,
        evaluation_batch=20,
        workdir="runs/camvid_small",
    )


def voc(loss: str) -> Config:
    """The paper's recipe on Pascal VOC 2012 with the augmented training list.

    python train/main.py voc --data VOCdevkit/VOC2012

    Not run: it needs the images (Pascal VOC 2012), the masks of the augmented set in
    SegmentationClassAug/ (SBD), their list in ImageSets/Segmentation/train_aug.txt, and
    the weights of DeepLab trained on COCO (docs/weights.md).
    """
    del loss  # the paper has one rate for all
    return Config(
        data="VOCdevkit/VOC2012",
        train_split="train_aug",
        classes=tuple(VOC_CLASSES),
        style="caffe",
        preprocessing="bgr_mean",
        batch_norm="frozen",
        weights="weights/deeplabv1_resnet101-coco.safetensors",
        upsampling="learned",
        head_kernel_rate=10.0,
        head_bias_rate=20.0,
        size_multiple=128,
        evaluation_batch=1,
        workdir="runs/voc",
    )


def voc_v3(loss: str) -> Config:
    """DeepLabV3 on Pascal VOC 2012, from torchvision's ResNet-50.

    python train/main.py voc_v3 --data VOCdevkit/VOC2012

    Not run: it needs the data of preset voc, a GPU, and resnet50-11ad3fa6 converted to
    weights/ (docs/weights.md). The rate is DeepLabV3's for 16 images a step.
    """
    del loss
    return Config(
        data="VOCdevkit/VOC2012",
        train_split="train_aug",
        classes=tuple(VOC_CLASSES),
        crop=(513, 513),
        scale=(0.5, 2.0),
        backbone="resnet50",
        head="v3",
        output_stride=16,
        weights="weights/resnet50-11ad3fa6.safetensors",
        precision="bfloat16",
        batch_size=16,
        steps=30_000,
        learning_rate=0.007,
        weight_decay=1e-4,
        size_multiple=128,
        evaluation_batch=1,
        workdir="runs/voc_v3",
    )


PRESETS: dict[str, Callable[[str], Config]] = {
    "demo": demo,
    "camvid": camvid,
    "camvid_small": camvid_small,
    "voc": voc,
    "voc_v3": voc_v3,
}


def parse_config(arguments: Sequence[str]) -> Config:
    """Returns the configuration that a command line asks for.

    Args:
      arguments: `[PRESET] [--field value …]`; no preset means `demo`.

    Raises:
      UserError: an unknown preset, or values that cannot work.
      SystemExit: an unknown option (status 2) or `--help` (status 0).
    """
    name, *options = arguments if _has_preset(arguments) else ("demo", *arguments)
    if name not in PRESETS:
        close = difflib.get_close_matches(name, PRESETS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else "."
        raise UserError(f"no preset {name!r}{hint} Choose from: {', '.join(PRESETS)}.")
    return tyro.cli(
        Config,
        args=options,
        default=PRESETS[name](_loss_option(options)),
        prog=f"train/main.py {name}",
        description=f"Presets: {', '.join(PRESETS)}. This one: {PRESETS[name].__doc__}",
    )


def _has_preset(arguments: Sequence[str]) -> bool:
    return bool(arguments) and not arguments[0].startswith("-")


def _loss_option(options: Sequence[str]) -> str:
    """Returns the value of --loss: each loss has its own learning rate."""
    for option, value in itertools.pairwise((*options, "")):
        if option == "--loss":
            return value
        if option.startswith("--loss="):
            return option.removeprefix("--loss=")
    return Config.loss
