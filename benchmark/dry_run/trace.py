"""Division of wall-clock time among named parts of a piece of work."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence

from torch import nn

Parts = dict[str, float]


class Trace:
    """Stopwatch with named parts: time from `enter(name)` to the next `enter` belongs to `name`."""

    def __init__(self) -> None:
        self._parts: Parts = defaultdict(float)
        self._name: str | None = None
        self._since = 0.0

    def enter(self, name: str | None) -> None:
        """Attribute the time from now on to part `name`; with None, to no part."""
        now = time.perf_counter()
        if self._name is not None:
            self._parts[self._name] += now - self._since
        self._name, self._since = name, now

    def lap(self, name: str | None = None) -> Parts:
        """Return the seconds of each part since the last lap, and enter `name`."""
        self.enter(name)
        parts, self._parts = dict(self._parts), defaultdict(float)
        return parts

    @contextlib.contextmanager
    def watch(self, module: nn.Module, name: str, after: str) -> Iterator[None]:
        """Attribute the calls of `module` within the block to `name`, and the time after each call to `after`."""
        hooks = [
            module.register_forward_pre_hook(lambda *_: self.enter(name)),
            module.register_forward_hook(lambda *_: self.enter(after)),
        ]
        try:
            yield
        finally:
            for hook in hooks:
                hook.remove()


def median(laps: Sequence[Parts]) -> Parts:
    """Return the median of each part over the laps, in seconds."""
    return {name: statistics.median(lap.get(name, 0.0) for lap in laps) for name in laps[0]}


def total(laps: Sequence[Parts]) -> float:
    """Return the median over the laps of their total time, in seconds."""
    return statistics.median(sum(lap.values()) for lap in laps)
