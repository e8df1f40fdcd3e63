"""Work on images spread over the devices of this process, each with its own network.

Each device takes the next piece once it is free, so that pieces of any size keep all of
them busy, and every piece is computed as on a single device.
"""

from __future__ import annotations

import functools
import itertools
import queue
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar, cast

import jax
from jax.sharding import NamedSharding, PartitionSpec

from train.training.step import TrainState

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def devices_to_predict() -> list[jax.Device]:
    """Returns this process's devices; of CPU's, which share their cores, one."""
    devices = jax.local_devices()
    return devices[:1] if devices[0].platform == "cpu" else devices


def replicas(
    state: TrainState, devices: Sequence[jax.Device] | None = None
) -> list[TrainState]:
    """Returns what predicting needs of a state, whole on each of the devices.

    Where the state has an average of the network, that is the network.

    All processes call it, where parameters are divided among them.

    Args:
      state: of one device, or of a run's mesh.
      devices: of this process; None for `devices_to_predict()`.
    """
    devices = devices_to_predict() if devices is None else devices
    state = state.averaged()
    network = {"params": state.params, "statistics": state.statistics}
    whole = jax.tree.map(_whole, network)
    return [
        state._replace(
            **jax.tree.map(functools.partial(_on, device), whole), optimizer=()
        )
        for device in devices
    ]


def _whole(leaf: jax.Array) -> jax.Array:
    """Returns an array that is on every device of its mesh."""
    if leaf.is_fully_replicated:
        return leaf
    mesh = cast(NamedSharding, leaf.sharding).mesh
    return _same(NamedSharding(mesh, PartitionSpec()))(leaf)


@functools.cache
def _same(sharding: NamedSharding) -> Callable[[jax.Array], jax.Array]:
    return jax.jit(lambda leaf: leaf, out_shardings=sharding)


def _on(device: jax.Device, leaf: jax.Array) -> jax.Array:
    """Returns an array on one device, without a copy if it is there."""
    here = {shard.device: shard.data for shard in leaf.addressable_shards}
    if device in here:
        return here[device]
    return jax.device_put(next(iter(here.values())), device)


def spread(
    work: Callable[[TrainState, _Item], _Result],
    items: Iterable[_Item],
    states: Sequence[TrainState],
) -> Iterator[tuple[_Item, Callable[[], _Result]]]:
    """Yields each item, in order, with a function that returns or raises its result.

    Args:
      work: called with a state and an item; by several threads if there are several
        states.
      items: taken a few ahead of what is yielded.
      states: `replicas(…)`.
    """
    if len(states) == 1:
        for item in items:
            yield item, functools.partial(work, states[0], item)
        return
    call = in_turn(work, states)
    pool = ThreadPoolExecutor(len(states))
    begun: deque[tuple[_Item, Future[_Result]]] = deque()
    try:
        iterator = iter(items)
        for item in itertools.islice(iterator, 2 * len(states)):
            begun.append((item, pool.submit(call, item)))
        while begun:
            item, future = begun.popleft()
            yield item, future.result
            for following in itertools.islice(iterator, 1):
                begun.append((following, pool.submit(call, following)))
    finally:
        pool.shutdown(cancel_futures=True)


def in_turn(
    work: Callable[[TrainState, _Item], _Result], states: Sequence[TrainState]
) -> Callable[[_Item], _Result]:
    """Returns the work with whichever state is free, for as many threads as states."""
    free: queue.SimpleQueue[TrainState] = queue.SimpleQueue()
    for state in states:
        free.put(state)

    def call(item: _Item) -> _Result:
        state = free.get()
        try:
            return work(state, item)
        finally:
            free.put(state)

    return call
