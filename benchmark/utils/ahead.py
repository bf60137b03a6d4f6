"""Work that is begun before its result is needed: in threads, with results in order, and a bounded number in memory."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")

Begin = Callable[..., "Future[Any]"]
"""Function that begins a call, given as a function and its arguments, and returns its future result."""


@contextlib.contextmanager
def begun_in(threads: int) -> Iterator[Begin]:
    """Give a function that begins calls in `threads` threads; with 0, it makes them at once in this thread.

    An exception of a call is raised where its result is asked for. What has not begun at the end of the block never
    does.
    """
    if not threads:
        yield _at_once
        return
    pool = ThreadPoolExecutor(threads, "ahead")
    try:
        yield pool.submit
    finally:
        pool.shutdown(cancel_futures=True)


def ahead(items: Iterable[T], count: int) -> Iterator[T]:
    """Yield items in order, of which the next `count` were taken from the iterable already.

    If taking an item begins work, as with `begun_in`, the work of `count` items is done beside that of the consumer.

    Example:
        >>> begun = []
        >>> next(ahead((begun.append(k) or k for k in range(9)), 2)), begun
        (0, [0, 1, 2])
    """
    waiting: deque[T] = deque()
    for item in items:
        waiting.append(item)
        if len(waiting) > count:
            yield waiting.popleft()
    while waiting:
        yield waiting.popleft()


def _at_once(work: Callable[..., T], /, *given: Any) -> Future[T]:
    future: Future[T] = Future()
    try:
        future.set_result(work(*given))
    except Exception as error:  # raised by `result`
        future.set_exception(error)
    return future
