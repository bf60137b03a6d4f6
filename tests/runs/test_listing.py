"""What lies in a folder of runs."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import worlds

from benchmark.records.store import Folder, Store
from benchmark.runs.listing import list_runs, remove
from benchmark.utils.errors import RunError, UserError


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A complete run."""
    data = worlds.things(tmp_path_factory.getbasetemp())
    runs = tmp_path_factory.mktemp("listed")
    assert worlds.bench("run", "--method", "reference", "--data", data, runs=runs).code == 0
    return runs


@pytest.fixture
def store(made: Path, tmp_path: Path) -> Store:
    shutil.copytree(made, tmp_path / "runs")
    return Store(tmp_path / "runs")


def test_runs_and_fits_with_their_state(store: Store) -> None:
    (complete,) = list_runs(store)
    assert (complete.kind, complete.method, complete.state) == ("run", "reference", "complete")
    assert complete.suite.startswith("mini+") and complete.images == 12 and complete.date
    assert complete.bytes == sum(file.stat().st_size for file in complete.path.rglob("*") if file.is_file())
    half = complete.path.parent / "half"
    shutil.copytree(complete.path, half)
    (half / "record.json").unlink()
    (half / "steps" / "score.json").unlink()
    broken = complete.path.parent / "broken"
    shutil.copytree(complete.path, broken)
    (broken / "record.json").write_text("{")
    Folder(store.root / "mini" / "embedder-0123abcd").begin("fit", "f" * 64)
    states = {one.path.name: (one.kind, one.state) for one in list_runs(store)}
    assert states == {
        complete.path.name: ("run", "complete"),
        "half": ("run", "not finished: score"),
        "broken": ("run", "damaged: record.json cannot be read"),
        "embedder-0123abcd": ("fit", "not finished: fit"),
    }


def test_only_runs_of_the_store_are_removed(store: Store, tmp_path: Path) -> None:
    (run,) = list_runs(store)
    for path in (store.root, run.path.parent, tmp_path, run.path / "images"):
        with pytest.raises(UserError, match="no run or fit"):
            remove(store, path)
    with Folder(run.path).lock(), pytest.raises(RunError, match="another process"):
        remove(store, run.path)
    assert run.path.is_dir()
    assert remove(store, run.path) >= run.bytes and not run.path.exists() and list_runs(store) == []


def test_the_command(store: Store) -> None:
    (run,) = list_runs(store)
    shown = worlds.bench("runs", runs=store.root)
    assert shown.code == 0 and "complete" in shown.out and "1 folder," in shown.out
    listed = worlds.bench("runs", "--json", runs=store.root)
    assert listed.json[0]["path"] == str(run.path) and listed.json[0]["state"] == "complete"
    gone = worlds.bench("runs", "--remove", run.path, runs=store.root)
    assert gone.code == 0 and "removed" in gone.err and not run.path.exists()
    wrong = worlds.bench("runs", "--remove", store.root.parent, runs=store.root)
    assert wrong.code == 2 and "no run or fit" in wrong.err
