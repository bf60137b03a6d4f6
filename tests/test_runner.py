"""The whole way fit -> generate -> score -> record on a small manifest: killed, repeated, starved, badly fed."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pytest
import soundfile
import worlds
from PIL import Image
from worlds import GREY, NOISE, bench, method_file, things

from benchmark import runner, suite
from benchmark.audio import write_wav
from benchmark.datasets.manifest import load_manifest
from benchmark.errors import UserError
from benchmark.images import load_image, save_png
from benchmark.record import RunRecord
from benchmark.runner import MAX_SEED, Plan, image_seed
from benchmark.ui import Silent

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.getbasetemp()


@pytest.fixture
def small(base: Path, tmp_path: Path) -> Path:
    """A manifest of four test clips."""
    return worlds.write_manifest(tmp_path / "four.csv", rows(base, range(4)))


def rows(base: Path, indices: Any) -> list[worlds.Row]:
    """Rows of test clips with absolute paths, for a manifest anywhere."""
    folder = things(base).parent
    found = [worlds.row(folder, "test", k) for k in indices]
    return [(name, str(folder / a), str(folder / i), label, split) for name, a, i, label, split in found]


def plan(method: str, data: Path | None = None, runs: Path | None = None, **more: Any) -> Plan:
    return Plan.of(**{"suite": "mini", "method": method, "data": data, "runs": runs, "ui": Silent(), **more})


def folder_of(runs: Path) -> Path:
    (path,) = runs.glob("*/*/seed*/plan.json")
    return path.parent


# ------------------------------------------------------------------------------------------------------------- killed

# One process imports the libraries, then forks each attempt: `bench` itself, killed by the system at a chosen moment.
ATTEMPTS = """
import json, os, signal, sys
import diffusers, open_clip, pandas, soxr, torch, transformers
import audiotoken.method, audiotoken.training, benchmark.mini.dataset
from diffusers import StableDiffusionPipeline
from benchmark import cli, runner, suite

audiotoken.training.SAVE_SECONDS = 0  # a checkpoint after each step
mini = suite.load_suite("mini")
mini = mini.model_copy(update={"generation": mini.generation.model_copy(update={"batch_size": 4})})
suite.load_suite = runner.load_suite = lambda name: mini
replace = os.replace

def killed(pattern, count, after):
    def call(source, target):
        nonlocal count
        count -= os.path.basename(target).endswith(pattern)
        if count == 0 and not after:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(source, target)
        if count == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    return call

for attempt in json.loads(sys.argv[1]):
    child = os.fork()
    if child == 0:
        os.environ |= attempt["environment"]
        if attempt["kill"]:
            os.replace = killed(*attempt["kill"])
        os._exit(cli.main(attempt["arguments"]))
    status = os.waitpid(child, 0)[1]
    assert os.waitstatus_to_exitcode(status) == (-signal.SIGKILL if attempt["kill"] else 0), (attempt, status)
"""

# The name of a file that is about to appear (or just has): it ends in this, for the n-th time in the attempt.
KILLS: list[tuple[str, int, bool]] = [
    ("training.pt", 3, True),
    ("training.pt", 3, False),
    ("embedder.safetensors", 1, True),
    ("fit.json", 2, False),
    ("-18.png", 1, False),
    (".png", 3, True),
    ("generate.json", 2, False),
    ("scores.parquet", 1, True),
    ("score.json", 2, False),
]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="the attempts are forked")
def test_a_run_that_is_killed_again_and_again_ends_as_one_that_was_not(base: Path, tmp_path: Path) -> None:
    arguments = ["run", "--method", "audiotoken", "--data", str(things(base)), "--set", "steps=6"]

    def attempt(name: str, kill: tuple[str, int, bool] | None = None) -> dict[str, Any]:
        environment = {"BENCH_RUNS": str(tmp_path / name), "BENCH_CACHE": str(tmp_path / f"{name}-cache")}
        return {"environment": environment, "kill": kill, "arguments": arguments}

    attempts = [*(attempt("killed", kill) for kill in KILLS), attempt("killed"), attempt("whole")]
    done = subprocess.run(
        [sys.executable, "-c", ATTEMPTS, json.dumps(attempts)],
        cwd=ROOT, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert re.findall(r"continuing at step (\d) of 6", done.stderr) == ["3", "5", "6", "6"]

    killed, whole = folder_of(tmp_path / "killed"), folder_of(tmp_path / "whole")
    fits = [next(runs.glob("*/audiotoken-*/embedder.safetensors")) for runs in (killed.parents[1], whole.parents[1])]
    assert fits[0].read_bytes() == fits[1].read_bytes()
    assert len(worlds.pictures(whole)) == 12 and worlds.pictures(killed) == worlds.pictures(whole)
    pandas.testing.assert_frame_equal(*(pandas.read_parquet(p / "scores.parquet") for p in (killed, whole)))
    records = [RunRecord.load(path / "record.json") for path in (killed, whole)]
    assert records[0].metrics == records[1].metrics and records[0].per_class == records[1].per_class
    assert records[0].identity == records[1].identity and records[0].status == "complete"
    # What a killed process measured of itself is gone; a part is not reported as the whole.
    assert records[0].cost.fit_seconds is None and records[0].cost.generate_seconds is None
    assert records[1].cost.fit_seconds and records[1].cost.generate_seconds and records[1].cost.fit_steps == 6
    assert not list((tmp_path / "killed").rglob("*.old-*"))


# ----------------------------------------------------------------------------------------------------------- repeated


@pytest.fixture
def no_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise AssertionError("a network was asked for")

    for registry in (suite.BACKBONES, suite.SCORERS, suite.ENCODERS):
        monkeypatch.setattr(registry, "get", fail)


def test_a_finished_run_is_not_done_again(base: Path, no_networks: None) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.undo()
    folder, record = finished_with_networks(base)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}
    again = bench(
        "run", "--method", "audiotoken", "--data", things(base), "--set", "steps=2", "--json", runs=base / "runs"
    )
    assert again.code == 0 and again.json == record
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()} == before


def finished_with_networks(base: Path) -> tuple[Path, dict[str, Any]]:
    raise NotImplementedError
