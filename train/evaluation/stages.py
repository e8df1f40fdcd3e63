"""Reading, predicting and writing images, each while the others go on.

Reading and writing take threads of their own beside the devices'. What is under way is
bounded, so that memory does not grow with the number of images.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Generic, NamedTuple, TypeVar

from tqdm import tqdm

from train.evaluation.spread import in_turn
from train.training.step import TrainState

_Item = TypeVar("_Item")
_Read = TypeVar("_Read")
_Found = TypeVar("_Found")
_Result = TypeVar("_Result")

# Pixels of the images under way; a larger one goes alone.
_PIXELS = 2**26

# Threads that read, and as many that write: compression takes longer than reading.
_THREADS = 2


def looked_at(
    look: Callable[[_Item], _Result], items: Sequence[_Item], what: str
) -> Iterator[_Result]:
    """Yields what a quick look says of each item, in order, by several threads.

    Args:
      look: at one item.
      items: many; progress is shown where they take long.
      what: is looked at, in a word.
    """
    with ThreadPoolExecutor(2 * _THREADS) as pool:
        yield from tqdm(
            pool.map(look, items),
            f"looking at {what}",
            len(items),
            leave=False,
            delay=2,
        )


class Stages(NamedTuple, Generic[_Item, _Read, _Found, _Result]):
    """What becomes of an item."""

    read: Callable[[_Item], _Read]
    work: Callable[[TrainState, _Read], _Found]
    """Called with one of the states; in a thread for each."""
    write: Callable[[_Found], _Result]
    stop: Callable[[], object] = lambda: None
    """Ends what is under way, whose results are not asked for any more."""


def overlapped(
    stages: Stages[_Item, _Read, _Found, _Result],
    items: Iterable[tuple[_Item, int]],
    states: Sequence[TrainState],
    *,
    writers: int = _THREADS,
) -> Generator[tuple[_Item, Callable[[], _Result]], None, None]:
    """Yields each item, in order, with a function that returns or raises its result.

    Args:
      stages: what is done, called by several threads.
      items: with the number of pixels of each; taken a few ahead of what is yielded.
      states: `replicas(…)`, one for each device.
      writers: threads that write.
    """
    reading, writing = map(ThreadPoolExecutor, (_THREADS, writers))
    devices = ThreadPoolExecutor(len(states))
    work = in_turn(stages.work, states)
    begun: deque[tuple[_Item, int, Future[_Result]]] = deque()

    def begin(item: _Item) -> Future[_Result]:
        # Each pool takes its calls in order, and what they wait for was begun before.
        image = reading.submit(stages.read, item)
        found = devices.submit(lambda: work(image.result()))
        return writing.submit(lambda: stages.write(found.result()))

    def is_full(pixels: int) -> bool:
        waiting = len(begun) >= _THREADS + writers + 2 * len(states)
        held = pixels + sum(of for _, of, _ in begun)
        return waiting or held > _PIXELS or begun[0][2].done()

    try:
        for item, pixels in items:
            while begun and is_full(pixels):
                done, _, result = begun.popleft()
                yield done, result.result
            begun.append((item, pixels, begin(item)))
        while begun:
            done, _, result = begun.popleft()
            yield done, result.result
    except BaseException:  # a stop, here or where the results are used
        stages.stop()
        raise
    finally:
        for pool in (reading, devices, writing):
            pool.shutdown(cancel_futures=True)
