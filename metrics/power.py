"""How many clips and seeds a difference of two methods needs to be found.

The score of a clip by a run of a method is taken as

    mean + clip + seed + rest

with random clips, which both methods have in common, random seeds, and a rest that differs from clip to clip and seed
to seed. Over M clips and S seeds of each method, the variance of the difference of two means is

    V(M, S) = clips / M + seeds / S + rest / (M S)

where `clips` is the variance over clips of the difference of what each method is expected to score, and `seeds` and
`rest` are those of the differences between runs of the same seed, which may share noise, or sums over both methods.

Source: Searle, Casella and McCulloch 1992, Variance Components, 4.3 (the estimators from mean squares); Westfall, Kenny
and Judd 2014 (power where both factors are samples); Satterthwaite 1946 (degrees of freedom).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from metrics.similarity import Array

LEVEL = 0.05
"""Level of significance, two-sided."""
POWER = 0.8
"""Probability with which a difference is to be found."""
MOST = 10_000_000
"""Number of clips or seeds at which a search ends."""
CERTAIN = 100.0
"""Standard errors between a difference and 0 at which it is found for certain, however few the degrees of freedom."""


@dataclass(frozen=True)
class Design:
    """Variances of the difference of two methods, by source, in squared units of the metric."""

    clips: float
    """Variance over clips."""
    seeds: tuple[float, ...] | None
    """Variance over seeds: of differences between runs of the same seed, or of each method that has some randomness.
    None where it is unknown, because a method has a single run."""
    rest: float
    """Variance of what differs from clip to clip and seed to seed. Where seeds are unknown it is part of `clips`, which
    more seeds then do not make smaller."""

    def power(self, difference: float, clips: int, seeds: int, *, other_seeds: bool = True) -> float:
        """Return the probability that a two-sided t test at 5 % finds a true difference.

            1 - F(t; f, d) + F(-t; f, d),   d = difference / sqrt(V),   t: quantile of Student's t with f freedom

        F is the noncentral t distribution, and f are Satterthwaite's degrees of freedom of V: M - 1 for clips, S - 1
        for each variance over seeds, (M - 1) (S - 1) times their number for the rest.

        Args:
            difference: The true difference, in the metric's unit.
            clips: Number M of clips.
            seeds: Number S of seeds of each method.
            other_seeds: Whether the difference is to hold for other seeds as well; else V has no term of seeds, as in a
                test over clips that takes the runs as they are.

        Returns:
            0 where nothing can be tested: fewer than two clips; or, for other seeds, a variance over seeds that is
            unknown, or a single seed where there is one.
        """
        if (known := self._error(clips, seeds, other_seeds)) is None:
            return 0.0
        error, freedom = known
        return _power(abs(difference) / error if error else math.inf, freedom)

    def clips_for(self, difference: float, seeds: int, *, other_seeds: bool = True) -> int | None:
        """Return the fewest clips from which on a difference is found with a power of 80 %.

        Args:
            difference: The true difference, in the metric's unit, above 0.
            seeds: Number of seeds of each method.
            other_seeds: As for `power`.

        Returns:
            None where clips without end are not enough, as seeds scatter too much.
        """
        # What is left of the degrees of freedom then is that of the seeds: enough before need not be enough there.
        if self.power(difference, MOST, seeds, other_seeds=other_seeds) < POWER:
            return None
        return _least(lambda clips: self.power(difference, clips, seeds, other_seeds=other_seeds) >= POWER, 2)

    def seeds_for(self, difference: float, clips: int) -> int | None:
        """Return the fewest seeds that find a difference with a power of 80 %, for other seeds as well.

        Args:
            difference: The true difference, in the metric's unit, above 0.
            clips: Number of clips.

        Returns:
            None where no number of seeds is enough.
        """
        return _least(lambda seeds: self.power(difference, clips, seeds) >= POWER, 1)

    def detectable(self, clips: int, seeds: int, *, other_seeds: bool = True) -> float | None:
        """Return the smallest difference that is found with a power of 80 %, in the metric's unit.

        Args:
            clips: Number of clips.
            seeds: Number of seeds of each method.
            other_seeds: As for `power`.

        Returns:
            None where nothing can be tested.
        """
        if (known := self._error(clips, seeds, other_seeds)) is None:
            return None
        error, freedom = known
        low, high = 0.0, CERTAIN
        while high - low > 1e-6:
            middle = (low + high) / 2.0
            low, high = (low, middle) if _power(middle, freedom) >= POWER else (middle, high)
        return high * error

    def _error(self, clips: int, seeds: int, other_seeds: bool) -> tuple[float, float] | None:
        """Return the standard error of a difference and its degrees of freedom; None where there is no test."""
        of_seeds = self.seeds if other_seeds else ()
        if clips < 2 or of_seeds is None or (of_seeds and seeds < 2):
            return None
        parts = [(self.clips / clips, clips - 1.0), *((one / seeds, seeds - 1.0) for one in of_seeds)]
        sides = len(self.seeds) if self.seeds else 1
        parts.append((self.rest / (clips * seeds), float(sides * (clips - 1) * max(seeds - 1, 1))))
        variance = math.fsum(part for part, _ in parts)
        freedom = variance**2 / math.fsum(part**2 / own for part, own in parts) if variance else math.inf
        return math.sqrt(variance), freedom


def design(
    a: ArrayLike, b: ArrayLike, *, same_seeds: bool = False, fixed: tuple[bool, bool] = (False, False)
) -> Design:
    """Estimate the variances from runs that two methods have made, from mean squares; one below 0 is taken as 0.

    Args:
        a: (M, S) score of each clip in each run of one method; NaN for none.
        b: (M, T) the same of the other method, clips in the same order.
        same_seeds: Whether the runs of both have the same seeds, in the same order, and may share noise.
        fixed: Whether the one and the other method has no randomness, so that its single run has no variance over
            seeds.

    Raises:
        ValueError: Shapes do not fit, or fewer than two clips have a score in every run.
    """
    tables = [np.asarray(one, dtype=np.float64) for one in (a, b)]
    if any(one.ndim != 2 or not one.shape[1] for one in tables) or len(tables[0]) != len(tables[1]):
        raise ValueError(f"scores of shapes {[one.shape for one in tables]}; give (clips, runs), of the same clips")
    kept = ~np.isnan(np.concatenate(tables, axis=1)).any(axis=1)
    if (count := int(kept.sum())) < 2:
        raise ValueError(f"{count} clips have a score in every run; at least two are needed")
    tables = [one[kept] for one in tables]
    together = float(np.var(tables[0].mean(axis=1) - tables[1].mean(axis=1), ddof=1))
    if same_seeds:
        if tables[0].shape != tables[1].shape:
            raise ValueError(f"{tables[0].shape[1]} and {tables[1].shape[1]} runs; the same seeds make as many")
        tables, fixed = [tables[0] - tables[1]], (False, False)
    several = [one for one in tables if one.shape[1] > 1]
    parts = [_of_method(one) for one in several]
    shared = math.fsum(rest / one.shape[1] for one, (_, rest) in zip(several, parts, strict=True))
    known = all(one.shape[1] > 1 or is_fixed for one, is_fixed in zip(tables, fixed, strict=False))
    seeds = tuple(of_seeds for of_seeds, _ in parts) if known else None
    return Design(max(together - shared, 0.0), seeds, math.fsum(rest for _, rest in parts))


def _of_method(scores: Array) -> tuple[float, float]:
    """Return the variance over seeds and that of the rest of (M, S) scores or differences."""
    clips, seeds = scores.shape
    of_seed = scores.mean(axis=0)
    left = scores - scores.mean(axis=1, keepdims=True) - of_seed + of_seed.mean()
    rest = float(np.square(left).sum()) / ((clips - 1) * (seeds - 1))
    return max(float(np.var(of_seed, ddof=1)) - rest / clips, 0.0), rest


def _power(away: float, freedom: float) -> float:
    """Return the power of a test whose difference lies `away` standard errors from 0."""
    if away >= CERTAIN:
        return 1.0
    from scipy.special import nctdtr, stdtrit

    least = float(stdtrit(freedom, 1.0 - LEVEL / 2.0))
    # The tail on the other side is below 1e-8 from 10 on, where scipy does not always find it.
    other = float(nctdtr(freedom, away, -least)) if away < 10.0 else 0.0
    return 1.0 - float(nctdtr(freedom, away, least)) + other


def _least(enough: Callable[[int], bool], start: int) -> int | None:
    """Return the least whole number from `start` that is enough, where all above it are; None above `MOST`."""
    low, high = start - 1, start
    while not enough(high):
        if high >= MOST:
            return None
        low, high = high, min(2 * high, MOST)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle) else (middle, high)
    return high
