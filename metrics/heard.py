"""Heard share: how much of what words could have said of the sounds a method has heard."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from metrics.statistics import bootstrap_interval


@dataclass(frozen=True)
class HeardShare:
    """100 (score - label) / (words - label), of means over clips, with its 95 % interval."""

    value: float
    low: float
    high: float
    n: int
    """Clips that all three have a score of."""


def heard_share(
    scores: ArrayLike, label: ArrayLike, words: ArrayLike, *, resamples: int = 2000, seed: int = 0
) -> HeardShare:
    """Return where a method lies between being told the class (0) and being told everything in words (100).

    The interval is the percentile interval of the ratio over draws of clips, each of which keeps the three scores of a
    clip together. It needs no shape of the scores, which are rates with many ties; where Fieller's interval would be
    unbounded, as words are not surely better than the label, there is no share.

    Args:
        scores: (M,) the method's score of each clip, NaN for none.
        label: (M,) the scores where the backbone is told the class name alone.
        words: (M,) the scores where it is told all that words say.
        resamples: Number of draws.
        seed: Seed of the draws.

    Raises:
        ValueError: Fewer than two clips have all scores, or words do not score surely better than the label.
    """
    table = np.stack([np.asarray(one, dtype=np.float64) for one in (scores, label, words)], axis=1)
    table = table[~np.isnan(table).any(axis=1)]
    if len(table) < 2:
        raise ValueError(f"{len(table)} clips have a score of the method, of the label and of words")
    ends = bootstrap_interval(table[:, 2] - table[:, 1], resamples=resamples, seed=seed)
    if ends is None or ends[0] <= 0:
        raise ValueError("words do not score surely better than the label, so there is nothing to have a share of")
    rng = np.random.default_rng(seed)
    drawn = [table[rng.integers(0, len(table), len(table))].mean(axis=0) for _ in range(resamples)]
    method, floor, ceiling = np.array(drawn).T
    # A draw without a gap says that the share may be anything of its sign.
    with np.errstate(divide="ignore", invalid="ignore"):
        shares = np.nan_to_num((method - floor) / (ceiling - floor), nan=0.0)
    low, high = np.quantile(shares, [0.025, 0.975], method="inverted_cdf")
    method, floor, ceiling = table.mean(axis=0)
    value = (method - floor) / (ceiling - floor)
    return HeardShare(100 * float(value), 100 * float(low), 100 * float(high), len(table))
