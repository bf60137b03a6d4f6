"""The worst clips of a run: which, in which order, with which images. The numbers are made up."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from boards import metric, stored
from worlds import bench

from benchmark.media.images import load_image, save_png
from benchmark.records.record import write_scores
from benchmark.runs.worst import contact_sheet, worst_clips
from benchmark.utils.errors import UserError

CLIPS = ["a", "b", "c", "a_1"]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run of four clips, one of which has no score and one of which has two images."""
    folder = tmp_path / "mini" / "mine" / "seed0"
    record = stored(
        "mine",
        metric(50.0),
        metric(3.0, "down"),
        metrics={"ais": metric(50.0), "oddness": metric(2.0, "down", unit="z"), "fid": metric(3.0, "down")},
        per_class={"ais": {"bell": 20.0, "dog": 80.0, "cat": None}, "oddness": {"bell": 1.0, "dog": 2.0, "cat": None}},
    ).record
    folder.mkdir(parents=True)
    record.save(folder / "record.json")
    scores = {"ais": [30.0, 10.0, np.nan, 30.0], "oddness": [1.0, 2.0, 3.0, 0.0]}
    write_scores(
        folder / "scores.parquet", pd.DataFrame({"clip": CLIPS, "label": ["bell", "dog", "cat", "bell"], **scores})
    )
    for place, name in enumerate(["a", "b", "c", "b_1", "a_1"]):
        save_png(folder / "images" / f"{name}.png", np.full((64, 64, 3), 40 * place, np.uint8))
    return folder


def of(run: Path, name: str, count: int = 9):
    from benchmark.records.record import RunRecord

    return worst_clips(RunRecord.load(run / "record.json"), run / "record.json", name, count)


def test_the_worst_come_first_in_the_metrics_direction(run):
    assert [(one.clip, one.score) for one in of(run, "ais")] == [("b", 10.0), ("a", 30.0), ("a_1", 30.0)]
    assert [one.clip for one in of(run, "oddness", 2)] == ["c", "b"], "where less is better the highest is worst"
    assert [one.label for one in of(run, "ais", 1)] == ["dog"]


def test_all_images_of_a_clip_and_no_others(run):
    found = {one.clip: [path.name for path in one.images] for one in of(run, "ais")}
    assert found == {"b": ["b.png", "b_1.png"], "a": ["a.png"], "a_1": ["a_1.png"]}


def test_the_sheet_shows_the_images_in_order(run):
    made = np.asarray(contact_sheet(of(run, "oddness", 2), "worst"))
    assert [int(made[made.shape[0] - 100, x, 0]) for x in (90, 90 + 172)] == [80, 40]
    (run / "images" / "a_1.png").unlink()
    with pytest.raises(UserError, match="no image of clip 'a_1'"):
        contact_sheet(of(run, "ais"), "worst")


def test_what_scores_no_clips_is_said(run):
    with pytest.raises(UserError, match=r"fid is a number of the whole set.*ais, oddness"):
        of(run, "fid")
    with pytest.raises(UserError, match="unknown metric of this run 'aiss'.*did you mean 'ais'"):
        of(run, "aiss")
    (run / "scores.parquet").unlink()
    with pytest.raises(UserError, match="is not there"):
        of(run, "ais")


def test_the_command_prints_paths_and_writes_the_sheet(run, tmp_path):
    out = tmp_path / "worst.png"
    result = bench("show", run, "--worst", 2, "--metric", "oddness", "-o", out, "--json")
    assert result.code == 0, result.err
    assert [one["clip"] for one in result.json] == ["c", "b"]
    assert all(Path(path).is_file() for one in result.json for path in one["images"])
    assert load_image(out).width > 300
    assert str(run / "images" / "b_1.png") in bench("show", run, "--worst", 1, "--metric", "ais").out.replace("\n", "")


def test_a_run_class_by_class(run):
    result = bench("show", run, "--per-class", "--metric", "oddness", "--json")
    assert [row["label"] for row in result.json] == ["dog", "bell", "cat"], "the worst first, those without a mean last"
    first, *_ = bench("show", run, "--per-class", "--json").json
    assert first == {"label": "bell", "ais": 20.0, "oddness": 1.0}
    text = bench("show", run, "--per-class").out
    assert "80.0" in text and "2.00" in text and "–" in text


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--worst", "3", "--per-class"], "contradict"),
        (["--metric", "ais"], "--metric is for --per-class and --worst"),
        (["-o", "x.png"], "--output is for --worst"),
        (["--worst", "3", "-o", "x.jpg"], "ends in .png"),
        (["--per-class", "--metric", "fid"], "unknown metric with means of classes"),
    ],
)
def test_options_that_do_not_go_together_are_refused(run, options, words):
    result = bench("show", run, *options)
    assert (result.code, result.out) == (2, "") and words in result.err and len(result.err.splitlines()) == 1


def test_they_are_for_runs_alone():
    result = bench("show", "ais", "--worst", "3")
    assert result.code == 2 and "--worst is for a run" in result.err
