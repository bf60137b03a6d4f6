"""Work in other processes, results in order; an item whose process dies (a decoder that crashes) ends nothing else."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from typing import TypeVar

from benchmark.utils.processes import process_pool

Job = TypeVar("Job")
Result = TypeVar("Result")

AHEAD = 4
"""Results a process that may wait for those before them: more would only fill the memory."""


def in_order(
    work: Callable[[Job], Result], jobs: Iterable[Job], workers: int, died: Callable[[Job], Result]
) -> Iterator[Result]:
    """`work(job)` of each job, in the order of the jobs, from `workers` processes (1: from this one).

    Where a process dies over a job, which is tried again alone first, its result is `died(job)`. An exception that
    `work` raises is raised here.
    """
    if workers <= 1:
        yield from map(work, jobs)
        return
    coming = iter(jobs)
    waiting: deque[tuple[Job, Future[Result]]] = deque()
    pool = process_pool(workers)
    try:
        for job in coming:
            waiting.append((job, pool.submit(work, job)))
            if len(waiting) >= workers * AHEAD:
                break
        while waiting:
            job, future = waiting.popleft()
            try:
                result = future.result()
            except BrokenProcessPool:
                # Any of the jobs under way may be the culprit: the oldest is judged alone, the others start again.
                pool.shutdown(cancel_futures=True)
                result = _alone(work, job, died)
                pool = process_pool(workers)
                waiting = deque((other, pool.submit(work, other)) for other, _ in waiting)
            for following in coming:
                waiting.append((following, pool.submit(work, following)))
                break
            yield result
    finally:
        pool.shutdown(cancel_futures=True)


def _alone(work: Callable[[Job], Result], job: Job, died: Callable[[Job], Result]) -> Result:
    with process_pool(1) as pool:
        try:
            return pool.submit(work, job).result()
        except BrokenProcessPool:
            return died(job)
