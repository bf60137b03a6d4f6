"""Scores per clip: what is read of a file, and that clips are brought together as pandas would."""

from __future__ import annotations

import math
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from boards import metric, scored, stored

from benchmark.leaderboard import clip_scores as module
from benchmark.leaderboard.build import build_board
from benchmark.leaderboard.clip_scores import ClipScores, clip_scores, mean_over_runs, paired, scores_path, side_by_side
from benchmark.records.store import StoredRecord
from benchmark.utils.errors import UserError

CLIPS = [f"clip-{k:05d}" for k in range(6)]
VALUES = np.array([3.0, 1.0, 4.0, 1.0, 5.0, 9.0])


@pytest.fixture
def record(tmp_path: Path) -> StoredRecord:
    return scored(tmp_path, "a", {"ais": VALUES, "iis": VALUES / 3})


def without_pandas(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "read_scores", lambda path: pytest.fail(f"pandas reads {path}"))


def rewritten(record: StoredRecord, change: Callable[[pd.DataFrame], pd.DataFrame], **options: object) -> StoredRecord:
    path = scores_path(record)
    change(pd.read_parquet(path)).to_parquet(path, **{"index": False, **options})
    return record


def test_a_file_as_written_is_read_without_pandas(record, monkeypatch):
    without_pandas(monkeypatch)
    found = clip_scores(record, ["iis", "ais", "unknown"])
    assert found.keys() == {"ais", "iis"} and found["ais"].ids is found["iis"].ids
    assert found["ais"].ids == tuple(CLIPS), "in the order of ids, whatever that of the file"
    np.testing.assert_array_equal(found["ais"].values, VALUES)
    np.testing.assert_array_equal(found["iis"].values, VALUES / 3)


def test_only_what_is_asked_for_is_given_and_all_is_checked(record):
    assert clip_scores(record, ["iis"]).keys() == {"iis"}
    rewritten(record, lambda table: table.assign(ais=table["ais"] + 1))
    with pytest.raises(
        UserError, match=r"its mean of ais is 4.83333\d+, the record says 3.83333\d+: score the run again"
    ):
        clip_scores(record, ["iis"])


def test_a_clip_that_could_not_be_scored_has_none(tmp_path, monkeypatch):
    values = VALUES.copy()
    values[2] = math.nan
    record = scored(tmp_path, "a", {"ais": VALUES, "iis": VALUES})
    rewritten(record, lambda table: table.assign(ais=table["ais"].where(table["clip"] != CLIPS[2])))
    record.record.metrics["ais"] = record.record.metrics["ais"].model_copy(update={"value": float(np.nanmean(values))})
    without_pandas(monkeypatch)
    found = clip_scores(record, ["ais", "iis"])
    np.testing.assert_array_equal(found["ais"].values, values)
    assert not found["ais"].empty and ClipScores(("a",), np.array([math.nan])).empty


def test_a_single_clip_is_enough(tmp_path, monkeypatch):
    without_pandas(monkeypatch)
    assert clip_scores(scored(tmp_path, "a", {"ais": [7.0]}), ["ais"])["ais"].values.tolist() == [7.0]


def test_without_a_file_or_a_column_there_are_no_scores(record):
    assert clip_scores(record, ["fid"]) == {}
    rewritten(record, lambda table: table[["clip", "label"]])
    assert clip_scores(record, ["ais"]) == {}
    scores_path(record).unlink()
    assert clip_scores(record, ["ais"]) is None


@pytest.mark.parametrize(
    ("change", "options"),
    [
        (lambda table: pd.concat([table.assign(seed=k, ais=table["ais"] + k - 1) for k in range(3)]), {}),
        (lambda table: pd.concat([table, table.assign(ais=math.nan)]), {}),
        (lambda table: table.astype({"ais": "float32"}), {}),
        (lambda table: table.astype({"ais": "int64"}), {}),
        (lambda table: table.astype({"clip": "category"}), {}),
        (lambda table: table.set_index("label", drop=False).rename_axis("place"), {"index": True}),
    ],
    ids=["seeds", "a row without score", "float32", "integers", "categories", "an index"],
)
def test_any_other_file_that_pandas_can_read_says_the_same(record, change, options):
    rewritten(record, change, **options)
    assert module._as_written(scores_path(record), ["ais"]) is None
    found = clip_scores(record, ["ais"])["ais"]
    assert found.ids == tuple(CLIPS)
    np.testing.assert_array_equal(found.values, VALUES)


def test_row_groups_make_no_difference(record):
    rewritten(record, lambda table: table, row_group_size=2)
    np.testing.assert_array_equal(clip_scores(record, ["ais"])["ais"].values, VALUES)


def test_a_damaged_file_is_named_with_what_is_wrong(record):
    path = scores_path(record)
    whole = path.read_bytes()
    for damaged in (b"", b"PAR1 and no more", whole[:-20], whole[:40] + bytes(200) + whole[240:]):
        path.write_bytes(damaged)
        with pytest.raises(UserError, match="scores.parquet: not a readable Parquet file"):
            clip_scores(record, ["ais"])
    pd.DataFrame({"clip": CLIPS, "ais": VALUES}).to_parquet(path)
    with pytest.raises(UserError, match="not a file of per-clip scores: it lacks the column 'label'"):
        clip_scores(record, ["ais"])
    # an id that stands in the index stands in no column
    pd.DataFrame({"clip": CLIPS, "label": "bell", "ais": VALUES}).set_index("clip").to_parquet(path)
    with pytest.raises(UserError, match="it lacks the column 'clip'"):
        clip_scores(record, ["ais"])


def test_records_of_the_same_clips_share_one_tuple_of_ids(tmp_path):
    one, other = (clip_scores(scored(tmp_path, name, {"ais": VALUES}), ["ais"])["ais"] for name in "ab")
    assert one.ids is other.ids


# ---------------------------------------------------------------------------------------------------- bringing together


def some(rng: random.Random) -> ClipScores:
    ids = tuple(sorted(rng.sample(CLIPS, rng.randint(1, len(CLIPS)))))
    return ClipScores(ids, np.array([rng.choice([math.nan, rng.random()]) for _ in ids]))


def series(scores: ClipScores) -> pd.Series:
    return pd.Series(scores.values, index=list(scores.ids))


def same(ours: ClipScores, theirs: pd.Series) -> None:
    assert ours.ids == tuple(theirs.index)
    np.testing.assert_array_equal(ours.values, theirs.to_numpy())


@pytest.mark.parametrize("seed", range(40))
def test_clips_are_aligned_as_pandas_aligns_them(seed):
    rng = random.Random(seed)
    a, b, c = (some(rng) for _ in range(3))
    same(a + b, series(a) + series(b))
    same(a - b, series(a) - series(b))
    assert (a - b).empty == (not (series(a) - series(b)).notna().any())
    ours, theirs = paired(a, b), series(a).align(series(b), join="inner")
    np.testing.assert_array_equal(ours, [one.to_numpy() for one in theirs])
    table = side_by_side([a, b, c])
    np.testing.assert_array_equal(table, pd.concat([series(a), series(b), series(c)], axis=1).to_numpy())
    same(mean_over_runs([{"ais": a}, {"ais": b}, {"ais": c}], "ais"), (series(a) + series(b) + series(c)) / 3)


def test_a_mean_over_runs_needs_the_scores_of_all():
    scores = ClipScores(tuple(CLIPS), VALUES)
    np.testing.assert_array_equal(mean_over_runs([{"ais": scores}] * 2, "ais").values, VALUES)
    assert mean_over_runs([{"ais": scores}, None], "ais") is None
    assert mean_over_runs([{"ais": scores}, {"iis": scores}], "ais") is None
    assert mean_over_runs([None], "ais") is None


# -------------------------------------------------------------------------------------------------------- on the board


def test_rows_of_other_clips_are_compared_over_those_they_share(tmp_path):
    rng = np.random.default_rng(0)
    whole = scored(tmp_path, "whole", {"ais": 60 + rng.normal(size=80)}, sees=["audio"])
    part = scored(tmp_path, "part", {"ais": 50 + rng.normal(size=50)}, sees=["audio"])
    board = build_board([whole, part], ["ais"], suite="mini")
    cells = {row.method: row.cells["ais"] for row in board.rows}
    assert cells["part"].against_best.way == "clips" and cells["part"].p_best == pytest.approx(1e-4)
    # no clip in common: the clips of either side are compared
    apart = scored(tmp_path, "apart", {"ais": 50 + rng.normal(size=50)}, sees=["audio"])
    rewritten(apart, lambda table: table.assign(clip="other " + table["clip"]))
    board = build_board([whole, apart], ["ais"], suite="mini")
    assert board.rows[1].cells["ais"].against_best.way == "unpaired"


def test_rows_that_are_as_good_as_each_other_are_tied(tmp_path):
    apart = 0.01 * np.array([1, -1, 1, -1, 1, -1.1])
    rows = [scored(tmp_path, name, {"ais": VALUES + k * apart}, sees=["audio"]) for k, name in enumerate("ab")]
    first, second = (row.cells["ais"] for row in build_board(rows, ["ais"], suite="mini").rows)
    assert first.best and second.tied and second.p_best > 0.9
    equal = [scored(tmp_path, name, {"ais": VALUES}, sees=["audio"]) for name in "cd"]
    low = scored(tmp_path, "e", {"ais": VALUES - 1}, sees=["audio"])
    cells = [row.cells["ais"] for row in build_board([*equal, low], ["ais"], suite="mini").rows]
    assert [(cell.best, cell.p_best) for cell in cells] == [(True, None), (True, None), (False, 2 / 2**6)]


def test_the_board_of_plain_files_imports_neither_pandas_nor_scipy(tmp_path):
    """Welch's test included, as long as nobody asks for the digits of its p value."""
    records = []
    for seed in range(3):
        for name, shift in (("a", 0.0), ("b", 0.5)):
            distances = {"fid": metric(10 + shift + seed / 10, "down")}
            made = scored(tmp_path, name, {"ais": VALUES + seed + shift}, seed, distances, sees=["audio"])
            made.record.save(made.path)
            records.append(made)
    script = f"""
import sys
from pathlib import Path
from benchmark.leaderboard import build, formats
from benchmark.records.record import RunRecord
from benchmark.records.store import StoredRecord
paths = {[str(record.path) for record in records]!r}
records = [StoredRecord(RunRecord.load(Path(path)), Path(path), "runs") for path in paths]
board = build.build_board(records, ["ais", "fid"], suite="mini")
assert "permutation" in str(board.notes) and "Welch" in str(board.notes), board.notes
formats.to_markdown(board)
print([name for name in ("pandas", "scipy") if name in sys.modules])
formats.to_csv(board)
print([name for name in ("pandas", "scipy") if name in sys.modules])
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=120)
    assert done.stdout.splitlines() == ["[]", "['scipy']"], done.stderr


def test_a_record_without_a_file_beside_it_is_on_the_board_all_the_same():
    row = build_board([stored("a", 60.0)], ["ais"], suite="mini").rows[0]
    assert not row.scores and row.cells["ais"].value == 60.0
