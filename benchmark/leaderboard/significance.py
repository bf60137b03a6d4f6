"""Is the difference of two rows more than chance? From the per-clip scores that lie beside the records.

Five ways, the first that applies: `clips`, a paired permutation test over the clips that both rows score, each clip's
score averaged over seeds; `unpaired`, a permutation test over the clips of either side, where they score different
clips; `seeds and clips`, for what has no score per clip (a distance of sets): Welch's t test over the runs, with the
variance over clips that their intervals state; `seeds`, the same where there are no intervals;
`intervals`, where one side has a single run: the difference of the two 95 % intervals, which leaves out 0 exactly if
they are disjoint. The last asks for more than 5 % would.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import NormalDist
from typing import Literal

import numpy as np

from benchmark.leaderboard.clip_scores import ClipScores, Ids, side_by_side
from metrics import statistics

LEVEL = 0.05
Way = Literal["clips", "unpaired", "seeds and clips", "seeds", "intervals"]


@dataclass(frozen=True, eq=False)
class Sample:
    """One metric of one row: its value in each run, the 95 % interval over clips, each clip's mean score over runs.

    `clips` is None where the metric, or one of the runs, has no scores per clip.
    """

    runs: tuple[float, ...]
    interval: tuple[float, float] | None = None
    clips: ClipScores | None = None

    @property
    def over_clips(self) -> float:
        """Standard deviation over clips of a run's value, from the interval; 0 where there is none."""
        if self.interval is None:
            return 0.0
        # An end that bounds the metric, such as a distance of 0, is nearer than the deviation would have it.
        value = statistics.mean(self.runs)
        return max(value - self.interval[0], self.interval[1] - value, 0.0) / NormalDist().inv_cdf(0.975)


@dataclass(frozen=True)
class Contrast:
    """The difference a - b of two samples, and how it was judged.

    `n` counts the clips, or the runs of the smaller side; there is no p value where intervals are compared.
    """

    difference: float
    low: float | None
    high: float | None
    p_value: float | None
    n: int
    way: Way

    @property
    def significant(self) -> bool:
        """Whether chance is ruled out, two-sided, at 5 %."""
        return self.p_value <= LEVEL if self.p_value is not None else _leaves_out_0(self.low, self.high)


@dataclass(frozen=True)
class Judgement:
    """Whether two samples differ, two-sided at 5 %, and how that was judged: a `Contrast` without its numbers."""

    way: Way
    significant: bool
    source: float | statistics.Welch | None = None
    """The p value, or the statistic it is computed from when it is asked for, because that imports scipy."""

    @property
    def p_value(self) -> float | None:
        """The p value; None where intervals were compared."""
        return self.source.p_value if isinstance(self.source, statistics.Welch) else self.source


def compare(a: Sample, b: Sample) -> Contrast | None:
    """The difference a - b, judged in the first way that applies; None where none does."""
    return compare_all([(a, b)])[0]


def compare_all(pairs: Sequence[tuple[Sample, Sample]]) -> list[Contrast | None]:
    """`compare` of each pair: those that score the same clips share the draws, so many cost little more than one."""
    found: list[Contrast | None] = []
    together: dict[Ids, list[tuple[int, ClipScores]]] = defaultdict(list)
    for place, (a, b) in enumerate(pairs):
        found.append(None)
        if a.clips is not None and b.clips is not None and not (difference := a.clips - b.clips).empty:
            scored = ~np.isnan(difference.values)
            ids = difference.ids
            both = ids if scored.all() else tuple(name for name, has in zip(ids, scored, strict=True) if has)
            together[both].append((place, difference))
        else:
            found[place] = _without_clips(a, b)
    for ids, members in together.items():
        table = np.array([difference.at(ids) for _, difference in members]).T
        p_values = statistics.sign_flip_p_values(table)
        intervals = statistics.bootstrap_intervals(table)
        for (place, _), column, p_value, interval in zip(members, table.T, p_values, intervals, strict=True):
            low, high = interval or (None, None)
            found[place] = Contrast(statistics.mean(column), low, high, float(p_value), len(ids), "clips")
    return found


def _without_clips(a: Sample, b: Sample) -> Contrast | None:
    """The difference of two samples that have no scores per clip in common."""
    if unpaired := _unpaired(a, b):
        return Contrast(**asdict(unpaired), way="unpaired")
    over_clips, way = _over_clips(a, b)
    if welch := statistics.welch_test(a.runs, b.runs, over_clips=over_clips):
        return Contrast(**asdict(welch), way=way)
    if (interval := _between(a, b)) is None:
        return None
    return Contrast(
        difference=statistics.mean(a.runs) - statistics.mean(b.runs),
        low=interval[0],
        high=interval[1],
        p_value=None,
        n=min(len(a.runs), len(b.runs)),
        way="intervals",
    )


def judge_all(pairs: Sequence[tuple[Sample, Sample]]) -> list[Judgement | None]:
    """Judge all pairs at once: the same verdicts as those of `compare`, faster."""
    judged: list[Judgement | None] = []
    differences: dict[int, ClipScores] = {}
    for place, (a, b) in enumerate(pairs):
        judged.append(None)
        if a.clips is not None and b.clips is not None and not (difference := a.clips - b.clips).empty:
            differences[place] = difference
            continue
        if unpaired := _unpaired(a, b):
            judged[place] = Judgement("unpaired", (unpaired.p_value or 0.0) <= LEVEL, unpaired.p_value)
            continue
        over_clips, way = _over_clips(a, b)
        if welch := statistics.Welch.of(a.runs, b.runs, over_clips):
            judged[place] = Judgement(way, welch.reaches(LEVEL), welch)
        elif interval := _between(a, b):
            judged[place] = Judgement("intervals", _leaves_out_0(*interval))
    if differences:
        p_values = statistics.sign_flip_p_values(side_by_side(list(differences.values())))
        for place, p_value in zip(differences, map(float, p_values), strict=True):
            judged[place] = Judgement("clips", p_value <= LEVEL, p_value)
    return judged


def _over_clips(a: Sample, b: Sample) -> tuple[tuple[float, float], Way]:
    """Return the deviations over clips of both, as far as both are known, and what a test over runs then takes."""
    if a.interval is None or b.interval is None:
        return (0.0, 0.0), "seeds"
    return (a.over_clips, b.over_clips), "seeds and clips"


def _unpaired(a: Sample, b: Sample) -> statistics.Comparison | None:
    """Return the difference over the clips of either side; None where a side has no scores per clip."""
    if a.clips is None or b.clips is None or a.clips.empty or b.clips.empty:
        return None
    return statistics.unpaired_permutation_test(a.clips.values, b.clips.values)


def _between(a: Sample, b: Sample) -> tuple[float, float] | None:
    """Return the difference of the two intervals; None where a side has none."""
    if a.interval is None or b.interval is None:
        return None
    return a.interval[0] - b.interval[1], a.interval[1] - b.interval[0]


def _leaves_out_0(low: float | None, high: float | None) -> bool:
    return low is not None and high is not None and (low > 0 or high < 0)
