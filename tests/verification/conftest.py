"""Small finished runs that the tests send to strangers and damage."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import worlds
from worlds import NOISE, bench, method_file

from benchmark.records.record import RunRecord


@pytest.fixture(scope="session")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of six test clips of three classes."""
    base = tmp_path_factory.getbasetemp() / "verified"
    return worlds.write_manifest(base / "six.csv", [worlds.row(base, "test", k) for k in (0, 1, 2, 26, 27, 28)])


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory, clips: Path) -> Path:
    """The folder of a run of a method that costs nothing."""
    base = tmp_path_factory.getbasetemp() / "verified"
    return worlds.finished(base, method_file(base, NOISE), clips)[0]


@pytest.fixture
def sent(finished: Path, tmp_path: Path) -> Path:
    """A copy of the run, alone in a folder as somebody would send it: nothing else of the sender's is there."""
    folder = tmp_path / "sent"
    shutil.copytree(finished, folder, ignore=shutil.ignore_patterns(".lock"))
    return folder


@pytest.fixture
def clean(sent: Path) -> Path:
    """The same as if it had been made from a clean checkout, whatever state this one is in."""
    record = RunRecord.load(sent / "record.json")
    clean = {"commit": "c" * 40, "dirty": False}
    steps = {
        step: tuple(one.model_copy(update=clean) for one in made) for step, made in record.provenance.steps.items()
    }
    made = record.provenance.model_copy(update=steps)
    record.model_copy(update={"provenance": made}).save(sent / "record.json")
    shutil.rmtree(sent / "steps")
    return sent


@pytest.fixture
def bundle(clean: Path, tmp_path: Path) -> Path:
    """A bundle of it, a folder, with images."""
    result = bench("submit", clean, "-o", tmp_path / "bundle", "--by", "Lab A", "--images")
    assert result.code == 0, result.err
    return tmp_path / "bundle"
