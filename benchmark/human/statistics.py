"""What ratings by a sample of people on a sample of clips say of all people and all clips.

Ratings are crossed: every rater rates many clips, and every clip has several raters. A mean of N ratings is therefore
worth less than one of N independent numbers, and its interval counts raters and clips as random, both.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
LEVEL = 0.95
LEAST = 2
"""Raters, and clips, without which there is no interval: one says nothing of how others differ."""


@dataclass(frozen=True)
class Estimate:
    """A mean with its 95 % interval; without one where there are too few raters or clips."""

    value: float
    low: float | None = None
    high: float | None = None

    @property
    def width(self) -> float | None:
        """Length of the interval."""
        return None if self.low is None or self.high is None else self.high - self.low


@dataclass(frozen=True)
class Crossed:
    """Ratings as three columns of equal length, one entry a rating; nobody rates the same clip twice.

    `rater` and `clip` are numbers from 0 without gaps, `value` (N,) is float64.
    """

    rater: NDArray[np.intp]
    clip: NDArray[np.intp]
    value: Array

    @classmethod
    def of(cls, raters: Sequence[str], clips: Sequence[str], values: Sequence[float]) -> Crossed:
        """Number raters and clips, in the order of their names. What was rated twice by one person is averaged."""
        cells: dict[tuple[str, str], list[float]] = {}
        for rater, clip, value in zip(raters, clips, values, strict=True):
            cells.setdefault((clip, rater), []).append(value)
        keys = sorted(cells)
        _, clip_of = np.unique([clip for clip, _ in keys], return_inverse=True)
        _, rater_of = np.unique([rater for _, rater in keys], return_inverse=True)
        return cls(rater_of, clip_of, np.array([math.fsum(cells[key]) / len(cells[key]) for key in keys]))

    @property
    def raters(self) -> int:
        """Number of raters."""
        return int(self.rater.max()) + 1

    @property
    def clips(self) -> int:
        """Number of clips."""
        return int(self.clip.max()) + 1

    @property
    def by_clip(self) -> Array:
        """(clips,) mean rating of each clip."""
        count = np.bincount(self.clip)
        means: Array = np.bincount(self.clip, weights=self.value) / count
        return means

    @property
    def weights(self) -> Array:
        """(N,) what each rating counts in the mean over clips of the clips' means; they sum to 1."""
        weights: Array = 1.0 / (self.clips * np.bincount(self.clip)[self.clip])
        return weights


def mean(ratings: Crossed) -> Estimate:
    """Mean over clips of the clips' mean ratings, with a 95 % interval for other raters and other clips.

        value = mu + rater + clip + rest,   Var(mean) = s_r^2 sum_r w_r.^2 + s_c^2 sum_c w_.c^2 + s_e^2 sum w^2

    The three variances are estimated without bias for any pattern of who rated what (Henderson 1953; Gao and Owen 2017,
    "Efficient moment calculations for variance components in large unbalanced crossed random effects models"), those
    below 0 are 0, and the quantile is Student's with Satterthwaite's degrees of freedom.
    """
    value = math.fsum(ratings.by_clip) / ratings.clips
    if (found := _variance(ratings)) is None:
        return Estimate(value)
    variance, freedom = found
    return _interval(value, variance, freedom)


def _interval(value: float, variance: float, freedom: float) -> Estimate:
    from scipy.special import stdtrit

    reach = float(stdtrit(max(freedom, 1.0), (1 + LEVEL) / 2)) * math.sqrt(variance)
    return Estimate(value, value - reach, value + reach)


def _variance(ratings: Crossed) -> tuple[float, float] | None:
    """Variance of the mean over clips of the clips' means, and its degrees of freedom; None for too few of a kind."""
    raters, clips, count = ratings.raters, ratings.clips, len(ratings.value)
    if raters < LEAST or clips < LEAST:
        return None
    s_rater, s_clip, s_rest = components(ratings)
    weights = ratings.weights
    of_rater = np.bincount(ratings.rater, weights=weights)
    of_clip = np.bincount(ratings.clip, weights=weights)
    rest = float(weights @ weights)
    of_raters, of_clips = s_rater * float(of_rater @ of_rater), s_clip * float(of_clip @ of_clip)
    variance = of_raters + of_clips + s_rest * rest
    if variance <= 0:
        return 0.0, 1.0
    # What is known of raters is known through their means, which other clips and the rest scatter, too; and vice versa.
    freedom = variance**2 / (
        (of_raters + (s_clip + s_rest) * rest) ** 2 / (raters - 1)
        + (of_clips + (s_rater + s_rest) * rest) ** 2 / (clips - 1)
        + (s_rest * rest) ** 2 / max(count - raters - clips + 1, 1)
    )
    return variance, freedom


def components(ratings: Crossed) -> tuple[float, float, float]:
    """Variances between raters, between clips, and of the rest, each at least 0.

    From three sums of squares whose expectations are known: within raters, within clips, and over all. Where no rater
    has two clips, or no clip two raters, what cannot be told from the rest stays with it.
    """
    per_rater, per_clip, count = np.bincount(ratings.rater), np.bincount(ratings.clip), len(ratings.value)
    centred = ratings.value - ratings.value.mean()
    square = float(centred @ centred)

    def within(place: NDArray[np.intp], sizes: NDArray[np.intp]) -> float:
        sums = np.bincount(place, weights=centred)
        return square - float(sums @ (sums / sizes))

    expected = np.array(
        [
            [0.0, count - len(per_rater), count - len(per_rater)],
            [count - len(per_clip), 0.0, count - len(per_clip)],
            [count - per_rater @ per_rater / count, count - per_clip @ per_clip / count, count - 1.0],
        ]
    )
    found = np.array([within(ratings.rater, per_rater), within(ratings.clip, per_clip), square])
    solved = np.linalg.lstsq(expected, found, rcond=None)[0]
    s_rater, s_clip, s_rest = (max(float(one), 0.0) for one in solved)
    return s_rater, s_clip, s_rest


@dataclass(frozen=True)
class Powered:
    """The mean with the help of an automatic score that is known for many more clips than were rated.

    `weight` is how far a rating moves with one standard deviation of the score; 0 if the score says nothing of ratings.
    `narrowed` is the share by which the interval is shorter than without the score; below 0 where it is longer.
    """

    estimate: Estimate
    weight: float
    narrowed: float | None
    others: int
    """Clips that have a score and no rating."""


LEAST_FOR_SCORES = 5
"""Rated clips without which the connection of ratings and score is not estimated."""


def powered(ratings: Crossed, score: Array, others: Array) -> Powered | None:
    """Prediction-powered mean (Angelopoulos et al. 2023), with the weight of PPI++ (Angelopoulos, Duchi, Zrnic 2023).

        mean of (rating - weight score) over rated clips + weight (mean of score over the other clips)

    It estimates the same mean as `mean`, whatever the score is: a bad one has weight near 0. The first term has the
    variance of a mean over crossed raters and clips, the second that of a mean over clips.

    Args:
        ratings: The ratings.
        score: (clips,) the score of each rated clip, finite.
        others: (M,) the scores of clips that nobody rated, finite.

    Returns:
        The estimate; None for fewer than 5 rated clips, 2 raters or 2 other clips, or a score that never changes.
    """
    clips, rest = ratings.clips, len(others)
    if clips < LEAST_FOR_SCORES or rest < LEAST or ratings.raters < LEAST:
        return None
    everywhere = np.concatenate([score, others])
    scale = float(everywhere.std(ddof=1))
    if scale <= 1e-12 * max(1.0, float(np.abs(everywhere).max())) or float(score.std()) == 0.0:
        return None
    score, others = (score - everywhere.mean()) / scale, (others - everywhere.mean()) / scale
    by_clip = ratings.by_clip
    slope = float(np.cov(by_clip, score)[0, 1]) / float(score.var(ddof=1))
    weight = slope / (1 + clips / rest)
    rectified = Crossed(ratings.rater, ratings.clip, ratings.value - weight * score[ratings.clip])
    found = _variance(rectified)
    if found is None:
        return None
    variance, freedom = found
    # The weight was fitted to the same clips: one of their degrees of freedom is spent.
    variance *= (clips - 1) / (clips - 2)
    of_others = weight**2 * float(others.var(ddof=1)) / rest
    total = variance + of_others
    if total > 0:
        freedom = total**2 / (variance**2 / freedom + of_others**2 / (rest - 1))
    value = math.fsum(rectified.by_clip) / clips + weight * float(others.mean())
    estimate, plain = _interval(value, total, freedom), mean(ratings)
    shorter = None if not plain.width or estimate.width is None else 1 - estimate.width / plain.width
    return Powered(estimate, weight, shorter, rest)


def alpha(
    judgements: Mapping[tuple[str, str], float], level: Literal["ordinal", "nominal"] = "ordinal"
) -> float | None:
    """Krippendorff's alpha: 1 for raters who agree, 0 for ratings that are as if drawn from a hat.

    Args:
        judgements: Value by (rater, what was judged).
        level: Level of measurement: "ordinal" or "nominal".

    Returns:
        Alpha; None where nothing was judged by two people, or all judgements are equal.
    """
    raters, units = sorted({r for r, _ in judgements}), sorted({u for _, u in judgements})
    table = np.full((len(raters), len(units)), np.nan)
    row, column = {name: i for i, name in enumerate(raters)}, {name: i for i, name in enumerate(units)}
    for (rater, unit), value in judgements.items():
        table[row[rater], column[unit]] = value
    twice = (~np.isnan(table)).sum(axis=0) > 1
    kept = table[:, twice]
    if len(np.unique(kept[~np.isnan(kept)])) < 2:
        return None
    import krippendorff

    return float(krippendorff.alpha(reliability_data=kept, level_of_measurement=level))


def strengths(wins: Array) -> Array | None:
    """Bradley-Terry strengths of methods that were compared two at a time.

    Args:
        wins: (M, M) how often the row was preferred to the column; a tie is half a win of each.

    Returns:
        (M,) logarithms of the strengths, with mean 0: the row is preferred to the column in a share of
        1 / (1 + exp(column - row)); None if some methods were never compared, not even through others.
    """
    met = (wins + wins.T) > 0
    reached, border = {0}, [0]
    while border:
        new = [int(j) for j in np.flatnonzero(met[border.pop()]) if int(j) not in reached]
        reached.update(new)
        border += new
    if len(reached) < len(wins):
        return None
    import choix

    # A half of a comparison won and lost by everybody: who lost none still has a finite strength.
    found: Array = choix.ilsr_pairwise_dense(wins + 0.5 / len(wins), max_iter=1000)
    return found
