"""Images that memory does not suffice for are predicted in windows."""

from __future__ import annotations

from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest
from pytest import CaptureFixture, MonkeyPatch

from train.common import memory
from train.common.errors import UserError
from train.common.memory import free_memory
from train.config import Config
from train.data.images import encode
from train.evaluation import inference
from train.evaluation.inference import Predictor
from train.evaluation.large_images import FALLBACK
from train.evaluation.whole_split import Evaluator
from train.training.step import make_state

from ..standins import IMAGENET, Brightest, predictor, random_image

LARGE = (700, 1100)


@pytest.fixture(autouse=True)
def all_are_looked_into(monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "_SMALL", 0)


def leave(monkeypatch: MonkeyPatch, count: float) -> None:
    """Leaves free what this many of the large images take by the estimate."""
    parts, state = predictor(Brightest())
    taken = parts._bytes(state, LARGE)
    monkeypatch.setattr(
        inference, "free_memory", lambda: count * taken / inference._USABLE
    )
    Brightest.sizes.clear()


def brightest(image: np.ndarray) -> np.ndarray:
    return np.asarray(IMAGENET(jnp.asarray(image)).argmax(-1), np.uint8)


@pytest.mark.parametrize("free, cut", [(0.9, True), (1.1, False)])
def test_image_that_does_not_fit_is_predicted_in_windows(
    free: float,
    cut: bool,
    rng: np.random.Generator,
    monkeypatch: MonkeyPatch,
    capsys: CaptureFixture,
) -> None:
    leave(monkeypatch, free)
    parts, state = predictor(Brightest())
    image = random_image(rng, *LARGE)
    mask = parts.mask(state, image)
    np.testing.assert_array_equal(mask, brightest(image))
    assert (LARGE not in Brightest.sizes) == cut
    assert parts.cut == cut
    printed = capsys.readouterr().out
    assert ("700×1100 pixels would take" in printed) == cut
    assert ("windows of 513×513" in printed) == cut
    parts.mask(state, image)
    assert parts.cut == 2 * cut
    assert not capsys.readouterr().out  # said once


def test_long_images_are_cut_since_resizing_takes_the_square_of_a_side(
    monkeypatch: MonkeyPatch,
) -> None:
    monkeypatch.setattr(inference, "_SMALL", 2**21)
    monkeypatch.setattr(inference, "free_memory", lambda: 5e9)
    parts, state = predictor(Brightest())
    assert parts.most(state, (8, 40000), 1) == parts.most(state, (40000, 8), 1) == 0
    assert parts.most(state, (8, 4000), 1) == 1
    larger, _ = predictor(Brightest(), scales=(4.0,))
    assert larger.most(state, (8, 10000), 1) == 0


@pytest.mark.parametrize("size", [(1, 9000), (9000, 1), (1, 30000), (40, 8193)])
def test_long_images_are_cut_whatever_memory_is_free(
    size: tuple[int, int],
    monkeypatch: MonkeyPatch,
    capsys: CaptureFixture,
) -> None:
    """What the network sees of them stays in proportion to their pixels."""
    monkeypatch.setattr(inference, "free_memory", lambda: 1e15)
    parts, state = predictor(Brightest())
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    Brightest.sizes.clear()
    found = parts.mask(state, image)
    np.testing.assert_array_equal(found, brightest(image))
    short = 64 if min(size) == 40 else 32
    seen = (short, 513) if size[0] < size[1] else (513, short)
    assert set(Brightest.sizes) == {seen}
    assert parts.cut == 1
    said = f"{size[0]}×{size[1]} pixels is longer than 8192 pixels"
    assert said in capsys.readouterr().out
    assert sum(len(part.mask) for part in parts.bands(state, image)) == size[0]


def test_long_images_are_those_that_scales_make_long(monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr(inference, "free_memory", lambda: 1e15)
    parts, state = predictor(Brightest(), scales=(0.5, 4.0))
    assert parts.most(state, (8, 2048), 1) == 1
    assert parts.most(state, (8, 2049), 1) == 0
    alone, _ = predictor(Brightest(), scales=(0.5,))
    assert alone.most(state, (8192, 8), 1) == 1


def test_windows_are_no_longer_than_images() -> None:
    predictor(Brightest(), window=(8192, 64))
    predictor(Brightest(), window=(64, 2048), scales=(4.0,))
    with pytest.raises(UserError, match="64×2049 at a scale of 4 .* 8196 pixels, more"):
        predictor(Brightest(), window=(64, 2049), scales=(4.0,))


def test_windows_that_are_asked_for_stay(
    rng: np.random.Generator, monkeypatch: MonkeyPatch
) -> None:
    leave(monkeypatch, 0)
    parts, state = predictor(Brightest(), window=(64, 96))
    parts.mask(state, random_image(rng, *LARGE))
    assert set(Brightest.sizes) == {(64, 96)}
    assert not parts.cut


@pytest.mark.parametrize("free, seen", [(1.1, (500, 500)), (5.0, (1024, 1024))])
def test_padding_counts(
    free: float,
    seen: tuple[int, int],
    rng: np.random.Generator,
    monkeypatch: MonkeyPatch,
) -> None:
    leave(monkeypatch, free)
    parts, state = predictor(Brightest(), size_multiple=1024)
    image = random_image(rng, 500, 500)
    np.testing.assert_array_equal(parts.mask(state, image), brightest(image))
    assert set(Brightest.sizes) - {FALLBACK} == {seen}


@pytest.mark.parametrize("free, sizes", [(3.5, [3]), (2.5, [2]), (1.5, [1]), (0.5, [])])
def test_evaluation_takes_together_what_fits(
    free: float,
    sizes: list[int],
    rng: np.random.Generator,
    monkeypatch: MonkeyPatch,
) -> None:
    leave(monkeypatch, free)
    source = []
    for name in (b"a", b"b", b"c"):
        image = random_image(rng, *LARGE)
        label = encode(brightest(image), "PNG")
        source.append({"image": encode(image, "PNG"), "label": label, "name": name})
    parts, state = predictor(Brightest(), batch_size=3, size_multiple=16)
    seen = []
    batch = Predictor.batch

    def watched(*arguments: object) -> np.ndarray:
        seen.append(len(arguments[-1]))  # type: ignore[arg-type]
        return batch(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Predictor, "batch", watched)
    counts = Evaluator(parts, source, ("a", "b", "c")).counts(state)
    assert sorted(set(seen)) == sizes
    assert parts.cut == (0 if sizes else 3)
    assert np.trace(counts.whole) == counts.whole.sum() == 3 * LARGE[0] * LARGE[1]


@pytest.mark.parametrize("scales", [(1.0,), (0.5, 1.5)])
@pytest.mark.parametrize("fusion", ["mean", "max"])
def test_estimate_is_what_the_program_takes(
    scales: tuple[float, ...], fusion: str
) -> None:
    config = Config().replace(
        backbone="resnet_small",
        dilations=(1, 2),
        evaluation_scales=scales,
        evaluation_fusion=fusion,
    )
    graph, state = make_state(config, 3, seed=0)
    parts = Predictor(graph, IMAGENET, config.evaluation)
    size = (400, 900)
    real = parts._program_memory(state, size)
    assert parts._bytes(state, size) == pytest.approx(real, rel=0.1)


def test_scores_of_earlier_views_are_held_as_well() -> None:
    logits = 100 * 200 * 3 * 4

    def taken(*scales: float) -> int:
        parts, state = predictor(Brightest(), scales=scales, fusion="max")
        return parts._program_memory(state, (100, 200))

    assert taken(0.5, 1.0) == taken(1.0) + logits >= 2 * logits


def test_no_more_than_wanted(monkeypatch: MonkeyPatch) -> None:
    leave(monkeypatch, 9.5)
    parts, state = predictor(Brightest())
    assert [parts.most(state, LARGE, wanted) for wanted in (1, 2, 20)] == [1, 2, 9]


def test_small_images_cost_no_compilation(
    rng: np.random.Generator, monkeypatch: MonkeyPatch
) -> None:
    monkeypatch.setattr(inference, "_SMALL", 100 * 100)
    parts, state = predictor(Brightest())
    Brightest.sizes.clear()
    parts.mask(state, random_image(rng, 100, 100))
    assert Brightest.sizes == [(100, 100)]
    parts.mask(state, random_image(rng, 100, 101))
    assert FALLBACK in Brightest.sizes


V2 = ("", "0::/jobs/7", ("memory.max", "memory.current", "inactive_file"))
V1 = (
    "memory",
    "4:memory:/jobs/7",
    ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
)


@pytest.mark.parametrize("kind", [V2, V1], ids=["v2", "v1"])
@pytest.mark.parametrize("place", ["jobs/7", "jobs", ""])
@pytest.mark.parametrize(
    "limit, used, left",
    [
        ("1000\n", "400\n", 650),
        ("1000\n", "1400\n", 0),
        ("max\n", "400\n", None),
        ("9223372036854771712\n", "400\n", None),
    ],
)
def test_limit_of_a_container_or_a_job_counts(
    kind: tuple[str, str, tuple[str, str, str]],
    place: str,
    limit: str,
    used: str,
    left: int | None,
    tmp_path: Path,
    monkeypatch: MonkeyPatch,
) -> None:
    folder, line, (of_limit, of_used, reclaimable) = kind
    group = tmp_path / "cgroup" / folder / place
    group.mkdir(parents=True)
    (group / of_limit).write_text(limit)
    (group / of_used).write_text(used)
    (group / "memory.stat").write_text(f"cache 9\n{reclaimable} 50\n")
    own = tmp_path / "own"
    own.write_text(f"3:cpuset:/\n{line}\n")
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: Host)
    monkeypatch.setattr(memory, "_ROOT", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "_OWN", own)
    assert free_memory() == (Host.available if left is None else left)


def test_host_without_control_groups(monkeypatch: MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(memory.psutil, "virtual_memory", lambda: Host)
    monkeypatch.setattr(memory, "_OWN", tmp_path / "missing")
    assert free_memory() == Host.available


def test_accelerator_tells_its_own(monkeypatch: MonkeyPatch) -> None:
    monkeypatch.setattr(memory.jax, "devices", lambda: [Accelerator])
    assert free_memory() == 700


class Host:
    available = 5000


class Accelerator:
    @staticmethod
    def memory_stats() -> dict[str, int]:
        return {"bytes_limit": 1000, "bytes_in_use": 300}
