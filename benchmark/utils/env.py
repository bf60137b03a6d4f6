"""Locations of the package and of its cache, and temporary environment variables."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[1]
"""Folder of the package `benchmark`, from which shipped files and the checkout are located."""


def cache_dir() -> Path:
    """Return the folder for results that can be recomputed: BENCH_CACHE, else the user's cache folder.

    The folder need not exist.
    """
    from platformdirs import user_cache_dir

    return Path(os.environ.get("BENCH_CACHE") or user_cache_dir("audio2image-bench", appauthor=False)).expanduser()


@contextmanager
def environment(values: Mapping[str, object]) -> Iterator[None]:
    """Set the environment variables in `values` (converted to text) within the block, also for child processes."""
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
