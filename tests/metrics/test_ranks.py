"""Ranks over clips, and judges that do or do not give the same ones."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from metrics.ranks import _places, kendall, ranks, ranks_over_seeds, reversals

RNG = np.random.default_rng(3)


def scores(*means: float, clips: int = 300, spread: float = 10.0, seed: int = 0) -> np.ndarray:
    return np.array(means) + spread * np.random.default_rng(seed).standard_normal((clips, len(means)))


def test_places_are_counted() -> None:
    drawn = np.random.default_rng(0).integers(0, 6, (50, 3, 9)).astype(float)
    ahead = (drawn[..., None, :] > drawn[..., :, None]).sum(axis=-1)
    equal = (drawn[..., None, :] == drawn[..., :, None]).sum(axis=-1)
    assert np.array_equal(_places(drawn), ahead + (equal + 1) / 2)


def test_sure_places_have_narrow_intervals_and_others_wide_ones() -> None:
    found = ranks(scores(60, 50, 50, 40))
    assert found[0].rank == 1 and found[3].rank == 4
    assert (found[0].low, found[0].high) == (1, 1) and (found[3].low, found[3].high) == (4, 4)
    assert (found[1].low, found[1].high) == (2, 3) and (found[2].low, found[2].high) == (2, 3)


def test_equals_share_a_place_and_the_clips_are_common() -> None:
    same = RNG.standard_normal(20)
    found = ranks(np.stack([same, same, same - 5], axis=1))
    assert [(one.rank, one.low, one.high) for one in found] == [(1.5, 1.5, 1.5), (1.5, 1.5, 1.5), (3, 3, 3)]
    # a clip that only one method has no score of would decide otherwise
    table = np.array([[1.0, 0.0], [1.0, 0.0], [np.nan, 90.0]])
    assert [one.rank for one in ranks(table)] == [1, 2]
    with pytest.raises(ValueError, match="no clip has a score"):
        ranks(np.array([[np.nan, 1.0], [1.0, np.nan]]))


def test_kendalls_tau_counts_pairs() -> None:
    a, b = [3.0, 2.0, 1.0, 0.0], [3.0, 1.0, 2.0, 0.0]
    pairs = [(i, j) for i in range(4) for j in range(i)]
    concordant = sum(np.sign(a[i] - a[j]) * np.sign(b[i] - b[j]) for i, j in pairs)
    assert kendall(a, b) == pytest.approx(concordant / len(pairs)) == pytest.approx(4 / 6)
    assert kendall(a, a) == pytest.approx(1) and kendall(a, a[::-1]) == pytest.approx(-1)
    assert kendall([1.0], [1.0]) is None and kendall([1.0, 1.0], [1.0, 2.0]) is None


def test_only_reversals_beyond_chance_are_named() -> None:
    one, other = scores(60, 50, 40, seed=1), scores(50, 60, 40, seed=2)
    assert reversals(one, other) == [(0, 1)] and reversals(other, one) == [(1, 0)]
    assert reversals(one, one) == [] and reversals(scores(50.2, 50, seed=3), scores(50, 50.2, seed=4)) == []
    # a judge that cannot tell two methods apart contradicts nobody
    assert reversals(one, scores(50, 50, 40, seed=5)) == []
    assert reversals(one[:, :1], other[:, :1]) == []


def runs(means: np.ndarray, of_seed: float, of_clip: float, rng: np.random.Generator, clips: int = 120) -> list:
    """Scores (clips, 3) of each method: clips in common, clips as the method takes them, seeds, and what is left."""
    common = rng.normal(0, 20, (clips, 1))
    return [
        mean
        + common
        + rng.normal(0, of_clip, (clips, 1))
        + rng.normal(0, of_seed, (1, 3))
        + rng.normal(0, of_clip, (clips, 3))
        for mean in means
    ]


@pytest.mark.parametrize(("of_seed", "of_clip"), [(0.1, 8.0), (0.8, 1.0), (0.6, 6.0)])
def test_intervals_of_ranks_cover_and_the_probability_of_being_best_is_one(of_seed: float, of_clip: float) -> None:
    rng = np.random.default_rng(5)
    covered, said, true = [], [], []
    for board in range(150):
        means = rng.normal(0, 1, 6)
        found = ranks_over_seeds(runs(means, of_seed, of_clip, rng), resamples=300, seed=board)
        place = 1 + (means[None, :] > means[:, None]).sum(axis=1)
        covered += [one.low <= rank <= one.high for one, rank in zip(found, place, strict=True)]
        said += [one.best for one in found]
        true += list(place == 1)
        assert sum(one.best for one in found) == pytest.approx(1)
    assert np.mean(covered) >= 0.94
    said, true = np.array(said), np.array(true)
    for low, high in ((0.0, 0.1), (0.1, 0.3), (0.3, 0.6), (0.6, 0.85), (0.85, 1.01)):
        some = (said >= low) & (said < high)
        error = np.sqrt(max(said[some].mean() * (1 - said[some].mean()), 0.01) / some.sum()) if some.any() else 0
        assert not some.any() or abs(said[some].mean() - true[some].mean()) < 0.04 + 2.5 * error, (low, high)


def test_one_seed_less_than_there_are_is_drawn() -> None:
    a, b = [1.0, 3.0, 8.0], [2.0, 4.0]
    found = ranks_over_seeds([np.tile(a, (5, 1)), np.tile(b, (5, 1))], resamples=20_000)
    outcomes = [(x + y) / 2 - z for x, y, z in product(a, a, b)]
    expected = np.mean([(d > 0) + (d == 0) / 2 for d in outcomes])
    assert found[0].best == pytest.approx(expected, abs=0.015) and found[0].rank == 1
    assert (found[0].low, found[0].high) == (1, 2)


def test_a_single_run_is_taken_as_given_and_equals_share() -> None:
    table = scores(60, 50, 50.2, 40)
    given = ranks_over_seeds([column[:, None] for column in table.T])
    for one, other in zip(given, ranks(table), strict=True):
        assert (one.rank, one.low, one.high) == (other.rank, other.low, other.high)
        assert one.best == pytest.approx(other.best, abs=0.03)
    twins = ranks_over_seeds([table[:, :1], table[:, :1], table[:, 1:3]])
    assert [(one.rank, one.low, one.high, one.best) for one in twins[:2]] == [(1.5, 1.5, 1.5, 0.5)] * 2
    assert ranks_over_seeds([table[:, :2], table[:, 2:]]) == ranks_over_seeds([table[:, :2], table[:, 2:]])
    (alone,) = ranks_over_seeds([table[:, :1]])
    assert (alone.rank, alone.low, alone.high, alone.best) == (1, 1, 1, 1)


@pytest.mark.parametrize("wrong", [[np.zeros(4)], [np.zeros((4, 1)), np.zeros((5, 1))], [np.zeros((4, 0))]])
def test_scores_that_are_no_runs_of_the_same_clips_are_refused(wrong: list) -> None:
    with pytest.raises(ValueError, match="give \\(clips, runs\\)"):
        ranks_over_seeds(wrong)
