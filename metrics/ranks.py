"""Ranks of methods: how sure they are over clips, and whether two judges give the same ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from metrics.similarity import Array
from metrics.statistics import holm, sign_flip_p_values


@dataclass(frozen=True)
class Rank:
    """Place of a method among others: 1 is the best, and equals share the mean of their places."""

    rank: float
    low: float
    """Lower end of the 95 % interval over clips."""
    high: float
    """Upper end."""


def ranks(scores: ArrayLike, *, resamples: int = 2000, seed: int = 0) -> list[Rank]:
    """Return the rank of each method by its mean score, with its percentile interval over clips.

    A draw takes the same clips for all methods, as their scores of a clip go together.

    Args:
        scores: (M, K) score of each of M clips for K methods, larger is better. Clips that a method has no score of
            (NaN) are left out for all.
        resamples: Number of draws of M clips with replacement.
        seed: Seed of the draws.

    Raises:
        ValueError: No clip has a score of every method.
    """
    kept = _common(scores)
    rng = np.random.default_rng(seed)
    drawn = np.array([_places(kept[rng.integers(0, len(kept), len(kept))].mean(axis=0)) for _ in range(resamples)])
    low, high = np.quantile(drawn, [0.025, 0.975], axis=0, method="inverted_cdf")
    means = _places(kept.mean(axis=0))
    return [Rank(*map(float, one)) for one in zip(means, low, high, strict=True)]


def kendall(a: ArrayLike, b: ArrayLike) -> float | None:
    """Return Kendall's tau-b of two judges' values of the same methods: 1 for one order, -1 for the reverse.

    Returns:
        None for fewer than two methods, or where a judge tells none from another.
    """
    from scipy.stats import kendalltau

    tau = float(kendalltau(np.asarray(a), np.asarray(b)).statistic) if len(np.asarray(a)) > 1 else np.nan
    return None if np.isnan(tau) else tau


def reversals(a: ArrayLike, b: ArrayLike, *, level: float = 0.05) -> list[tuple[int, int]]:
    """Return the pairs (i, j) of methods of which judge `a` has i and judge `b` has j ahead, beyond chance.

    Both differences are significant at `level` by a sign-flip test over clips, adjusted after Holm for all pairs of
    methods and both judges.

    Args:
        a: (M, K) scores of one judge, larger is better; rows are clips, NaN for none.
        b: (M, K) scores of the other judge.
        level: Level of significance.
    """
    pairs = list(combinations(range(np.asarray(a).shape[1]), 2))
    if not pairs:
        return []
    differences = [_differences(judge, pairs) for judge in (a, b)]
    p_values = holm([float(p) for one in differences for p in sign_flip_p_values(one)])
    means = [np.nan_to_num(np.nanmean(one, axis=0)) for one in differences]
    found = []
    for place, (i, j) in enumerate(pairs):
        sure = max(p_values[place], p_values[place + len(pairs)]) <= level
        if sure and means[0][place] * means[1][place] < 0:
            found.append((i, j) if means[0][place] > 0 else (j, i))
    return found


def _differences(scores: ArrayLike, pairs: Sequence[tuple[int, int]]) -> Array:
    table = np.asarray(scores, dtype=np.float64)
    return np.stack([table[:, i] - table[:, j] for i, j in pairs], axis=1)


def _common(scores: ArrayLike) -> Array:
    table = np.asarray(scores, dtype=np.float64)
    kept = table[~np.isnan(table).any(axis=1)]
    if not len(kept):
        raise ValueError("no clip has a score of every method")
    return kept


def _places(values: Array) -> Array:
    """Return the rank of each of (K,) `values`, the largest first."""
    ahead = (values[None, :] > values[:, None]).sum(axis=1)
    equal = (values[None, :] == values[:, None]).sum(axis=1)
    return ahead + (equal + 1) / 2.0
