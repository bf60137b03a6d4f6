"""Locations of the package and of its cache, and temporary environment variables."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmark.utils.errors import UserError

PACKAGE = Path(__file__).resolve().parents[1]
"""Folder of the package `benchmark`, from which shipped files and the checkout are located."""


def cache_dir() -> Path:
    """Return the folder for results that can be recomputed: BENCH_CACHE, else the user's cache folder.

    The folder need not exist.

    Raises:
        UserError: There is something else in its place, or nothing says where the user's folder is.
    """
    from platformdirs import user_cache_dir

    with needing_home("BENCH_CACHE"):
        given = os.environ.get("BENCH_CACHE") or user_cache_dir("audio2image-bench", appauthor=False)
        folder = Path(given).expanduser()
    if os.path.lexists(folder) and not os.path.isdir(folder):
        raise UserError(f"{folder}: the cache must be a folder, and this is none: set BENCH_CACHE to a folder")
    return folder


@contextmanager
def needing_home(setting: str) -> Iterator[None]:
    """Find a folder below the user's own within the block; `setting` is what can name another.

    Raises:
        UserError: Nothing says where the user's folder is.
    """
    try:
        yield
    except RuntimeError as error:
        raise UserError(f"no home folder is known: set HOME, or {setting} to a folder without ~") from error


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
