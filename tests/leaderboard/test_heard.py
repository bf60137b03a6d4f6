"""Heard shares as columns of a board: what is computed, what is marked, and what is said where an end is missing."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from boards import scored

from benchmark.cli import layout
from benchmark.leaderboard import heard
from benchmark.leaderboard.board import Board
from benchmark.leaderboard.build import build_board
from benchmark.leaderboard.formats import RENDERERS, to_csv, to_json, to_markdown
from benchmark.records.store import StoredRecord
from benchmark.utils.errors import UserError
from metrics.heard import heard_share

WITHIN = "ais.winrate.sameclass"
RNG = np.random.default_rng(0)
CLIPS = 120
LABEL = RNG.normal(50, 8, CLIPS).clip(0, 100)
WORDS = (LABEL + RNG.normal(30, 4, CLIPS)).clip(0, 100)
EARS = np.where(RNG.random(CLIPS) < 0.4, WORDS, LABEL)


def record(folder: Path, method: str, scores: np.ndarray, sees: tuple[str, ...], **changes: object) -> StoredRecord:
    return scored(folder, method, {"ais": scores, WITHIN: scores}, sees=sees, **changes)


@pytest.fixture
def records(tmp_path: Path) -> list[StoredRecord]:
    return [
        record(tmp_path, "ears", EARS, ("audio",)),
        record(tmp_path, "sd-text", LABEL, ("label",)),
        record(tmp_path, "ceiling-words", WORDS, ("frame",), where="packaged"),
        record(tmp_path, "some", EARS[:30], ("audio",), limit=30),
    ]


def board(records: list[StoredRecord], *methods: str) -> Board:
    shown = build_board(records, ["ais"], suite="mini", methods=methods)
    return heard.with_shares(shown, build_board(records, [WITHIN], suite="mini"), ["heard.ais"])


def test_a_share_is_that_of_the_scores_and_neither_ranks_nor_wins(records: list[StoredRecord]) -> None:
    found = board(records)
    rows = {row.method: row for row in found.rows}
    share = heard_share(EARS, LABEL, WORDS)
    cell = rows["ears"].cells["heard.ais"]
    assert (cell.value, cell.low, cell.high, cell.n) == (share.value, share.low, share.high, CLIPS)
    assert cell.low is not None and cell.low < 40 < share.high
    ends = [rows[name].cells["heard.ais"] for name in ("sd-text", "ceiling-words")]
    assert [(one.value, one.low) for one in ends] == [(0, None), (100, None)]
    assert not any(row.cells["heard.ais"].best or row.cells["heard.ais"].tied for row in found.rows)
    assert [row.method for row in found.rows] == [
        row.method for row in build_board(records, ["ais"], suite="mini").rows
    ]
    assert rows["some"].cells["heard.ais"].reason == f"sd-text on 30 clips has no score a clip of {WITHIN}"
    assert any(note.startswith("No heard.ais for some (limit 30): sd-text on 30 clips") for note in found.notes)
    assert any("heard.ais is the share of what words add" in note for note in found.notes)


def test_told_the_answer_a_packaged_record_has_no_rank(records: list[StoredRecord]) -> None:
    rows = {row.method: row for row in board(records).rows}
    words = rows["ceiling-words"]
    assert words.rank is None and not words.competes and words.where == "packaged" and words.unranked is None
    assert rows["ears"].rank == 1 and rows["sd-text"].rank is None


def test_the_ends_need_not_be_among_the_rows_that_are_shown(records: list[StoredRecord]) -> None:
    alone = board(records, "ears")
    assert [row.method for row in alone.rows] == ["ears"]
    expected = next(row for row in board(records).rows if row.method == "ears").cells["heard.ais"]
    assert alone.rows[0].cells["heard.ais"] == expected


@pytest.mark.parametrize(
    ("lost", "how"),
    [
        ("sd-text", "there is no record of sd-text: `bench run --method sd-text` makes it"),
        (
            "ceiling-words",
            "there is no record of ceiling-words: `python -m benchmark.studies.ceilings --kind words` makes it",
        ),
    ],
)
def test_without_an_end_there_is_no_column_but_the_command(records: list[StoredRecord], lost: str, how: str) -> None:
    found = board([one for one in records if one.record.method.name != lost])
    assert "heard.ais" not in to_markdown(found).splitlines()[0]
    assert found.notes.count(f"No column heard.ais: {how}.") == 1


@pytest.mark.parametrize("how", ["md", "csv", "latex", "html", "json"])
def test_every_format_has_the_share(records: list[StoredRecord], how: str) -> None:
    found = board(records, "ears")
    cell = found.rows[0].cells["heard.ais"]
    text = RENDERERS[how](found)
    assert (str(cell.value) if how in ("csv", "json") else f"{cell.value:.1f}") in text
    if how == "csv":
        (row,) = csv.DictReader(io.StringIO(to_csv(found)))
        assert float(row["heard.ais_low"]) == cell.low and float(row["heard.ais_high"]) == cell.high
    if how == "json":
        assert json.loads(to_json(found))[0]["metrics"]["heard.ais"]["high"] == cell.high


def test_columns_are_asked_for_by_name() -> None:
    asked = layout.LayoutOptions(columns="heard.iis, ais, rank,heard.ais")
    assert asked.metrics() == ["ais"] and asked.shares() == ["heard.iis", "heard.ais"]
    with pytest.raises(UserError, match="name at least one metric"):
        layout.LayoutOptions(columns="heard.ais,rank").metrics()
