"""What every test stands on: no folder of the user, no network, the same terminal everywhere."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# With any import mode of pytest, `import worlds` must work in every test.
sys.path.insert(0, str(Path(__file__).parent))

from browser import chromium  # noqa: F401  # one browser for all tests of a process

if "PYTEST_XDIST_WORKER_COUNT" in os.environ:
    # Workers side by side share the cores: more threads than cores would fight. Before anything imports torch.
    threads = (os.cpu_count() or 1) // int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    for name in ("OMP_NUM_THREADS", "BENCH_THREADS"):
        os.environ.setdefault(name, str(max(1, threads)))

# Tests that take longest. They begin first, so that workers side by side end together; most of them fork their programs
# from one process with the libraries (`processes.py`), which then serves them all.
FIRST = (
    "mini/test_pretrain.py",
    "utils/test_distributed.py",
    "campaigns/test_campaigns.py",
    "sharing/test_push.py",
    "runs/test_runs.py",
    "test_front_door.py",
    "runs/test_damage.py",
    "studies/test_profile.py",
    "audiotoken/test_pretrained.py",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the files of `FIRST` first, in its order; all others stay in theirs."""
    places = {Path(__file__).parent / name: place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: places.get(item.path, len(FIRST)))


@pytest.fixture(scope="session", autouse=True)
def surroundings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Environment of the tests and of the processes that they start; the cache is shared by all of a session."""
    cache = tmp_path_factory.mktemp("cache")
    if "PYTEST_XDIST_WORKER" in os.environ:
        # The clips of the world cost twenty seconds: one worker makes them, and all read them.
        shared = tmp_path_factory.getbasetemp().parent / "world"
        shared.mkdir(exist_ok=True)
        (cache / "world").symlink_to(shared, target_is_directory=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("BENCH_CACHE", str(cache))
        patch.delenv("BENCH_RUNS", raising=False)
        patch.setenv("HF_HUB_OFFLINE", "1")
        # Of processes that import the hub's library later; this one has done so.
        patch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hub")))
        # Tables and help are wrapped and coloured by what the terminal says of itself.
        patch.setenv("COLUMNS", "120")
        patch.setenv("NO_COLOR", "1")
        patch.delenv("FORCE_COLOR", raising=False)
        # No test cuts the power, and a small run waits for the disk a good part of its time. A closed file still fails.
        patch.setattr(os, "fsync", os.fstat)
        yield


@pytest.fixture(scope="session")
def root() -> Path:
    """The top of the checkout."""
    return Path(__file__).resolve().parents[1]
