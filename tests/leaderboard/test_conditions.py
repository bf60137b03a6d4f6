"""A method under several conditions, and public against fresh clips. Every record here is synthetic."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pandas as pd
import pytest
from boards import metric, scored

from benchmark.leaderboard.conditions import Condition, Conditions, compare_conditions
from benchmark.leaderboard.curves import _figure, draw_curves
from benchmark.leaderboard.memory import memory
from benchmark.records.store import StoredRecord
from metrics.statistics import holm, paired_permutation_test, unpaired_permutation_test


def noise(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=60)


BASE = 60 + 5 * noise(0)


def under(folder: Path, suite: str, ais: np.ndarray, iis: np.ndarray) -> StoredRecord:
    """A record of a suite of its own."""
    fingerprint = f"{len(suite):064d}"
    suites = {"name": suite, "version": 1, "fingerprint": fingerprint}
    distances = {"fd.clip": metric(5.0, "down", low=4.0, high=6.0)}
    return scored(folder / suite, "m", {"ais": ais, "iis": iis}, fingerprint=fingerprint, suite=suites,
                  distances=distances)  # fmt: skip


@pytest.fixture
def found(tmp_path: Path) -> Conditions:
    conditions = [
        Condition("as it is", "", under(tmp_path, "mini", BASE, BASE)),
        Condition("snr=0", "snr", under(tmp_path, "mini+snr=0", BASE - 8 + noise(1), BASE + noise(2))),
        Condition("snr=-5", "snr", under(tmp_path, "mini+snr=-5", BASE - 9 + noise(3), BASE + noise(4))),
        Condition("silence", "silence", None),
    ]
    return compare_conditions(conditions, ["ais", "iis", "fd.clip", "fid"], "m under stress")


def test_each_condition_is_compared_with_the_first_on_the_same_clips(found: Conditions) -> None:
    assert [column.id for column in found.columns] == ["ais", "iis", "fd.clip"], "what some run has"
    tests = {
        (1, "ais"): paired_permutation_test(BASE - 8 + noise(1), BASE),
        (1, "iis"): paired_permutation_test(BASE + noise(2), BASE),
        (2, "ais"): paired_permutation_test(BASE - 9 + noise(3), BASE),
        (2, "iis"): paired_permutation_test(BASE + noise(4), BASE),
    }
    adjusted = dict(zip(tests, holm([test.p_value or 0 for test in tests.values()]), strict=True))
    for (row, name), test in tests.items():
        effect = found.rows[row][1][name]
        assert effect.contrast is not None and effect.contrast.way == "clips"
        assert effect.contrast.difference == pytest.approx(test.difference, abs=1e-6)
        assert effect.adjusted == pytest.approx(adjusted[row, name]) and effect.differs == (name == "ais")
    assert not found.rows[1][1]["fd.clip"].differs, "equal intervals"
    assert found.rows[0][1]["ais"].contrast is None and found.rows[3][1] == {}
    plain = found.to_dicts()
    assert plain[1]["ais"]["change"] == pytest.approx(-8, abs=0.5) and plain[3] == {}


def test_the_table_shows_value_interval_and_what_differs(found: Conditions) -> None:
    sheet = found.sheet()
    assert sheet.header == ("Heard", "ais ↑", "iis ↑", "fd.clip ↓")
    assert [row[0] for row in sheet.rows] == ["as it is", "snr=0", "snr=-5", "silence", "chance"]
    assert "* [" in sheet.rows[1][1] and "*" not in sheet.rows[1][2] and sheet.rows[3][1:] == ("–", "–", "–")


def test_neighbours_of_a_series_are_joined_and_a_lost_run_leaves_a_gap(found: Conditions) -> None:
    figure = _figure(found.panels(), "m")
    axes = figure.axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["as it is", "snr=0", "snr=-5", "silence"]
    joined = [line for line in axes.lines if list(line.get_xdata()) == [1, 2]]
    assert len(joined) == 1
    assert list(map(float, joined[0].get_ydata())) == [found.rows[k][1]["ais"].cell.value for k in (1, 2)]
    assert not any(list(line.get_xdata()) == [0, 1] and line.get_linestyle() == "-" for line in axes.lines)
    marks = [line for line in axes.lines if len(line.get_xdata()) == 1]
    assert [int(line.get_xdata()[0]) for line in marks] == [0, 1, 2]
    svg = draw_curves(found.panels(), "svg", "m & <b>")
    assert svg == draw_curves(found.panels(), "svg", "m & <b>")
    texts = {"".join(node.itertext()).strip() for node in ElementTree.fromstring(svg).iter()}
    assert {"snr=-5", "m & <b>", "chance"} <= texts


def elsewhere(stored: StoredRecord) -> StoredRecord:
    """The same record with other clips."""
    path = stored.path.with_name("scores.parquet")
    table = pd.read_parquet(path)
    table["clip"] = "fresh-" + table["clip"]
    table.to_parquet(path, index=False)
    return stored


def test_public_minus_fresh_is_over_the_clips_of_either_side(tmp_path: Path) -> None:
    public = under(tmp_path, "mini", BASE + 6, BASE)
    fresh = elsewhere(under(tmp_path, "mini+fresh=3", BASE + noise(1), BASE[::-1]))
    found = memory(public, fresh, 3, ["ais", "iis", "fd.clip"])
    ais, iis, distance = found.comparison.differences
    test = unpaired_permutation_test(BASE + 6, BASE + noise(1))
    assert ais.contrast is not None and (ais.contrast.way, ais.contrast.n) == ("unpaired", 60)
    assert ais.difference == pytest.approx(test.difference, abs=1e-6)
    assert test.low is not None and ais.contrast.low == pytest.approx(test.low, abs=0.2)
    assert ais.better == "a" and iis.better == "" and iis.difference == pytest.approx(0, abs=1e-6)
    assert distance.contrast is not None and distance.contrast.way == "intervals"
    assert found.remembered == ("ais",) and "better on the public clips" in found.verdict
    plain = found.to_dict()
    assert [row["better"] for row in plain["metrics"]] == ["public", None, None]
    assert {"public", "fresh", "difference", "low", "high", "p_adjusted"} <= plain["metrics"][0].keys()
    assert found.sheet().notes[-1] == found.verdict and found.sheet().header[1:3] == ("public clips", "fresh clips")


def test_a_method_that_is_better_on_fresh_clips_has_no_memory(tmp_path: Path) -> None:
    public = under(tmp_path, "mini", BASE, BASE)
    fresh = elsewhere(under(tmp_path, "mini+fresh=3", BASE + 6, BASE))
    found = memory(public, fresh, 3, ["ais"])
    assert found.comparison.differences[0].better == "b" and found.remembered == ()
    assert found.verdict == "No metric finds m better on the public clips than on fresh ones."
    bare = replace(fresh, path=tmp_path / "nowhere" / "record.json")
    assert memory(public, bare, 3, ["ais"]).comparison.differences[0].contrast.way == "intervals"  # type: ignore[union-attr]
