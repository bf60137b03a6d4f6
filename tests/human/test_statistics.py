from __future__ import annotations

import math

import numpy as np
import pytest

from benchmark.human import statistics
from benchmark.human.statistics import Crossed


def crossed(table):
    """Of a table (raters, clips) with NaN for what was not rated."""
    rater, clip = np.nonzero(~np.isnan(table))
    return Crossed(rater, clip, np.asarray(table, dtype=float)[rater, clip])


def test_the_components_of_a_full_table_are_those_of_the_analysis_of_variance():
    rng = np.random.default_rng(3)
    table = 3 + rng.normal(size=(6, 1)) + 2 * rng.normal(size=(1, 9)) + 0.5 * rng.normal(size=(6, 9))
    of_raters, of_clips = table.mean(axis=1), table.mean(axis=0)
    rest = table - of_raters[:, None] - of_clips + table.mean()
    within = (rest**2).sum() / (5 * 8)
    expected = of_raters.var(ddof=1) - within / 9, of_clips.var(ddof=1) - within / 6, within
    assert statistics.components(crossed(table)) == pytest.approx(expected)


def test_a_mean_worked_out_by_hand():
    """Two raters who differ by 1, three clips that differ by 1, and no rest: 3.5 with variance 0.5 / 2 + 1 / 3."""
    found = statistics.mean(crossed(np.array([[2.0, 3.0, 4.0], [3.0, 4.0, 5.0]])))
    variance = 0.5 / 2 + 1 / 3
    # Satterthwaite: each kind is known through its own mean and the scatter of the others over 6 ratings
    freedom = variance**2 / ((0.25 + 1 / 6) ** 2 / 1 + (1 / 3 + 0.5 / 6) ** 2 / 2)
    from scipy.special import stdtrit

    assert found.value == 3.5
    assert found.high - found.value == pytest.approx(stdtrit(freedom, 0.975) * math.sqrt(variance))


@pytest.mark.parametrize("table", [[[1.0, 2.0, 3.0]], [[1.0], [2.0]]], ids=["one rater", "one clip"])
def test_one_of_a_kind_gives_no_interval(table):
    found = statistics.mean(crossed(np.array(table)))
    assert found.low is None and found.high is None and found.width is None


def test_a_clip_counts_once_however_often_it_was_rated():
    assert statistics.mean(Crossed.of("abcab", "xxxyy", [5, 5, 5, 1, 1])).value == 3.0


RATERS, RATED, PER_CLIP, CLIPS = 12, 30, 4, 400
SPREAD = 0.4, 0.7, 0.8
"""Deviations between raters, between clips, and of the rest."""


def simulated(rng, connection, rounded):
    """Ratings of some clips by some raters, and for all clips a score that says something of them, or not."""
    raters = SPREAD[0] * rng.standard_normal(RATERS)
    clips = rng.standard_normal(CLIPS)
    score = connection * clips + math.sqrt(1 - connection**2) * rng.standard_normal(CLIPS)
    clip = np.repeat(np.arange(RATED), PER_CLIP)
    rater = np.argsort(rng.random((RATED, RATERS)), axis=1)[:, :PER_CLIP].ravel()
    value = 3 + raters[rater] + SPREAD[1] * clips[clip] + SPREAD[2] * rng.standard_normal(len(clip))
    value = np.clip(np.rint(value), 1, 5) if rounded else value
    return Crossed(rater, clip, value), score


RUNS = 1000
ERROR = 3 * math.sqrt(0.95 * 0.05 / RUNS)
"""Three standard errors of a share of 95 % in so many runs."""


@pytest.mark.parametrize("rounded", [False, True], ids=["any number", "1 to 5"])
@pytest.mark.parametrize("connection", [0.9, 0.0], ids=["a good score", "a score that says nothing"])
def test_intervals_cover_95_percent(connection, rounded):
    """Raters and clips are drawn anew each time; the mean over all raters and clips is 3, by symmetry."""
    rng = np.random.default_rng(11)
    plain = powered = 0
    narrowed = []
    for _ in range(RUNS):
        ratings, score = simulated(rng, connection, rounded)
        one = statistics.mean(ratings)
        plain += one.low <= 3 <= one.high
        two = statistics.powered(ratings, score[:RATED], score[RATED:])
        powered += two.estimate.low <= 3 <= two.estimate.high
        narrowed.append(two.narrowed)
        assert two.narrowed == pytest.approx(1 - two.estimate.width / one.width)
    assert abs(plain / RUNS - 0.95) < ERROR, "the plain interval"
    assert abs(powered / RUNS - 0.95) < ERROR, "the prediction-powered interval"
    assert np.median(narrowed) > 0.05 if connection else -0.05 < np.median(narrowed) < 0.02


def test_ratings_taken_for_independent_would_not_cover():
    """What the crossed interval is for: the usual one over single ratings misses the mean far too often."""
    rng = np.random.default_rng(11)
    hits = 0
    for _ in range(150):
        values = simulated(rng, 0.0, False)[0].value
        hits += abs(values.mean() - 3) <= 1.98 * values.std(ddof=1) / math.sqrt(len(values))
    assert hits / 150 < 0.85


def test_scores_do_not_help_where_there_is_too_little():
    rng = np.random.default_rng(0)
    ratings, score = simulated(rng, 0.9, False)
    assert statistics.powered(ratings, np.zeros(RATED), np.zeros(9)) is None
    assert statistics.powered(ratings, score[:RATED], score[:1]) is None
    assert statistics.powered(crossed(np.array([[1.0, 2.0, 3.0], [2.0, 3.0, 4.0]])), score[:3], score[3:]) is None


def test_alpha_is_krippendorffs_own_example():
    """Three coders and 15 units with gaps, the example of Wikipedia's page and of the package: nominal 0.691."""
    table = {
        "A": [None, None, None, None, None, 3, 4, 1, 2, 1, 1, 3, 3, None, 3],
        "B": [1, None, 2, 1, 3, 3, 4, 3, None, None, None, None, None, None, None],
        "C": [None, None, 2, 1, 3, 4, 4, None, 2, 1, 1, 3, 3, None, 4],
    }
    judged = {(who, str(k)): v for who, row in table.items() for k, v in enumerate(row) if v is not None}
    assert statistics.alpha(judged, "nominal") == pytest.approx(0.691, abs=5e-4)


def test_alpha_of_nothing_to_compare_is_none():
    assert statistics.alpha({("a", "x"): 1.0, ("b", "y"): 2.0}) is None
    assert statistics.alpha({("a", "x"): 3.0, ("b", "x"): 3.0}) is None


def test_strengths_follow_the_shares():
    """Three methods whose preferences follow the model with strengths 1, 0, -1, in numbers that are exact."""
    true = np.array([1.0, 0.0, -1.0])
    wins = 3000 / (1 + np.exp(true[None, :] - true[:, None]))
    np.fill_diagonal(wins, 0)
    assert statistics.strengths(wins) == pytest.approx(true, abs=0.01)
    assert statistics.strengths(np.array([[0, 4, 0], [1, 0, 0], [0, 0, 0]], dtype=float)) is None
    assert np.isfinite(statistics.strengths(np.array([[0.0, 9.0], [0.0, 0.0]]))).all()
