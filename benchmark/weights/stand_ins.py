"""Random networks that replace the released ones in a dry run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import Any

Maker = Callable[[str, Callable[[], Any]], Any]
"""Function of a network's name and of the function that builds it, which returns the network."""

_maker: ContextVar[Maker | None] = ContextVar("maker", default=None)


@contextlib.contextmanager
def random_weights(maker: Maker = lambda name, build: build()) -> Iterator[None]:
    """Give the full-scale suites random networks of the real shapes within the block, without reading weight files.

    Args:
        maker: Builds each network, which lets the caller observe the construction.
    """
    token = _maker.set(maker)
    try:
        yield
    finally:
        _maker.reset(token)


def active() -> bool:
    """Return whether released networks are currently replaced by random ones."""
    return _maker.get() is not None


def load(name: str, released: Callable[[], Any], random: Callable[[], Any]) -> Any:
    """Return a network: the one that `released` reads, or within `random_weights` the one that `random` builds.

    Args:
        name: Name of the network.
        released: Reads the released network from files.
        random: Builds a network of the same shapes with random parameters.
    """
    maker = _maker.get()
    return released() if maker is None else maker(name, random)
