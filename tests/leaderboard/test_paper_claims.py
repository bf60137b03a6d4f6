from __future__ import annotations

import csv
import io
import json
import re
from pathlib import Path

import numpy as np
import pytest
from boards import metric, scored
from worlds import bench

from benchmark.leaderboard.literature import load_literature
from benchmark.leaderboard.paper_claims import OUTCOMES, Paper, as_sheets, build_paper, load_claims, render, to_rich
from benchmark.leaderboard.tables import latex
from benchmark.records import store
from benchmark.records.store import StoredRecord
from benchmark.suite import load_suite
from benchmark.utils.errors import UserError

SUITE = load_suite("mini")
METHODS = ("reference", "sd-text", "shuffled", "audiotoken", "audiotoken-cl", "wav2clip", "imagebind")
CLIPS = 60


def noise(*key: int) -> np.ndarray:
    return np.random.default_rng(key).normal(0, 4, CLIPS)


def records(folder: Path, levels: dict[str, float], distances: dict[str, float], seeds: int = 3) -> list[StoredRecord]:
    """Of each method, `seeds` runs: AIS, IIS and AIC scatter about its level, fd.clip about its distance."""
    made = []
    for k, (method, level) in enumerate(levels.items()):
        for seed in [None] if method == "reference" else range(seeds):
            scores = {name: level + noise(0) + noise(1, k, seed or 0) / 4 for name in ("ais", "iis", "aic")}
            value = distances[method] + 0.05 * (seed or 0)
            distance = metric(None if method == "reference" else value, "down", unit="distance")
            if method != "reference":
                distance |= {"low": value - 1, "high": value + 1}
            nobody = metric(None, reason="nobody rated these pictures")
            made.append(scored(folder, method, scores, seed, {"fd.clip": distance, "human": nobody}))
    return made


@pytest.fixture(scope="module")
def paper(tmp_path_factory: pytest.TempPathFactory) -> Paper:
    """ImageBind is above AudioToken, which does not differ from its form with CL; the label beats the true frames."""
    levels = dict(zip(METHODS, (80.0, 85.0, 50.0, 70.0, 70.0, 55.0, 75.0), strict=True))
    distances = dict(zip(METHODS, (0.0, 10.0, 12.0, 17.0, 17.02, 24.0, 13.0), strict=True))
    return build_paper(records(tmp_path_factory.mktemp("paper"), levels, distances), SUITE)


def verdicts(paper: Paper) -> dict[str, str]:
    return {verdict.claim.id: verdict.outcome for verdict in paper.verdicts}


# ----------------------------------------------------------------------------------------------------------- the claims


def test_comparisons_say_what_the_published_table_says():
    """What the claims put ahead is ahead in the paper's table, not only in its prose."""
    claims, table = load_claims(), load_literature().table("audiotoken")
    people = load_literature().table("audiotoken-human")
    compared = 0
    for claim in claims.claims:
        if claim.better is None or claim.worse == "shuffled":
            continue
        source = people if claim.metric == "human" else table
        column = next(column for column in source.columns if column.published == claim.metric)
        values = {row.here: row.values[column.id] for row in source.rows if column.id in row.values}
        ahead, behind = values[claim.better], values[claim.worse]
        assert ahead > behind if column.direction == "up" else ahead < behind, claim.id
        compared += 1
    assert compared >= 15
    for baseline in ("wav2clip", "imagebind"):
        about = {c.metric for c in claims.claims if (c.better, c.worse) == ("audiotoken", baseline)}
        assert about >= {"AIS", "IIS", "AIC", "FID"}
    effects = {c.metric: c.better for c in claims.claims if {c.better, c.worse} == {"audiotoken", "audiotoken-cl"}}
    assert effects == {"AIC": "audiotoken-cl", "AIS": "audiotoken", "IIS": "audiotoken", "FID": "audiotoken"}


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ('text = "t"\nbetter = "a"', ["'x'", "better, worse and metric, or a reason"]),
        ('text = "t"\nbetter = "a"\nworse = "b"\nmetric = "AIS"\nreason = "r"', ["or a reason"]),
        ('text = "t"\nbetter = "a"\nworse = "b"\nmetric = "BIS"', ["'BIS'", "[metrics]"]),
        ('text = "t"\nreason = "r"\n[[claims]]\nid = "x"\ntext = "u"\nreason = "r"', ["two claims", "'x'"]),
    ],
)
def test_a_claim_that_cannot_be_judged_is_refused(tmp_path, line, words):
    path = tmp_path / "claims.toml"
    path.write_text(f'paper = "P"\ntable = "one"\nmetrics = {{ AIS = "ais" }}\n[[claims]]\nid = "x"\n{line}\n')
    with pytest.raises(UserError) as error:
        load_claims(path)
    assert len(error.value.problems) == 1 and all(word in str(error.value) for word in words)


def test_verdicts(paper):
    found = verdicts(paper)
    assert found["audiotoken-wav2clip-ais"] == "held" and found["audiotoken-wav2clip-fid"] == "held"
    assert found["audiotoken-imagebind-iis"] == "not held" and found["audiotoken-imagebind-fid"] == "not held"
    assert found["cl-raises-aic"] == found["cl-lowers-ais"] == found["cl-worsens-fid"] == "not significant"
    assert found["label-beats-frames-aic"] == "held" and found["one-token-hears"] == "held"
    assert found["speakers"] == found["human-wav2clip"] == found["light"] == "not measured"


def test_each_verdict_shows_what_it_stands_on(paper):
    for verdict in paper.verdicts:
        if verdict.outcome == "not measured":
            assert verdict.reason and verdict.contrast is None
            continue
        contrast = verdict.contrast
        assert contrast.low < contrast.difference < contrast.high
        assert contrast.p_value <= verdict.p_holm <= 1
        assert contrast.way == ("seeds and clips" if verdict.metric == "fd.clip" else "clips")
        assert contrast.n == (CLIPS if contrast.way == "clips" else 3)
    reason = next(v.reason for v in paper.verdicts if v.claim.id == "human-label")
    assert "nobody rated these pictures" in reason


def test_p_values_are_adjusted_for_their_number(tmp_path):
    """A difference that passes alone does not pass among many that are nothing."""
    levels = dict.fromkeys(METHODS, 70.0) | {"imagebind": 69.6}
    built = build_paper(records(tmp_path, levels, dict.fromkeys(METHODS, 14.0)), SUITE)
    alone = [v for v in built.verdicts if v.contrast and v.contrast.significant]
    assert alone and all(v.p_holm > v.contrast.p_value for v in alone)
    assert all((v.outcome == "not significant") == (v.p_holm > 0.05) for v in alone)
    assert any(v.outcome == "not significant" for v in alone)


def test_a_single_run_is_judged_by_intervals(tmp_path):
    distances = dict(zip(METHODS, (0.0, 10.0, 12.0, 14.0, 15.0, 20.0, 15.9), strict=True))
    built = build_paper(records(tmp_path, dict.fromkeys(METHODS, 70.0), distances, seeds=1), SUITE)
    by_id = {verdict.claim.id: verdict for verdict in built.verdicts}
    far, near = by_id["audiotoken-wav2clip-fid"], by_id["audiotoken-imagebind-fid"]
    assert (far.outcome, near.outcome) == ("held", "not significant")
    assert far.contrast.way == "intervals" and far.contrast.p_value is None and far.p_holm is None
    assert (far.contrast.low, far.contrast.high) == pytest.approx((-8, -4))


def test_without_records_nothing_is_measured():
    built = build_paper([], SUITE)
    assert set(verdicts(built).values()) == {"not measured"}
    assert all(entry.cell.value is None and entry.same_order is None for entry in built.entries)
    reasons = {v.claim.id: v.reason for v in built.verdicts}
    assert "no complete record of wav2clip on mini" in reasons["audiotoken-wav2clip-ais"]
    for name in ("md", "csv", "latex", "html", "json"):
        assert "not measured" in render(built, name)


def test_limited_and_failed_runs_judge_nothing(tmp_path):
    levels = dict.fromkeys(METHODS, 70.0)
    made = records(tmp_path, levels, dict.fromkeys(METHODS, 14.0), seeds=1)
    made = [
        StoredRecord(r.record.model_copy(update={"limit": 8}), r.path, r.where)
        if r.record.method.name == "wav2clip"
        else r
        for r in made
    ]
    assert verdicts(build_paper(made, SUITE))["audiotoken-wav2clip-ais"] == "not measured"


# ------------------------------------------------------------------------------------------------------------ the table


def test_the_table_has_six_rows_of_four_measures(paper):
    assert len(paper.entries) == 24
    by_place = {(entry.measure.published, entry.here): entry for entry in paper.entries}
    assert str(by_place["IIS", "imagebind"].published) == "75.50"
    assert by_place["FID", "audiotoken"].column.id == "fd.clip"
    assert by_place["AIS", "sd-text"].published is None and by_place["AIS", "sd-text"].same_order is None
    assert by_place["AIS", "wav2clip"].same_order is True
    assert by_place["AIS", "imagebind"].crossed == ("AudioToken",)
    assert by_place["AIS", "audiotoken"].same_order is False
    assert by_place["AIC", "sd-text"].same_order is True


def test_what_is_not_known_stands_beside_the_table(paper):
    notes = " ".join(as_sheets(paper)[0].notes)
    for words in ("comparison set", "tie rule", "CLIP variant", "real set", "raters", "which generator", "second-hand"):
        assert words in notes
    assert "FID is judged by fd.clip" in notes and "only their order can be compared" in notes
    assert "Holm" in " ".join(as_sheets(paper)[1].notes)


def test_fid_itself_is_taken_where_the_suite_has_no_other(paper):
    other = SUITE.model_copy(update={"headline": ("ais", "fid")})
    built = build_paper([], other)
    assert "fd.clip" not in {column.id for column in built.board.columns}
    assert not any("is judged by" in note for note in built.notes)


# -------------------------------------------------------------------------------------------------------------- formats


def test_json_and_csv_hold_the_same(paper):
    data = json.loads(render(paper, "json"))
    assert {claim["verdict"] for claim in data["claims"]} == set(OUTCOMES)
    first, second = render(paper, "csv").split("\n\n")
    table, claims = (list(csv.DictReader(io.StringIO(part))) for part in (first, second))
    assert [row["method"] for row in table] == [row["method"] for row in data["table"]]
    assert [row["verdict"] for row in claims] == [claim["verdict"] for claim in data["claims"]]
    measured = next(row for row in data["table"] if (row["measure"], row["method"]) == ("AIS", "audiotoken"))
    assert measured["published"] == 68.23 and len(measured["seeds"]) == 3 and measured["low"] < measured["measured"]


def test_latex_is_whole(paper):
    """Environments and braces close, cells are as many as columns, nothing special is left bare."""
    text = render(paper, "latex") + "".join(map(latex, load_literature().sheets()))
    opened: list[str] = []
    for kind, name in re.findall(r"\\(begin|end)\{(\w+)\}", text):
        if kind == "begin":
            opened.append(name)
        else:
            assert opened.pop() == name
    assert not opened
    bare = re.sub(r"\\[\\{}$&#_%]", "", re.sub(r"(?m) % \\usepackage.*$", "", text))
    assert bare.count("{") == bare.count("}") and bare.count("$") % 2 == 0
    assert not re.search(r"[#%_~^]", bare)
    assert not re.search(r"[^\x00-\x7f]", text)
    for spec, body in re.findall(r"\\begin\{tabular\}\{([^\n]*)\}\n(.*?)\\end\{tabular\}", text, re.DOTALL):
        columns = len(re.sub(r"p\{[^}]*\}+", "p", spec))
        rows = [line for line in body.splitlines() if line.endswith(r"\\")]
        assert rows and {len(re.split(r"(?<!\\)&", line)) for line in rows} == {columns}
        assert r"\toprule" in body and r"\bottomrule" in body


def test_markdown_and_page_show_every_claim(paper):
    text, page = render(paper, "md"), render(paper, "html")
    for claim in load_claims().claims:
        assert claim.text in text and claim.text.replace("'", "&#39;") in page
    assert not re.search(r"https?://|src=|@import|<link|url\(", page)
    assert page.count("<table") == 2 and "**not held**" in text


def test_a_narrow_terminal_is_not_overrun(paper):
    from rich.console import Console

    console = Console(file=io.StringIO(), width=80)
    console.print(to_rich(paper, 80))
    text = console.file.getvalue()  # type: ignore[attr-defined]
    assert max(map(len, text.splitlines())) <= 80
    assert text.count("Verdict") == 1 and text.count("Same order?") == 1
    assert "not significant" in text and "AudioToken with CL" in text


def test_the_command(tmp_path, monkeypatch):
    runs = tmp_path / "runs"
    monkeypatch.setattr("benchmark.cli.board.records_of", lambda *_: [])
    result = bench("paper", runs=runs)
    assert result.code == 0 and result.out.count("not measured") >= 15
    assert bench("paper", "--json", runs=runs).json["suite"] == "mini"
    file = tmp_path / "paper.tex"
    written = bench("paper", "-o", file, runs=runs)
    assert (written.code, written.out) == (0, "") and file.read_text().startswith(r"\begin{table}")
    assert bench("paper", "--json", "--format", "md", runs=runs).code == 2
    assert bench("paper", "--suite", "nosuch", runs=runs).code == 2


def test_a_wheel_has_the_claims_too(tmp_path, monkeypatch, root):
    packed = tmp_path / "benchmark" / "_results"
    packed.mkdir(parents=True)
    for name in ("claims.toml", "literature.toml"):
        (packed / name).write_bytes((root / "results" / name).read_bytes())
    monkeypatch.setattr(store, "__file__", str(tmp_path / "benchmark" / "store.py"))
    assert len(build_paper([], SUITE).verdicts) == len(load_claims().claims) > 15
