"""Parallel work in other processes with results in order, which survives a process that dies (a decoder's crash)."""

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
"""Results per process that may wait for earlier ones: more would only fill the memory."""


def in_order(
    work: Callable[[Job], Result], jobs: Iterable[Job], workers: int, died: Callable[[Job], Result]
) -> Iterator[Result]:
    """Yield `work(job)` for each job, in the order of the jobs.

    Args:
        work: Function of one job. An exception that it raises is raised here.
        jobs: The jobs.
        workers: Number of processes; with 1, all work is done in this process.
        died: Gives the result of a job over which its process dies twice: among others, then alone.
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
                # Any of the running jobs may be the culprit: the oldest is tried alone, the others start again.
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
