"""Two rows side by side. Every record here is synthetic."""

from __future__ import annotations

import csv
import io
import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
import worlds
from boards import scored, stored

from benchmark.leaderboard.build import build_board
from benchmark.leaderboard.clip_scores import ClipScores, paired
from benchmark.leaderboard.compare import RENDERERS, Comparison, compare_rows, row_called
from benchmark.leaderboard.significance import Sample, compare, compare_all, judge_all
from benchmark.utils.errors import UserError
from metrics.statistics import holm, paired_permutation_test, unpaired_permutation_test


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=60)


BASE = 50 + 10 * noise(0)


@pytest.fixture
def found(tmp_path: Path) -> Comparison:
    records = [
        scored(tmp_path, "good", {"ais": BASE + 3 + noise(1), "iis": BASE + noise(2)}),
        scored(tmp_path, "poor", {"ais": BASE + noise(3), "iis": BASE + noise(4)}),
    ]
    board = build_board(records, ["ais", "iis", "aic"], suite="mini")
    return compare_rows(board, row_called(board.rows, "good"), row_called(board.rows, "poor"))


def test_differences_are_those_of_the_paired_test_adjusted_after_holm(found: Comparison) -> None:
    assert [one.column.id for one in found.differences] == ["ais", "iis"], "what both have"
    tests = [
        paired_permutation_test(BASE + 3 + noise(1), BASE + noise(3)),
        paired_permutation_test(BASE + noise(2), BASE + noise(4)),
    ]
    adjusted = holm([test.p_value for test in tests])
    for one, test, p_value in zip(found.differences, tests, adjusted, strict=True):
        assert one.contrast is not None and one.contrast.n == 60 and one.contrast.way == "clips"
        assert one.difference == pytest.approx(test.difference, abs=1e-6)
        assert (one.contrast.low, one.contrast.high) == pytest.approx((test.low, test.high))
        assert one.adjusted == pytest.approx(p_value)
    ais, iis = found.differences
    assert (ais.better, iis.better) == ("a", "")


def test_less_is_better_where_the_metric_says_so() -> None:
    def runs(name: str, *values: float) -> list:
        return [stored(name, 60.0, value, seed) for seed, value in enumerate(values)]

    board = build_board([*runs("near", 5.0, 5.1, 5.2), *runs("far", 9.0, 9.1, 9.2)], ["fid"], suite="mini")
    near, far = (row_called(board.rows, name) for name in ("near", "far"))
    (one,) = compare_rows(board, near, far).differences
    assert one.contrast is not None and one.contrast.way == "seeds" and one.better == "a"
    (other,) = compare_rows(board, far, near).differences
    assert other.better == "b" and other.difference == pytest.approx(4.0)


def test_of_two_that_are_no_copies_none_is_the_better_one(tmp_path: Path) -> None:
    records = [scored(tmp_path, name, {"novelty.clip": BASE + more}) for name, more in (("near", 0.0), ("far", 9.0))]
    board = build_board(records, ["novelty.clip"], suite="mini")
    (one,) = compare_rows(board, row_called(board.rows, "far"), row_called(board.rows, "near")).differences
    assert one.significant and one.better == "" and one.column.warns


def test_every_format(found: Comparison) -> None:
    for name, render in RENDERERS.items():
        text = render(found)
        assert "ais" in text and text.endswith("\n"), name
    rows = json.loads(RENDERERS["json"](found))
    assert [row["metric"] for row in rows] == ["ais", "iis"] and rows[0]["better"] == "good"
    table = list(csv.DictReader(io.StringIO(RENDERERS["csv"](found))))
    assert float(table[0]["difference"]) == pytest.approx(rows[0]["difference"])
    shown = RENDERERS["md"](found)
    assert "good against poor" in shown and "**" in shown and "Holm" in shown


def test_rows_are_found_by_label_or_method() -> None:
    board = build_board(
        [stored("a", 60.0), stored("b", 50.0, settings={"steps": 2}), stored("b", 55.0, settings={"steps": 3})],
        ["ais"],
        suite="mini",
    )
    assert row_called(board.rows, "a").method == "a"
    with pytest.raises(UserError, match="several rows"):
        row_called(board.rows, "b")
    assert row_called(board.rows, "b (steps=3)").settings["steps"] == 3
    with pytest.raises(UserError, match="unknown row 'c'"):
        row_called(board.rows, "c")


def test_the_command(tmp_path: Path) -> None:
    done = worlds.bench("compare", "audiotoken", "wav2clip", "--metric", "iis", "--json", runs=tmp_path)
    assert done.code == 0 and [row["metric"] for row in done.json] == ["iis"]
    record = str(next(Path(__file__).parents[2].glob("results/mini/audiotoken-seed0.json")))
    same = worlds.bench("compare", record, record, "--metric", "ais", "--json", runs=tmp_path)
    assert same.code == 0 and same.json[0]["difference"] == 0 and same.json[0]["better"] is None
    wrong = worlds.bench("compare", "audiotokn", "wav2clip", runs=tmp_path)
    assert wrong.code == 2 and "did you mean 'audiotoken'" in wrong.err
    wrong = worlds.bench("compare", record, "audiotokn", runs=tmp_path)
    assert wrong.code == 2 and f"{record} is a run of mini, among whose rows: unknown row 'audiotokn'" in wrong.err


def test_the_deviation_over_clips_is_that_of_the_longer_end() -> None:
    assert Sample((3.0, 5.0), (3.0, 5.96)).over_clips == pytest.approx(1.0, abs=1e-4)
    # a distance is never below 0: the end that is cut off there says less
    assert Sample((0.5, 0.7), (0.0, 2.56)).over_clips == pytest.approx(1.0, abs=1e-4)
    assert Sample((3.0, 5.0)).over_clips == 0.0


def test_many_comparisons_are_the_same_as_one_by_one() -> None:
    def sample(seed: int, missing: int = 0, start: int = 0) -> Sample:
        values = noise(seed)
        values[:missing] = np.nan
        ids = tuple(f"clip-{k:03d}" for k in range(start, start + len(values)))
        return Sample((float(np.nanmean(values)),), (-1.0, 1.0), ClipScores(ids, values))

    pairs = [(sample(1), sample(2)), (sample(3, missing=5), sample(4)), (sample(5, start=7), sample(6, missing=9))]
    pairs += [
        (sample(7), sample(8, missing=4, start=500)),
        (Sample((1.0,), (0.5, 1.5)), Sample((3.0,), (2.0, 4.0))),
        (Sample((1.0, 2.0)), Sample((4.0, 6.0))),
        (Sample((1.0, 2.0), (0.0, 2.5)), Sample((4.0, 6.0), (4.2, 5.8))),
        (Sample((1.0,)), Sample((2.0,))),
    ]
    together = compare_all(pairs)
    judged = judge_all(pairs)
    assert [(one and (one.way, one.significant)) for one in together] == [
        (one and (one.way, one.significant)) for one in judged
    ]
    assert [one and one.way for one in together] == [
        "clips",
        "clips",
        "clips",
        "unpaired",
        "intervals",
        "seeds",
        "seeds and clips",
        None,
    ]
    for (a, b), one in zip(pairs, together, strict=True):
        alone = compare(a, b)
        assert (one and asdict(one)) == (alone and pytest.approx(asdict(alone)))
        if one and one.way == "unpaired":
            assert asdict(one) == {**asdict(unpaired_permutation_test(a.clips.values, b.clips.values)), "way": one.way}  # type: ignore[union-attr]
        if one and one.way == "clips":
            ours, theirs = paired(a.clips, b.clips)  # type: ignore[arg-type]
            test = paired_permutation_test(ours, theirs)
            assert (one.p_value, one.n) == (test.p_value, test.n)
            assert (one.difference, one.low, one.high) == pytest.approx((test.difference, test.low, test.high))
