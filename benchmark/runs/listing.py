"""The runs and fits in a folder of runs: how far each is, how large, and how to remove one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from benchmark.records.record import RunRecord
from benchmark.records.store import Folder, Store
from benchmark.utils.errors import UserError

Kind = Literal["run", "fit"]


@dataclass(frozen=True)
class Listed:
    """A run or a fit on disk."""

    path: Path
    """Its folder."""
    kind: Kind
    """Which of the two."""
    suite: str
    """Name of the suite's folder."""
    method: str
    """Name of the method, or of the fit that several methods may share."""
    state: str
    """"complete", "incomplete", "failed", or what is not finished."""
    images: int
    """Images that are there."""
    bytes: int
    """Size of all its files."""
    date: str
    """When its record was made, in UTC; empty without a record."""


def list_runs(store: Store) -> list[Listed]:
    """Return all runs and fits of a store, finished or not, by path; what was set aside (`.old-<k>`) included."""
    return [_listed(path) for path in sorted({*_folders(store.root)})]


def remove(store: Store, path: Path) -> int:
    """Remove the folder of a run or a fit; return the bytes that were freed.

    Raises:
        UserError: It is no run or fit of this store.
        RunError: Another process is working in it.
    """
    known = {folder.resolve() for folder in _folders(store.root)}
    if path.resolve() not in known:
        raise UserError(f"{path} is no run or fit in {store.root}: `bench runs` lists them")
    if path.is_symlink():
        raise UserError(f"{path} is a link to another place: remove it by hand")
    size = _size(path)
    with Folder(path).lock():
        shutil.rmtree(path)
    return size


def _folders(root: Path) -> Iterator[Path]:
    for marker in ("plan.json", "record.json", "steps"):
        for depth in ("*/*", "*/*/*"):
            yield from {found.parent for found in root.glob(f"{depth}/{marker}")}


def _listed(path: Path) -> Listed:
    images = path / "images"
    is_run = (path / "plan.json").exists() or (path / "record.json").exists()
    state, date = _state(path, is_run)
    suite, method = (path.parent.parent.name, path.parent.name) if is_run else (path.parent.name, path.name)
    count = sum(1 for _ in images.glob("*.png")) if images.is_dir() else 0
    return Listed(path, "run" if is_run else "fit", suite, method, state, count, _size(path), date)


def _state(path: Path, is_run: bool) -> tuple[str, str]:
    if not is_run:
        done = Folder(path).state("fit") == "done"
        return "complete" if done else "not finished: fit", ""
    if (path / "record.json").exists():
        try:
            record = RunRecord.load(path / "record.json")
        except UserError:
            return "damaged: record.json cannot be read", ""
        return record.status, record.provenance.date
    folder = Folder(path)
    step = next((step for step in ("generate", "score") if folder.state(step) != "done"), "score")
    return f"not finished: {step}", ""


def _size(path: Path) -> int:
    return sum(file.lstat().st_size for file in path.rglob("*") if not file.is_dir())
