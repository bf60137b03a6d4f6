"""The board's stopwatch: that it times what it says, on records that a board takes. How long it takes is not tested."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from benchmark.leaderboard.build import build_board
from benchmark.records.record import read_scores, run_identity
from benchmark.records.store import Store, packaged_records
from benchmark.studies import board_speed
from benchmark.suite import load_suite


def test_synthetic_runs_are_runs_of_their_own(tmp_path: Path) -> None:
    paths = board_speed.make_runs(12, tmp_path)
    found = Store(tmp_path).records("mini")
    assert not found.problems and {stored.path for stored in found.records} == set(paths) and len(paths) == 12
    records = [stored.record for stored in found.records]
    for record in records:
        asked = record.suite.fingerprint, record.method.name, record.method.settings, record.seed, record.limit
        assert record.identity == run_identity(*asked)
    packaged = packaged_records("mini").records
    assert len({record.identity for record in [*records, *(stored.record for stored in packaged)]}) == 12 + len(
        packaged
    )
    first, second = (read_scores(path.with_name("scores.parquet")) for path in paths[:2])
    assert len(first) == load_suite("mini").data.test and not np.array_equal(first["ais"], second["ais"])

    suite = load_suite("mini")
    board = build_board(found.records, suite.headline, suite="mini", fingerprint=suite.fingerprint())
    seeds = sorted((row.method, row.seeds) for row in board.rows)
    assert seeds == [("method-0", (0, 1, 2)), ("method-1", (0, 1, 2)), *[("swept", (0,))] * 6]
    assert not board.remarks and all(row.rank and row.scores.keys() >= {"ais", "iis"} for row in board.rows)


def test_it_prints_what_it_measured(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert board_speed.main(["--records", "12", "--rounds", "1", "--keep", str(tmp_path / "runs")]) == 0
    header, _, packaged, both = capsys.readouterr().out.splitlines()
    assert [cell.strip() for cell in header.strip("| ").split("|")][:5] == ["records", "rows", *board_speed.STAGES]
    counts = [[int(count) for count in re.findall(r"\| (\d+) (?=\|)", line)] for line in (packaged, both)]
    assert counts[1][0] == counts[0][0] + 12 and counts[1][1] == counts[0][1] + 8
    assert all(len(re.findall(r"\d+\.\d\d s", line)) == 4 for line in (packaged, both))
    assert len(list((tmp_path / "runs").rglob("record.json"))) == 12
