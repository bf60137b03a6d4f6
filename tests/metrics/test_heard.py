"""Heard share: simulated methods that hear with known probability get it back."""

from __future__ import annotations

import numpy as np
import pytest

from metrics.heard import heard_share


def simulated(heard: float, clips: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scores of a method that draws what words say where it hears, and what the label says where it does not.

    Each clip's score depends on the clip and on the picture; words do better on some clips than on others.
    """
    rng = np.random.default_rng(seed)
    hard = rng.uniform(0, 15, clips)

    def told(everything: np.ndarray) -> np.ndarray:
        mean = np.where(everything, 92 - hard, 50)
        return np.clip(mean + rng.normal(0, 12, clips), 0, 100)

    return told(rng.random(clips) < heard), told(np.zeros(clips, bool)), told(np.ones(clips, bool))


@pytest.mark.parametrize("heard", [0.0, 0.25, 0.5, 0.8, 1.0])
def test_what_is_heard_comes_back(heard: float) -> None:
    share = heard_share(*simulated(heard, 540, seed=round(100 * heard)))
    assert abs(share.value - 100 * heard) < share.high - share.low < 20  # four standard deviations
    assert share.low < share.value < share.high or heard == 1
    assert share.n == 540


def test_the_interval_covers_at_its_level() -> None:
    inside = 0
    for seed in range(200):
        share = heard_share(*simulated(0.4, 120, seed), resamples=300, seed=seed)
        inside += share.low <= 40 <= share.high
    assert 180 <= inside <= 198  # 95 % of 200, four standard deviations either way


def test_the_ends_and_the_pairing() -> None:
    _, label, words = simulated(0, 300, seed=1)
    assert heard_share(label, label, words).value == 0 and heard_share(words, label, words).value == 100
    assert (heard_share(words, label, words).low, heard_share(words, label, words).high) == (100, 100)
    half = heard_share((label + words) / 2, label, words)
    assert (half.low, half.value, half.high) == pytest.approx((50, 50, 50)), "of one clip the three go together"
    assert heard_share(label - (words - label), label, words).value == pytest.approx(-100)
    missing = label.copy()
    missing[:10] = np.nan
    assert heard_share(missing, label, words).n == 290


def test_nothing_to_have_a_share_of() -> None:
    method, label, _ = simulated(0.5, 300, seed=2)
    with pytest.raises(ValueError, match="not score surely better"):
        heard_share(method, label, label[::-1])
    with pytest.raises(ValueError, match="1 clips have"):
        heard_share([1.0, np.nan], [0.0, 0.0], [2.0, 2.0])
