"""What is compared is trained alike, and each ablation is what its label says."""

import dataclasses
from collections.abc import Callable
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lal_jax
from models.deeplab import NetworkOutputs
from train.common.errors import UserError
from train.config import Config
from train.data.dataset import load_dataset
from train.experiments.forms import FORMS
from train.experiments.paper import ABLATIONS, FIGURE3, PARTS, TABLE1, TABLE2
from train.experiments.plans import HOLDOUT, Plan
from train.experiments.regions import WITH_REGIONS
from train.presets import PRESETS
from train.training.losses import LOSSES
from train.training.step import make_state

from ..conftest import CLASSES, MakeConfig, batches_of

# What makes a loss what its label says.
LOSS_FIELDS = (
    "loss",
    "loss_resolution",
    "kernel_size",
    "normalization",
    "neighbor_weights",
    "normalizer",
    "power",
    "pool",
    "focal_alpha",
    "focal_gamma",
    "center_alpha",
    "center_weight",
)


@pytest.fixture
def plan(make_config: MakeConfig, tmp_path: Path) -> Plan:
    return Plan(make_config(), tmp_path / "runs", steps=4)


def test_compared_runs_differ_in_their_loss_alone(plan: Plan) -> None:
    for experiment in (TABLE1, TABLE2, ABLATIONS, FIGURE3, WITH_REGIONS):
        runs = [plan.run(variant, seed=3).config for variant in experiment.variants]
        for config in runs:
            assert differing(config, runs[0]) <= {*LOSS_FIELDS, "workdir"}
            assert (config.run.seed, config.optimizer.steps) == (3, 4)
        assert len({config.run.workdir for config in runs}) == len(runs)


def differing(one: Config, other: Config) -> set[str]:
    before, after = other.options(), one.options()
    return {name for name in after if before[name] != after[name]}


def test_compared_runs_begin_alike_and_see_the_same(plan: Plan) -> None:
    starts, batches = [], []
    for variant in (TABLE2.variants[0], TABLE2.variants[2], TABLE2.variants[6]):
        config = plan.run(variant, seed=3).config
        dataset = load_dataset(config.data)
        starts.append(make_state(config, CLASSES, seed=config.run.seed)[1].params)
        batches.append(batches_of(dataset.train, config))
    for start, seen in zip(starts[1:], batches[1:], strict=True):
        jax.tree.map(np.testing.assert_array_equal, starts[0], start)
        jax.tree.map(np.testing.assert_array_equal, batches[0], seen)
    other = make_state(plan.run(TABLE2.variants[0], seed=4).config, CLASSES, seed=4)[
        1
    ].params
    leaves = [jax.tree.leaves(params) for params in (starts[0], other)]
    assert any((a != b).any() for a, b in zip(*leaves, strict=True))


def test_one_run_has_one_folder_in_every_experiment(plan: Plan) -> None:
    def folder(variants: tuple, label: str) -> str:
        chosen = next(variant for variant in variants if variant.label == label)
        return plan.run(chosen, seed=0).config.run.workdir

    ours = folder(TABLE2.variants, "ours, 5×5")
    assert ours == folder(ABLATIONS.variants, "all three (ours)")
    assert ours == folder(TABLE1.variants, "ours, k = 3")
    assert ours == folder(FIGURE3.variants, "ours, 5×5")


def test_grid_holds_out_and_varies_the_rate_alone(plan: Plan) -> None:
    settings = plan.settings((0.5, 1.0), ())
    runs = plan.grid(TABLE2.variants[:2], settings, seeds=(0,))
    rates = [run.config.optimizer.learning_rate for run in runs]
    assert rates == [0.025, 0.05] * 2
    assert {run.config.data.holdout for run in runs} == {HOLDOUT}
    assert differing(runs[0].config, runs[1].config) == {"learning_rate", "workdir"}
    plain = plan.run(TABLE2.variants[0], seed=0).config
    assert differing(runs[1].config, plain) == {"holdout", "workdir"}


def test_what_is_not_clipped_cannot_be_unclipped(plan: Plan) -> None:
    loose = dataclasses.replace(plan, base=plan.base.replace(max_gradient_norm=None))
    assert len(loose.settings((1.0,), ())) == 1
    with pytest.raises(UserError, match=r"--unclipped 0\.5 is not used.*--factors"):
        loose.settings((1.0,), (0.5,))


def test_a_share_of_the_steps(plan: Plan) -> None:
    half = dataclasses.replace(TABLE2.variants[0], share=0.5)
    assert plan.run(half, seed=0).config.optimizer.steps == 2
    assert (
        plan.run(half, seed=0).config.run.workdir
        != plan.run(TABLE2.variants[0], seed=0).config.run.workdir
    )


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_can_run_every_experiment(preset: str, tmp_path: Path) -> None:
    plan = Plan(PRESETS[preset], tmp_path)
    for experiment in (TABLE1, TABLE2, ABLATIONS, FORMS, WITH_REGIONS):
        variants = plan.possible(experiment.variants)
        assert len(variants) >= len(experiment.variants) - 2 * (preset == "voc")
        for variant in variants:
            plan.run(variant, seed=0)


@pytest.fixture
def outputs(rng: np.random.Generator) -> NetworkOutputs:
    logits = jnp.asarray(rng.normal(size=(2, 9, 8, 5)), jnp.float32)
    return NetworkOutputs(logits, logits, [logits])


@pytest.fixture
def labels(rng: np.random.Generator) -> jax.Array:
    labels = rng.integers(5, size=(2, 9, 8)).astype(np.uint8)
    labels[:, 2] = 255
    return jnp.asarray(labels)


def pixel_mean(losses: jax.Array, labels: jax.Array) -> jax.Array:
    return lal_jax.masked_mean(losses, where=labels != 255)


def power_mean(losses: jax.Array, labels: jax.Array) -> jax.Array:
    valid = labels != 255
    count = jnp.sum(valid, axis=(-2, -1))
    return (jnp.sum(losses**3 * valid, axis=(-2, -1)) / count) ** (1 / 3)


@pytest.mark.parametrize("pooling", [False, True])
@pytest.mark.parametrize("score", [False, True])
@pytest.mark.parametrize(
    ("power", "mean"), [(False, pixel_mean), (True, power_mean)], ids=["mean", "cube"]
)
def test_parts_are_what_they_are_called(
    plan: Plan,
    outputs: NetworkOutputs,
    labels: jax.Array,
    pooling: bool,
    score: bool,
    power: bool,
    mean: Callable[[jax.Array, jax.Array], jax.Array],
) -> None:
    asked = dict(zip(PARTS, (score, pooling, power), strict=True))
    parts = frozenset(part for part, there in asked.items() if there)
    (variant,) = (v for v in ABLATIONS.variants if v.parts == parts)
    config = plan.run(variant, seed=0).config
    losses, _ = LOSSES[config.loss.name](config.loss)(
        outputs, labels, jnp.zeros((5, 5))
    )

    predictions = outputs.logits
    if score:
        predictions = lal_jax.standard_score(predictions)
    if pooling:
        predictions = lal_jax.selective_pool(predictions, labels, kernel_size=5)
    expected = mean(lal_jax.softmax_cross_entropy(predictions, labels), labels)
    np.testing.assert_allclose(losses, expected, rtol=2e-5)


def test_other_ablations_are_what_they_are_called(
    plan: Plan, outputs: NetworkOutputs, labels: jax.Array
) -> None:
    expected = {
        "ours, divided by the weights": {"normalizer": "weights"},
        "ours, uniform weights": {"neighbor_weights": lal_jax.uniform_weights(5)},
        "ours, loss max-pooling as pool": {"pool": lal_jax.loss_max_pooling},
    }
    for variant in ABLATIONS.variants:
        if variant.label in expected:
            config = plan.run(variant, seed=0).config
            found, _ = LOSSES[config.loss.name](config.loss)(
                outputs, labels, jnp.zeros((5, 5))
            )
            wanted = lal_jax.locally_adaptive_loss(
                outputs.logits,
                labels,
                **expected.pop(variant.label),  # type: ignore[arg-type]
            )
            np.testing.assert_allclose(found, wanted, rtol=1e-6)
    assert not expected


@pytest.mark.parametrize("name", ["runs", "runs/programs", "runs/RUN"])
def test_links_in_place_of_runs_are_refused(
    make_config: MakeConfig, tmp_path: Path, name: str
) -> None:
    variant = TABLE2.variants[0]
    plan = Plan(make_config(), tmp_path / "runs", steps=4)
    place = Path(plan.run(variant, seed=2).config.run.workdir)
    link = place if name == "runs/RUN" else tmp_path / name
    link.parent.mkdir(exist_ok=True)
    link.symlink_to(tmp_path)
    with pytest.raises(UserError, match="is a link, to .*, and nothing is written"):
        Plan(make_config(), tmp_path / "runs", steps=4).run(variant, seed=2)
