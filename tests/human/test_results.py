"""From answers to the board: values, the file beside a record, table and claims."""

from __future__ import annotations

import json

import numpy as np
import pytest
import worlds
from boards import scored
from studies import answers, sealed, study, write

from benchmark.human.ratings import Collected, Judgement, collect
from benchmark.human.results import attach, evaluate, locate
from benchmark.human.study import Item, Study
from benchmark.leaderboard.build import build_board
from benchmark.leaderboard.paper_claims import build_paper
from benchmark.records.human import human_path, with_ratings
from benchmark.records.record import RunRecord
from benchmark.records.store import Store
from benchmark.suite import load_suite
from benchmark.utils.errors import UserError

LIKED = {"audiotoken": 4, "wav2clip": 2}


@pytest.fixture
def rated(tmp_path):
    """Two records of 40 clips, 12 of which 8 people rated: audiotoken about 4, wav2clip about 2."""
    rng = np.random.default_rng(0)
    stored = {}
    for method in LIKED:
        made = scored(
            tmp_path,
            method,
            {"ais": rng.uniform(40, 60, 40)},
            suite={"name": "mini", "version": 1, "fingerprint": "f" * 64},
        )
        made.record.save(made.path)
        stored[method] = made
    places = {method: one.path.parent for method, one in stored.items()}
    made = study(12, places, {method: one.record.identity for method, one in stored.items()}, sheets=8)

    def liked(place, trial):
        item = made.items[trial.item]
        return trial.expects or LIKED[item.runs[0]] + int(item.clip[-1]) % 2

    for sheet in range(1, 9):
        write(tmp_path / "answers", f"{sheet}", sealed(answers(made, sheet, liked)))
    collected = collect(made, [tmp_path / "answers"])
    return made, collected, stored


def imported(rated, tmp_path):
    made, collected, stored = rated
    records, problems = locate(made, Store(tmp_path / "runs"))
    assert problems == [] and records.keys() == LIKED.keys()
    results = evaluate(made, collected, records, "ais")
    attach(results, records)
    return results, list(stored.values())


def test_values_and_what_the_paper_says(rated, tmp_path):
    results, _ = imported(rated, tmp_path)
    found = {one.name: one for one in results.opinions}
    assert found["audiotoken"].estimate.value == 4.5 and found["wav2clip"].estimate.value == 2.5
    assert found["audiotoken"].published == "4.07 ± 0.83" and found["wav2clip"].published == "1.85 ± 0.46"
    assert found["audiotoken"].ratings == 48 and found["audiotoken"].raters == 8
    assert found["audiotoken"].deviation == pytest.approx(0.505, abs=1e-3)
    assert results.alpha == pytest.approx(1.0)
    assert found["audiotoken"].powered.others == 28 and found["audiotoken"].score == "ais"
    json.dumps(results.to_dict(), allow_nan=False)


def test_the_board_has_the_column_and_the_record_stays_as_it_was(rated, tmp_path):
    made, _, stored = rated
    before = {one.path: one.path.read_bytes() for one in stored.values()}
    plain = build_board(stored.values(), ["ais"], suite="mini")
    assert [column.id for column in plain.columns] == ["ais"]
    results, records = imported(rated, tmp_path)
    board = build_board(records, ["ais"], suite="mini")
    assert [column.id for column in board.columns] == ["ais", "human"]
    row = next(row for row in board.rows if row.method == "audiotoken")
    cell, own = row.cells["human"], next(one for one in results.opinions if one.name == "audiotoken")
    assert (cell.value, cell.low, cell.high) == (4.5, own.estimate.low, min(own.estimate.high, 5.0))
    assert cell.best and next(row for row in board.rows if row.method == "wav2clip").cells["human"].p_best < 0.05
    assert any("48 ratings of 12 clips by 8 people, deviation 0.51" in one and made.short in one for one in board.notes)
    assert row.cells["ais"] == next(row for row in plain.rows if row.method == "audiotoken").cells["ais"]
    assert {path: path.read_bytes() for path in before} == before
    record = RunRecord.load(records[0].path)
    assert "human" not in record.metrics and with_ratings(record, records[0].path).metrics["human"].value == 4.5


def test_the_paper_judges_its_claim(rated, tmp_path):
    _, records = imported(rated, tmp_path)
    paper = build_paper(records, load_suite("mini"), name="mini", fingerprint="f" * 64)
    verdict = next(one for one in paper.verdicts if one.claim.id == "human-wav2clip")
    assert verdict.outcome == "held" and verdict.contrast.difference == pytest.approx(2.0)
    shown = {
        entry.method: (str(entry.published), str(entry.published_std), entry.cell.value)
        for entry in paper.entries
        if entry.measure.id == "human"
    }
    assert shown["AudioToken"] == ("4.07", "0.83", 4.5) and shown["SD with text labels"][2] is None


def test_ratings_of_other_images_or_runs_are_left_out(rated, tmp_path):
    _, records = imported(rated, tmp_path)
    file = human_path(records[0].path)
    good = json.loads(file.read_text())
    for change, why in [
        ({"identity": "1" * 64}, "another run"),
        ({"clips": {"clip-00000": 9.0}}, "no ratings of people"),
    ]:
        file.write_text(json.dumps({**good, **change}))
        board = build_board(records, ["ais"], suite="mini")
        assert any("Ratings left out" in one and why in one for one in board.notes)
        row = next(row for row in board.rows if row.method == records[0].record.method.name)
        assert row.cells["human"].value is None


def test_another_study_does_not_replace_ratings_unasked(rated, tmp_path):
    made, _, _ = rated
    results, records = imported(rated, tmp_path)
    file = human_path(records[0].path)
    file.write_text(json.dumps({**json.loads(file.read_text()), "study": "9" * 64}))
    found, _ = locate(made, Store(tmp_path / "runs"))
    with pytest.raises(UserError, match="ratings of another study: give --replace"):
        attach(results, found)
    assert json.loads(file.read_text())["study"] == "9" * 64
    board = build_board(records, ["ais"], suite="mini")
    assert sum(row.cells["human"].value is not None for row in board.rows) == 1, "two studies are not compared"
    attach(results, found, replace=True)
    assert json.loads(file.read_text())["study"] == made.id


def test_the_verb_prints_and_writes(rated, tmp_path):
    made, _, stored = rated
    made.save(tmp_path / "study")
    result = worlds.bench(
        "human", "import", tmp_path / "study", tmp_path / "answers", "--score", "ais", runs=tmp_path / "none"
    )
    assert result.code == 0, result.err
    assert "4.50" in result.out and "4.07 ± 0.83" in result.out and "Krippendorff's alpha (ordinal) 1.00" in result.out
    assert json.loads((tmp_path / "study" / "results.json").read_text())["runs"]["audiotoken"]["value"] == 4.5
    assert all(human_path(one.path).is_file() for one in stored.values())
    shown = worlds.bench("show", stored["audiotoken"].path.parent)
    assert "human ↑" in shown.out, shown.err


def test_ratings_that_cannot_be_used_hide_no_record(rated, tmp_path):
    _, records = imported(rated, tmp_path)
    human_path(records[0].path).write_text("{")
    shown = worlds.bench("show", records[0].path.parent)
    assert shown.code == 0 and "ais ↑" in shown.out and "warning:" in shown.out and "human.json" in shown.out


def test_committed_ratings_are_no_records(rated, tmp_path, monkeypatch):
    """`<name>.human.json` lies among results, whose other `.json` files are records."""
    from benchmark.records import store

    _, records = imported(rated, tmp_path)
    target = tmp_path / "results" / "mini" / f"{records[0].record.method.name}-seed0.json"
    target.parent.mkdir(parents=True)
    for source, copy in ((records[0].path, target), (human_path(records[0].path), human_path(target))):
        copy.write_bytes(source.read_bytes())
    monkeypatch.setattr(store, "packaged_results", lambda: tmp_path / "results")
    found = store.packaged_records("mini")
    assert found.problems == [] and len(found.records) == 1
    board = build_board(found.records, ["ais"], suite="mini")
    assert board.rows[0].cells["human"].value is not None


def test_preferences_do_not_depend_on_the_side():
    """Three runs of which one is preferred in three of four answers, whatever stands at the left."""
    names = ["one", "two", "three"]
    pairs = [("one", "two"), ("one", "three"), ("two", "three")]
    items = {
        f"x{clip * 3 + place:05d}": Item(clip=f"c{clip}", runs=pair)
        for clip in range(8)
        for place, pair in enumerate(pairs)
    }
    plain = study(8)
    runs = dict.fromkeys(names, plain.runs["a"])
    facts = plain.model_dump(exclude={"id"}) | {"question": "pair", "items": items, "runs": runs}
    made = Study.model_validate(facts)
    collected = Collected(raters=["r1", "r2"])
    for rater in collected.raters:
        for number, (name, item) in enumerate(items.items()):
            swapped = (number + (rater == "r1")) % 2 == 0
            value = 2 if "one" not in item.runs else 1 if int(item.clip[1:]) % 4 else 3
            collected.judgements.append(Judgement(rater, name, swapped, 4 - value if swapped else value))
    results = evaluate(made, collected, {})
    shares = {one.runs: one.share.value for one in results.preferences}
    assert shares == {("one", "two"): 75.0, ("one", "three"): 75.0, ("two", "three"): 50.0}
    assert all(0 <= one.share.low <= one.share.high <= 100 for one in results.preferences)
    assert results.strengths["one"] > results.strengths["two"] == pytest.approx(results.strengths["three"])
    assert results.alpha == pytest.approx(1.0) and results.opinions == ()


def test_a_run_that_is_gone_is_named(rated, tmp_path):
    made, collected, stored = rated
    stored["wav2clip"].path.unlink()
    records, problems = locate(made, Store(tmp_path / "none"))
    assert records.keys() == {"audiotoken"} and "wav2clip" in problems[0] and "--runs" in problems[0]
    assert {one.name for one in evaluate(made, collected, records).opinions} == LIKED.keys()
