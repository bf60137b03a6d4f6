"""Plans made of records. Every record here is synthetic."""

from __future__ import annotations

import csv
import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import worlds
from boards import scored, stored

from benchmark.leaderboard.board import Board
from benchmark.leaderboard.build import build_board
from benchmark.leaderboard.power import RENDERERS, make_plan
from benchmark.records.store import StoredRecord
from benchmark.suite import load_suite
from benchmark.utils.errors import UserError
from metrics.power import design

NAMES = {"best": 70.0, "next": 68.0, "last": 40.0}


def scores(name: str, seed: int) -> np.ndarray:
    common = np.random.default_rng(0).normal(0, 6, 90)
    rng = np.random.default_rng([seed, *name.encode()])
    return np.clip(NAMES.get(name, 60.0) + common + rng.normal(0, 0.5) + rng.normal(0, 4, 90), 0, 100)


def records(folder: Path, **changes: str) -> list[StoredRecord]:
    return [
        scored(folder, name, {"ais": scores(name, seed)}, seed, **changes)
        for name in NAMES
        for seed in range(1 if name == "last" else 3)
    ]


@pytest.fixture
def board(tmp_path: Path) -> Board:
    return build_board(records(tmp_path), ["ais"], suite="mini")


def test_a_plan_is_of_the_runs_of_the_two_best_rows(board: Board) -> None:
    plan = make_plan(board, 1.0)
    assert (plan.a.method, plan.b.method, plan.clips) == ("best", "next", 90)
    expected = design(
        *(np.array([scores(name, seed) for seed in range(3)]).T for name in ("best", "next")), same_seeds=True
    )
    assert (plan.design.clips, plan.design.rest) == pytest.approx((expected.clips, expected.rest))
    by_seeds = {line.seeds: line for line in plan.lines}
    assert by_seeds[3].clips_given == expected.clips_for(1.0, 3, other_seeds=False)
    assert by_seeds[1].clips_both is None and by_seeds[20].clips_both is not None
    assert by_seeds[3].detects_both > by_seeds[3].detects_given > by_seeds[20].detects_given
    assert plan.seeds_needed == expected.seeds_for(1.0, 90)


def test_every_format(board: Board) -> None:
    plan = make_plan(board, 1.0, ["next", "best"])
    for name, render in RENDERERS.items():
        text = render(plan)
        assert "next" in text or name == "csv", name
    found = json.loads(RENDERERS["json"](plan))
    assert (found["a"], found["b"], found["difference"], found["power"]) == ("next", "best", 1.0, 0.8)
    table = list(csv.DictReader(io.StringIO(RENDERERS["csv"](plan))))
    assert [int(row["seeds"]) for row in table] == [line["seeds"] for line in found["lines"]]
    assert table[0]["clips_both"] == "" and int(table[2]["clips_given"]) == found["lines"][2]["clips_given"]
    shown = RENDERERS["md"](plan)
    assert "80 %" in shown and "Over seeds" in shown and "With the 90 clips" in shown


def test_a_single_run_plans_for_the_runs_as_they_are(board: Board) -> None:
    plan = make_plan(board, 1.0, ["best", "last"])
    assert plan.seeds_needed is None and all(line.clips_both is None for line in plan.lines)
    assert plan.lines[0].clips_given and "a single run of last" in RENDERERS["md"](plan)


def test_what_cannot_be_planned_is_one_line(board: Board) -> None:
    with pytest.raises(UserError, match="two different rows"):
        make_plan(board, 1.0, ["best"])
    with pytest.raises(UserError, match="unknown row 'bets'.*did you mean 'best'"):
        make_plan(board, 1.0, ["bets", "next"])
    with pytest.raises(UserError, match="fewer than two ranked rows"):
        make_plan(build_board([stored("a", 60.0)], ["ais"], suite="mini"), 1.0)
    with pytest.raises(UserError, match="no scores per clip of fid for a and b: give --metric"):
        make_plan(build_board([stored("a", 60.0, 4.0), stored("b", 50.0, 5.0)], ["fid"], suite="mini"), 1.0)
    with pytest.raises(UserError, match="Nothing to show yet"):
        make_plan(build_board([], ["ais"], suite="mini"), 1.0, ["a", "b"])


def test_the_command(tmp_path: Path) -> None:
    for made in records(tmp_path / "made", fingerprint=load_suite("mini").fingerprint()):
        folder = tmp_path / "mini" / made.record.method.name / f"seed{made.record.seed}"
        folder.mkdir(parents=True)
        made.record.save(folder / "record.json")
        shutil.copy(made.path.with_name("scores.parquet"), folder)
    asked = ("plan", "--method", "best", "--method", "next")
    done = worlds.bench(*asked, "--detect", "2", "--metric", "ais", runs=tmp_path)
    assert done.code == 0 and "best" in done.out and "Seeds" in done.out
    assert worlds.bench(*asked, "--detect", "2", "--json", runs=tmp_path).json["clips"] == 90
    wrong = worlds.bench(*asked, "--detect", "-1", runs=tmp_path)
    assert wrong.code == 2 and "--detect -1" in wrong.err and "above 0" in wrong.err
