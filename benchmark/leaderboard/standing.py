"""How sure the places of a board are: the interval of each rank, and the probability of being best."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.leaderboard.clip_scores import ClipScores, side_by_side


@dataclass(frozen=True)
class Standing:
    """What chance leaves of a rank, over clips and seeds."""

    low: int
    """Best rank within the 95 % interval."""
    high: int
    """Worst rank within it."""
    best: float
    """Probability of being the best of the ranked rows, between 0 and 1."""

    @property
    def shown_ranks(self) -> str:
        """The interval as the table shows it."""
        return str(self.low) if self.low == self.high else f"{self.low}–{self.high}"

    @property
    def shown_best(self) -> str:
        """The probability in percent, never as a certainty: draws prove none."""
        percent = round(100 * self.best)
        return "<1 %" if percent < 1 else ">99 %" if percent > 99 else f"{percent} %"


def standings(runs: Sequence[Sequence[ClipScores]], *, upwards: bool) -> list[Standing] | None:
    """Return the standing of each row among all given.

    Args:
        runs: For each row the scores of each of its runs, in the metric that ranks.
        upwards: Whether larger is better.

    Returns:
        None where a row lacks scores per clip, or no clip has a score in every run: ranks among some of the rows would
        not be those of the board.
    """
    from metrics.ranks import ranks_over_seeds

    if not runs or not all(runs):
        return None
    table = side_by_side([one for row in runs for one in row])
    if np.isnan(table).any(axis=1).all():
        return None
    ends = np.cumsum([len(row) for row in runs])[:-1]
    found = ranks_over_seeds(np.split(table if upwards else -table, ends, axis=1))
    return [Standing(math.floor(one.low), math.ceil(one.high), one.best) for one in found]
