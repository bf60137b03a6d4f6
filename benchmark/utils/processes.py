"""Pools of worker processes that need no guard in the caller's script, and end with it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.context import SpawnContext, SpawnProcess
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pebble import ProcessPool


def process_pool(workers: int) -> ProcessPoolExecutor:
    """Return a pool of spawned processes for functions of importable modules.

    Processes are spawned, not forked: the caller may hold threads (torch, progress bars) that a fork would copy half
    alive. Unlike in plain `multiprocessing`, they do not run the caller's script again, so a script without
    `if __name__ == "__main__"` and a notebook can start them. A process that loses its parent ends by itself.
    """
    return ProcessPoolExecutor(workers, mp_context=_Context(), initializer=_follow_the_parent)


def watched_pool(workers: int) -> ProcessPool:
    """Return a pool as `process_pool` does, whose jobs may have a time limit each, and whose processes may die.

    A job that reaches its limit, or ends its process, fails alone: the process is replaced.
    """
    from pebble import ProcessPool

    return ProcessPool(workers, context=_Context(), initializer=_follow_the_parent)


class _Process(SpawnProcess):
    @staticmethod
    def _Popen(process_obj: Any) -> Any:  # noqa: N802  # the name that multiprocessing calls
        # What is in the place of `__main__` while a process starts is what it would import as its own.
        main = sys.modules["__main__"]
        sys.modules["__main__"] = ModuleType("__main__")
        try:
            return SpawnProcess._Popen(process_obj)
        finally:
            sys.modules["__main__"] = main


class _Context(SpawnContext):
    Process = _Process


def _follow_the_parent() -> None:
    # Ctrl-C reaches every process of a terminal: only the parent is to speak of it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A worker holds both ends of the pool's queue, so it would wait for ever for a parent that was killed.
    parent = multiprocessing.parent_process()
    assert parent is not None

    def watch() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
