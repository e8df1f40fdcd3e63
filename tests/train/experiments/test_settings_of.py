"""Variants that are tuned, and those that take the settings of another."""

from pathlib import Path

import pytest

import train.reproduce
from train.experiments.forms import AT_EQUAL_TIME, RECOMMENDED, VERDICT
from train.experiments.paper import OURS
from train.experiments.plans import Plan, Setting
from train.presets import PRESETS
from train.reproduce import Options

SETTINGS = {
    label: Setting(rate, None)
    for rate, label in enumerate(("cross-entropy", OURS, RECOMMENDED.label), 1)
}


@pytest.fixture
def plan(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Plan:
    monkeypatch.setattr(train.reproduce, "complete_all", lambda *_, **__: None)
    monkeypatch.setattr(train.reproduce, "best_settings", lambda _: SETTINGS)
    return Plan(PRESETS["demo"], tmp_path, steps=400)


def test_settings_are_chosen_once_for_losses_that_share_them(plan: Plan) -> None:
    shared = ("cross-entropy", "ours, 3×3", "ours, 7×7", AT_EQUAL_TIME.label)
    variants = [v for v in VERDICT.variants if v.label in shared]
    grid, _ = train.reproduce._tune(Options("verdict"), plan, variants)
    assert list(dict.fromkeys(run.variant.label for run in grid)) == [
        "cross-entropy",
        OURS,
        RECOMMENDED.label,
    ]


def test_the_settings_are_those_of_the_loss_that_was_tuned(plan: Plan) -> None:
    asked = Options("verdict", seeds=2)
    runs = train.reproduce._confirm(asked, plan, VERDICT.variants, SETTINGS)
    rates = {run.variant.label: run.config.optimizer.learning_rate for run in runs}
    assert rates == {
        "cross-entropy": 1,
        "center": 1,
        "focal": 1,
        "ours, 3×3": 2,
        OURS: 2,
        "ours, 7×7": 2,
        RECOMMENDED.label: 3,
        AT_EQUAL_TIME.label: 3,
    }
    (steps,) = {
        run.config.optimizer.steps
        for run in runs
        if run.variant.label == AT_EQUAL_TIME.label
    }
    assert steps == 380
