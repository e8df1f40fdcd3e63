"""The page of other libraries' losses is of its measurements, and lal_jax's repeat."""

import json
import re

import numpy as np
import pytest

from benchmarks.peer_calls import DICE, Peer
from benchmarks.peer_probes import (
    Inputs,
    Result,
    make_inputs,
    of_all_pixels,
    of_cropped_images,
    of_ignored_pixels,
    ours,
    over_draws,
)
from benchmarks.peer_tables import PAGE, RESULTS, blocks, filled, verdict
from benchmarks.peers import CALLS, load, plain
from tests.tolerances import tolerance

RECORDS = json.loads(RESULTS.read_text())
OWN = {record["ours"]: record["lal_jax"] for record in RECORDS}

# One expression for each loss, the first in the file.
FIRST_OF_EACH = {
    re.findall(r"\w+_loss|softmax_cross_entropy", expression)[0]: expression
    for expression in reversed(OWN)
}


@pytest.fixture(scope="module")
def inputs() -> Inputs:
    return make_inputs()


def test_the_tables_are_made_from_the_measurements() -> None:
    page = PAGE.read_text()
    assert filled(page, blocks(RECORDS)) == page
    assert page.count("<!-- table:") == len(blocks(RECORDS))


def test_what_was_measured_is_what_is_called() -> None:
    measured = [tuple(record[name] for name in CALLS[0]._fields) for record in RECORDS]
    assert sorted(measured, key=str) == sorted(map(tuple, CALLS), key=str)


def test_lal_jax_is_right_beside_each() -> None:
    for record in RECORDS:
        assert verdict(record["lal_jax"], ignoring=True) == "right", record["ours"]


@pytest.mark.parametrize("expression", FIRST_OF_EACH.values(), ids=FIRST_OF_EACH)
def test_answers_of_lal_jax_repeat(expression: str, inputs: Inputs) -> None:
    loss = ours(expression)
    answers = of_all_pixels(loss, inputs) | of_ignored_pixels(loss, inputs)
    if expression == DICE:  # for the others a program more, and tests of their own
        answers |= of_cropped_images(loss, inputs)
    allowed = tolerance("float32", inputs.labels.size)
    for name, answer in plain(answers).items():
        recorded = OWN[expression][name]
        if isinstance(answer, str):
            assert answer == recorded, name
        else:
            assert answer == pytest.approx(recorded, rel=allowed, abs=allowed), name


def test_the_range_over_draws_is_of_several_inputs_and_holds_that_of_the_tables() -> (
    None
):
    def mean_height(logits: np.ndarray, labels: np.ndarray) -> Result:
        del labels
        return float(np.abs(logits).mean()) * logits.shape[1], logits

    found = over_draws(mean_height)
    least, most = float(found["cropped_least"]), float(found["cropped_most"])
    assert least < 22 / 16 - 1 < most
    for record in RECORDS:
        if record["ignoring"]:
            theirs = record["peers"]
            assert theirs["cropped_least"] <= theirs["cropped"] + 1e-6, record["loss"]
            assert theirs["cropped_most"] >= theirs["cropped"] - 1e-6, record["loss"]


def test_a_peer_that_is_not_there_is_none() -> None:
    assert load(Peer("nobody", "no_such_package.losses", "jax", "nobody"), {}) is None
    assert load(Peer("a clone", "program", "jax", None), {"a clone": None}) is None
