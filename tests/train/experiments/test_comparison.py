"""What is said of runs, against figures made by hand."""

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from train.common.errors import UserError
from train.config import FREE, save_config
from train.experiments.comparison import (
    compare,
    effects,
    paired,
    rare_classes,
    thin_classes,
)
from train.experiments.entries import (
    best_settings,
    check_same_data,
    make_entry,
    portable_words,
    split_diverged,
)
from train.experiments.paper import ABLATIONS, TABLE2
from train.experiments.plans import Plan, Planned, Setting
from train.presets import PRESETS, parse_config
from train.workdir.run import Run

from ..conftest import MakeConfig

MADE = ("steps", "device", "versions", "commit")
FOUND = ("mean_iou", "pixel_accuracy", "iou", "pixels", "boundary", "seconds")


def an_entry(label: str, seed: int, mean_iou: float, **others: Any) -> dict[str, Any]:
    iou = {"road": 0.9, "pole": max(0.0, mean_iou - 0.4), "car": 0.5}
    near = {"mean_iou": mean_iou / 2, "pixels": {"road": 100, "pole": 30, "car": 20}}
    return {
        "label": label,
        "data": "d",
        "steps": 10,
        "device": "cpu",
        "versions": {"jax": "1"},
        "commit": "abc",
        "seed": seed,
        "options": {},
        "learning_rate": 1.0,
        "mean_iou": mean_iou,
        "pixel_accuracy": 0.8,
        "iou": iou,
        "pixels": {"road": 1000, "pole": 40, "car": 400},
        "boundary": {"2": near, "5": near},
        "seconds": 10.0,
        "curve": [[5, mean_iou / 2], [10, mean_iou]],
        **others,
    }


def test_interval_is_that_of_the_paired_t_test(rng: np.random.Generator) -> None:
    values, baseline = rng.normal(size=(2, 5))
    measure = paired(values.tolist(), baseline.tolist())
    low, high = stats.ttest_rel(values, baseline).confidence_interval(0.95)
    assert measure.difference - measure.interval == pytest.approx(low)
    assert measure.difference + measure.interval == pytest.approx(high)
    assert measure.mean == pytest.approx(values.mean())
    assert measure.deviation == pytest.approx(np.sqrt(values.var() * 5 / 4))


def test_what_a_seed_does_to_both_drops_out() -> None:
    measure = paired([0.31, 0.52, 0.43], [0.30, 0.50, 0.40])
    assert measure.difference == pytest.approx(0.02)
    assert measure.interval == pytest.approx(4.3027 * 0.01 / math.sqrt(3), rel=1e-4)
    assert not measure.differs  # 0.0248
    assert paired([0.32, 0.52, 0.42], [0.30, 0.50, 0.40]).differs


def test_one_seed_has_no_interval() -> None:
    measure = paired([0.5], [0.4])
    assert math.isnan(measure.interval) and math.isnan(measure.deviation)
    assert not measure.differs


def test_rows_keep_their_order_and_pair_by_seed() -> None:
    entries = [
        an_entry("plain", 1, 0.6),
        an_entry("plain", 0, 0.5),
        an_entry("ours", 0, 0.55, seconds=20.0),
        an_entry("ours", 1, 0.61, seconds=30.0),
    ]
    plain, ours = compare(entries)
    assert (plain.label, ours.label) == ("plain", "ours")
    measure = ours.measures["mean IoU"]
    assert measure.differences == pytest.approx([0.05, 0.01])
    assert plain.measures["mean IoU"].differences == (0.0, 0.0)
    assert ours.time == pytest.approx(2.5)
    near = ours.measures["within 2 px"]
    assert near.differences == pytest.approx([0.025, 0.005])
    assert ours.iou["pole"].differences == pytest.approx([0.05, 0.01])
    assert ours.measures["rare"].mean == pytest.approx(0.58 - 0.4)


def test_other_seeds_are_no_pairs() -> None:
    entries = [an_entry("plain", 0, 0.5), an_entry("ours", 1, 0.5)]
    with pytest.raises(ValueError, match="other seeds"):
        compare(entries)


def test_folders_stay_out_of_commands(make_config: MakeConfig) -> None:
    config = make_config(compilation_cache="/x/c", weights="/x/w.safetensors")
    words = portable_words(config, "demo")
    assert "DIR" in words and "w.safetensors" in words
    assert not [word for word in words if "/" in word]


def test_rare_and_thin_classes_follow_their_rules() -> None:
    of = an_entry("plain", 0, 0.5)
    assert rare_classes(of) == ["pole"]  # 40 of 1440, under a twelfth
    assert thin_classes(of) == ["pole"]  # 30 of 40; 20 of 400 is not
    of["pixels"]["pole"] = 62  # of which 30 are less than half
    assert thin_classes(of) == []
    of["pixels"]["pole"] = 120  # a twelfth of 1520 is 126.7
    assert rare_classes(of) == ["pole"]
    of["pixels"]["pole"] = 140  # and of 1540, 128.3
    assert rare_classes(of) == []


def test_effects_are_found_in_sums_of_parts() -> None:
    gains = {"score": 0.03, "pooling": -0.01, "Minkowski": 0.005}
    entries = [
        an_entry(variant.label, seed, 0.5 + 0.1 * seed + sum(gains[p] for p in parts))
        for variant in ABLATIONS.variants
        for seed in range(3)
        if (parts := variant.parts) is not None
    ]
    for part, measure in effects(entries, ABLATIONS.variants).items():
        assert measure.difference == pytest.approx(gains[part])
        assert measure.interval == pytest.approx(0, abs=1e-9)
    assert effects(entries[3:], ABLATIONS.variants) == {}  # a combination is missing
    assert effects([an_entry("focal", 0, 0.5)], TABLE2.variants) == {}


def test_entry_holds_what_a_run_found(make_config: MakeConfig, tmp_path: Path) -> None:
    plan = Plan(make_config(), tmp_path / "runs", steps=4)
    planned = plan.run(TABLE2.variants[5], seed=2)
    finish(planned, {"mean_iou": 0.25, "steps": 4, "commit": "abc", "device": "cpu"})
    workdir = Path(planned.config.run.workdir)
    lines = ['{"step": 2, "split": "train"}']
    # The last twice, as where a run was stopped while it reported.
    for step in (2, 4, 4):
        lines.append(json.dumps({"step": step, "split": "val", "mean_iou": step / 8}))
    (workdir / "metrics.jsonl").write_text("\n".join(lines))
    found = make_entry(planned, make_config(), "demo")
    assert found["curve"] == [[2, 0.25], [4, 0.5]]
    assert found["fingerprint"] == "of voc"
    assert (found["loss"], found["options"]) == ("locally_adaptive", {"kernel_size": 3})
    assert (found["seed"], found["mean_iou"], found["data"]) == (2, 0.25, "voc")
    assert str(tmp_path) not in json.dumps(found)


@pytest.mark.parametrize("variant", (*TABLE2.variants, *ABLATIONS.variants))
@pytest.mark.parametrize("preset", ["demo", "camvid_small"])
def test_command_makes_the_same_run(variant: Any, preset: str, tmp_path: Path) -> None:
    planned = Plan(PRESETS[preset], tmp_path, steps=7).run(
        variant, 2, holdout=0.2, flip=False, crop=(64, 72)
    )
    again = parse_config([preset, *portable_words(planned.config, preset)])
    wanted = planned.config.options()
    for name, value in again.options().items():
        if name not in (*FREE, "data"):
            assert value == wanted[name], name


def test_best_rate_is_that_of_the_highest_mean_iou(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    norm = 0.1
    plan = Plan(make_config(max_gradient_norm=norm), tmp_path / "runs")
    settings = plan.settings((0.5, 1.0), (2.0,))
    runs = plan.grid(TABLE2.variants[:2], settings, seeds=(0,))
    for run, reached in zip(runs, (0.1, 0.3, 0.2, 0.4, 0.2, 0.1), strict=True):
        finish(run, {"mean_iou": reached})
    assert best_settings(runs) == {
        "cross-entropy": Setting(0.05, norm),
        "center": Setting(0.025, norm),
    }


def test_best_setting_is_that_of_the_highest_mean_over_seeds(
    make_config: MakeConfig, tmp_path: Path
) -> None:
    plan = Plan(make_config(max_gradient_norm=0.1), tmp_path / "runs")
    settings = plan.settings((1.0,), (2.0,))
    runs = plan.grid(TABLE2.variants[:1], settings, seeds=(0, 1))
    for run, reached in zip(runs, (0.5, 0.1, 0.2, 0.42), strict=True):
        finish(run, {"mean_iou": reached})
    assert best_settings(runs) == {"cross-entropy": Setting(0.1, None)}


def test_diverged_runs_are_no_choice(make_config: MakeConfig, tmp_path: Path) -> None:
    plan = Plan(make_config(), tmp_path / "runs")
    settings = plan.settings((1.0, 2.0), ())
    runs = plan.grid(TABLE2.variants[:2], settings, seeds=(0,))
    for run in runs[:2]:
        diverge(run, 7)
    diverge(runs[2], 9)
    finish(runs[3], {"mean_iou": 0.5})
    assert best_settings(runs) == {"center": settings[1]}
    found = make_entry(runs[0], make_config(), "demo")
    assert (found["diverged_at"], found["commit"]) == (7, "abc")
    assert "mean_iou" not in found


def test_a_loss_that_diverged_once_is_left_out_with_all_its_runs() -> None:
    stopped = an_entry("focal", 1, 0.0, diverged_at=30)
    plain, center, focal = (
        [an_entry(label, seed, 0.5) for seed in range(2)]
        for label in ("plain", "center", "focal")
    )
    focal[1] = stopped
    assert split_diverged(plain + focal + center) == (plain + center, [stopped])
    assert split_diverged(plain + center) == (plain + center, [])
    with pytest.raises(UserError, match="focal diverged, so there is nothing"):
        split_diverged(focal + plain)


def test_runs_on_different_data_are_not_compared() -> None:
    of = an_entry("plain", 0, 0.5, fingerprint="a")
    check_same_data([of, an_entry("ours", 0, 0.5), {**of, "seed": 1}])
    with pytest.raises(UserError, match="runs of plain, seed 0 and of ours, seed 2"):
        check_same_data([of, an_entry("ours", 2, 0.5, fingerprint="b")])


def diverge(run: Planned, step: int) -> None:
    """Leaves what a diverged run leaves."""
    of = Run(Path(run.config.run.workdir))
    of.workdir.mkdir(parents=True)
    save_config(run.config, of.config_path)
    made = {name: an_entry("", 0, 0.5)[name] for name in MADE}
    of.write_divergence({"diverged_at": step, **made})


def finish(run: Planned, summary: dict[str, Any]) -> None:
    """Leaves what a finished run leaves, by `an_entry` unless the summary says else."""
    usual = {name: an_entry("", 0, 0.5)[name] for name in (*MADE, *FOUND)}
    workdir = Path(run.config.run.workdir)
    workdir.mkdir(parents=True)
    save_config(run.config, workdir / "config.json")
    described = {
        "name": "",
        "class_names": ["a", "b"],
        "colors": [[0, 0, 0], [1, 1, 1]],
        "fingerprint": "of voc",
    }
    (workdir / "dataset.json").write_text(json.dumps(described))
    (workdir / "summary.json").write_text(json.dumps({**usual, **summary}))
