"""A few cases of each campaign, and that a campaign can fail. The counts that are promised: docs/reliability.md."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from campaigns import caches, files, kills, mutations, records
from campaigns.commands import Sandbox
from campaigns.report import Report
from processes import Ended

from benchmark.records.store import RunFolder


@pytest.mark.parametrize(("campaign", "count"), [(records, 60), (files, 50), (caches, 4), (kills, 1)])
def test_a_campaign_finds_no_fault(campaign, count: int, tmp_path: Path) -> None:
    report = Report(campaign.__name__, 7, count)
    campaign.run(tmp_path, report)
    assert report.good, report.table()
    assert report.total == count


def test_a_fault_and_a_missing_case_miss_the_goal() -> None:
    report = Report("records", 0, 2)
    report.add("values", "refused")
    assert not report.good and "too few cases" in report.table()
    report.add("values", "changed", "case 1")
    assert not report.good and "1 faults" in report.table()
    data = json.loads(report.to_json())
    assert data["outcomes"] == {"values": {"changed": 1, "refused": 1}} and data["faults"] == [
        "values: changed: case 1"
    ]


def test_a_board_that_believed_a_record_would_be_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the comparison of scores and values, the campaign must say so."""
    from benchmark.leaderboard import clip_scores

    monkeypatch.setattr(clip_scores, "_compare", lambda *given: None)
    report = Report("records", 7, 60)
    records.run(tmp_path, report)
    assert not report.good


class Pretended(Sandbox):
    """A finished run, and a program that says and does what a test wants."""

    def __init__(self, place: Path) -> None:
        super().__init__(place, place / "few.csv")
        fit, run = (RunFolder(self.runs / "mini" / name) for name in ("audiotoken-70f9c1d4", "audiotoken/seed0"))
        self.cached = write(self.cache / "features" / "a.npy", b"sealed")
        self.image = write(run.images / "a.png", b"PNG")
        write(run.record_path, b"{}")
        fit.mark_done("fit", "a", files=[write(fit.path / "embedder.safetensors", b"weights")])
        for step, made in {"plan": [], "generate": [self.image], "score": [run.record_path]}.items():
            run.mark_done(step, "a", files=made)
        self.expected = self.result()

    def judged(self, path: Path, how: str, code: int = 0, err: str = "", again: bool = True) -> str:
        """The outcome after `path` was deleted, and the program ended with `code` and said `err`."""
        name, stored = str(path.relative_to(self.place)), path.read_bytes()
        path.unlink()

        def run(*given: object, **more: object) -> Ended:
            if again:
                path.write_bytes(stored)
            return Ended(code, "{}", err, 1.0)

        self.run = run  # type: ignore[method-assign]
        outcome, _ = caches._judge(self, self.expected, name, how, stored)
        path.write_bytes(stored)
        return outcome


def write(path: Path, data: bytes) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path


def test_damage_that_is_not_mended_or_not_said_is_a_fault(tmp_path: Path) -> None:
    run = Pretended(tmp_path)
    said = "warning: runs/audiotoken/seed0/images/a.png is missing: made anew"
    assert run.judged(run.image, "deleted", err=said) == "made anew"
    assert run.judged(run.image, "deleted") == "silent"
    assert run.judged(run.image, "deleted", again=False, err=said) == "changed"
    assert run.judged(run.image, "deleted", code=2, err="bench: a.png is missing") == "stuck"
    assert run.judged(run.cached, "deleted") == "made again"
    assert run.judged(run.cached, "deleted", again=False) == "stuck"
    assert run.judged(run.cached, "a bit") == "silent"
    marker = run.folder / "steps" / "generate.json"
    assert run.judged(marker, "deleted") == "silent"
    assert run.judged(marker, "deleted", again=False, err="warning: generate.json") == "stuck"
    assert run.judged(run.fit / "steps" / "fit.json", "deleted", err="warning: fit.json") == "made anew"


@pytest.mark.parametrize(("hangs", "outcome"), [(1, "read"), (2, "hang")])
def test_only_what_passes_the_time_limit_twice_hangs(hangs: int, outcome: str) -> None:
    limits = []

    def read_all(read: object, jobs: Iterable[files.Job], workers: int, ended: Any, limit: float) -> Iterator[Any]:
        limits.append(limit)
        for job in jobs:
            yield ended(job, "hang") if job[2] == 1 and len(limits) <= hangs else (Path(job[0]).name, "read", "")

    jobs = [("place/sound.wav", 0, case) for case in range(3)]
    found = list(files.patiently(jobs, 1, read_all))
    assert [one[:2] for one in found] == [("sound.wav", "read")] * 2 + [("sound.wav", outcome)]
    assert limits == [files.LIMIT_SECONDS, 5 * files.LIMIT_SECONDS]


def test_damage_is_the_same_for_a_seed() -> None:
    data = bytes(range(256)) * 4
    once, again = ([mutations.damaged(data, random.Random(k)) for k in range(50)] for _ in range(2))
    assert once == again and len(set(once)) > 40 and data not in once


def test_the_command(root: Path) -> None:
    command = [sys.executable, "-m", "tests.campaigns", "records", "--count", "3", "--json"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["cases"] == 3
