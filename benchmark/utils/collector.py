"""Python's collector of reference cycles, paused where it only costs time."""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def no_collection() -> Iterator[None]:
    """Pause the collector, as a context or a decorator.

    While thousands of objects are made that stay, such as the values of a thousand records, the collector looks at all
    of them again and again and finds nothing: a sixth of the time of a large table.
    """
    running = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if running:
            gc.enable()
