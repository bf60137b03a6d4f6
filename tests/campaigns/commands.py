"""A small run of `bench` in processes of their own, with all that it stores."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import worlds
from processes import LIMIT_SECONDS, Ended, Program

CLIPS = {"train": (0, 1, 2, 18), "test": (0, 1, 2, 18)}


def bench(*arguments: str, place: Path, environment: dict[str, str], after: float = LIMIT_SECONDS) -> Ended:
    """Run a command, and kill its whole process group `after` so many seconds."""
    return Program("-m", "benchmark", *arguments, place=place, environment=environment).end(after)


class Sandbox:
    """A run that fits, generates and scores a few clips, with runs and cache of its own."""

    def __init__(self, place: Path, data: Path) -> None:
        self.place, self.runs, self.cache = place, place / "runs", place / "cache"
        self.data = data
        place.mkdir(parents=True, exist_ok=True)

    def run(self, after: float = LIMIT_SECONDS, *, verb: str = "run") -> Ended:
        """Call `bench run`, or only its step `verb`."""
        settings = ("--set", "steps=2", "--set", "batch_size=2")
        more = ("--no-report",) if verb == "run" else ()
        command = (verb, *more, "--method", "audiotoken", "--data", str(self.data), *settings, "--json")
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
