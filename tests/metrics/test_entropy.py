"""Entropy of classes against its definition, and what its interval covers."""

from __future__ import annotations

import math

import numpy as np
import pytest

from metrics.entropy import class_entropy


def test_known_values() -> None:
    one = class_entropy([3] * 10, 25)
    assert (one.bits, one.low, one.high, one.effective) == (0, 0, 0, 1) and one.counts[3] == 10
    assert one.most == math.log2(25)
    equal = class_entropy(list(range(8)) * 5, 8)
    assert equal.bits == equal.most == 3 and equal.effective == 8 and equal.high == 3
    shares = np.array([5, 3, 2]) / 10
    assert class_entropy([0] * 5 + [1] * 3 + [2] * 2, 4).bits == pytest.approx(-(shares * np.log2(shares)).sum())


def test_the_interval_covers_the_truth_about_as_often_as_it_says() -> None:
    rng = np.random.default_rng(0)
    shares = np.array([0.5, 0.2, 0.1, 0.1, 0.05, 0.05])
    truth = -(shares * np.log2(shares)).sum()
    covered = 0
    for seed in range(200):
        found = class_entropy(rng.choice(6, 300, p=shares), 6, resamples=400, seed=seed)
        assert found.low <= found.bits <= found.high
        covered += found.low <= truth <= found.high
    assert 0.88 < covered / 200 <= 1


def test_it_is_seeded_and_bad_classes_are_refused() -> None:
    assert class_entropy([0, 1, 1], 2, seed=1) == class_entropy([0, 1, 1], 2, seed=1)
    with pytest.raises(ValueError, match="nothing to take the entropy of"):
        class_entropy([], 2)
    with pytest.raises(ValueError, match="classes"):
        class_entropy([0, 2], 2)
