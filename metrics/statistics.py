"""How sure is a mean over clips: intervals and tests. The clip is the unit, however many images it has.

Everything is seeded, computed in float64 and in blocks, so memory does not grow with the number of draws. NaN marks a
clip without a score.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .similarity import Array, blocks, indices
from .student_t import two_sided

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
    return bootstrap_intervals(_kept(values)[:, None], level=level, resamples=resamples, seed=seed)[0]


def bootstrap_intervals(
    values: ArrayLike, *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> list[Interval | None]:
    """`bootstrap_interval` of each column of (M, K), with the draws shared by columns that score the same clips."""
    columns, level = np.asarray(values, dtype=np.float64), _checked_level(level)
    intervals: list[Interval | None] = [None] * columns.shape[1]
    together: dict[bytes, list[int]] = {}
    for place, scored in enumerate(~np.isnan(columns.T)):
        together.setdefault(scored.tobytes(), []).append(place)
    for scored_bytes, all_places in together.items():
        rows = columns[np.frombuffer(scored_bytes, dtype=bool)]
        if len(rows) < 2 or resamples < 1:
            continue
        for places in np.array_split(all_places, math.ceil(len(all_places) / 1024)):
            kept = rows[:, places]
            # anew from the seed: the same draws for all
            means = _resampled_means(kept, resamples, np.random.default_rng(seed))
            ends = np.quantile(means, [(1.0 - level) / 2.0, (1.0 + level) / 2.0], axis=0).T
            for place, column, (low, high) in zip(places, kept.T, ends, strict=True):
                same = column.min() == column.max()
                intervals[place] = (float(column[0]),) * 2 if same else (float(low), float(high))
    return intervals


def _resampled_means(values: Array, resamples: int, rng: np.random.Generator) -> Array:
    """(resamples, K) means of (M, K) `values` over clips drawn with replacement."""
    clips = len(values)
    # Half of the time goes into drawing; narrow integers are drawn several at a time.
    width = np.uint16 if clips <= 1 << 16 else np.uint32
    means = np.empty((resamples, values.shape[1]))
    for rows in blocks(resamples, clips, 4 << 20):
        count = rows.stop - rows.start
        drawn = rng.integers(0, clips, size=(count, clips), dtype=width)
        if values.shape[1] == 1:
            means[rows] = values[drawn, 0].mean(axis=1)[:, None]
            continue
        # How often each clip was drawn says it all, and is used for every column.
        places = drawn + np.arange(0, count * clips, clips)[:, None]
        often = np.bincount(places.ravel(), minlength=count * clips).reshape(count, clips)
        means[rows] = often.astype(np.float64) @ values / clips
    return means


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
class Comparison:
    """Two methods compared: difference a - b of the means with its 95 % interval, two-sided p value, and the number of
    units (clips or runs) of the smaller side.
    """

    difference: float
    low: float | None
    high: float | None
    p_value: float | None
    n: int


def paired_permutation_test(a: ArrayLike, b: ArrayLike, *, resamples: int = 9999, seed: int = 0) -> Comparison:
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
    if not len(difference):
        raise ValueError("no clip has a score from both methods; score both on the same clips")
    (p_value,) = sign_flip_p_values(difference[:, None], resamples=resamples, seed=seed)
    interval = bootstrap_interval(difference, seed=seed)
    low, high = interval or (None, None)
    return Comparison(mean(difference), low, high, float(p_value), len(difference))


def sign_flip_p_values(differences: ArrayLike, *, resamples: int = 9999, seed: int = 0) -> Array:
    """p value of `paired_permutation_test` for each column of differences (M, K), all with the same flips; (K,).

    Many comparisons cost little more than one. A clip that a column lacks (NaN) moves no sum of it, whatever its sign.
    """
    columns = np.nan_to_num(np.asarray(differences, dtype=np.float64), nan=0.0)
    clips = len(columns)
    observed = np.abs([math.fsum(column) for column in columns.T])
    least = observed - 1e-12 * np.abs(columns).sum(axis=0)
    exact = clips < 63 and 1 << clips <= resamples + 1
    flips = 1 << clips if exact else resamples
    rng = np.random.default_rng(seed)
    reached = np.zeros(columns.shape[1], dtype=np.int64)
    total = columns.sum(axis=0)
    for rows in blocks(flips, clips, 8 << 20):
        if exact:
            flipped = np.arange(rows.start, rows.stop)[:, None] >> np.arange(clips) & 1
        else:
            flipped = rng.integers(0, 2, size=(rows.stop - rows.start, clips), dtype=np.uint8)
        signs = flipped.astype(np.float64)
        for some in blocks(columns.shape[1], len(signs), 8 << 20):
            sums = total[some] - 2.0 * (signs @ columns[:, some])
            reached[some] += np.count_nonzero(np.abs(sums) >= least[some], axis=0)
    return reached / flips if exact else (reached + 1) / (flips + 1)


@dataclass(frozen=True)
class Welch:
    """Welch's t statistic of two methods over runs, unequal variances: the difference a - b of the means, its standard
    error, the degrees of freedom, and the number of runs of the smaller side.
    """

    difference: float
    error: float
    freedom: float
    n: int

    @classmethod
    def of(cls, a: ArrayLike, b: ArrayLike) -> Welch | None:
        """None for fewer than two runs on a side, or where no run differs from its sisters: no scatter to judge by."""
        first, second = _kept(a), _kept(b)
        if min(len(first), len(second)) < 2:
            return None
        parts = [np.var(runs, ddof=1) / len(runs) for runs in (first, second)]
        if not (error := math.sqrt(sum(parts))):
            return None
        freedom = sum(parts) ** 2 / sum(
            part**2 / (len(runs) - 1) for part, runs in zip(parts, (first, second), strict=True)
        )
        return cls(mean(first) - mean(second), error, float(freedom), min(len(first), len(second)))

    # Of scipy only what it takes: all of scipy.stats would take as long to import as a table takes to print.

    @cached_property
    def p_value(self) -> float:
        """Two-sided p value."""
        from scipy.special import stdtr

        return 2.0 * float(stdtr(self.freedom, -abs(self.difference) / self.error))

    def interval(self, level: float = 0.95) -> Interval:
        """Interval of the difference."""
        from scipy.special import stdtrit

        reach = float(stdtrit(self.freedom, (1.0 + _checked_level(level)) / 2.0)) * self.error
        return self.difference - reach, self.difference + reach

    def reaches(self, level: float) -> bool:
        """Whether `p_value` is at most `level`; scipy is imported only where a close look decides."""
        p_value = two_sided(self.difference / self.error, self.freedom)
        return (p_value if abs(p_value - level) > 1e-6 else self.p_value) <= level


def welch_test(a: ArrayLike, b: ArrayLike, *, level: float = 0.95) -> Comparison | None:
    """Could the difference of two methods' means over runs be chance? Welch's t test, unequal variances.

    `a`, `b` hold one value a run, for what has no score per clip (a distance of sets). None where `Welch.of` is.
    """
    if (welch := Welch.of(a, b)) is None:
        return None
    return Comparison(welch.difference, *welch.interval(level), welch.p_value, welch.n)


def holm(p_values: Sequence[float]) -> list[float]:
    """p values adjusted for their number (Holm 1979), in the given order: at 5 %, all hold together with 95 %.

    >>> holm([0.01, 0.04, 0.03])
    [0.03, 0.06, 0.06]
    """
    adjusted, reached = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(sorted(range(len(p_values)), key=lambda place: p_values[place])):
        reached = max(reached, min(1.0, (len(p_values) - rank) * p_values[place]))
        adjusted[place] = reached
    return adjusted


def _kept(values: ArrayLike) -> Array:
    array = np.asarray(values, dtype=np.float64)
    return array[~np.isnan(array)]


def _checked_level(level: float) -> float:
    if not 0.0 < level < 1.0:
        raise ValueError(f"level is {level}; a level of confidence lies between 0 and 1")
    return level
