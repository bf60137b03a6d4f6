"""The site's files: what stands in them, what is made again, and what happens where something is missing."""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sites import CLIPS, EVIL, a_run, clip_set, runs_of, sources_of

from benchmark.cli.report import after_run
from benchmark.leaderboard.compare import compare_rows
from benchmark.mini.dataset import MiniData
from benchmark.records.store import RunFolder
from benchmark.report import data, media
from benchmark.report.folder import MARKER, SiteFolder, cleaned, slug
from benchmark.report.make import make, unchanged
from benchmark.report.metric_pages import explanation
from benchmark.report.sources import gather
from benchmark.suite import load_suite
from benchmark.utils.errors import UserError
from benchmark.utils.progress import Silent


def read(site: Path, name: str) -> Any:
    """The value that a script of the site hands over."""
    text = (site / f"data/{name}.js").read_text(encoding="utf-8")
    return json.loads(re.sub(r"^put\(\"[^\"]*\",", "", text).removesuffix(")\n"))


def stamps(site: Path) -> dict[str, int]:
    return {path.relative_to(site).as_posix(): path.stat().st_mtime_ns for path in site.rglob("*") if path.is_file()}


def test_the_site_says_what_the_board_says(tmp_path):
    sources = sources_of(*runs_of(tmp_path / "runs"))
    make(sources, tmp_path / "site", Silent())
    board = read(tmp_path / "site", "board")
    assert [row["rank"] for row in board["rows"]] == [row.rank for row in sources.board.rows]
    for shown, one in zip(board["rows"], sources.rows, strict=True):
        for column in sources.board.filled:
            cell = one.row.cells[column.id]
            assert shown["cells"][column.id]["text"] == cell.show(column)
            assert shown["cells"][column.id]["low"] == data.number(cell.low)
    page = (tmp_path / "site" / "index.html").read_text()
    first = sources.board.rows[0]
    assert f"<b>{sources.board.columns[0].show(first.cells['ais'].value)}" in page


def test_pairs_are_compared_as_bench_compare_does(tmp_path):
    sources = sources_of(*runs_of(tmp_path / "runs"))
    site = tmp_path / "site"
    make(sources, site, Silent())
    a, b = sources.rows[0], sources.rows[1]
    shown = read(site, f"compare/{a.key}~{b.key}")["metrics"]
    expected = compare_rows(sources.board, a.row, b.row)
    assert [one["texts"] for one in shown] == [list(row[1:]) for row in expected.sheet().rows]
    names = read(site, "compare")["pairs"]
    assert len(names) == 6 + 10, "all pairs of four rows, and of five runs"
    seeds = [run.key for row in sources.rows if row.row.method == "alpha" for run in row.runs]
    assert "~".join(seeds) in names


def test_scores_are_those_of_the_image_that_is_shown(site):
    board, clip = read(site, "board"), read(site, "clips/clip-00000")
    alpha = next(row for row in board["rows"] if row["method"] == "alpha")
    runs = clip["rows"][alpha["key"]]["runs"]
    assert [run["run"] for run in runs] == [run["key"] for run in alpha["runs"]] and len(runs) == 2
    mean = clip["rows"][alpha["key"]]["mean"]["ais"]
    assert mean == pytest.approx(sum(run["scores"]["ais"] for run in runs) / 2, rel=1e-5)
    assert runs[0]["scores"]["ais"] != runs[1]["scores"]["ais"]
    assert all((site / image).is_file() for run in runs for image in run["images"])


def test_nothing_hostile_is_left(site):
    kinds = ("Cc", "Cs", "Zl", "Zp")
    for path in [*site.glob("**/*.html"), *site.glob("data/**/*.js")]:
        text = path.read_text(encoding="utf-8")
        bad = [c for c in text if (unicodedata.category(c) in kinds and c != "\n") or c == "\u202e"]
        assert not bad, path
        if path.suffix == ".html":
            assert ("<img" not in text and "onerror=alert(1)&gt;" in text) or "onerror" not in text, path
            assert not re.search(r"(src|href)=\"(https?:)?//", text), path
    hostile = next(site.glob("methods/img-*.html")).read_text(encoding="utf-8")
    assert "<h1>&lt;img src=x onerror=alert(1)&gt;red</h1>" in hostile
    assert cleaned({f"a{EVIL}": [EVIL]}) == {"a<img src=x onerror=alert(1)>red": ["<img src=x onerror=alert(1)>red"]}


def test_names_of_files_need_no_quoting(site):
    for name in stamps(site):
        assert re.fullmatch(r"[A-Za-z0-9._~/-]+", name), name
    assert slug("A") != slug("a") and slug("..") != ".." and slug("a/b") != slug("a b") and len(slug("x" * 500)) < 100


def test_a_second_time_nothing_is_written(tmp_path):
    store, records = runs_of(tmp_path / "runs")
    site = tmp_path / "site"
    make(sources_of(store, records), site, Silent())
    before = stamps(site)
    assert unchanged(records, site) == site / "index.html"
    make(sources_of(store, records), site, Silent())
    after = stamps(site)
    assert {name for name in after if after[name] != before.get(name)} == {MARKER}


def test_links_to_a_method_hold_when_rows_of_other_settings_come(tmp_path):
    store, records = runs_of(tmp_path / "runs")
    records.append(a_run(store, "alpha", 3.0, settings={"tokens": 2}))
    keys = {one.row.label: one.key for one in sources_of(store, records).rows}
    assert keys["alpha"] == "alpha" and keys["alpha (tokens=2)"].startswith("alpha-")


def test_what_is_gone_leaves_the_site(tmp_path):
    store, records = runs_of(tmp_path / "runs")
    site = tmp_path / "site"
    make(sources_of(store, records), site, Silent())
    kept = [one for one in records if one.record.method.name != "beta"]
    assert unchanged(kept, site) is None
    make(sources_of(store, kept), site, Silent())
    assert not (site / "methods" / "beta.html").exists() and not list(site.glob("data/compare/*beta*"))
    assert len(list((site / "media" / "images").iterdir())) == 3


def test_another_folder_is_left_alone(tmp_path):
    sources = sources_of(*runs_of(tmp_path / "runs"))
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.tex").write_text("x")
    with pytest.raises(UserError, match=r"mine holds something else than a report: .* -o"):
        make(sources, tmp_path / "mine", Silent())
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="file holds something else"):
        make(sources, tmp_path / "file", Silent())
    # a list of files that was edited deletes nothing outside
    (tmp_path / "site").mkdir()
    (tmp_path / "site" / MARKER).write_text(json.dumps({"files": ["../mine/thesis.tex", "old.html"]}))
    (tmp_path / "site" / "old.html").write_text("x")
    make(sources, tmp_path / "site", Silent())
    assert (tmp_path / "mine" / "thesis.tex").exists() and not (tmp_path / "site" / "old.html").exists()


def test_an_interrupted_site_is_made_whole(tmp_path, monkeypatch):
    sources = sources_of(*runs_of(tmp_path / "runs"))
    with monkeypatch.context() as patch:
        patch.setattr(SiteFolder, "put", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            make(sources, tmp_path / "site", Silent())
    make(sources, tmp_path / "site", Silent())
    assert (tmp_path / "site" / "index.html").is_file()


def test_a_run_without_images_is_named_with_the_way_to_get_them(site):
    missing = read(site, "board")["missing"]
    (line,) = [line for line in missing if line.startswith("No images here")]
    assert "gamma" in line and "`bench run --method gamma --seed 0`" in line
    assert "No images here: <code>bench run --method gamma" in (site / "methods" / "gamma.html").read_text()
    assert any(line.startswith("The class that aic found is not known for") for line in missing)


def test_without_clips_the_scores_are_shown(tmp_path):
    store, records = runs_of(tmp_path / "runs")
    # another protocol than this version's: nothing says what its clips are
    suite = records[0].record.suite.model_copy(update={"fingerprint": "f" * 64})
    old = [replace(one, record=one.record.model_copy(update={"suite": suite})) for one in records]
    sources = gather("mini", suite.fingerprint, old, store, Silent())
    assert sources.clips is None and "Sounds and true frames are not shown" in sources.remarks[-1]
    make(sources, tmp_path / "site", Silent())
    clips = read(tmp_path / "site", "clips")
    assert len(clips["keys"]) == CLIPS and {*clips["labels"]} == {0, 1, 2}
    assert "sound" not in read(tmp_path / "site", "clips/clip-00003")


def test_a_deleted_sound_is_said_and_the_rest_stands(tmp_path):
    store, records = runs_of(tmp_path / "runs")
    whole = clip_set()
    gone = whole[2].__class__("clip-00002", tmp_path / "gone.wav", whole[2].image, whole[2].labels, "test")
    clips = whole.__class__("x", (*whole[:2], gone, *whole[3:]), whole.labels, "x")
    make(sources_of(store, records, clips=clips), tmp_path / "site", Silent())
    clip = read(tmp_path / "site", "clips/clip-00002")
    assert "gone.wav" in clip["no sound"] and clip["frame"] and clip["rows"]
    assert any(
        line.startswith("1 clips have no sound here (clip-00002)")
        for line in read(tmp_path / "site", "board")["missing"]
    )


def test_clips_are_described_in_the_words_of_their_data_set(tmp_path):
    store, records = runs_of(tmp_path / "runs")
    make(sources_of(store, records), tmp_path / "site", Silent())
    assert read(tmp_path / "site", "clips/clip-00000")["facts"] == ["size 0.25", "colour red"]
    plan = SimpleNamespace(suite=load_suite("mini"), test_data=MiniData())
    make(sources_of(store, records, plan=plan), tmp_path / "site", Silent())
    assert read(tmp_path / "site", "clips/clip-00000")["facts"] == ["size: small", "colour: red"]


def test_an_empty_board_is_a_page_that_says_what_to_do(tmp_path):
    store, _ = runs_of(tmp_path / "runs")
    make(sources_of(store, []), tmp_path / "site", Silent())
    assert "bench run --suite mini --method NAME" in (tmp_path / "site" / "index.html").read_text()


def test_curves_are_of_the_fits_behind_the_runs(tmp_path):
    store, records = runs_of(tmp_path / "runs")
    fit = store.fit("mini", "alpha", "0" * 64)
    (fit.path / "steps").mkdir(parents=True)
    lines = [json.dumps([step, {"loss": 1 / step}]) for step in range(10, 20000, 10)]
    (fit.path / "steps" / "fit.curve").write_text("\n".join(lines) + "\n")
    for one in records[:3]:
        name = "../../outside" if one.record.method.name == "beta" else fit.path.relative_to(store.root).as_posix()
        RunFolder(one.path.parent).mark_done("generate", "x", {"fit": name})
    make(sources_of(store, records), tmp_path / "site", Silent())
    (curve,) = read(tmp_path / "site", "curves")
    assert curve["label"] == "alpha, seed 0, runs" and len(curve["steps"]) <= 500
    assert curve["values"]["loss"][0] == 0.1 and curve["steps"] == sorted(curve["steps"])
    assert read(tmp_path / "site", "board")["curves"] == [{"run": curve["run"], "label": curve["label"]}]


def test_a_run_stays_done_when_its_report_fails():
    ui = Silent()
    assert after_run([SimpleNamespace(plan=None)], ui) is None  # type: ignore[list-item]
    (line,) = ui.warnings
    assert line.startswith("no report: ") and "`bench report`" in line


@pytest.mark.parametrize("suite", ["mini", "vggsound"])
def test_every_metric_is_explained(suite):
    for name in load_suite(suite).metrics:
        assert "<p>" in explanation(name), name
    assert "cannot" in explanation("ais").lower() and "<script" not in explanation("ais")


def test_a_spectrogram_shows_where_a_tone_is():
    import io

    from PIL import Image

    time = np_time()
    low, high = (media.spectrogram(wave(time, hertz), 16000) for hertz in (200, 4000))

    def loudest(png: bytes) -> int:
        import numpy as np

        return int(np.asarray(Image.open(io.BytesIO(png)).convert("RGBA"))[..., 3].sum(axis=1).argmax())

    assert loudest(low) > loudest(high) + 15
    assert len(media.peaks(wave(time, 200))) == media.PEAKS and max(media.peaks(wave(time, 200))) == 50
    assert media.spectrogram(0 * time, 16000) and media.peaks(0 * time[:10]) == [0] * media.PEAKS


def np_time() -> Any:
    import numpy as np

    return np.arange(32000) / 16000


def wave(time: Any, hertz: float) -> Any:
    import numpy as np

    return 0.5 * np.sin(2 * np.pi * hertz * time)
