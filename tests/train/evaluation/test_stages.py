"""Reading, predicting and writing while each goes on, in order and bounded."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from train.evaluation import stages
from train.evaluation.stages import Stages, overlapped

from ..standins import STATE

PLAIN: Stages[Any, Any, Any, Any] = Stages(
    read=lambda item: item, work=lambda state, item: item, write=lambda item: item
)


@pytest.mark.parametrize("stage", ["read", "work", "write"])
def test_results_keep_their_order_and_errors_their_place(stage: str) -> None:
    def fail_at_four(*arguments: Any) -> int:
        if arguments[-1] == 4:
            raise ValueError("of item 4")
        return arguments[-1]

    items = ((item, 1) for item in range(12))
    found = []
    some = PLAIN._replace(**{stage: fail_at_four})
    for item, result in overlapped(some, items, [STATE] * 2):
        if item == 4:
            with pytest.raises(ValueError, match="of item 4"):
                result()
        else:
            found.append((item, result()))
    assert found == [(item, item) for item in range(12) if item != 4]


def test_as_many_are_written_at_a_time_as_asked_for() -> None:
    together = threading.Barrier(5)

    def write(item: int) -> int:
        together.wait(20)
        return item

    some = PLAIN._replace(write=write)
    results = overlapped(some, ((item, 1) for item in range(5)), [STATE], writers=5)
    assert [result() for _, result in results] == [0, 1, 2, 3, 4]


def test_others_are_read_and_written_while_one_is_predicted() -> None:
    read, written = threading.Event(), threading.Event()

    def work(state: object, item: int) -> int:
        if item == 1:
            assert read.wait(20) and written.wait(20)
        return item

    def noted(event: threading.Event, of: int) -> Callable[[int], int]:
        def note(item: int) -> int:
            if item == of:
                event.set()
            return item

        return note

    some = Stages(noted(read, 2), work, noted(written, 0))
    results = overlapped(some, ((item, 1) for item in range(3)), [STATE])
    assert [result() for _, result in results] == [0, 1, 2]


def test_items_are_taken_a_few_ahead_and_threads_end() -> None:
    taken = []
    hold = threading.Event()

    def items() -> Iterator[tuple[int, int]]:
        for item in range(100):
            taken.append(item)
            yield item, 1

    before = threading.active_count()
    results = overlapped(
        PLAIN._replace(write=lambda item: hold.wait(20)), items(), [STATE]
    )
    threading.Timer(0.2, hold.set).start()
    next(results)
    assert len(taken) <= 7
    results.close()
    assert threading.active_count() <= before + 1  # the timer's


def test_what_is_under_way_is_ended_by_a_stop() -> None:
    stopped = threading.Event()

    def work(state: object, item: int) -> int:
        if item:
            assert stopped.wait(20)
        return item

    some = PLAIN._replace(work=work, stop=stopped.set)
    results = overlapped(some, ((item, 1) for item in range(9)), [STATE])
    assert next(results)[0] == 0 and not stopped.is_set()
    results.close()
    assert stopped.is_set()
    stopped.clear()
    some = PLAIN._replace(stop=stopped.set)
    assert len(list(overlapped(some, [(0, 1)], [STATE]))) == 1
    assert not stopped.is_set()  # nothing was


def test_large_images_go_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stages, "_PIXELS", 100)
    pixels = [60, 30, 30, 500, 10, 500, 99]
    held: set[int] = set()
    most = []

    def read(item: int) -> int:
        held.add(item)
        most.append(sum(pixels[at] for at in held))
        return item

    results = overlapped(PLAIN._replace(read=read), enumerate(pixels), [STATE])
    for item, result in results:
        assert result() == item
        held.discard(item)
    assert sorted(most)[-2:] == [500, 500] and all(
        sum in (500, *range(101)) for sum in most
    )


def test_a_result_is_handed_on_once_it_is_there() -> None:
    taken: list[int] = []
    done = threading.Event()

    def items() -> Iterator[tuple[int, int]]:
        for item in range(4):
            taken.append(item)
            yield item, 1
            assert done.wait(20)

    def write(item: int) -> int:
        threading.Timer(0.1, done.set).start()  # once this has returned
        return item

    results = overlapped(PLAIN._replace(write=write), items(), [STATE])
    assert next(results)[0] == 0 and taken == [0, 1]
    assert [result() for _, result in results] == [1, 2, 3]
