"""What a report says of runs on changed clips, and of single attributes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sites import CEILING, a_run, runs_of, sources_of, stressed_runs_of

from benchmark.records.store import suite_folder
from benchmark.report.make import make, unchanged
from benchmark.report.varied import varied_records
from benchmark.utils.progress import Silent


def read(site: Path, name: str) -> Any:
    text = (site / f"data/{name}.js").read_text(encoding="utf-8")
    return json.loads(text.removeprefix(f"put({json.dumps(name)},").removesuffix(")\n"))


def test_curves_go_from_mild_to_hard_and_start_at_the_unchanged_clips(stressed):
    found, board = read(stressed, "stress"), read(stressed, "board")
    names = ["as it is", "snr=20", "snr=0", "snr=-5", "mix=6", "reversed", "silence"]
    assert [one["name"] for one in found["conditions"]] == names
    assert [one["curve"] for one in found["conditions"]] == [False, True, True, True, True, False, False]
    assert found["conditions"][1]["about"] == "white noise, 20 dB below the sound"
    alpha, beta, evil = found["rows"]
    assert alpha["label"] == "alpha" and alpha["page"] == "alpha" and alpha["seeds"][:2] == [[0, 1], [0]]
    cells = alpha["cells"]["ais"]
    plain = next(row for row in board["rows"] if row["key"] == "alpha")["cells"]["ais"]
    assert cells[0] == plain and cells[4] is None, "no record of alpha with two sources"
    falling = [cells[at]["value"] for at in (1, 2, 3, 6)]
    assert falling == sorted(falling, reverse=True)
    assert all(one["low"] < one["value"] < one["high"] for one in cells[1:4])
    assert [cell is not None for cell in beta["cells"]["ais"]] == [True, False, True, False, True, False, False]
    assert "red" in evil["label"] and evil["cells"]["ais"][6]["value"] is not None


def test_records_of_another_protocol_or_another_method_make_no_curve(tmp_path):
    store, records = runs_of(tmp_path / "runs")
    foreign = a_run(store, "alpha", 0.0, variation="snr=0", images=False)
    suite = foreign.record.suite
    old = foreign.record.model_copy(update={"suite": suite.model_copy(update={"fingerprint": "0" * 64})})
    sources = sources_of(store, records)
    assert [one.record.suite.name for one in sources.varied] == ["mini+snr=0"]
    make(sources, tmp_path / "site", Silent())
    assert len(read(tmp_path / "site", "stress")["rows"]) == 1
    make(replace(sources, varied=(replace(foreign, record=old),)), tmp_path / "site", Silent())
    assert not (tmp_path / "site" / "data" / "stress.js").exists()


def test_without_such_records_nothing_is_shown(site):
    page = (site / "plots.html").read_text()
    assert "Under stress" not in page and "one attribute at a time" not in page
    assert not (site / "data" / "stress.js").exists() and read(site, "board")["stress"] is False


def test_a_new_record_of_changed_clips_makes_the_report_anew(tmp_path):
    store, records = stressed_runs_of(tmp_path / "runs")
    site = tmp_path / "site"
    make(sources_of(store, records), site, Silent())

    def known() -> Path | None:
        return unchanged([*records, *varied_records(store, "mini", Silent())], site)

    assert known() == site / "index.html"
    a_run(store, "beta", 0.0, variation="white", images=False)
    assert known() is None


def test_a_damaged_record_is_warned_of_and_other_folders_are_not_read(tmp_path):
    store, _ = runs_of(tmp_path / "runs")
    one = a_run(store, "alpha", 0.0, variation="snr=0", images=False)
    one.path.write_text("{")
    (store.root / "mini+snr=99-01234567" / "x").mkdir(parents=True)
    (store.root / suite_folder("mini+things", "0" * 64)).mkdir()
    ui = Silent()
    assert varied_records(store, "mini", ui) == []
    assert [line.startswith("left out of the report: ") for line in ui.warnings] == [True]


def test_attributes_have_chance_and_ceiling(stressed):
    board = read(stressed, "board")
    (size,) = [one for one in board["metrics"] if one["family"] == "hears"]
    assert size["id"] == "hears.size" and size["chance"] == pytest.approx(100 / 3, rel=1e-4)
    assert board["ceilings"]["hears.size"] == CEILING and board["ceilings"]["ais"] is None
    values = {row["key"]: row["cells"]["hears.size"]["value"] for row in board["rows"]}
    assert values["true"] == CEILING and values["beta"] == 40 and values["alpha"] is None
    assert "What can be heard besides the class" in (stressed / "metrics" / "hears.size.html").read_text()


def test_a_run_and_its_packaged_copy_count_once(tmp_path):
    store, records = runs_of(tmp_path / "runs")
    copies = [replace(one, where="packaged") for one in records]

    def first_page(given: list[Any]) -> str:
        make(sources_of(store, given), tmp_path / "site", Silent())
        return (tmp_path / "site" / "index.html").read_text()

    for given in (records, [*records, *copies]):
        page = first_page(given)
        assert "<dt>runs</dt><dd>5</dd>" in page and "copies differ" not in page
    ais = records[2].record.metrics["ais"]
    other = {**records[2].record.metrics, "ais": ais.model_copy(update={"value": ais.value - 20.0})}
    place = tmp_path / "packaged" / "beta-seed0.json"
    changed = replace(copies[2], record=records[2].record.model_copy(update={"metrics": other}), path=place)
    page = first_page([*records, changed])
    assert "<dt>runs</dt><dd>5 <span" in page and 'title="Of beta: ' in page and "copies differ" in page
    assert "beta seed 0" in page and "has copies with other results" in page
