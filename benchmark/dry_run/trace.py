"""Wall-clock time divided among named parts of a piece of work."""

from __future__ import annotations

import contextlib
import statistics
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from torch import nn

if TYPE_CHECKING:
    pass


Parts = dict[str, float]


class Trace:
    """Divides time among named parts: from `enter(name)` to the next `enter` it belongs to `name`, or to nobody."""

    def __init__(self) -> None:
        self._parts: Parts = defaultdict(float)
        self._name: str | None = None
        self._since = 0.0

    def enter(self, name: str | None) -> None:
        now = time.perf_counter()
        if self._name is not None:
            self._parts[self._name] += now - self._since
        self._name, self._since = name, now

    def lap(self, name: str | None = None) -> Parts:
        """Seconds by part since the last lap; what follows belongs to `name`."""
        self.enter(name)
        parts, self._parts = dict(self._parts), defaultdict(float)
        return parts

    @contextlib.contextmanager
    def watch(self, module: nn.Module, name: str, after: str) -> Iterator[None]:
        """Calls of `module` belong to `name`, what follows a call to `after`."""
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
    """Of each part the median over the laps."""
    return {name: statistics.median(lap.get(name, 0.0) for lap in laps) for name in laps[0]}


def total(laps: Sequence[Parts]) -> float:
    """The median over the laps of all parts together."""
    return statistics.median(sum(lap.values()) for lap in laps)
