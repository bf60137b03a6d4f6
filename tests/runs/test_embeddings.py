"""Embeddings with threads ahead of the device: the rows, failures and order of a single thread."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmark.runs import embeddings
from benchmark.runs.embeddings import Embedded, Embeddings, Job
from benchmark.utils.errors import UserError
from benchmark.utils.progress import Silent


class Scorer:
    """Squares; remembers the threads that prepared, and how many items came at once."""

    def __init__(self) -> None:
        self.threads: set[int] = set()
        self.given: list[int] = []

    def prepare(self, item: int) -> float:
        self.threads.add(threading.get_ident())
        return float(item)

    def embed(self, some: Sequence[float]) -> np.ndarray:
        self.given.append(len(some))
        return np.array(some, np.float32)[:, None] ** 2


def embedded(folder: Path, patch: pytest.MonkeyPatch, scorer: Scorer, threads: int) -> Embedded:
    patch.setenv("BENCH_CACHE", str(folder))
    suite: Any = SimpleNamespace(base="mini", files={})

    def load(item: int) -> int:
        if item % 7 == 3:
            raise UserError(f"{item} is damaged")
        return item

    job = Job("s", "0" * 64, lambda network, some: network.embed(some), 4, lambda network, item: network.prepare(item))
    store = Embeddings(suite, "cpu", Silent(), {"s": scorer}, threads)
    return store.of("numbers", range(33), load, str, {"one": job, "same": job})


def test_threads_change_neither_rows_nor_failures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings, "BLOCK", 10)
    alone, several = Scorer(), Scorer()
    expected = embedded(tmp_path / "alone", monkeypatch, alone, 0)
    found = embedded(tmp_path / "several", monkeypatch, several, 3)
    assert expected.read == found.read == [k for k in range(33) if k % 7 != 3]
    assert expected.failures == found.failures == {k: f"{k} is damaged" for k in range(33) if k % 7 == 3}
    for name in ("one", "same"):
        np.testing.assert_array_equal(found.rows[name], expected.rows[name])
    assert found.rows["one"][:, 0].tolist() == [k**2 for k in found.read]
    # Two jobs of one scorer share their rows, and a batch never spans two blocks.
    assert alone.given == several.given == [4, 4, 1, 4, 4, 4, 4, 1, 2]
    assert alone.threads == {threading.get_ident()} and threading.get_ident() not in several.threads
    # What is in the cache is prepared by nobody; what is damaged there is made anew.
    again = Scorer()
    embedded(tmp_path / "several", monkeypatch, again, 3)
    assert not again.threads
    for path in (tmp_path / "several").rglob("*.npy"):
        path.write_bytes(path.read_bytes()[:-4])
    np.testing.assert_array_equal(
        embedded(tmp_path / "several", monkeypatch, again, 3).rows["one"], expected.rows["one"]
    )
    assert sum(again.given) == 28


def test_threads_are_for_cuda_devices_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embeddings.os, "cpu_count", lambda: 64)
    suite: Any = SimpleNamespace(base="mini", files={})
    assert Embeddings(suite, "cpu", Silent())._threads() == 0
    assert Embeddings(suite, "cuda:1", Silent())._threads() == embeddings.MOST_THREADS
    monkeypatch.setenv("WORLD_SIZE", "8")
    assert Embeddings(suite, "cuda", Silent())._threads() == 8
