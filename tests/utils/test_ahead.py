"""Work ahead: in order, bounded, with the exceptions of threads, and none left behind."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from benchmark.utils.ahead import ahead, begun_in


@pytest.mark.parametrize(("threads", "count"), [(0, 0), (3, 5)])
def test_results_come_in_order_and_a_failure_where_it_is_asked_for(threads: int, count: int) -> None:
    def work(number: int) -> int:
        time.sleep(0.002 * (number % 3))
        if number == 7:
            raise ValueError("seven")
        return number

    found = list[int]()
    with begun_in(threads) as begin, pytest.raises(ValueError, match="seven"):
        found.extend(one.result() for one in ahead((begin(work, number) for number in range(20)), count))
    assert found == list(range(7))


def test_no_more_is_begun_than_was_asked_for() -> None:
    begun: list[int] = []

    def items() -> Iterator[int]:
        for number in range(10):
            begun.append(number)
            yield number

    for number in ahead(items(), 3):
        assert len(begun) == min(10, number + 4)
    assert list(ahead(range(2), 5)) == [0, 1] and list(ahead([], 1)) == []


def test_what_waits_at_the_end_is_never_done() -> None:
    started, go, done = threading.Event(), threading.Event(), []

    def first() -> None:
        started.set()
        go.wait(10)

    with pytest.raises(KeyboardInterrupt), begun_in(1) as begin:
        begin(first)
        begin(done.append, 1)
        started.wait(10)
        threading.Timer(0.05, go.set).start()
        raise KeyboardInterrupt
    assert not done
