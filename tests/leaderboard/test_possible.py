"""Records that cannot be true, and what a board makes of them. All numbers were made up for the tests."""

from __future__ import annotations

import contextlib
import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from boards import metric, scored, stored
from worlds import bench

import benchmark as front_door
from benchmark.leaderboard import clip_scores as clip_scores_module
from benchmark.leaderboard.build import build_board
from benchmark.leaderboard.clip_scores import Contradiction, clip_scores, scores_path
from benchmark.leaderboard.literature import load_literature
from benchmark.leaderboard.possible import contradiction, only_possible
from benchmark.records import record as record_module
from benchmark.records import store as stores
from benchmark.records.record import UNITS
from benchmark.records.store import Found, Store, StoredRecord
from benchmark.suite import load_suite
from benchmark.utils.errors import UserError
from benchmark.utils.progress import Silent
from metrics import definitions

SCORES = np.array([60.0, 70.0, 80.0, 50.0])


def test_units_of_records_hold_what_metrics_give():
    known = definitions.definitions()
    assert {one.unit for one in known} == set(UNITS)
    for one in known:
        (low, high), (least, most) = UNITS[one.unit], one.bounds
        assert low <= (low if least is None else least) and (high if most is None else most) <= high, one.id


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"fid": metric(-5.0, "down")}, "metrics.fid: -5 is impossible: the metric lies at or above 0"),
        ({"fid": metric(5.0, "down", low=-1.0, high=6.0)}, "metrics.fid: -1 is impossible"),
        (
            {"ais": metric(0.5, unit="cosine", low=None, high=None, chance=None)},
            "unit 'cosine' is not the metric's, '%'",
        ),
        ({"ais": metric(50.0, unit="score")}, "metrics.ais: unit 'score' is not the metric's, '%'"),
        ({"ais": metric(50.0) | {"direction": "down"}}, "metrics.ais: direction 'down' is not the metric's, 'up'"),
        ({"ais": metric(50.0, chance=4.0)}, "metrics.ais: chance 4.0 is not the metric's, 50.0"),
        ({"ais": metric(50.0, version=9)}, "metrics.ais: version 9 of the metric is newer than this program's 1"),
    ],
)
def test_what_a_metrics_definition_excludes_is_named_with_its_value(changes, words):
    record = stored("a", 60.0, metrics=changes)
    assert words in str(contradiction(record.record))
    good = stored("b", 60.0)
    kept, problems = only_possible(Found([record, good], ["x.json: broken"]))
    assert kept == [good] and problems == ["x.json: broken", f"{record.path}: {contradiction(record.record)}"]


def test_no_more_images_enter_a_metric_than_there_are():
    record = stored("a", 60.0).record
    value, clips = record.metrics["ais"], record.clips.total
    images = record_module.ImagesRef(count=2 * clips, sha256="0" * 64)
    for n, failed, fine in ((2 * clips, 0, True), (2 * clips, 1, True), (1, 2 * clips + 1, False), (10**9, 0, False)):
        more = {**record.metrics, "ais": value.model_copy(update={"n": n, "failed": failed})}
        fault = contradiction(record.model_copy(update={"metrics": more, "images": images}))
        said = f"metrics.ais: n {n} or failed {failed} is more than the run's {2 * clips} images"
        assert fault == (None if fine else said)


@pytest.mark.parametrize("sees", [5, None, {"audio": 1}, [["audio"]], "audio"])
def test_a_card_of_another_shape_is_refused(sees):
    record = stored("a", 60.0)
    bad = record.record.model_copy(update={"method": record.record.method.model_copy(update={"card": {"sees": sees}})})
    assert "method.card.sees" in str(contradiction(bad))


@pytest.mark.parametrize("value", [metric(60.0), metric(None), metric(99.99999999), metric(60.0, version=0)])
def test_what_may_be_true_is_kept(value):
    assert contradiction(stored("a", value, metrics={"ais": value, "of.another": metric(5.0)}).record) is None


def test_all_that_was_published_is_possible():
    found = stores.packaged_records("mini")
    assert found.records and only_possible(found) == found


# ---------------------------------------------------------------------------------------------------- scores per clip


def board(*records: StoredRecord):  # type: ignore[no-untyped-def]
    return build_board(records, ["ais", "fid"], suite="mini")


def with_value(record: StoredRecord, value: float | None) -> StoredRecord:
    changed = record.record.metrics["ais"].model_copy(update={"value": value, "low": None, "high": None})
    metrics = {**record.record.metrics, "ais": changed}
    return replace(record, record=record.record.model_copy(update={"metrics": metrics}))


@pytest.mark.parametrize("value", [65.1, 65.000001, None])
def test_a_record_whose_value_is_not_the_mean_of_its_scores_is_left_out(tmp_path, value):
    edited = with_value(scored(tmp_path, "edited", {"ais": SCORES}), value)
    good = scored(tmp_path, "good", {"ais": SCORES - 10})
    made = board(edited, good)
    assert [row.method for row in made.rows] == ["good"]
    (note,) = [note for note in made.remarks if "edited" in note]
    assert note.startswith("Left out, edited seed 0 (runs): ") and "its mean of ais is 65" in note
    assert str(scores_path(edited)) in note


def test_the_copy_that_its_scores_bear_out_is_shown_whichever_is_preferred(tmp_path):
    own = scored(tmp_path, "a", {"ais": SCORES})
    shipped = with_value(scored(tmp_path / "p", "a", {"ais": SCORES}, where="packaged"), 90.0)
    (row,) = board(own, shipped).rows
    assert (row.where, row.cells["ais"].value) == ("runs", 65.0)


def test_the_sum_may_be_taken_in_another_order(tmp_path):
    made = board(with_value(scored(tmp_path, "a", {"ais": SCORES}), 65.0 + 1e-11))
    assert made.rows[0].scores and not made.remarks


@pytest.mark.parametrize("score", [1e20, 100.5, -1.0, np.inf])
def test_scores_that_no_clip_can_have_are_refused_though_their_mean_is_right(tmp_path, score):
    record = scored(tmp_path, "a", {"ais": SCORES})
    path = scores_path(record)
    table = pd.read_parquet(path)
    table["ais"] = [score, 260.0 - score, 0.0, 0.0]
    table.to_parquet(path, index=False)
    with pytest.raises(Contradiction, match="a score of ais is .*, impossible in '%'"):
        clip_scores(record, ["ais"])


def test_a_distance_is_no_mean_over_clips(tmp_path):
    record = scored(tmp_path, "a", {"ais": SCORES}, distances={"fid": metric(12.0, "down")})
    path = scores_path(record)
    pd.read_parquet(path).assign(fid=3.0).to_parquet(path, index=False)
    assert clip_scores(record, ["ais", "fid"]).keys() == {"ais"}
    assert board(record).rows[0].cells["fid"].value == 12.0


def write_text(path: Path) -> None:
    pd.read_parquet(path).assign(ais="high").to_parquet(path, index=False)


def write_texts_of_numbers(path: Path) -> None:
    table = pd.read_parquet(path)
    table.assign(ais=table["ais"].astype(str)).to_parquet(path, index=False)


def write_lists(path: Path) -> None:
    pd.read_parquet(path).assign(ais=[[1.0]] * len(SCORES)).to_parquet(path, index=False)


def write_two_columns_of_one_name(path: Path) -> None:
    ids = pa.array([f"clip-{k:05d}" for k in range(len(SCORES))])
    names = ["clip", "clip", "label", "ais"]
    pq.write_table(pa.Table.from_arrays([ids, ids, ids, pa.array(SCORES)], names=names), path)


def make_a_pipe(path: Path) -> None:
    path.unlink()
    os.mkfifo(path)


def make_a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


def leave_a_link(path: Path) -> None:
    path.unlink()
    path.symlink_to(path.with_name("nowhere"))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (write_text, "column 'ais' holds no numbers but"),
        (write_texts_of_numbers, "column 'ais' holds no numbers but"),
        (write_lists, "column 'ais' holds no numbers but"),
        (write_two_columns_of_one_name, "not a"),
        (make_a_pipe, "not a regular file"),
        (make_a_folder, "not a regular file"),
        (leave_a_link, "not a regular file"),
        (lambda path: path.write_bytes(b""), "not a readable Parquet file"),
    ],
)
def test_scores_that_cannot_be_read_cost_a_note_and_no_row(tmp_path, damage, words):
    bad, good = scored(tmp_path, "bad", {"ais": SCORES}), scored(tmp_path, "good", {"ais": SCORES - 10})
    damage(scores_path(bad))
    with pytest.raises(UserError, match=words):
        clip_scores(bad, ["ais"])
    made = board(bad, good)
    assert {row.method: bool(row.scores) for row in made.rows} == {"bad": False, "good": True}
    (note,) = [note for note in made.remarks if "left out" in note]
    assert note.startswith(f"Per-clip scores left out: {scores_path(bad)}: ") and len(note) < 400


def test_rows_without_end_are_counted_before_they_are_read(tmp_path, monkeypatch):
    record = scored(tmp_path, "a", {"ais": SCORES})
    for home in (clip_scores_module, record_module):
        monkeypatch.setattr(home, "MOST_SCORES", 11)
    monkeypatch.setattr(pq.ParquetFile, "read", lambda *_, **__: pytest.fail("read"))
    with pytest.raises(UserError, match="4 rows of 3 columns are more than any run has"):
        clip_scores(record, ["ais"])


# ---------------------------------------------------------------------------------------------------------- commands


@pytest.fixture
def runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """One good run of mini, and beside it a record of an impossible FID."""
    assert load_literature()  # found while the package is whole
    monkeypatch.setattr(stores, "packaged_results", lambda: None)
    for method, fid in (("good", 12.0), ("bad", -12.0)):
        put(tmp_path, method, fid)
    return tmp_path


def put(runs: Path, method: str, fid: float) -> Path:
    fingerprint = load_suite("mini").fingerprint()
    record = stored(method, 60.0, metric(fid, "down"), fingerprint=fingerprint).record
    path = Store(runs).run("mini", method, 0).record_path
    record.save(path)
    return path


def test_every_way_to_read_records_refuses_the_impossible_one_and_keeps_the_other(runs):
    words = "metrics.fid: -12 is impossible"
    for verb in ("table", "paper"):
        result = bench(verb, "--format", "json", runs=runs)
        assert result.code == 0 and words in result.err and result.err.count("left out") == 1
        assert "-12" not in result.out
    ui = Silent()
    assert [one.method.name for one in front_door.load_records("mini", runs=runs, ui=ui)] == ["good"]
    assert len(ui.warnings) == 1 and words in ui.warnings[0]
    assert [row.method for row in front_door.board("mini", runs=runs, ui=Silent()).rows] == ["good"]
    shown = bench("show", runs / "mini" / "bad" / "seed0")
    assert shown.code == 2 and words in shown.err and shown.out == ""
    assert bench("show", runs / "mini" / "good" / "seed0").code == 0
    published = bench("publish", runs / "mini" / "bad" / "seed0", "--results", runs / "results")
    assert published.code == 2 and words in published.err and not (runs / "results").exists()


def test_a_record_that_its_scores_contradict_is_not_published(tmp_path):
    record = with_value(scored(tmp_path, "a", {"ais": SCORES}), 90.0)
    record.record.save(record.path)
    result = bench("publish", record.path.parent, "--results", tmp_path / "results")
    assert result.code == 2 and "its mean of ais is 65, the record says 90" in result.err
    assert result.err.count("\n") == 1 and not (tmp_path / "results").exists()


@pytest.mark.parametrize("text", ["[" * 100_000, "{}", "[]", '{"suite": 5, "method": [], "data": 3}', None])
def test_a_plan_that_is_none_is_no_unfinished_run_and_breaks_nothing(runs, text):
    plan = runs / "mini" / "odd" / "seed0" / "plan.json"
    plan.parent.mkdir(parents=True)
    os.mkfifo(plan) if text is None else plan.write_text(text)
    result = bench("table", "--format", "json", runs=runs)
    assert result.code == 0 and [row["method"] for row in result.json] == ["good"]
    assert bench("show", plan.parent, runs=runs).code == 2


def test_a_plan_with_other_kinds_of_values_breaks_nothing(runs):
    plan = {"suite": "mini", "method": "a", "data": None, "seed": 0, "limit": None, "settings": {}, "skip_bad": False}
    for name, value in {"limit": "8", "suite": ["mini"], "clips": 5, "settings": [], "fitted_on": 3}.items():
        path = runs / "mini" / f"odd-{name}" / "seed0" / "plan.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({**plan, name: value}))
    good = runs / "mini" / "begun" / "seed0" / "plan.json"
    good.parent.mkdir(parents=True)
    good.write_text(json.dumps(plan))
    result = bench("table", "--format", "md", runs=runs)
    assert result.code == 0 and result.out.count("Not finished: ") == 1 and "begun seed0" in result.out


@pytest.mark.parametrize("stored", [b'{"index_columns": "\x01"}', b"\xff", b"[]", b'{"index_columns": null}', b"{"])
def test_damaged_notes_of_pandas_within_the_scores_are_one_line(tmp_path, stored):
    record = scored(tmp_path, "a", {"ais": SCORES})
    table = pq.read_table(scores_path(record)).replace_schema_metadata({b"pandas": stored})
    pq.write_table(table, scores_path(record))
    with contextlib.suppress(UserError):  # pandas may read it all the same
        assert len(clip_scores(record, ["ais"])["ais"].ids) == len(SCORES)
