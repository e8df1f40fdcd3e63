"""The configuration of a run, every field an option of the command line."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from train.errors import UserError
from train.files import replace_text
from train.rules import check


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Trains a DeepLab for semantic segmentation with the locally adaptive loss."""

    # Data
    data: str = ""
    """Folder in VOC layout; empty for the built-in scenes."""
    train_split: str = "train"
    """Trains on ImageSets/Segmentation/NAME.txt."""
    val_split: str = "val"
    """Evaluates on ImageSets/Segmentation/NAME.txt."""
    classes: tuple[str, ...] = ()
    """Class names in the order of the mask values, where the folder has no list."""
    holdout: float = 0.0
    """Share of the training images that is kept from training and evaluated in place of
    the validation split, to choose options by: their list is cut into ten stretches,
    and the end of each is held out; in [0, 1)."""
    image_height: int = 0
    """Images and masks are shrunk or grown to this height when they are prepared,
    pixels, their shape kept; 0 leaves them as they are."""
    prepared: str = "data"
    """Folder for the prepared records; may be shared by all runs."""

    # Augmentation
    crop: tuple[int, int] = (321, 321)
    """Height and width of training crops, pixels; padded with void where too small."""
    scale: tuple[float, float] = (0.5, 1.5)
    """Smallest and largest random scale of a training image."""
    mirror: bool = True
    """Flips every other training image left to right."""

    # Model
    backbone: str = "resnet101"
    """resnet_small (for CPUs), resnet18, resnet34, resnet50 or resnet101."""
    style: str = "torchvision"
    """torchvision or caffe: where a ResNet strides and dilates, as its weights want."""
    head: str = "v2"
    """v2 (four summed convolutions) or v3 (image pooling and batch norm)."""
    output_stride: int = 8
    """Pixels per feature, 8, 16 or 32."""
    rates: tuple[int, ...] = ()
    """Dilation of each of the head's convolutions, features; none for its paper's."""
    upsampling: str = "bilinear"
    """bilinear (features where they stand), half_pixel (as PyTorch resizes) or learned
    (a transposed convolution that starts as bilinear)."""
    batch_norm: str = "trained"
    """trained, or frozen: the backbone keeps its statistics and affine."""
    norm_epsilon: float = 1e-5
    """Added to the variances of batch norm."""
    weights: str = ""
    """File of initial weights (.safetensors); empty for random ones."""
    new_head: bool = False
    """Begins the head at random weights instead of those of the file."""
    preprocessing: str = "imagenet"
    """imagenet (RGB to mean 0, deviation 1) or bgr_mean (BGR less its mean), to match
    the weights."""
    precision: str = "float32"
    """float32 or bfloat16 for activations; parameters and loss are float32."""
    remat: bool = False
    """Computes each block again in the backward pass, to save memory."""

    # Loss
    loss: str = "locally_adaptive"
    """locally_adaptive, softmax_cross_entropy, focal, center, loss_max_pooling or
    hard_pixel."""
    loss_resolution: str = "full"
    """full, or network: the loss looks at the logits before upsampling, and labels
    shrunk to them."""
    input_scales: tuple[float, ...] = ()
    """Trains on the images resized by these as well, and on the largest logits over all
    scales; the losses add up. The paper has none; DeepLabV2 has 0.75 and 0.5."""
    kernel_size: int = 5
    """Window of the locally adaptive loss, pixels, odd."""
    normalization: str = "standard_score"
    """standard_score, or none to pool the logits as they are (for two classes)."""
    neighbor_weights: str = "chessboard"
    """How much a neighbour counts: chessboard (the paper's), uniform or gaussian."""
    normalizer: str = "count"
    """What a window's sum is divided by: count (of pixels of the label, the paper's) or
    weights (their sum)."""
    power: float = 3.0
    """Power of the Minkowski pooling of the locally adaptive loss; 1 is the mean."""
    pool: str = "minkowski"
    """What joins the pixels of the locally adaptive loss: minkowski (the paper's),
    loss_max_pooling or hard_pixel."""
    focal_alpha: float = 0.25
    """Factor of the focal loss."""
    focal_gamma: float = 2.0
    """How fast the focal loss fades where a pixel is right; 0 never."""
    center_weight: float = 3e-4
    """Factor of the center loss beside cross-entropy."""
    center_alpha: float = 0.5
    """Rate at which the centres follow the features, in (0, 1]."""
    center_features: str = "logits"
    """What the center loss looks at: logits (upsampled) or head_input."""
    center_reduction: str = "mean"
    """mean or sum of the center loss over an image's valid pixels. The mean is nearly
    inert at the paper's weight of 3e-4, as is the paper's result; a sum is some 10⁵
    times as much."""
    max_pooling_norm: float = 1.7
    """p of loss max-pooling, above 1; towards 1 the hardest pixels take all."""
    max_pooling_fraction: float = 0.3
    """Least share of the pixels that loss max-pooling weighs, in (0, 1]."""
    hard_fraction: float = 0.25
    """Share of the pixels that hard_pixel takes, in (0, 1]."""

    # Optimisation
    steps: int = 20_000
    """Training steps; 0 evaluates the initial weights."""
    batch_size: int = 2
    """Images per step."""
    accumulation: int = 1
    """Parts in which a step's images pass through the network, one after the other, to
    save memory; divides the batch size."""
    learning_rate: float = 2.5e-4
    """Learning rate at step 0; each preset has one for each loss."""
    head_kernel_rate: float = 1.0
    """Factor of the learning rate for the head's weights."""
    head_bias_rate: float = 1.0
    """Factor of the learning rate for the head's biases."""
    poly_power: float = 0.9
    """The rate falls as (1 - step/steps) to this power."""
    momentum: float = 0.9
    """Momentum of SGD."""
    weight_decay: float = 5e-4
    """Decay of convolution kernels, added to their gradient."""
    max_gradient_norm: float | None = None
    """A longer gradient is cut to this norm over all parameters; None never cuts."""

    # Run
    workdir: str = "runs/demo"
    """Folder of the run; a second call with the same folder resumes it."""
    seed: int = 0
    """Seed of initial weights, order of images and augmentation."""
    evaluate_every: int = 1000
    """Steps between evaluations on the validation split."""
    checkpoint_every: int = 200
    """Steps between checkpoints."""
    log_every: int = 20
    """Steps between lines of metrics.jsonl."""
    evaluation_batch: int = 8
    """Images of equal size evaluated together."""
    evaluation_scales: tuple[float, ...] = (1.0,)
    """The network sees images resized by each of these when it predicts; what it finds
    is resized back and joined, so that masks are those of the full resolution."""
    evaluation_flip: bool = False
    """Predicts the mirrored image as well and joins both."""
    evaluation_fusion: str = "mean"
    """How predictions are joined: mean (of probabilities) or max (of logits)."""
    window: tuple[int, int] = (0, 0)
    """Larger images are predicted in windows of this height and width, pixels; 0 0
    takes each image whole."""
    overlap: float = 0.5
    """Share of a window that it has in common with the next, in [0, 1)."""
    size_multiple: int = 1
    """Images are padded to multiples of this to predict them, pixels: fewer programs to
    compile where sizes vary, but near what is padded masks differ a little."""
    compilation_cache: str = ""
    """Folder that keeps compiled programs for the next start; empty keeps none."""
    workers: int = 0
    """Processes that load data; 0 loads in threads. Does not change the stream."""

    def __post_init__(self) -> None:
        """Refuses what cannot work, before anything is read or written."""
        check(self)


# Fields that a resumed run may change: they do not enter its result.
FREE_FIELDS = (
    "workdir",
    "prepared",
    "workers",
    "log_every",
    "checkpoint_every",
    "evaluation_batch",
    "compilation_cache",
)


def save_config(config: Config, path: Path) -> None:
    """Writes the configuration as JSON."""
    replace_text(path, json.dumps(dataclasses.asdict(config), indent=2) + "\n")


def load_config(path: Path) -> Config:
    """Reads a configuration that `save_config` wrote.

    Raises:
      UserError: the file is missing or is not such a configuration.
    """
    if not path.is_file():
        raise UserError(
            f"{path.parent} is not a run: it has no {path.name}. Name the folder that "
            "train/main.py wrote (its --workdir)."
        )
    try:
        return parse_json(path.read_text())
    except (ValueError, TypeError) as error:
        raise UserError(
            f"{path} cannot be read as a configuration ({error}). Delete "
            f"{path.parent}, or choose another folder."
        ) from error


def parse_json(text: str) -> Config:
    """Reads what `json.dumps` makes of a configuration's fields.

    Raises:
      ValueError, TypeError: it is no such text.
    """
    fields: dict[str, Any] = json.loads(text)
    for name, value in fields.items():
        if isinstance(value, list):
            fields[name] = tuple(value)
    return Config(**fields)


def changed_fields(config: Config, base: Config) -> dict[str, Any]:
    """Returns the fields in which a configuration differs, where the result would."""
    return {
        field.name: getattr(config, field.name)
        for field in dataclasses.fields(Config)
        if field.name not in FREE_FIELDS
        and _meaning(config, field.name) != _meaning(base, field.name)
    }


def _meaning(config: Config, name: str) -> Any:
    """Returns what a field says; a path says the same in every spelling."""
    value = getattr(config, name)
    return Path(value).resolve() if name in ("data", "weights") and value else value


def differing_fields(saved: Config, wanted: Config) -> list[str]:
    """Returns `name: saved → wanted` for each field that would change the result."""
    return [
        f"{name}: {getattr(saved, name)!r} → {new!r}"
        for name, new in changed_fields(wanted, saved).items()
    ]
