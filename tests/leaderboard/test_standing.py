"""How sure the places of a board are. Every record here is synthetic."""

from __future__ import annotations

import csv
import io
import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import worlds
from boards import scored, stored

from benchmark.leaderboard.board import Board, Layout
from benchmark.leaderboard.build import build_board
from benchmark.leaderboard.formats import to_csv, to_html, to_json, to_markdown
from benchmark.leaderboard.standing import Standing
from benchmark.suite import load_suite

RNG = np.random.default_rng(2)
SHOWN = Layout(extras=frozenset({"rank", "ranks", "best"}))


def clips(mean: float) -> np.ndarray:
    return np.clip(RNG.normal(mean, 8, 80), 0, 100)


@pytest.fixture
def board(tmp_path: Path) -> Board:
    records = [
        scored(tmp_path, name, {"ais": clips(mean + 0.3 * seed)}, seed)
        for name, mean in (("top", 70.0), ("like-top", 70.0), ("low", 40.0))
        for seed in range(3)
    ]
    records += [scored(tmp_path, "told", {"ais": clips(90.0)}, 0, sees=["label"])]
    records += [scored(tmp_path, "once", {"ais": clips(20.0)}, 0)]
    return build_board(records, ["ais", "fid"], suite="mini")


def test_standings_are_of_the_ranked_rows_alone(board: Board) -> None:
    found = {row.method: standing for row, standing in zip(board.rows, board.standings, strict=True)}
    assert found["told"] is None
    assert {(found[name].low, found[name].high) for name in ("top", "like-top")} == {(1, 2)}
    assert (found["low"].low, found["low"].high, found["low"].best) == (3, 3, 0)
    assert found["once"].shown_ranks == "4" and found["once"].shown_best == "<1 %"
    assert sum(one.best for one in found.values() if one) == pytest.approx(1)


def test_programs_always_get_them(board: Board) -> None:
    rows = json.loads(to_json(board))
    table = list(csv.DictReader(io.StringIO(to_csv(board))))
    for row, line, standing in zip(rows, table, board.standings, strict=True):
        for key, attribute in (("rank_low", "low"), ("rank_high", "high"), ("probability_best", "best")):
            value = getattr(standing, attribute) if standing else None
            assert row[key] == value and line[key] == ("" if value is None else str(value))
    assert list(board.to_pandas()["rank_high"])[1:3] == [2, 2]


def test_tables_show_them_where_they_are_asked_for(board: Board) -> None:
    assert "Ranks" not in board.sheet().header and "Best" not in to_html(board)
    asked = replace(board, layout=SHOWN)
    assert asked.sheet().header == ("#", "Method", "ais ↑", "Ranks", "Best")
    assert [line[-2:] for line in asked.sheet().rows[3:5]] == [("3", "<1 %"), ("4", "<1 %")]
    assert asked.sheet().rows[0][-2:] == ("–", "–") and asked.sheet().rows[1][-2] == "1–2"
    assert "the one seed of once is taken as given" in to_markdown(asked)
    assert '<td data-value="3">3</td>' in to_html(asked)


def test_nothing_is_said_where_a_ranked_row_has_no_scores_per_clip(board: Board, tmp_path: Path) -> None:
    records = [scored(tmp_path, "own", {"ais": clips(60.0)}), stored("bare", 50.0)]
    bare = replace(build_board(records, ["ais"], suite="mini"), layout=SHOWN)
    assert bare.standings == (None, None) and "No intervals of ranks: no scores per clip of ais for bare." in bare.notes
    single = build_board([scored(tmp_path, name, {"ais": clips(60.0)}) for name in "ab"], ["ais"], suite="mini")
    (note,) = (note for note in replace(single, layout=SHOWN).notes if note.startswith("Ranks"))
    assert note.endswith("over clips; the one seed of every row is taken as given.")
    by_distance = replace(
        build_board([stored("a", 1.0, 5.0), stored("b", 1.0, 6.0)], ["fid"], suite="mini"), layout=SHOWN
    )
    assert by_distance.standings == (None, None) and any("of fid for a, b" in note for note in by_distance.notes)
    assert build_board([], ["ais"], suite="mini").standings == ()


def test_probabilities_are_never_shown_as_certainties() -> None:
    assert [Standing(1, 1, best).shown_best for best in (0.0, 0.004, 0.5, 0.996, 1.0)] == [
        "<1 %",
        "<1 %",
        "50 %",
        ">99 %",
        ">99 %",
    ]


def test_the_command(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmark.records.store.packaged_results", lambda: None)
    fingerprint = load_suite("mini").fingerprint()
    for name, mean in (("one", 60.0), ("other", 40.0)):
        for seed in range(2):
            made = scored(tmp_path / "made", name, {"ais": clips(mean)}, seed, fingerprint=fingerprint)
            folder = tmp_path / "mini" / name / f"seed{seed}"
            folder.mkdir(parents=True)
            made.record.save(folder / "record.json")
            shutil.copy(made.path.with_name("scores.parquet"), folder)
    columns = ("table", "--columns", "rank,ais,ranks,best", "--method", "one", "--method", "other")
    done = worlds.bench(*columns, "--format", "md", runs=tmp_path)
    assert done.code == 0 and done.out.splitlines()[0].count("|") == 6 and "over clips and seeds" in done.out
    rows = worlds.bench("table", "--metric", "ais", "--json", runs=tmp_path).json
    assert {row["method"]: row["rank_low"] for row in rows if row["method"] in ("one", "other")}["one"] >= 1
