"""`bench` in processes of their own, forked from one that has imported everything: each takes as long as its work."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import worlds

LIMIT_SECONDS = 600.0
"""A command of some seconds that is not done then, hangs."""
PRELOADED = [
    *("torch", "diffusers", "transformers", "open_clip", "pandas", "pyarrow.parquet", "scipy.linalg", "soundfile"),
    *("benchmark.cli.app", "benchmark.runs.steps", "benchmark.mini.networks", "metrics.compute", "audiotoken.method"),
]
CLIPS = {"train": (0, 1, 2, 18), "test": (0, 1, 2, 18)}


class Ended(NamedTuple):
    """What became of a command; the code is None where it was killed, by us or by the time limit."""

    code: int | None
    out: str
    err: str
    seconds: float

    @property
    def lines(self) -> list[str]:
        """What it said of a problem."""
        return [line for line in self.err.splitlines() if line.startswith(("warning:", "bench:"))]


def bench(*arguments: str, place: Path, environment: dict[str, str], after: float = LIMIT_SECONDS) -> Ended:
    """Run a command, and kill its whole process group `after` so many seconds."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    out, err = place / "out.txt", place / "err.txt"
    process = context.Process(target=_main, args=(arguments, environment, str(out), str(err)))
    began = time.monotonic()
    process.start()
    process.join(after)
    killed = process.is_alive()
    if killed:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid or 0, signal.SIGKILL)
        process.kill()  # it may not have led a group yet
    process.join()
    texts = [path.read_text(encoding="utf-8", errors="replace") if path.exists() else "" for path in (out, err)]
    return Ended(None if killed else process.exitcode, *texts, time.monotonic() - began)


def _main(arguments: tuple[str, ...], environment: dict[str, str], out: str, err: str) -> None:
    os.setsid()
    os.environ |= environment
    for path, number in ((out, 1), (err, 2)):
        os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), number)
    from benchmark.cli import app

    sys.exit(app.main(arguments))


class Sandbox:
    """A run that fits, generates and scores a few clips, with runs and cache of its own."""

    def __init__(self, place: Path, data: Path) -> None:
        self.place, self.runs, self.cache = place, place / "runs", place / "cache"
        self.data = data
        place.mkdir(parents=True, exist_ok=True)

    def run(self, after: float = LIMIT_SECONDS) -> Ended:
        settings = ("--set", "steps=2", "--set", "batch_size=2")
        command = ("run", "--no-report", "--method", "audiotoken", "--data", str(self.data), *settings, "--json")
        environment = {"BENCH_CACHE": str(self.cache), "BENCH_RUNS": str(self.runs)}
        return bench(*command, place=self.place, environment=environment, after=after)

    @property
    def folder(self) -> Path:
        """The folder of the run, as far as there is one."""
        return next(self.runs.glob("*/audiotoken/seed0*"), self.runs)

    @property
    def fit(self) -> Path:
        return next(self.runs.glob("*/audiotoken-*"), self.runs)

    def result(self) -> dict[str, Any]:
        """All that a run gives but times and dates: record, scores, images, the trained embedder."""
        record = json.loads((self.folder / "record.json").read_text(encoding="utf-8"))
        files = [*self.folder.glob("images/*.png"), *self.folder.glob("*.parquet"), *self.folder.glob("images.json")]
        files += self.fit.glob("embedder*")
        whole = {path.name: path.read_bytes() for path in files}
        return {"record": {k: v for k, v in record.items() if k not in ("provenance", "cost")}, **whole}

    def files(self) -> dict[str, bytes]:
        """Everything that is stored, by its name in this place."""
        found = (path for root in (self.runs, self.cache) for path in sorted(root.rglob("*")))
        return {str(p.relative_to(self.place)): p.read_bytes() for p in found if p.is_file() and p.name != ".lock"}

    def restore(self, files: dict[str, bytes]) -> None:
        """Put everything back."""
        for root in (self.runs, self.cache):
            shutil.rmtree(root, ignore_errors=True)
        for name, data in files.items():
            path = self.place / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)


def few_clips(place: Path) -> Path:
    """Return a manifest of a few clips of the world."""
    rows = [worlds.row(place, split, index) for split, found in CLIPS.items() for index in found]
    return worlds.write_manifest(place / "few.csv", rows)
