"""Ranks of methods: how sure they are over clips and seeds, and whether two judges give the same ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike

from metrics.similarity import Array
from metrics.statistics import holm, resampled_means, sign_flip_p_values


@dataclass(frozen=True)
class Rank:
    """Place of a method among others: 1 is the best, and equals share the mean of their places."""

    rank: float
    low: float
    """Lower end of its 95 % interval."""
    high: float
    """Upper end."""
    best: float
    """Probability of being the best: the share of draws in which it was; equals share a draw."""


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
    drawn = np.array([kept[rng.integers(0, len(kept), len(kept))].mean(axis=0) for _ in range(resamples)])
    return _ranked(kept.mean(axis=0), drawn)


def ranks_over_seeds(scores: Sequence[ArrayLike], *, resamples: int = 2000, seed: int = 0) -> list[Rank]:
    """Return the rank of each method by its mean score, with its interval over clips and seeds, both random.

    A draw takes M of the M clips with replacement, the same for all methods, and of each method's S seeds, separately,
    S - 1 with replacement. Drawing S of them, as is done with clips, would give a mean over few seeds too little
    variance by (S - 1) / S, a third for three seeds; S - 1 give it the right one. A single seed is taken as given.

    Ranks of methods that are nearly equal are the hardest to cover: among eight of which none is better, with three
    seeds, 93 % of the intervals contain the rank, and more than 95 % where methods differ by as much as their errors.
    There, methods said to be best with some probability are so that often; where none is better, nothing is said by
    which one is.

    Source: Rao and Wu 1988 (the rescaled bootstrap of strata with few units); Owen 2007 (0712.1111), clips and seeds as
    crossed factors, for which it overstates rather than understates the variance.

    Args:
        scores: For each method the (M, S) score of M clips in S runs, larger is better; S may differ. Clips that a run
            has no score of (NaN) are left out for all.
        resamples: Number of draws.
        seed: Seed of the draws.

    Raises:
        ValueError: A method has no run, methods have different clips, or no clip has a score in every run.
    """
    tables = [np.asarray(one, dtype=np.float64) for one in scores]
    if any(one.ndim != 2 or not one.shape[1] or len(one) != len(tables[0]) for one in tables):
        raise ValueError(f"scores of shapes {[one.shape for one in tables]}; give (clips, runs), of the same clips")
    kept = _common(np.concatenate(tables, axis=1))
    rng = np.random.default_rng(seed)
    of_runs = resampled_means(kept, resamples, rng)
    ends = np.cumsum([one.shape[1] for one in tables])
    means, drawn = np.empty(len(tables)), np.empty((resamples, len(tables)))
    for place, (end, table) in enumerate(zip(ends, tables, strict=True)):
        seeds = table.shape[1]
        own = slice(end - seeds, end)
        often = rng.multinomial(max(seeds - 1, 1), np.full(seeds, 1.0 / seeds), size=resamples)
        drawn[:, place] = (of_runs[:, own] * often).sum(axis=1) / max(seeds - 1, 1)
        means[place] = kept[:, own].mean()
    return _ranked(means, drawn)


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


def _ranked(means: Array, drawn: Array) -> list[Rank]:
    """Return the ranks by (K,) `means`, and their intervals from (draws, K) means."""
    # Sums in another order must not decide between equals.
    means, drawn = np.round(means, 9), np.round(drawn, 9)
    low, high = np.quantile(_places(drawn), [0.025, 0.975], axis=0, method="inverted_cdf")
    first = drawn == drawn.max(axis=1, keepdims=True)
    best = (first / first.sum(axis=1, keepdims=True)).mean(axis=0)
    return [Rank(*map(float, one)) for one in zip(_places(means), low, high, best, strict=True)]


def _places(values: Array) -> Array:
    """Return the rank of each of (..., K) `values` among the K, the largest first; equals share the mean of theirs."""
    order = np.argsort(-values, axis=-1)
    falls = np.diff(np.take_along_axis(values, order, axis=-1), axis=-1) != 0
    edge, place = np.ones((*values.shape[:-1], 1), dtype=bool), np.arange(values.shape[-1])
    first = np.where(np.concatenate([edge, falls], axis=-1), place, 0)
    last = np.where(np.concatenate([falls, edge], axis=-1), place, place[-1])
    first = np.maximum.accumulate(first, axis=-1)
    last = np.minimum.accumulate(last[..., ::-1], axis=-1)[..., ::-1]
    places = np.empty_like(values)
    np.put_along_axis(places, order, (first + last) / 2.0 + 1.0, axis=-1)
    return places
