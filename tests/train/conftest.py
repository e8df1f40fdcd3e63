"""A small folder in VOC layout, and a configuration that trains on it in seconds."""

import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from models.backbones import BACKBONES, BackboneEntry
from models.registry import Registry
from train.config import Config
from train.data.images import Example, Source
from train.workdir.batch import stream

NAMES = {"train": ["a", "b", "c", "d"], "val": ["e", "f"]}
SIZE = (40, 48)
CLASSES = 3


@pytest.fixture(autouse=True, scope="session")
def interruptible() -> None:
    """Lets Ctrl-C reach the programs of a suite that a shell runs in the background."""
    if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Four training and two validation images: dark ground, two bright classes."""
    return make_folder(tmp_path / "voc")


def make_folder(root: Path) -> Path:
    """Writes the folder and returns its path."""
    rng = np.random.default_rng(0)

    def draw() -> tuple[np.ndarray, np.ndarray]:
        mask = np.zeros(SIZE, np.uint8)
        mask[4 : rng.integers(16, 36), 4:20] = 1
        mask[8 : rng.integers(16, 36), 28:44] = 2
        color = np.array([(30, 30, 30), (200, 60, 60), (60, 60, 200)], np.uint8)
        image = color[mask] + rng.integers(0, 20, (*SIZE, 3), dtype=np.uint8)
        mask[3] = 255
        return image, mask

    write_voc(root, NAMES, draw)
    (root / "class_names.txt").write_text("ground\nred\nblue\n")
    return root


def write_voc(
    root: Path,
    lists: Mapping[str, Sequence[str]],
    draw: Callable[[], tuple[np.ndarray, np.ndarray]],
    *,
    masks: str = "SegmentationClass",
) -> None:
    """Writes a folder in VOC layout, its lists and drawn images and masks."""
    for name in ("JPEGImages", masks, "ImageSets/Segmentation"):
        (root / name).mkdir(parents=True)
    for split, names in lists.items():
        listed = root / "ImageSets" / "Segmentation" / f"{split}.txt"
        listed.write_text("\n".join(names) + "\n")
        for name in names:
            image, mask = draw()
            Image.fromarray(image).save(root / "JPEGImages" / f"{name}.jpg", quality=95)
            Image.fromarray(mask).save(root / masks / f"{name}.png")


def add_entry(
    patch: pytest.MonkeyPatch, table: Registry, name: str, entry: object, summary: str
) -> None:
    """Adds an entry to a table of choices until the patches are undone."""
    tables = {
        part: kept for part, kept in vars(table).items() if isinstance(kept, dict)
    }
    for part, kept in tables.items():
        patch.setattr(table, part, dict(kept))
    table.add(name, entry, summary)


MakeConfig = Callable[..., Config]


@pytest.fixture
def make_config(folder: Path, tmp_path: Path) -> MakeConfig:
    """Returns a maker of small configurations; options replace its defaults."""

    def make(**options: object) -> Config:
        defaults: dict[str, object] = {
            "data": str(folder),
            "prepared": str(tmp_path / "prepared"),
            "workdir": str(tmp_path / "run"),
            "backbone": "resnet_small",
            "dilations": (1, 2),
            "crop": (32, 32),
            "steps": 6,
            "batch_size": 2,
            "learning_rate": 0.05,
            "evaluate_every": 3,
            "checkpoint_every": 2,
            "log_every": 1,
            "evaluation_batch": 2,
        }
        return Config().replace(**{**defaults, **options})

    return make


@pytest.fixture(scope="module")
def tiny() -> Iterator[str]:
    """The name of a backbone for tests in which any would do."""
    from .standins import Tiny  # loads JAX

    with pytest.MonkeyPatch.context() as patch:
        add_entry(patch, BACKBONES, "tiny", BackboneEntry(Tiny), "for tests")
        yield "tiny"


def batches_of(
    source: Source, config: Config, start: int = 0, rows: range | None = None
) -> list[Example]:
    """Returns the batches that a run of the configuration trains on from a step on."""
    return list(
        stream(
            config,
            source,
            start=start,
            steps=config.optimizer.steps,
            workers=config.run.workers,
            rows=rows,
        )
    )


@pytest.fixture
def batch(rng: np.random.Generator) -> Example:
    """Two random images of 32×32 pixels."""
    image = rng.integers(0, 256, (2, 32, 32, 3), dtype=np.uint8)
    label = rng.integers(0, CLASSES, (2, 32, 32), dtype=np.uint8)
    label[:, :2] = 255
    return Example(image, label)


@pytest.fixture
def second_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Process 1 of two, where process 0 has what is asked first."""
    rows: list[np.ndarray] = []

    def gather(own: np.ndarray) -> np.ndarray:
        rows.append(own)
        return np.stack([rows[0], own])

    monkeypatch.setattr("jax.process_count", lambda: 2)
    monkeypatch.setattr("jax.process_index", lambda: 1)
    monkeypatch.setattr("jax.experimental.multihost_utils.process_allgather", gather)
