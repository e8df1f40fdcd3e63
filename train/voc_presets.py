"""Configurations for Pascal VOC 2012; `train.presets` has names and captions."""

from __future__ import annotations

from train.config import Config
from train.data.augment import AugmentationOptions
from train.data.dataset import DataOptions
from train.data.voc_classes import VOC_CLASSES
from train.evaluation.views import EvaluationOptions
from train.training.loop import RunOptions
from train.training.network import ModelOptions
from train.training.optimizer import OptimizerOptions

VOC_DATA = DataOptions(
    folder="VOCdevkit/VOC2012", train_split="train_aug", classes=tuple(VOC_CLASSES)
)

VOC = Config(
    data=VOC_DATA,
    model=ModelOptions(
        style="caffe",
        preprocessing="bgr_mean",
        batch_norm="frozen",
        weights="weights/deeplabv1_resnet101-coco.safetensors",
        upsampling="learned",
    ),
    optimizer=OptimizerOptions(head_kernel_rate=10.0, head_bias_rate=20.0),
    evaluation=EvaluationOptions(batch_size=1, size_multiple=128),
    run=RunOptions(workdir="runs/voc"),
)

VOC_V3 = Config(
    data=VOC_DATA,
    augmentation=AugmentationOptions(crop=(513, 513), scale=(0.5, 2.0)),
    model=ModelOptions(
        backbone="resnet50",
        head="v3",
        output_stride=16,
        weights="weights/resnet50-11ad3fa6.safetensors",
        precision="bfloat16",
    ),
    optimizer=OptimizerOptions(
        steps=30_000, batch_size=16, learning_rate=0.007, weight_decay=1e-4
    ),
    evaluation=EvaluationOptions(batch_size=1, size_multiple=128),
    run=RunOptions(workdir="runs/voc_v3"),
)

VOC_V3PLUS = VOC_V3.replace(head="v3plus", workdir="runs/voc_v3plus")
