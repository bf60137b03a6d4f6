"""The store of latents: what was put is what is got, and nothing else is."""

from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import pytest
import torch

from audiotoken.latents import LatentStore

SHAPE = (4, 2, 2)


def row(seed: int) -> torch.Tensor:
    return torch.randn(2, *SHAPE, generator=torch.Generator().manual_seed(seed)).half()


def test_what_was_put_is_there_for_the_next_one(tmp_path: Path) -> None:
    store = LatentStore(tmp_path / "a", 5, SHAPE)
    assert [store.get(place) for place in range(5)] == [None] * 5
    store.put(3, row(3))
    store.put(0, row(0))
    store.close()
    again = LatentStore(tmp_path / "a", 5, SHAPE)
    found = [again.get(place) for place in range(5)]
    assert [one is not None for one in found] == [True, False, False, True, False]
    assert found[0] is not None and found[0].equal(row(0))
    assert found[3] is not None and found[3].equal(row(3))
    again.close()


def test_a_damaged_row_is_none(tmp_path: Path) -> None:
    store = LatentStore(tmp_path, 3, SHAPE)
    for place in range(3):
        store.put(place, row(place))
    size = 4 * 16
    with open(tmp_path / "latents.f16", "rb+") as file:
        file.seek(size + 5)
        file.write(b"\xff")
    assert store.get(1) is None
    kept = store.get(2)
    assert kept is not None and kept.equal(row(2))
    store.put(1, row(1))
    mended = store.get(1)
    assert mended is not None and mended.equal(row(1))
    store.close()


def test_all_zeros_are_a_row_like_any_other(tmp_path: Path) -> None:
    store = LatentStore(tmp_path, 2, SHAPE)
    store.put(1, torch.zeros(2, *SHAPE).half())
    assert store.get(0) is None and store.get(1) is not None
    store.close()


def test_a_store_needs_twice_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = LatentStore.size(1000, SHAPE)
    assert whole == 1000 * (2 * 2 * 16 + 8)
    disk = namedtuple("disk", "total used free")
    for free, fits in ((2 * whole, True), (2 * whole - 1, False)):
        monkeypatch.setattr(shutil, "disk_usage", lambda path, free=free: disk(0, 0, free))
        assert LatentStore.fits(tmp_path / "not" / "there", 1000, SHAPE) is fits
