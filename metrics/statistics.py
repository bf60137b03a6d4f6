"""How sure is a mean over clips: intervals and a paired test. The clip is the unit, however many images it has.

Everything is seeded, computed in float64 and in blocks, so memory does not grow with the number of draws. NaN marks a
clip without a score.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .similarity import Array, blocks, indices

Interval = tuple[float, float]


def per_clip(scores: ArrayLike, owner: ArrayLike, clips: int) -> Array:
    """Mean score of each clip's images, (clips,); images without a score do not count, NaN where none is left."""
    values = np.asarray(scores, dtype=np.float64)
    index = indices(owner, "owner", len(values), clips)
    scored = ~np.isnan(values)
    count = np.bincount(index[scored], minlength=clips)
    total = np.bincount(index[scored], weights=values[scored], minlength=clips)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def mean(values: ArrayLike) -> float:
    """Mean of the clips that have a score, correctly rounded, so it does not depend on their order; NaN for none."""
    kept = _kept(values)
    return math.fsum(kept) / len(kept) if len(kept) else math.nan


def bootstrap_interval(
    values: ArrayLike, *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Interval | None:
    """Percentile interval of the mean over clips, from resampling clips with replacement.

    `values` is (M,), one per clip (`per_clip`). None for fewer than two clips or no resamples: unknown is not zero.
    """
    kept, level = _kept(values), _checked_level(level)
    if len(kept) < 2 or resamples < 1:
        return None
    if kept.min() == kept.max():
        return float(kept[0]), float(kept[0])
    rng = np.random.default_rng(seed)
    # Half of the time goes into drawing; narrow integers are drawn several at a time.
    width = np.uint16 if len(kept) <= 1 << 16 else np.uint32
    means = np.empty(resamples)
    for rows in blocks(resamples, len(kept), 4 << 20):
        drawn = rng.integers(0, len(kept), size=(rows.stop - rows.start, len(kept)), dtype=width)
        means[rows] = kept[drawn].mean(axis=1)
    low, high = np.quantile(means, [(1.0 - level) / 2.0, (1.0 + level) / 2.0])
    return float(low), float(high)


def half_sample_interval(
    statistic: Callable[[NDArray[np.intp]], float],
    clips: int,
    value: float,
    *,
    level: float = 0.95,
    resamples: int = 32,
    seed: int = 0,
) -> Interval | None:
    """Interval of a statistic of a whole set, such as a distance between sets: value -+ z * std over random halves.

    `statistic` takes sorted indices of half of the clips. Resampling with replacement would repeat clips, which drives
    a Fréchet distance far up; halves drawn without replacement scatter as much as the full statistic does, whatever
    bias fewer samples have. The normal quantile needs few draws. None for fewer than four clips or two resamples.
    Source: the delete-half jackknife (Shao and Wu 1989).
    """
    if clips < 4 or resamples < 2:
        return None
    rng = np.random.default_rng(seed)
    halves = [statistic(np.sort(rng.choice(clips, clips // 2, replace=False))) for _ in range(resamples)]
    reach = NormalDist().inv_cdf((1.0 + _checked_level(level)) / 2.0) * float(np.std(halves, ddof=1))
    return value - reach, value + reach


@dataclass(frozen=True)
class PairedTest:
    """Two methods compared clip by clip: mean difference a - b with its interval, two-sided p value, clips used."""

    difference: float
    low: float | None
    high: float | None
    p_value: float
    n: int


def paired_permutation_test(a: ArrayLike, b: ArrayLike, *, resamples: int = 9999, seed: int = 0) -> PairedTest:
    """Could the mean difference of two methods over the same clips be chance? Signs of the differences are flipped at
    random.

    `a`, `b` are (M,) scores per clip; clips that lack one of them are left out, none left raises `ValueError`. The p
    value is the share of flips, the observed one included, whose mean is at least as far from 0; all 2^n flips are
    counted where that is no more work than drawing. Assumes that under no difference the two scores of a clip are
    exchangeable.
    """
    first, second = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"scores of shapes {first.shape} and {second.shape}; give one per clip, in the same order")
    difference = _kept(first - second)
    n = len(difference)
    if not n:
        raise ValueError("no clip has a score from both methods; score both on the same clips")
    observed = abs(math.fsum(difference))
    slack = 1e-12 * math.fsum(np.abs(difference))
    exact = n < 63 and 1 << n <= resamples + 1
    flips = 1 << n if exact else resamples
    rng = np.random.default_rng(seed)
    reached = 0
    for rows in blocks(flips, n, 8 << 20):
        if exact:
            flipped = np.arange(rows.start, rows.stop)[:, None] >> np.arange(n) & 1
        else:
            flipped = rng.integers(0, 2, size=(rows.stop - rows.start, n), dtype=np.uint8)
        sums = difference.sum() - 2.0 * (flipped.astype(np.float64) @ difference)
        reached += int(np.count_nonzero(np.abs(sums) >= observed - slack))
    p_value = reached / flips if exact else (reached + 1) / (flips + 1)
    interval = bootstrap_interval(difference, seed=seed)
    low, high = interval or (None, None)
    return PairedTest(mean(difference), low, high, p_value, n)


def _kept(values: ArrayLike) -> Array:
    array = np.asarray(values, dtype=np.float64)
    return array[~np.isnan(array)]


def _checked_level(level: float) -> float:
    if not 0.0 < level < 1.0:
        raise ValueError(f"level is {level}; a level of confidence lies between 0 and 1")
    return level
