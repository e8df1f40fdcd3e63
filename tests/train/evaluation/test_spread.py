"""Predicting on several devices: each takes the next piece, in order."""

import threading
import time
from collections.abc import Iterator
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from train.evaluation.spread import replicas, spread
from train.evaluation.whole_split import Evaluator
from train.training.step import TrainState

from ..standins import STATE, Blurred, predictor
from .test_whole_split import source  # noqa: F401 - a fixture

DEVICES = jax.devices()


def test_results_keep_their_order_and_errors_their_place() -> None:
    busy: set[int] = set()
    used: set[int] = set()

    def work(state: TrainState, item: int) -> int:
        number = int(state.step)
        assert number not in busy  # a device has one piece at a time
        busy.add(number)
        used.add(number)
        time.sleep(0.02 if item % 3 else 0.06)
        busy.remove(number)
        if item == 4:
            raise ValueError("of item 4")
        return item * item

    states = [STATE._replace(step=jnp.int32(i)) for i in range(4)]
    found = []
    for item, result in spread(work, range(10), states):
        if item == 4:
            with pytest.raises(ValueError, match="of item 4"):
                result()
        else:
            found.append((item, result()))
    assert found == [(item, item * item) for item in range(10) if item != 4]
    assert used == {0, 1, 2, 3}


def test_items_are_taken_a_few_ahead() -> None:
    taken = []

    def items() -> Iterator[int]:
        for item in range(100):
            taken.append(item)
            yield item

    spreading = spread(lambda state, item: item, items(), [STATE] * 2)
    next(spreading)
    assert len(taken) <= 5
    before = threading.active_count()
    spreading.close()  # type: ignore[attr-defined]
    assert threading.active_count() < before


@pytest.mark.parametrize("spec", [PartitionSpec(), PartitionSpec("data")])
def test_network_is_whole_on_each_device(spec: PartitionSpec) -> None:
    mesh = Mesh(np.array(DEVICES), ("data",))
    array = jax.device_put(np.arange(8.0), NamedSharding(mesh, spec))
    state = STATE._replace(params=cast(Any, array), optimizer=(array,))
    copies = replicas(state, DEVICES)
    for device, copy in zip(DEVICES, copies, strict=True):
        params = cast(jax.Array, copy.params)
        assert params.devices() == {device} and copy.optimizer == ()
        np.testing.assert_array_equal(params, np.arange(8.0))


def test_split_is_counted_alike_on_any_number_of_devices(
    monkeypatch: pytest.MonkeyPatch,
    source: list,  # noqa: F811
) -> None:
    counts = []
    for devices in (DEVICES[:1], DEVICES):
        monkeypatch.setattr(
            "train.evaluation.spread.devices_to_predict", lambda d=devices: d
        )
        parts, state = predictor(Blurred(), batch_size=1)
        found = Evaluator(parts, source, ("a", "b", "c", "d")).counts(state)
        counts.append(found)
    np.testing.assert_array_equal(counts[0].whole, counts[1].whole)
    assert counts[0].whole.sum() > 1000
    for distance, near in counts[0].near.items():
        np.testing.assert_array_equal(near, counts[1].near[distance])
