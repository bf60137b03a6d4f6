"""How many clips and seeds a difference of two methods needs to be found.

The score of a clip by a run of a method is taken as

    mean + clip + seed + rest

with random clips, which both methods have in common, random seeds of each method, and a rest that differs from clip to
clip and seed to seed. Over M clips and S seeds of each method, the variance of the difference of two means is

    V(M, S) = clips / M + seeds / S + rest / (M S)

where `clips` is the variance over clips of the difference of what each method is expected to score, and `seeds` and
`rest` are sums over both methods.

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

MOST = 10_000_000
"""Number of clips or seeds at which a search ends."""


@dataclass(frozen=True)
class Design:
    """Variances of the difference of two methods, by source, in squared units of the metric.

    Attributes:
        clips: Variance over clips.
        seeds: Variance over seeds of the one and of the other method; None where one of them has a single run.
        rest: Variance of what differs from clip to clip and seed to seed, of both methods together. Where seeds are
            unknown it is part of `clips`, which more seeds then do not make smaller.
    """

    clips: float
    seeds: tuple[float, float] | None
    rest: float

    def power(
        self, difference: float, clips: int, seeds: int, *, other_seeds: bool = True, level: float = 0.05
    ) -> float:
        """Return the probability that a two-sided t test finds a true difference.

            1 - F(t; f, d) + F(-t; f, d),   d = difference / sqrt(V),   t: quantile of Student's t with f freedom

        F is the noncentral t distribution, and f are Satterthwaite's degrees of freedom of V: M - 1 for clips, S - 1
        for the seeds of a method, (M - 1) (S - 1) of each method for the rest.

        Args:
            difference: The true difference, in the metric's unit.
            clips: Number M of clips.
            seeds: Number S of seeds of each method.
            other_seeds: Whether the difference is to hold for other seeds as well; else V has no term of seeds, as in a
                test over clips that takes the runs as they are.
            level: Level of significance, two-sided.

        Returns:
            0 where nothing can be tested: fewer than two clips, or an unknown variance over seeds or one seed of a
            method that has some.
        """
        of_seeds = (self.seeds or (0.0, 0.0)) if other_seeds else (0.0, 0.0)
        if clips < 2 or (other_seeds and (self.seeds is None or (seeds < 2 and any(of_seeds)))):
            return 0.0
        parts = [(self.clips / clips, clips - 1.0), *((one / seeds, seeds - 1.0) for one in of_seeds)]
        parts.append((self.rest / (clips * seeds), 2.0 * (clips - 1) * max(seeds - 1, 1)))
        parts = [(part, freedom) for part, freedom in parts if part]
        variance = math.fsum(part for part, _ in parts)
        if not variance:
            return 1.0
        from scipy.special import nctdtr, stdtrit

        freedom = variance**2 / math.fsum(part**2 / own for part, own in parts)
        away, least = abs(difference) / math.sqrt(variance), stdtrit(freedom, 1.0 - level / 2.0)
        if away > least + 40.0:
            return 1.0
        return float(1.0 - nctdtr(freedom, away, least) + nctdtr(freedom, away, -least))

    def clips_for(self, difference: float, seeds: int, *, other_seeds: bool = True, power: float = 0.8) -> int | None:
        """Return the fewest clips that find a difference with a power; None where no number of clips does.

        Args:
            difference: The true difference, in the metric's unit.
            seeds: Number of seeds of each method.
            other_seeds: As for `power`.
            power: Probability of finding it, between 0 and 1.
        """
        return _least(lambda clips: self.power(difference, clips, seeds, other_seeds=other_seeds) >= power, 2)

    def seeds_for(self, difference: float, clips: int, *, power: float = 0.8) -> int | None:
        """Return the fewest seeds that find a difference, for other seeds as well; None where no number of them does.

        Args:
            difference: The true difference, in the metric's unit.
            clips: Number of clips.
            power: Probability of finding it, between 0 and 1.
        """
        return _least(lambda seeds: self.power(difference, clips, seeds) >= power, 1)

    def detectable(self, clips: int, seeds: int, *, other_seeds: bool = True, power: float = 0.8) -> float | None:
        """Return the smallest difference that is found with a power, in the metric's unit.

        Args:
            clips: Number of clips.
            seeds: Number of seeds of each method.
            other_seeds: As for `power`.
            power: Probability of finding it, between 0 and 1.

        Returns:
            None where no difference is, because nothing can be tested.
        """

        def found(difference: float) -> bool:
            return self.power(difference, clips, seeds, other_seeds=other_seeds) >= power

        high = math.sqrt(self.clips + sum(self.seeds or ()) + self.rest)
        if not high:
            return 0.0
        if not found(1e6 * high):
            return None
        low, high = 0.0, 1e6 * high
        while high - low > 1e-6 * high:
            middle = (low + high) / 2.0
            low, high = (low, middle) if found(middle) else (middle, high)
        return high


def design(a: ArrayLike, b: ArrayLike, *, fixed: tuple[bool, bool] = (False, False)) -> Design:
    """Estimate the variances from runs that two methods have made, from mean squares; one below 0 is taken as 0.

    Args:
        a: (M, S) score of each clip in each run of one method; NaN for none.
        b: (M, T) the same of the other method, clips in the same order.
        fixed: Whether the one and the other method has no randomness, so that a single run has no variance over seeds.

    Raises:
        ValueError: Shapes do not fit, or fewer than two clips have a score in every run.
    """
    tables = [np.asarray(one, dtype=np.float64) for one in (a, b)]
    if any(one.ndim != 2 or not one.shape[1] for one in tables) or len(tables[0]) != len(tables[1]):
        raise ValueError(f"scores of shapes {[one.shape for one in tables]}; give (clips, runs), of the same clips")
    kept = ~np.isnan(np.concatenate(tables, axis=1)).any(axis=1)
    count = int(kept.sum())
    if count < 2:
        raise ValueError(f"{count} clips have a score in every run; at least two are needed")
    tables = [one[kept] for one in tables]
    found = [_of_method(one) if one.shape[1] > 1 else (0.0, 0.0) for one in tables]
    known = all(one.shape[1] > 1 or is_fixed for one, is_fixed in zip(tables, fixed, strict=True))
    together = float(np.var(tables[0].mean(axis=1) - tables[1].mean(axis=1), ddof=1))
    shared = sum(rest / one.shape[1] for (_, rest), one in zip(found, tables, strict=True))
    seeds = (found[0][0], found[1][0]) if known else None
    return Design(max(together - shared, 0.0), seeds, found[0][1] + found[1][1])


def _of_method(scores: Array) -> tuple[float, float]:
    """Return the variance over seeds and that of the rest of (M, S) scores."""
    clips, seeds = scores.shape
    of_seed = scores.mean(axis=0)
    left = scores - scores.mean(axis=1, keepdims=True) - of_seed + of_seed.mean()
    rest = float(np.square(left).sum()) / ((clips - 1) * (seeds - 1))
    return max(float(np.var(of_seed, ddof=1)) - rest / clips, 0.0), rest


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
