"""The fit in the package: what the suite prescribes, checked before it is used, and used for one's own sounds alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from worlds import bench

from benchmark.media.audio import write_wav
from benchmark.media.images import load_image
from benchmark.mini.data import make_sound
from benchmark.records.store import Folder
from benchmark.runs import shipped
from benchmark.runs.request import RunRequest
from benchmark.runs.run import Run
from benchmark.runs.shipped import FITS, fit_at_hand, shipped_fit
from benchmark.utils.progress import Silent


class Heard(Silent):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, line: str) -> None:
        self.lines.append(line)

    def warn(self, line: str) -> None:
        self.lines.append(line)


def planned(runs: Path, seed: int = 0, **settings: str) -> Run:
    return Run.of(RunRequest(method="audiotoken", seed=seed, settings=settings, runs=runs, device="cpu"), Heard())


@pytest.fixture
def no_training(monkeypatch: pytest.MonkeyPatch) -> list[Run]:
    """Fits that were asked for, instead of being made."""
    asked: list[Run] = []

    def fit(run: Run) -> Path:
        asked.append(run)
        assert run.plan.fit_folder is not None
        return run.plan.fit_folder.path

    monkeypatch.setattr(shipped, "fit", fit)
    return asked


def test_what_ships_is_the_fit_of_the_suite_as_it_is(tmp_path: Path) -> None:
    run = planned(tmp_path)
    found = shipped_fit(run.plan)
    assert found is not None, "made for another suite, encoder, budget or version of fits: make it again and copy it"
    assert [path.name for path in FITS.iterdir()] == [found.path.name], "and no other"
    assert sum(path.stat().st_size for path in found.path.rglob("*")) < 1e6
    assert found.payload("fit")["steps"] == run.plan.suite.budget.steps
    assert found.made_with("fit") and not any(one.dirty for one in found.made_with("fit"))


def test_it_is_used_where_nothing_else_is_there(tmp_path: Path, no_training: list[Run]) -> None:
    run = planned(tmp_path / "runs")
    assert fit_at_hand(run) == FITS / run.plan.fit_folder.path.name and no_training == []  # type: ignore[union-attr]
    assert isinstance(run.ui, Heard) and len(run.ui.lines) == 1
    assert "ships with the package (seed 0, 600 steps)" in run.ui.lines[0]
    assert not (tmp_path / "runs").exists(), "nothing is made"


def test_ones_own_fit_goes_before_it(tmp_path: Path, no_training: list[Run]) -> None:
    run = planned(tmp_path)
    folder, identity = run.plan.fit_folder, run.plan.fit_identity
    assert folder is not None and identity is not None
    shutil.copytree(FITS / folder.path.name, folder.path)
    assert fit_at_hand(run) == folder.path and no_training == [run]


@pytest.mark.parametrize("other", [{"seed": 1}, {"steps": "601"}, {"learning_rate": "1e-4"}])
def test_another_seed_or_setting_is_another_fit(
    tmp_path: Path, no_training: list[Run], other: dict[str, str | int]
) -> None:
    run = planned(tmp_path, **other)  # type: ignore[arg-type]
    assert shipped_fit(run.plan) is None
    fit_at_hand(run)
    assert no_training == [run]


def test_a_damaged_one_is_not_used(tmp_path: Path, no_training: list[Run], monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(FITS, tmp_path / "fits")
    monkeypatch.setattr(shipped, "FITS", tmp_path / "fits")
    run = planned(tmp_path / "runs")
    found = shipped_fit(run.plan)
    assert isinstance(found, Folder)
    weights = found.path / "embedder.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert shipped_fit(run.plan) is None
    fit_at_hand(run)
    assert no_training == [run] and isinstance(run.ui, Heard)
    assert len(run.ui.lines) == 1 and f"{weights} is not what was written" in run.ui.lines[0]


def test_a_sound_becomes_a_picture_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("BENCH_CACHE", str(tmp_path / "cache"))
    write_wav(Path("bell.wav"), make_sound("validation", 0, clean=True) / np.float32(32768))
    result = bench("imagine", "bell.wav", "-o", "bell.png")
    assert result.code == 0, result.err
    assert "ships with the package" in result.err and "training" not in result.err and "making" not in result.err
    assert np.asarray(load_image(Path("bell.png"))).std() > 10
    assert not list(Path().glob("runs/mini/*/embedder.safetensors"))
