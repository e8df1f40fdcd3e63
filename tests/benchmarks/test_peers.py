"""The page of other libraries' losses is of its measurements, and lal_jax's repeat."""

import json

import pytest

from benchmarks.peer_calls import Peer
from benchmarks.peer_probes import Inputs, ask, make_inputs, ours
from benchmarks.peer_tables import PAGE, RESULTS, blocks, filled, verdict
from benchmarks.peers import CALLS, load, plain
from tests.tolerances import tolerance

RECORDS = json.loads(RESULTS.read_text())
OWN = {record["ours"]: record["lal_jax"] for record in RECORDS}


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


@pytest.mark.parametrize("expression", OWN)
def test_answers_of_lal_jax_repeat(expression: str, inputs: Inputs) -> None:
    answers = plain(ask(ours(expression), inputs))
    recorded = OWN[expression]
    assert verdict(answers, ignoring=True) == "right"
    assert answers.keys() == recorded.keys()
    allowed = tolerance("float32", inputs.labels.size)
    for name, answer in answers.items():
        if isinstance(answer, str):
            assert answer == recorded[name], name
        else:
            assert answer == pytest.approx(recorded[name], rel=allowed, abs=allowed)


def test_a_peer_that_is_not_there_is_none() -> None:
    assert load(Peer("nobody", "no_such_package.losses", "jax", "nobody"), {}) is None
    assert load(Peer("a clone", "program", "jax", None), {"a clone": None}) is None
