"""Every record here is synthetic: the numbers were made up for the tests and are results of nothing."""

from __future__ import annotations

import csv
import io
import json
import random
import re
import time
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from boards import MADE, metric, scored, stored

from benchmark.leaderboard.board import Board
from benchmark.leaderboard.build import build_board
from benchmark.leaderboard.formats import RENDERERS, to_csv, to_html, to_json, to_latex, to_markdown, to_rich
from benchmark.records.record import MetricValue
from benchmark.records.store import StoredRecord
from metrics.statistics import bootstrap_interval, paired_permutation_test

COLUMNS = ["ais", "fid"]


@pytest.fixture
def records() -> list[StoredRecord]:
    return [
        stored("audiotoken", 60.0, 70.0, 0, where="packaged"),
        stored("audiotoken", 64.0, 74.0, 1),
        stored("reference", 75.0, None, None),
        stored("shuffled", 50.5, 71.0, 0),
        stored("quick", 99.0, 1.0, 0, limit=8),
        stored("crashed", 98.0, 2.0, 0, status="incomplete"),
        stored("lossy", metric(97.0, failed=3), 3.0, 0),
    ]


def board_of(records: list[StoredRecord], **options: Any) -> Board:
    return build_board(records, COLUMNS, suite="mini", **options)


def rows_of(board: Board) -> dict[str, Any]:
    return {row.label: row for row in board.rows}


def test_rows_are_ranked_by_the_first_column_and_the_unranked_come_last(records):
    board = board_of(records)
    assert [(row.rank, row.label) for row in board.rows] == [
        (1, "reference"),
        (2, "audiotoken"),
        (3, "shuffled"),
        (None, "quick (limit 8)"),
        (None, "crashed (incomplete)"),
        (None, "lossy (failed clips)"),
    ]


def test_seeds_of_different_code_under_one_name_are_not_averaged():
    def of(code: str | None, ais: float, seed: int) -> StoredRecord:
        one = stored("mine", ais, 70.0, seed)
        method = one.record.method.model_copy(update={"source": code})
        path = one.path.with_name(f"{code}.json")
        return replace(one, record=one.record.model_copy(update={"method": method}), path=path)

    board = board_of([of("a" * 64, 60.0, 0), of("b" * 64, 90.0, 1), of(None, 30.0, 2), of("a" * 64, 62.0, 3)])
    found = {row.label: (row.cells["ais"].value, row.seeds, row.source) for row in board.rows}
    assert found == {
        "mine": (30.0, (2,), None),
        f"mine (code sha256={'a' * 12})": (61.0, (0, 3), "a" * 64),
        f"mine (code sha256={'b' * 12})": (90.0, (1,), "b" * 64),
    }
    same_seed = board_of([of("a" * 64, 60.0, 0), of("b" * 64, 90.0, 0)])
    assert len(same_seed.rows) == 2 and not same_seed.remarks, "neither is a copy of the other"
    assert [row.get("source") for row in json.loads(to_json(board))] == ["b" * 64, "a" * 64, None]


def test_a_first_column_where_less_is_better_turns_the_order(records):
    board = build_board(records, ["fid", "ais"], suite="mini")
    assert [(row.rank, row.method) for row in board.rows[:3]] == [
        (1, "shuffled"),
        (2, "audiotoken"),
        (None, "reference"),
    ]


def test_the_best_of_each_column_is_marked_among_the_ranked_only(records):
    rows = rows_of(board_of(records))
    assert [label for label, row in rows.items() if row.cells["ais"].best] == ["reference"]
    assert [label for label, row in rows.items() if row.cells["fid"].best] == ["shuffled"]


def test_seeds_are_averaged_and_a_single_run_keeps_its_interval(records):
    rows = rows_of(board_of(records))
    cell = rows["audiotoken"].cells["ais"]
    # Without scores per clip: the mean of the runs' intervals, 58 to 62 and 62 to 66.
    assert (cell.value, cell.low, cell.high) == (62.0, 60.0, 64.0)
    assert cell.std == pytest.approx(8**0.5)
    assert cell.by_seed == {"0": 60.0, "1": 64.0}
    assert rows["audiotoken"].seeds == (0, 1) and rows["audiotoken"].where == "packaged + runs"
    single = rows["shuffled"].cells["ais"]
    assert (single.value, single.low, single.high, single.std) == (50.5, 48.5, 52.5, None)
    assert rows["reference"].seeds == () and rows["reference"].shown_seeds == "fixed"


def test_ties_share_a_rank_and_the_mark():
    board = board_of([stored("a", 60.0), stored("b", 60.0), stored("c", 50.0)])
    assert [row.rank for row in board.rows] == [1, 1, 3]
    assert [row.cells["ais"].best for row in board.rows] == [True, True, False]


def test_the_order_of_the_records_does_not_matter(records):
    records = [
        *records,
        stored("audiotoken", 61.0, 70.0, 0),
        stored("old", 99.0, fingerprint="e" * 64),
        stored("v2", metric(55.0, version=2)),
        stored("other", metric(56.0, scorers={"image": "b"})),
    ]
    boards = []
    for seed in range(8):
        shuffled = list(records)
        random.Random(seed).shuffle(shuffled)
        board = board_of(shuffled)
        boards.append([board, *(render(board) for render in RENDERERS.values())])
    assert all(board == boards[0] for board in boards)


def test_another_fingerprint_never_enters_the_board(records):
    old = stored("old", 99.9, 0.1, 5, fingerprint="e" * 64)
    board, without = board_of([*records, old]), board_of(records)
    assert board.rows == without.rows and board.columns == without.columns
    assert board.fingerprint == "f" * 64
    assert board.notes[0] == "Not comparable, made under another protocol of this suite (eeeeeeee): old seed 5 (runs)."
    chosen = board_of([*records, old], fingerprint="e" * 64)
    assert [row.method for row in chosen.rows] == ["old"]
    assert "audiotoken seed 0 (packaged)" in chosen.notes[0]


def test_records_of_another_suite_are_left_out(records):
    other = stored("other", 99.0, suite={"name": "vggsound", "version": 1, "fingerprint": "f" * 64})
    assert board_of([*records, other]) == board_of(records)


def test_another_version_of_a_metric_is_no_number_but_a_reason():
    board = board_of([stored("new", metric(60.0, version=2)), stored("old", 70.0, 60.0)])
    rows = rows_of(board)
    assert rows["new"].rank == 1 and rows["old"].rank is None
    assert rows["old"].cells["ais"].value is None
    assert rows["old"].cells["fid"].value == 60.0
    assert (
        "No ais for old: not comparable: made with version 1 of the metric, the board shows version 2." in board.notes
    )


def test_other_scorers_are_not_comparable_either():
    same = [stored(name, metric(60.0, scorers={"image": "a"})) for name in ("a", "b")]
    board = board_of([*same, stored("c", metric(99.0, scorers={"image": "b"}))])
    assert rows_of(board)["c"].cells["ais"].value is None
    assert any(note.startswith("No ais for c: not comparable") and "other scorers" in note for note in board.notes)


def test_other_labels_are_not_comparable_either():
    same = [stored(name, metric(60.0, scorers={"image": "a", "labels": "1"})) for name in ("a", "b")]
    board = board_of([*same, stored("c", metric(99.0, scorers={"image": "a", "labels": "2"}))])
    assert rows_of(board)["c"].cells["ais"].value is None
    assert any(note.startswith("No ais for c: not comparable") and "other labels" in note for note in board.notes)


def test_an_encoder_that_is_related_to_a_scorer_is_named():
    """On `mini` both Wav2CLIPs were distilled from the CLIP that scores; BEATs and ImageBind share nothing with it."""
    clip = metric(60.0, scorers={"image": "a"})
    own = {"clip": "a", "beats": "b", "imagebind": "c", "wav2clip-encoder": "d"}
    used = {
        "audiotoken": "beats",
        "imagebind": "imagebind",
        "wav2clip": "wav2clip-encoder",
        "other": "wav2clip-encoder",
    }
    records = [
        stored(
            name,
            clip,
            metric(70.0, "down", scorers={"features": "z"}),
            weights={"clip": "a", used[name]: own[used[name]]},
        )
        for name in used
    ]
    said = [note for note in board_of(records).notes if "teacher" in note]
    (line,) = said
    assert line.startswith("The encoder of other and wav2clip shares weights or a teacher with a scorer of ais, which")
    alone = board_of(records[:2])
    assert not any("teacher" in note for note in alone.notes)


def test_no_mean_is_taken_over_some_of_the_seeds():
    rows = rows_of(board_of([stored("a", 60.0, 70.0, 0), stored("a", None, 72.0, 1), stored("b", 50.0, 80.0)]))
    cell = rows["a"].cells["ais"]
    assert cell.value is None and cell.reason == "seed 1: weights are missing"
    assert cell.by_seed == {"0": 60.0, "1": None}
    assert rows["a"].cells["fid"].value == 71.0


def test_seeds_that_share_a_reason_give_it_once():
    board = board_of(
        [stored("a", 60.0, None, 0), stored("a", 61.0, None, 1), stored("b", 50.0, None), stored("c", 40.0)]
    )
    assert "No fid for a, b: weights are missing." in board.notes


def test_columns_that_lack_a_value_for_one_reason_share_a_line():
    records = [stored("a", 60.0, None), stored("b", 50.0, 80.0)]
    records = [
        replace(
            one,
            record=one.record.model_copy(update={"metrics": one.record.metrics | {"kid": one.record.metrics["fid"]}}),
        )
        for one in records
    ]
    notes = build_board(records, ["ais", "fid", "kid"], suite="mini").reading
    assert [note for note in notes if "missing" in note] == ["No fid, kid for a: weights are missing."]


def test_a_column_without_a_single_value_does_not_stand_in_the_table():
    board = board_of([stored("a", 60.0, None), stored("b", 50.0, None)])
    assert [column.id for column in board.columns] == ["ais", "fid"]
    assert [column.id for column in board.filled] == ["ais"]
    for text in (to_markdown(board), to_html(board), to_latex(board), printed(board)):
        assert "fid ↓" not in text.partition("No column")[0]
    note = next(note for note in board.notes if note.startswith("No column fid"))
    assert "weights are missing" in note and "`bench fetch inception`" in note
    # Programs find every column that was asked for, with the reason.
    assert json.loads(to_json(board))[0]["metrics"]["fid"]["reason"] == "weights are missing"
    assert "fid" in next(csv.reader(io.StringIO(to_csv(board))))
    nothing = build_board([stored("a", 60.0)], ["human"], suite="mini")
    assert nothing.filled == () and "a" in printed(nothing)


def test_a_metric_that_no_record_has_is_an_empty_column(records):
    board = build_board(records, ["ais", "human"], suite="mini")
    assert board.columns[1].header == "human" and board.columns[1].direction is None
    assert all(row.cells["human"].reason == "not in the record" for row in board.rows)
    for render in RENDERERS.values():
        render(board)


def test_an_equal_copy_counts_once_and_the_packaged_one_is_shown():
    board = board_of([stored("a", 60.0), stored("a", 60.0 + 1e-9, where="packaged")])
    assert [(row.where, row.seeds, row.differs) for row in board.rows] == [("packaged", (0,), False)]
    assert not any("copies" in note for note in board.notes)


def test_a_copy_with_other_numbers_is_marked():
    board = board_of([stored("a", 65.0), stored("a", 60.0, where="packaged")])
    (row,) = board.rows
    assert (row.cells["ais"].value, row.shown_where) == (60.0, "packaged *")
    assert any(note.startswith("* a seed 0 has copies") and "60" in note and "65" in note for note in board.notes)


def test_a_copy_of_another_machine_within_the_tolerance_reproduces_the_run():
    made = {"score": [MADE], "generate": [MADE]}
    elsewhere = {"score": [MADE], "generate": [MADE | {"threads": 2}]}
    board = board_of([stored("a", 61.0, provenance=elsewhere), stored("a", 60.0, where="packaged", provenance=made)])
    (row,) = board.rows
    assert (row.cells["ais"].value, row.shown_where) == (60.0, "packaged")
    (note,) = (note for note in board.notes if "reproduced" in note)
    assert note == (
        "a seed 0 (packaged) was reproduced (runs) in other surroundings within the tolerances: ais +1 of 4."
    )


def test_in_the_same_surroundings_every_bit_counts():
    made = {"score": [MADE], "generate": [MADE]}
    board = board_of([stored("a", 60.01, provenance=made), stored("a", 60.0, where="packaged", provenance=made)])
    assert board.rows[0].differs and not any("reproduced" in note for note in board.notes)


def test_a_complete_copy_is_preferred_to_an_incomplete_one():
    board = board_of([stored("a", 60.0), stored("a", 10.0, where="packaged", status="incomplete")])
    assert [(row.rank, row.where) for row in board.rows] == [(1, "runs")]


def test_rows_of_one_method_name_the_settings_that_differ():
    board = board_of(
        [
            stored("a", 60.0, settings={"lr": 0.1, "steps": 5}),
            stored("a", 61.0, settings={"lr": 0.2, "steps": 5, "note": "x"}),
            stored("b", 59.0, settings={"lr": 0.3}),
        ]
    )
    assert [row.label for row in board.rows] == ["a (lr=0.2, note=x)", "a (lr=0.1)", "b"]


def test_chance_is_that_of_full_runs():
    limited = stored("q", metric(60.0, chance=12.5), limit=8)
    assert board_of([limited, stored("a", 60.0)]).columns[0].chance == 50.0
    assert board_of([limited]).columns[0].chance == 12.5
    assert board_of([stored("a", metric(60.0, chance=None))]).columns[0].chance is None


# ------------------------------------------------------------------------------------------- clips, seeds, significance


def noise(seed: int, clips: int = 120) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 10, clips)


@pytest.fixture
def several(tmp_path: Path) -> list[StoredRecord]:
    """Three methods over the same clips, two seeds each: `near` is a little below `top`, `far` far below."""
    clips = 70 + noise(0)
    return [
        scored(tmp_path, method, {"ais": clips + shift + noise(10 * k + seed) / 5}, seed, sees=["audio"])
        for k, (method, shift) in enumerate([("top", 0.0), ("near", -0.01), ("far", -5.0)], start=1)
        for seed in (0, 1)
    ]


def test_the_interval_of_several_seeds_is_over_clips(several):
    cell = rows_of(build_board(several, ["ais"], suite="mini"))["far"].cells["ais"]
    values = [np.asarray(65 + noise(0) + noise(30 + seed) / 5) for seed in (0, 1)]
    assert cell.value == pytest.approx(np.mean(values))
    assert (cell.low, cell.high) == pytest.approx(bootstrap_interval(np.mean(values, axis=0)))
    assert cell.std == pytest.approx(np.std([v.mean() for v in values], ddof=1))


def test_what_does_not_differ_from_the_best_is_marked(several):
    board = build_board(several, ["ais"], suite="mini")
    cells = {label: row.cells["ais"] for label, row in rows_of(board).items()}
    assert {label: (cell.best, cell.tied) for label, cell in cells.items()} == {
        "top": (True, False),
        "near": (False, True),
        "far": (False, False),
    }
    # As the test for two says, over clips whose scores are means over seeds.
    top, near = (np.mean([noise(10 * k + seed) / 5 for seed in (0, 1)], axis=0) for k in (1, 2))
    assert cells["near"].p_best == pytest.approx(paired_permutation_test(near - 0.01, top).p_value)
    assert cells["near"].show(board.columns[0]).startswith(f"{cells['near'].value:.1f}† ± ")
    assert cells["far"].p_best == pytest.approx(1e-4) and "†" not in cells["far"].show(board.columns[0])
    note = next(note for note in board.notes if note.startswith("†"))
    assert "ais by a paired permutation test over the same clips, seeds averaged per clip" in note
    for name, render in RENDERERS.items():
        if name in ("md", "html"):
            assert render(board).count("†") == 2  # the mark and the note
    assert to_latex(board).count(r"\textsuperscript{\dag}") == 2
    assert "†" in printed(board)


def test_without_a_best_nothing_is_marked(several):
    alone = build_board(several[:2], ["ais"], suite="mini")
    assert not alone.rows[0].cells["ais"].best and not any("†" in note for note in alone.notes)


def test_pictures_of_one_clip_are_one_unit(tmp_path, several):
    """A file with a row a clip and seed counts each clip once."""
    import pandas as pd

    path = several[4].path.with_name("scores.parquet")
    once = pd.read_parquet(path)
    twice = pd.concat([once.assign(ais=once["ais"] + shift, picture=shift) for shift in (-3.0, 3.0)])
    before = build_board(several, ["ais"], suite="mini")
    twice.to_parquet(path)
    after = build_board(several, ["ais"], suite="mini")
    one, other = (rows_of(board)["far"].cells["ais"] for board in (before, after))
    assert (other.low, other.high) == pytest.approx((one.low, one.high)) and other.p_best == one.p_best


def test_set_distances_are_tested_over_seeds_or_by_intervals():
    def distance(value: float) -> dict[str, Any]:
        return metric(value, "down", low=value - 1, high=value + 1)

    def board(*rows: tuple[str, Sequence[float]]) -> dict[str, Any]:
        made = [
            stored(name, 60.0 - k, distance(v), seed) for k, (name, vs) in enumerate(rows) for seed, v in enumerate(vs)
        ]
        built = build_board(made, ["fid"], suite="mini")
        note = next(note for note in built.notes if note.startswith("†"))
        return {"note": note, **{row.method: row.cells["fid"] for row in built.rows}}

    seeds = board(("best", [10.0, 10.4, 10.2]), ("close", [10.3, 10.5, 10.1]), ("worse", [14.0, 14.2, 14.1]))
    assert seeds["close"].tied and not seeds["worse"].tied and seeds["worse"].p_best < 0.01
    assert "fid by Welch's t test over seeds and clips." in seeds["note"]
    single = board(("best", [10.0]), ("close", [11.9]), ("worse", [12.1]))
    assert single["close"].tied and not single["worse"].tied and single["worse"].p_best is None
    assert "fid where the 95 % intervals overlap" in single["note"]


def test_a_record_beside_the_scores_of_another_run_is_left_out(several):
    board = build_board(several, ["ais"], suite="mini")
    other = several[4].path.with_name("scores.parquet")
    several[0].path.with_name("scores.parquet").replace(other)
    spoiled = build_board(several, ["ais"], suite="mini")
    assert any("Left out, far seed 0 (runs): " in note and str(other) in note for note in spoiled.notes)
    assert (rows_of(board)["far"].seeds, rows_of(spoiled)["far"].seeds) == ((0, 1), (1,))
    other.write_bytes(b"not parquet")
    unread = build_board(several, ["ais"], suite="mini")
    assert any("not a readable Parquet file" in note for note in unread.notes)
    assert rows_of(unread)["far"].seeds == (0, 1) and not rows_of(unread)["far"].scores


def test_who_is_told_the_answer_does_not_compete(several, tmp_path):
    told = {"reference": ["frame"], "sd-text": ["label"], "both": ["audio", "label"], "floor": ["other clips"]}
    anchors = [scored(tmp_path, name, {"ais": 80 + noise(9) / 2}, sees=sees) for name, sees in told.items()]
    retrieval = scored(tmp_path, "retrieval", {"ais": 60 + noise(8)}, sees=["audio", "label list"])
    board = build_board([*several, *anchors, retrieval], ["ais"], suite="mini")
    assert [row.method for row in board.rows if row.cells["ais"].best] == ["top"]
    assert {row.method for row in board.rows if not row.competes} == set(told)
    assert board.rows[0].method in told
    assert all((row.rank is None) == (row.method in told) for row in board.rows)
    assert sorted(row.rank for row in board.rows if row.rank) == list(range(1, len(board.rows) - len(told) + 1))
    assert any("not for both, floor, reference or sd-text" in note for note in board.notes)


def test_the_budget_of_every_method_is_shown(records):
    cost = {"fit_steps": 600, "trainable_parameters": 169_891}
    fits = [stored("a", 60.0, seed=k, cost={**cost, "fit_seconds": 300 + 60 * k}) for k in (0, 1)]
    board = board_of([*fits, stored("b", 50.0)])
    assert [row.fit.show() for row in board.rows] == ["600 steps, 5.5 min, 0.17 M", "–"]
    first, second = json.loads(to_json(board))
    assert (first["fit_steps"], first["fit_seconds"], first["trainable_parameters"]) == (600, 330, 169_891)
    assert second["fit_steps"] is None
    line = next(csv.DictReader(io.StringIO(to_csv(board))))
    assert (line["fit_steps"], line["fit_seconds"], line["trainable_parameters"]) == ("600", "330.0", "169891")
    for text in (to_markdown(board), to_html(board), printed(board)):
        assert "600 steps, 5.5 min, 0.17 M" in text
    assert all(part in to_latex(board) for part in ("600 steps,", "5.5 min,", "0.17 M")), "stacked"
    assert "Fit" not in to_markdown(board_of(records))


def test_a_narrow_terminal_gets_the_table_in_parts(several):
    wide, narrow = (printed(build_board(several, ["ais"], suite="mini"), width) for width in (120, 44))
    assert wide.count("Method") == 1 and narrow.count("Method") > 1
    assert max(map(len, narrow.splitlines())) <= 44
    for part in ("near", "Where", "Seeds", "†", "[low, high]"):
        assert part in narrow


def test_fifteen_methods_of_three_seeds_take_no_time(tmp_path):
    columns = ("ais", "iis", "ais.winrate.sameclass", "iis.winrate.sameclass", "aic")
    many = [
        scored(tmp_path, f"m{k}", {name: 40 + k + noise(seed, 540) / 2 for name in columns}, seed)
        for k in range(15)
        for seed in range(3)
    ]
    start = time.process_time()
    board = build_board(many, columns, suite="mini")
    to_markdown(board)
    assert len(board.rows) == 15 and all(row.cells["ais"].low is not None for row in board.rows)
    assert time.process_time() - start < 2


# ---------------------------------------------------------------------------------------------------------- formats


def test_markdown_is_aligned_and_complete(records):
    text = to_markdown(build_board(records[:4], COLUMNS, suite="mini", titles={"ais": "AIS", "fid": "FID"}))
    assert text == GOLDEN_MARKDOWN
    assert len({len(line) for line in text.splitlines() if line.startswith("|")}) == 1


GOLDEN_MARKDOWN = """\
|   # | Method     |                   AIS ↑ |        FID ↓ | Seeds | Clips | Where           |
|----:|:-----------|------------------------:|-------------:|------:|------:|:----------------|
|   1 | reference  |   **75.0 [73.0, 77.0]** |            – | fixed |   100 | runs            |
|   2 | audiotoken | 62.0 ± 2.8 [60.0, 64.0] | 72.00 ± 2.83 |     2 |   100 | packaged + runs |
|   3 | shuffled   |       50.5 [48.5, 52.5] |    **71.00** |     1 |   100 | runs            |
|     | chance     |                    50.0 |              |       |       |                 |

- No FID for reference: weights are missing.
- † not significantly different from the best of its column (bold), two-sided 5 %: AIS where the 95 % intervals overlap.
- Not tested against the best: FID of audiotoken (no scores per clip, no second seed, no interval).
- ± is the standard deviation over seeds.
- [low, high] is the 95 % interval over clips; of AIS, FID, the mean of the runs' intervals.
"""


def test_csv_holds_raw_numbers(records):
    rows = list(csv.DictReader(io.StringIO(to_csv(board_of(records)))))
    by_method = {row["method"]: row for row in rows}
    assert float(by_method["audiotoken"]["ais"]) == 62.0
    assert float(by_method["audiotoken"]["ais_std"]) == 8**0.5
    assert by_method["audiotoken"]["seeds"] == "0 1"
    assert by_method["reference"]["fid"] == ""
    assert (by_method["quick"]["rank"], by_method["quick"]["limit"], by_method["quick"]["unranked"]) == (
        "",
        "8",
        "limit 8",
    )
    assert by_method["crashed"]["status"] == "incomplete"


def test_json_is_a_list_of_objects_whose_method_is_a_string(records):
    rows = json.loads(to_json(board_of(records)))
    assert [row["method"] for row in rows][:2] == ["reference", "audiotoken"]
    audiotoken = rows[1]
    assert audiotoken["metrics"]["ais"] == {
        "value": 62.0,
        "reason": None,
        "low": 60.0,
        "high": 64.0,
        "std": 8**0.5,
        "seeds": {"0": 60.0, "1": 64.0},
        "n": 100,
        "failed": 0,
        "unit": "%",
        "direction": "up",
        "chance": 50.0,
        "version": 1,
        "best": False,
        "p_best": None,
        "tied": False,
    }
    assert audiotoken["seeds"] == [0, 1] and audiotoken["suite_version"] == 1
    assert rows[0]["metrics"]["fid"]["value"] is None and rows[0]["metrics"]["fid"]["reason"]
    assert rows[-1]["metrics"]["ais"]["failed"] == 3


NASTY = r"<b>a&b_c|d*e$f%g#h~i^j{k}\l</b>"


def test_latex_escapes_everything(records):
    text = to_latex(board_of([stored(NASTY, 60.0), *records]))
    row = next(line for line in text.splitlines() if "textasciitilde" in line)
    expected = (
        r"\textless{}b\textgreater{}a\&b\_c\textbar{}d*e\$f\%g\#h\textasciitilde{}i\textasciicircum{}j\{k\}"
        r"\textbackslash{}l\textless{}/b\textgreater{}"
    )
    assert expected in row and row.endswith(r"\\")
    body = text[text.index(r"\toprule") : text.index(r"\bottomrule")].splitlines()
    cells = [len(re.split(r"(?<!\\)&", line)) for line in body if line.endswith(r"\\")]
    # header, chance, and for each row a line, with one more for its intervals
    assert set(cells) == {7} and len(cells) == 2 + 2 * len(records)
    assert r"ais $\uparrow$" in text and r"fid $\downarrow$" in text and r"62.0 $\pm$ 2.8" in text
    assert r"\textbf{" in text and not re.search("[^\x00-\x7f]", text)


class Reader(HTMLParser):
    """Collects cell texts and every attribute, and checks that tags close."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.rows: list[list[str]] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag, attrs):
        self.attributes += attrs
        if tag not in ("meta", "!doctype"):
            self.open.append(tag)
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if any(tag in self.open for tag in ("td", "th")):
            self.rows[-1][-1] += data


def read_html(text: str) -> Reader:
    reader = Reader()
    reader.feed(text)
    assert reader.open == []
    return reader


def test_html_is_self_contained_escaped_and_shows_the_same_cells(records):
    text = to_html(board_of([stored(NASTY, 60.0), *records]))
    assert "<b>a" not in text and "&lt;b&gt;a&amp;b_c" in text
    assert not re.search(r"https?://|src=|@import|<link|url\(", text)
    reader = read_html(text)
    table = [[" ".join(cell.split()) for cell in row] for row in reader.rows]
    assert table[0] == ["#", "Method", "ais ↑", "fid ↓", "Seeds", "Clips", "Where"]
    assert table[1][:3] == ["1", "reference", "75.0 [73.0, 77.0]"]
    assert table[2][:4] == ["2", "audiotoken", "62.0 ± 2.8 [60.0, 64.0]", "72.00 ± 2.83"]
    assert table[-1][1:3] == ["chance", "50.0"]
    assert len({len(row) for row in table}) == 1
    places = [
        float(p) for key, v in reader.attributes if key == "style" for p in re.findall(r"left:([-\d.]+)%", v or "")
    ]
    assert places and all(0 <= place <= 100 for place in places)


def test_markdown_escapes_pipes(records):
    line = next(line for line in to_markdown(board_of([stored("a|b*", 60.0)])).splitlines() if "a\\|b" in line)
    assert len(re.split(r"(?<!\\)\|", line)) == 9 and r"a\|b\*" in line


def test_an_empty_board_says_so_in_every_format():
    board = board_of([])
    for name in ("md", "latex", "html"):
        assert "Nothing to show yet for suite" in RENDERERS[name](board)
    read_html(to_html(board))
    assert json.loads(to_json(board)) == []
    assert len(to_csv(board).splitlines()) == 1
    assert "Nothing to show yet" in printed(board)


def printed(board: Board, width: int = 120) -> str:
    from rich.console import Console

    console = Console(file=io.StringIO(), width=width)
    console.print(to_rich(board, width))
    return console.file.getvalue()  # type: ignore[attr-defined]


def test_the_terminal_shows_every_number(records):
    for width in (120, 60):
        text = printed(board_of(records), width).partition("No fid for")[0]
        for part in ("reference", "audiotoken", "75.0", "62.0", "2.8", "71.00"):
            assert part in text
    assert "\\[" not in text and "[low, high]" in printed(board_of(records))


def test_four_metrics_fit_into_an_ordinary_terminal():
    single = stored("imagebind-text", 61.0, where="packaged")
    four = single.record.model_copy(update={"metrics": dict.fromkeys("abcd", single.record.metrics["ais"])})
    text = printed(build_board([StoredRecord(four, single.path, "packaged")], list("abcd"), suite="mini"), 80)
    assert "Where" in text and "packaged" in text and "imagebind-text" in text and text.count("63.0]") == 4


def test_notes_stay_on_one_line():
    reason = MetricValue(value=None, reason="first\nsecond", n=0, unit="distance", direction="down", version=1)
    board = board_of([stored("a", 60.0, reason.model_dump()), stored("b", 50.0)])
    assert "No fid for a: first second." in board.notes
    assert build_board([], COLUMNS, suite="mini", notes=["given"]).notes == ("given",)


def test_a_large_board_takes_no_time():
    many = [stored(f"m{i}", 50 + i / 10, 60 + i, seed) for i in range(100) for seed in range(5)]
    start = time.process_time()
    board = board_of(many)
    for render in RENDERERS.values():
        render(board)
    assert len(board.rows) == 100 and time.process_time() - start < 2
