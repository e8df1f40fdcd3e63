"""Sums of losses: how they are read, what they are worth, what is logged of them."""

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import lal_jax
from models.deeplab import NetworkOutputs
from train.common.errors import UserError
from train.config import Config, describe, parse_options
from train.data.images import Example
from train.training.loss_sum import Term, make_loss, terms_of
from train.training.step import make_state, make_step

from ..conftest import CLASSES, MakeConfig

SUM = "softmax_cross_entropy + 0.5 * dice"

# Of each loss of regions, its function in the library.
REGIONS = {
    "dice": "dice_loss",
    "generalized_dice": "generalized_dice_loss",
    "jaccard": "jaccard_loss",
    "tversky": "tversky_loss",
    "lovasz_softmax": "lovasz_softmax_loss",
    "boundary": "boundary_loss",
    "region_mutual_information": "region_mutual_information_loss",
    "cl_dice": "cl_dice_loss",
}


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("dice", [("dice", 1.0)]),
        (SUM, [("softmax_cross_entropy", 1.0), ("dice", 0.5)]),
        (" 2*dice+1e-3 * boundary ", [("dice", 2.0), ("boundary", 0.001)]),
        (".5*focal\n+ 1.0 * dice", [("focal", 0.5), ("dice", 1.0)]),
        ("1e+1 * dice + focal", [("dice", 10.0), ("focal", 1.0)]),
    ],
)
def test_a_sum_is_read(text: str, terms: list[tuple[str, float]]) -> None:
    assert terms_of(text) == tuple(Term(*term) for term in terms)
    canonical = Config().replace(loss=text).loss.name
    assert terms_of(canonical) == terms_of(text)
    assert Config().replace(loss=canonical).loss.name == canonical


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"a loss is missing where it ends \(character 1\)"),
        ("dice +", r"a loss is missing where it ends \(character 7\)"),
        ("dice + dyce", r"there is no loss 'dyce'; there is: .*, dice, .*character 8"),
        ("dice focal", r"after a loss comes \+ or the end, not 'focal'.*character 6"),
        ("dice - focal", r"after a loss comes \+ or the end, not '-'.*character 6"),
        ("dice * 0.5", r"after a loss comes \+ or the end, not '\*'.*character 6"),
        ("0.5 dice", r"after 0.5 comes \* and the name of a loss \(character 5\)"),
        ("0.5", r"after 0.5 comes \* and the name of a loss \(character 4\)"),
        ("2 * 3 * dice", r"a loss is missing where '3' is none \(character 5\)"),
        ("0 * dice", r"a factor must be above 0 and finite, not 0 \(character 1\)"),
        ("1e39 * dice", r"a factor must be above 0 and finite, not 1e39"),
        ("1e-50 * dice", r"a factor must be above 0 and finite, not 1e-50"),
        ("1_0 * dice", r"1_0 is not a number"),
        ("1e999 * dice", r"a factor must be above 0 and finite, not 1e999"),
        ("-1 * dice", r"a loss is missing where '-' is none \(character 1\)"),
        ("1.2.3 * dice", r"1.2.3 is not a number \(character 1\)"),
        ("dice + 2 * dice", r"dice is there twice; add up its factors \(character 12"),
        ("__import__('os')", r"there is no loss '__import__'"),
    ],
)
def test_what_is_no_sum_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        terms_of(text)
    with pytest.raises(UserError, match=f"^--loss .*{message}"):
        Config().replace(loss=text)


def test_a_configuration_keeps_the_sum() -> None:
    config = Config().replace(loss=SUM)
    assert parse_options(describe(config)).loss.name == SUM


@pytest.fixture
def logits(rng: np.random.Generator) -> jax.Array:
    return jnp.asarray(rng.normal(size=(2, 16, 20, 5)), jnp.float32)


@pytest.fixture
def labels(rng: np.random.Generator) -> jax.Array:
    labels = np.kron(rng.integers(4, size=(2, 4, 5)), np.ones((4, 4))).astype(np.uint8)
    labels[:, 3] = 255
    return jnp.asarray(labels)


def losses_of(
    options: dict[str, Any], logits: jax.Array, labels: jax.Array
) -> jax.Array:
    loss = make_loss(Config().replace(**options).loss)
    outputs = NetworkOutputs(logits, logits, [logits])
    return loss(outputs, labels, jnp.zeros((5, 5))).losses


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """Puts a stand-in for each loss of regions; returns what they were called with."""
    calls: dict[str, dict[str, Any]] = {}

    def stand_in(name: str, logits: jax.Array, labels: jax.Array, **options: Any):
        calls[name] = options
        means = jnp.mean(logits, axis=(1, 2, 3)) + jnp.sum(labels)
        return means if options["per_image"] else jnp.mean(means)

    for name in REGIONS.values():
        monkeypatch.setattr(lal_jax, name, functools.partial(stand_in, name))
    return calls


@pytest.mark.parametrize("name", REGIONS)
@pytest.mark.parametrize("sums", ["image", "batch"])
def test_losses_of_regions(
    name: str,
    sums: str,
    called: dict[str, dict[str, Any]],
    logits: jax.Array,
    labels: jax.Array,
) -> None:
    weights = ("1", "2", "3", "0.5", "4")
    options = {"loss": name, "class_weights": weights, "region_sums": sums}
    found = losses_of(options, logits, labels)
    each = logits.mean(axis=(1, 2, 3)) + labels.sum()
    expected = each if sums == "image" else jnp.broadcast_to(each.mean(), 2)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    (only,) = called
    assert only == REGIONS[name]
    assert called[only]["per_image"] == (sums == "image")
    np.testing.assert_array_equal(called[only]["class_weights"], [1, 2, 3, 0.5, 4])
    losses_of({"loss": name}, logits, labels)
    assert called[only]["class_weights"] is None


@pytest.mark.parametrize(
    ("name", "options", "expected"),
    [
        ("tversky", {}, {"alpha": 0.3, "beta": 0.7, "gamma": 1.0}),
        (
            "tversky",
            {"tversky_alpha": 0.9, "tversky_beta": 0.2, "tversky_gamma": 0.75},
            {"alpha": 0.9, "beta": 0.2, "gamma": 0.75},
        ),
        ("cl_dice", {}, {"iterations": 10}),
        ("cl_dice", {"cl_dice_iterations": 1}, {"iterations": 1}),
    ],
)
def test_options_of_losses_of_regions(
    name: str,
    options: dict[str, Any],
    expected: dict[str, Any],
    called: dict[str, dict[str, Any]],
    logits: jax.Array,
    labels: jax.Array,
) -> None:
    losses_of({"loss": name, **options}, logits, labels)
    given = called[REGIONS[name]]
    assert {key: given[key] for key in expected} == expected


def test_a_sum_adds_its_terms_by_their_factors(
    logits: jax.Array, labels: jax.Array
) -> None:
    loss = make_loss(Config().replace(loss="0.25 * focal + 2 * jaccard + center").loss)
    outputs = NetworkOutputs(logits, logits, [logits])
    centers = jnp.ones((5, 5))
    value = loss(outputs, labels, centers)
    alone = {
        name: make_loss(Config().replace(loss=name).loss)(outputs, labels, centers)
        for name in ("focal", "jaccard", "center")
    }
    assert list(value.terms) == list(alone)
    for name, found in value.terms.items():
        np.testing.assert_array_equal(found, alone[name].losses)
        assert alone[name].terms == {}
    expected = 0.25 * alone["focal"].losses + 2 * alone["jaccard"].losses
    np.testing.assert_allclose(
        value.losses, expected + alone["center"].losses, rtol=1e-6
    )
    np.testing.assert_array_equal(value.centers, alone["center"].centers)
    assert not np.array_equal(value.centers, centers)


@pytest.mark.parametrize("name", ["softmax_cross_entropy", "center", "hard_pixel"])
def test_smoothed_labels_reach_what_is_cross_entropy(
    name: str, logits: jax.Array, labels: jax.Array
) -> None:
    options = {"loss": name, "center_weight": 0.0, "hard_fraction": 1.0}
    found = losses_of({**options, "label_smoothing": 0.1}, logits, labels)
    smooth = lal_jax.softmax_cross_entropy(logits, labels, label_smoothing=0.1)
    expected = lal_jax.masked_mean(smooth, where=labels != 255)
    np.testing.assert_allclose(found, expected, rtol=1e-6)
    assert not np.allclose(found, losses_of(options, logits, labels))


@pytest.mark.parametrize("accumulation", [1, 2])
def test_terms_are_logged_apart(
    make_config: MakeConfig, batch: Example, tiny: str, accumulation: int
) -> None:
    config = make_config(backbone=tiny, loss=SUM, accumulation=accumulation)
    graph, state = make_state(config, CLASSES, seed=0)
    _, metrics = make_step(graph, config)(state, batch)
    names = [name for name in metrics if name.startswith("loss/")]
    assert names == ["loss/dice", "loss/softmax_cross_entropy"]
    dice, entropy = (float(metrics[name]) for name in names)
    assert 0 < dice < 1 < entropy
    assert float(metrics["loss"]) == pytest.approx(entropy + 0.5 * dice, rel=1e-5)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tversky_beta": -1.0}, "--tversky-beta must be finite and ≥ 0, got -1.0"),
        (
            {"tversky_alpha": 0.0, "tversky_beta": 0.0},
            "--tversky-beta must be above 0 where --tversky-alpha is 0",
        ),
        ({"cl_dice_iterations": 0}, "--cl-dice-iterations must be above 0, got 0"),
        ({"region_sums": "all"}, "--region-sums must be one of: image, batch"),
        ({"label_smoothing": 1.0}, r"--label-smoothing must lie in \[0, 1\), got 1.0"),
        (
            {"label_smoothing": 0.1},
            "--label-smoothing needs --auxiliary, or a --loss of softmax_cross_entropy",
        ),
        ({"auxiliary_stages": ()}, "--auxiliary-stages must be one stage or more"),
        ({"auxiliary_stages": (3, 3)}, "--auxiliary-stages must be one stage or more"),
        ({"auxiliary_stages": (0,)}, "--auxiliary-stages must be one stage or more"),
    ],
)
def test_options_that_cannot_work(options: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        Config().replace(**options)


def test_options_of_a_term_fit_its_sum() -> None:
    for options in (
        {"class_balance": 0.5},
        {"learn_score_scale": True, "loss": "dice + locally_adaptive"},
        {"label_smoothing": 0.1, "loss": SUM},
        {"label_smoothing": 0.1, "auxiliary": 0.4},
    ):
        Config().replace(**options)
