"""How many pairs of methods a column tells apart: from records whose differences are known."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from boards import scored

from benchmark.studies import separation
from benchmark.utils.progress import Silent

METRIC = "iis.winrate.sameclass"
RNG = np.random.default_rng(0)
CLIPS = 200
SCORES = RNG.normal(60, 8, CLIPS)


def made(folder: Path, method: str, scores: np.ndarray, **changes: object) -> str:
    one = scored(folder, method, {METRIC: np.clip(scores, 0, 100)}, **changes)
    one.record.save(one.path)
    return str(one.path.parent)


def test_pairs_that_differ_are_counted_with_and_without_adjustment(tmp_path, capsys):
    scatter = RNG.normal(0, 4, CLIPS)
    same = scatter - scatter.mean()
    small = RNG.normal(0, 4, CLIPS)
    small += 0.66 - small.mean()  # About 2.3 standard errors: beyond chance alone, but not among three pairs.
    folders = [made(tmp_path, "plain", SCORES), made(tmp_path, "scattered", SCORES + same)]
    folders += [made(tmp_path, "better", SCORES + 20)]
    assert separation.main([*folders, "--metric", METRIC, "--json"], Silent()) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert (found["pairs"], found["each"], found["apart"]) == (3, 2, 2)
    assert [set(pair.split(", ")) for pair in found["unclear"]] == [{"plain", "scattered"}]

    close = [folders[0], folders[1], made(tmp_path, "close", SCORES + small)]
    assert separation.main([*close, "--metric", METRIC, "--json"], Silent()) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["pairs"] == 3 and found["each"] >= 1 and found["apart"] == 0 and len(found["unclear"]) == 3


def test_one_method_has_no_pairs(tmp_path, capsys):
    assert separation.main([made(tmp_path, "plain", SCORES), "--metric", METRIC], Silent()) == 2
    assert "fewer than two ranked rows" in capsys.readouterr().err


def test_the_table_shows_counts_and_names(tmp_path, capsys):
    folders = [made(tmp_path, "plain", SCORES), made(tmp_path, "better", SCORES + 20)]
    plot = tmp_path / "separation.svg"
    assert separation.main([*folders, "--metric", METRIC, "--plot", str(plot)], Silent()) == 0
    assert f">{METRIC}<" in plot.read_text()
    shown = capsys.readouterr().out
    assert "1 (100 %)" in shown and f"{METRIC} does not tell apart: none" in shown


@pytest.mark.parametrize("metric", ["ais", "aic"])
def test_a_column_without_values_is_left_out(tmp_path, capsys, metric):
    folders = [made(tmp_path, "plain", SCORES), made(tmp_path, "better", SCORES + 20)]
    assert separation.main([*folders, "--metric", METRIC, "--metric", metric, "--json"], Silent()) == 0
    assert [one["metric"] for one in json.loads(capsys.readouterr().out)] == [METRIC]
