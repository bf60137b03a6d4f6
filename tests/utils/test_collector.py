"""The collector is as it was afterwards."""

from __future__ import annotations

import gc

import pytest

from benchmark.utils.collector import no_collection


def test_the_collector_is_paused_and_comes_back() -> None:
    assert gc.isenabled()
    with no_collection():
        assert not gc.isenabled()
        with no_collection():
            assert not gc.isenabled()
        assert not gc.isenabled(), "the inner one leaves it to the outer one"
    assert gc.isenabled()
    with pytest.raises(KeyError), no_collection():
        raise KeyError
    assert gc.isenabled()


def test_as_a_decorator() -> None:
    @no_collection()
    def running() -> bool:
        return gc.isenabled()

    assert [running(), running()] == [False, False] and gc.isenabled()
