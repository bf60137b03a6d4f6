"""Where this package lies, where it may keep files, and environment variables that are set for a while."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
"""The folder of the package `benchmark`. Whatever looks for files that ship, or for the checkout, starts here."""


def cache_dir() -> Path:
    """Return the folder for what can be computed again: BENCH_CACHE, else the user's cache folder; it may not exist."""
    from platformdirs import user_cache_dir

    return Path(os.environ.get("BENCH_CACHE") or user_cache_dir("audio2image-bench", appauthor=False)).expanduser()


@contextmanager
def environment(values: Mapping[str, object]) -> Iterator[None]:
    """Set the variables in `values` (as text) inside the block, also for processes that start there."""
    before = {name: os.environ.get(name) for name in values}
    os.environ.update({name: str(value) for name, value in values.items()})
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
