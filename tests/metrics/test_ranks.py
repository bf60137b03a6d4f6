"""Ranks over clips, and judges that do or do not give the same ones."""

from __future__ import annotations

import numpy as np
import pytest

from metrics.ranks import kendall, ranks, reversals

RNG = np.random.default_rng(3)


def scores(*means: float, clips: int = 300, spread: float = 10.0, seed: int = 0) -> np.ndarray:
    return np.array(means) + spread * np.random.default_rng(seed).standard_normal((clips, len(means)))


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
