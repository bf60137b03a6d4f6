"""The board of judges: who agrees with whom, and on what not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from boards import metric, scored

from benchmark.leaderboard.build import build_board
from benchmark.studies import judges

RNG = np.random.default_rng(0)
OURS, THEIRS = "iis.winrate.sameclass", "iis.winrate.sameclass@eye"


def rates(mean: float, clips: int = 300) -> np.ndarray:
    return np.clip(RNG.normal(mean, 15, clips), 0, 100)


def test_a_lead_that_only_one_judge_sees_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    means = {"tuned": (70, 50), "honest": (60, 60), "deaf": (50, 40)}
    records = [
        scored(tmp_path, name, {OURS: rates(a), THEIRS: rates(b)}, distances={"fd.clip": metric(d, "down")}, seed=seed)
        for d, (name, (a, b)) in enumerate(means.items())
        for seed in (0, 1)
    ]
    columns = {"within": {"suite": OURS, "eye": THEIRS}, "fd": {"suite": "fd.clip", "eye": "fd.eye"}}
    metrics = [name for by in columns.values() for name in by.values()]
    (found,) = judges.opinions(build_board(records, metrics, suite="mini"), columns)
    assert found.column == "within" and not found.agrees, "nobody was scored by fd.eye"
    assert found.reversed == ("suite has tuned before honest, judge eye the reverse",)
    assert found.tau == {"suite, eye": pytest.approx(1 / 3)}
    assert [found.ranks["suite"][name].rank for name in means] == [1, 2, 3]
    assert [found.ranks["eye"][name].rank for name in means] == [2, 1, 3]
    assert (found.ranks["eye"]["honest"].low, found.ranks["eye"]["honest"].high) == (1, 1)
    assert list(judges.panels([found])) == ["within: rank by suite", "within: rank by eye"]
    judges._print([found])
    out = capsys.readouterr().out
    assert "tau of suite, eye: 0.33" in out and "columns on which judges disagree beyond chance: within" in out


def test_columns_are_those_that_two_judges_have() -> None:
    found = judges.columns_of(["ais", "fd.clip", "fd.other"], ["effnetlite0", "imagebind"])
    assert found["iis"] == {"suite": "iis", "effnetlite0": "iis@effnetlite0", "imagebind": "iis@imagebind"}
    assert found["ais"] == {"suite": "ais", "imagebind": "ais@imagebind"}, "effnetlite0 hears nothing"
    assert found["fd"] == {"suite": "fd.clip", "effnetlite0": "fd.effnetlite0", "imagebind": "fd.imagebind"}
    assert set(judges.columns_of(["fid"], ["effnetlite0"])) == {*judges.SEEN}


def test_without_scores_there_is_a_way_out(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setenv("BENCH_RUNS", str(tmp_path))
    assert judges.main(["--suite", "mini", "--judge", "dinov2"]) == 2
    assert "fewer than two methods are scored by these judges" in capsys.readouterr().err
