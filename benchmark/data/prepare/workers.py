"""Parallel work in other processes with results in order, which survives what a decoder may do: crash, or never end."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, TimeoutError
from typing import TypeVar

from pebble import ProcessExpired

from benchmark.utils.processes import watched_pool

Job = TypeVar("Job")
Result = TypeVar("Result")

AHEAD = 4
"""Results per process that may wait for earlier ones: more would only fill the memory."""
LIMIT_SECONDS = 300.0
"""Time after which a job is ended: a clip of ten seconds takes one or two."""


def in_order(
    work: Callable[[Job], Result],
    jobs: Iterable[Job],
    workers: int,
    ended: Callable[[Job, str], Result],
    limit: float = LIMIT_SECONDS,
) -> Iterator[Result]:
    """Yield `work(job)` for each job, in the order of the jobs.

    Args:
        work: Function of one job. An exception that it raises is raised here.
        jobs: The jobs.
        workers: Number of processes; with 0, all work is done in this process, where nothing can end it.
        ended: Gives the result of a job that ends its process ("crash") or is ended by the limit ("hang"). The other
            jobs do not notice.
        limit: Seconds that a job may take.
    """
    if not workers:
        yield from map(work, jobs)
        return
    coming = iter(jobs)
    waiting: deque[tuple[Job, Future[Result]]] = deque()
    pool = watched_pool(workers)
    try:
        for job in coming:
            waiting.append((job, pool.schedule(work, args=(job,), timeout=limit)))
            if len(waiting) >= workers * AHEAD:
                break
        while waiting:
            job, future = waiting.popleft()
            try:
                result = future.result()
            except ProcessExpired:
                result = ended(job, "crash")
            except TimeoutError:
                result = ended(job, "hang")
            for following in coming:
                waiting.append((following, pool.schedule(work, args=(following,), timeout=limit)))
                break
            yield result
    finally:
        pool.stop()
        pool.join()
