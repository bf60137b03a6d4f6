"""A few cases of each campaign, and that a campaign can fail. The counts that are promised: docs/reliability.md."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path

import pytest
from campaigns import caches, files, kills, mutations, records
from campaigns.report import Report


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


def test_damage_is_the_same_for_a_seed() -> None:
    data = bytes(range(256)) * 4
    once, again = ([mutations.damaged(data, random.Random(k)) for k in range(50)] for _ in range(2))
    assert once == again and len(set(once)) > 40 and data not in once


def test_the_command(root: Path) -> None:
    command = [sys.executable, "-m", "tests.campaigns", "records", "--count", "3", "--json"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["cases"] == 3
