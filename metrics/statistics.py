"""Intervals and significance tests for means over clips. The clip is the unit, however many images it has.

Everything is seeded and computed in float64 and in blocks, so that memory does not grow with the number of draws. NaN
marks a clip without a score.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from metrics.similarity import Array, blocks, indices
from metrics.student_t import two_sided

Interval = tuple[float, float]


def per_clip(scores: ArrayLike, owner: ArrayLike, clips: int) -> Array:
    """Average the scores of each clip's images.

    Args:
        scores: (N,) score of each image; NaN for none.
        owner: (N,) int, the clip of each image.
        clips: Number of clips.

    Returns:
        (clips,) float64 means over the images that have a score; NaN where none has.

    Raises:
        ValueError: `owner` has another length than `scores`, or points outside the clips.
    """
    values = np.asarray(scores, dtype=np.float64)
    index = indices(owner, "owner", len(values), clips)
    scored = ~np.isnan(values)
    count = np.bincount(index[scored], minlength=clips)
    total = np.bincount(index[scored], weights=values[scored], minlength=clips)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def mean(values: ArrayLike) -> float:
    """Mean of the clips that have a score; NaN for none.

    It is correctly rounded, so that it does not depend on the order of the clips.
    """
    kept = _kept(values)
    return math.fsum(kept) / len(kept) if len(kept) else math.nan


def bootstrap_interval(
    values: ArrayLike, *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> Interval | None:
    """Percentile interval of the mean over clips, from resampling clips with replacement.

    Args:
        values: (M,) score of each clip, as from `per_clip`; NaN for none.
        level: Confidence level, between 0 and 1.
        resamples: Number of draws.
        seed: Seed of the draws.

    Returns:
        Lower and upper end; None for fewer than two scores or for no resamples, since unknown is not zero.

    Raises:
        ValueError: `level` is not between 0 and 1.
    """
    return bootstrap_intervals(_kept(values)[:, None], level=level, resamples=resamples, seed=seed)[0]


def bootstrap_intervals(
    values: ArrayLike, *, level: float = 0.95, resamples: int = 2000, seed: int = 0
) -> list[Interval | None]:
    """`bootstrap_interval` of each column, with draws shared by columns that score the same clips.

    Args:
        values: (M, K) scores of the clips, one column per interval; NaN for none.
        level: Confidence level, between 0 and 1.
        resamples: Number of draws.
        seed: Seed of the draws.

    Returns:
        K intervals, each as from `bootstrap_interval`.

    Raises:
        ValueError: `level` is not between 0 and 1.
    """
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
            means = resampled_means(kept, resamples, np.random.default_rng(seed))
            ends = np.quantile(means, [(1.0 - level) / 2.0, (1.0 + level) / 2.0], axis=0).T
            for place, column, (low, high) in zip(places, kept.T, ends, strict=True):
                same = column.min() == column.max()
                intervals[place] = (float(column[0]),) * 2 if same else (float(low), float(high))
    return intervals


def resampled_means(values: Array, resamples: int, rng: np.random.Generator) -> Array:
    """Draw clips with replacement, the same for all columns, and average.

    Args:
        values: (M, K) scores of the clips, none missing.
        resamples: Number of draws.
        rng: Source of the draws.

    Returns:
        (resamples, K) float64 means.
    """
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
        # How often each clip was drawn determines the means of all columns.
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
    """Interval of a statistic of a whole set, such as a distance between sets, from random halves of the clips.

        value -+ z * std of the statistic over halves drawn without replacement

    Resampling with replacement would repeat clips, which increases a Fréchet distance strongly; halves scatter as much
    as the full statistic does, whatever bias fewer samples have. The normal quantile z needs few draws.

    Source: the delete-half jackknife (Shao and Wu 1989).

    Args:
        statistic: Function of the sorted indices of half of the clips.
        clips: Number of clips.
        value: The statistic of all clips.
        level: Confidence level, between 0 and 1.
        resamples: Number of halves.
        seed: Seed of the draws.

    Returns:
        Lower and upper end; None for fewer than four clips or two resamples.

    Raises:
        ValueError: `level` is not between 0 and 1.
    """
    if clips < 4 or resamples < 2:
        return None
    rng = np.random.default_rng(seed)
    halves = [statistic(np.sort(rng.choice(clips, clips // 2, replace=False))) for _ in range(resamples)]
    reach = NormalDist().inv_cdf((1.0 + _checked_level(level)) / 2.0) * float(np.std(halves, ddof=1))
    return value - reach, value + reach


@dataclass(frozen=True)
class Comparison:
    """Difference between two methods, a - b.

    Attributes:
        difference: Difference of the means.
        low: Lower end of its 95 % interval; None where there is no interval.
        high: Upper end of its 95 % interval; None where there is no interval.
        p_value: Two-sided p value.
        n: Number of units (clips or runs) on the smaller side.
    """

    difference: float
    low: float | None
    high: float | None
    p_value: float | None
    n: int


def paired_permutation_test(a: ArrayLike, b: ArrayLike, *, resamples: int = 9999, seed: int = 0) -> Comparison:
    """Test whether the mean difference of two methods over the same clips may be chance, by flipping signs at random.

    The p value is the share of flips, the observed one included, whose mean is at least as far from 0. All 2^n flips
    are counted where that is no more work than drawing. The test assumes that under no difference the two scores of a
    clip are exchangeable.

    Args:
        a: (M,) score of each clip from one method; NaN for none.
        b: (M,) score of each clip from the other method, in the same order; NaN for none.
        resamples: Number of random flips.
        seed: Seed of the flips and of the interval.

    Returns:
        The comparison over the clips that have both scores.

    Raises:
        ValueError: Shapes differ, or no clip has both scores.
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


def unpaired_permutation_test(a: ArrayLike, b: ArrayLike, *, resamples: int = 9999, seed: int = 0) -> Comparison:
    """Test whether the difference of two means over different clips may be chance, by sharing the clips out at random.

    The p value is the share of random divisions of all scores into two sets of these sizes, the observed one included,
    whose means are at least as far apart. The interval is the percentile interval of the difference over draws of clips
    with replacement, from either side for itself.

    Args:
        a: (M,) score of each clip of one set; NaN for none.
        b: (N,) score of each clip of the other set; NaN for none.
        resamples: Number of divisions; the interval takes 2000 draws.
        seed: Seed of the divisions and of the draws.

    Returns:
        The comparison; without an interval where a side has fewer than two scores.

    Raises:
        ValueError: A side has no score.
    """
    first, second = _kept(a), _kept(b)
    if not len(first) or not len(second):
        raise ValueError(f"{len(first)} and {len(second)} clips have a score; a comparison needs some on either side")
    both, observed = np.concatenate([first, second]), mean(first) - mean(second)
    rng = np.random.default_rng(seed)
    least = abs(observed) - 1e-12 * float(np.abs(both).max())
    reached = 0
    for rows in blocks(resamples, len(both), 4 << 20):
        order = rng.random((rows.stop - rows.start, len(both))).argsort(axis=1)
        total = both[order[:, : len(first)]].sum(axis=1)
        apart = total / len(first) - (both.sum() - total) / len(second)
        reached += int(np.count_nonzero(np.abs(apart) >= least))
    low, high = None, None
    if min(len(first), len(second)) > 1:
        draws = [resampled_means(one[:, None], 2000, rng)[:, 0] for one in (first, second)]
        low, high = map(float, np.quantile(draws[0] - draws[1], [0.025, 0.975]))
    return Comparison(observed, low, high, (reached + 1) / (resamples + 1), min(len(first), len(second)))


def sign_flip_p_values(differences: ArrayLike, *, resamples: int = 9999, seed: int = 0) -> Array:
    """Return the p value of `paired_permutation_test` for each column of differences, all with the same flips.

    Many comparisons cost little more than one. A clip that a column lacks (NaN) does not change its sum, whatever its
    sign.

    Args:
        differences: (M, K) differences of the clips' scores, one column per comparison.
        resamples: Number of random flips.
        seed: Seed of the flips.

    Returns:
        (K,) p values.
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


FREEDOM_OF_CLIPS = 31
"""Degrees of freedom of a variance over clips that was estimated from 32 random halves."""


@dataclass(frozen=True)
class Welch:
    """Welch's t statistic of two methods over runs, with unequal variances; where it is known, over clips as well.

    Of metrics of whole sets there is no score per clip, but each run has an interval over clips. The squared standard
    error of a method's mean over S runs is

        variance over runs / S + variance over clips

    with S - 1 and 31 degrees of freedom, put together after Welch and Satterthwaite. It is rather too large: both parts
    hold the noise of a run's images, and clips that are hard for both methods are not taken out of their difference.
    What is gained with few seeds are degrees of freedom, wherever clips contribute much: at p = 0.5 %, which a family
    of ten tests asks for, a difference of 15 between methods whose runs scatter by 1.4 and 4.3, and by 0.9 and 2.3
    over clips, is found with a power of 66 % instead of 33 %. At p = 5 %, small differences are found less often than
    by runs alone. These judge the clips at hand and no others: in simulations, false positives were 30 % where
    methods take clips in ways of their own, and 68 % where their images of a clip hardly vary; with clips, at most 6 %
    (`python -m benchmark.studies.seeds_and_clips`).

    Source: Satterthwaite 1946; Welch 1947.
    """

    difference: float
    """Difference a - b of the means."""
    error: float
    """Its standard error."""
    freedom: float
    """Degrees of freedom."""
    n: int
    """Number of runs of the smaller side."""

    @classmethod
    def of(cls, a: ArrayLike, b: ArrayLike, over_clips: tuple[float, float] = (0.0, 0.0)) -> Welch | None:
        """Compute the statistic of the runs `a` and `b`.

        Args:
            a: Value of each run of one method.
            b: Value of each run of the other method.
            over_clips: Standard deviation over clips of a run's value, of either method; 0 takes the clips as given.

        Returns:
            None for fewer than two runs on a side, or where the runs of neither method differ, so that there is no
            scatter to judge by.
        """
        first, second = _kept(a), _kept(b)
        if min(len(first), len(second)) < 2:
            return None
        seeds = [(float(np.var(runs, ddof=1)) / len(runs), len(runs) - 1) for runs in (first, second)]
        if not any(part for part, _ in seeds):
            return None
        parts = [*seeds, *((deviation**2, FREEDOM_OF_CLIPS) for deviation in over_clips)]
        variance = math.fsum(part for part, _ in parts)
        freedom = variance**2 / math.fsum(part**2 / freedom for part, freedom in parts)
        return cls(mean(first) - mean(second), math.sqrt(variance), freedom, min(len(first), len(second)))

    # Not scipy.stats: importing it would take as long as printing a table.

    @cached_property
    def p_value(self) -> float:
        """Two-sided p value."""
        from scipy.special import stdtr

        return 2.0 * float(stdtr(self.freedom, -abs(self.difference) / self.error))

    def interval(self, level: float = 0.95) -> Interval:
        """Return the confidence interval of the difference."""
        from scipy.special import stdtrit

        reach = float(stdtrit(self.freedom, (1.0 + _checked_level(level)) / 2.0)) * self.error
        return self.difference - reach, self.difference + reach

    def reaches(self, level: float) -> bool:
        """Return whether `p_value` is at most `level`; scipy is imported only if they are within 1e-6."""
        p_value = two_sided(self.difference / self.error, self.freedom)
        return (p_value if abs(p_value - level) > 1e-6 else self.p_value) <= level


def welch_test(
    a: ArrayLike, b: ArrayLike, *, over_clips: tuple[float, float] = (0.0, 0.0), level: float = 0.95
) -> Comparison | None:
    """Test whether the difference of two methods' means over runs may be chance: Welch's t test, unequal variances.

    It serves metrics without a score per clip, such as distances between sets.

    Args:
        a: Value of each run of one method.
        b: Value of each run of the other method.
        over_clips: Standard deviation over clips of a run's value, of either method (see `Welch`).
        level: Confidence level of the interval, between 0 and 1.

    Returns:
        The comparison; None for fewer than two runs on a side, or where the runs of neither method differ, so that
        there is no scatter to judge by.

    Raises:
        ValueError: `level` is not between 0 and 1.
    """
    if (welch := Welch.of(a, b, over_clips)) is None:
        return None
    return Comparison(welch.difference, *welch.interval(level), welch.p_value, welch.n)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjust p values for their number (Holm 1979), so that at 5 % all conclusions hold together with 95 % confidence.

    Args:
        p_values: The p values of a family of tests.

    Returns:
        The adjusted p values, in the given order.

    Example:
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
