"""Random networks in the place of released ones, for a dry run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    pass


Maker = Callable[[str, Callable[[], Any]], Any]
"""Called with a network's name and what builds it, returns the network."""

_maker: ContextVar[Maker | None] = ContextVar("maker", default=None)


@contextlib.contextmanager
def made_up(maker: Maker = lambda name, build: build()) -> Iterator[None]:
    """In this block the full-scale suites have random networks of the true shapes, and no file of theirs is read.

    Each of them is made by `maker`, for a caller who wants to watch.
    """
    token = _maker.set(maker)
    try:
        yield
    finally:
        _maker.reset(token)


def active() -> bool:
    """Whether released networks are replaced by random ones now."""
    return _maker.get() is not None


def load(name: str, released: Callable[[], Any], random: Callable[[], Any]) -> Any:
    """The network `name`: what `released` reads from files, or within `made_up` what `random` builds."""
    maker = _maker.get()
    return released() if maker is None else maker(name, random)
