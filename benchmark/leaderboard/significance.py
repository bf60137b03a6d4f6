"""Is the difference of two rows more than chance? From the per-clip scores that lie beside the records.

Three ways, the first that applies: `clips`, a paired permutation test over the clips that both rows score, each clip's
score averaged over seeds; `seeds`, Welch's t test over the runs, for what has no score per clip (a distance of sets);
`intervals`, where one side has a single run: the difference of the two 95 % intervals, which leaves out 0 exactly if
they are disjoint. The last asks for more than 5 % would.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import reduce
from operator import add
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from benchmark.records.record import SCORE_COLUMNS, read_scores
from benchmark.records.store import StoredRecord
from benchmark.utils.errors import UserError

if TYPE_CHECKING:
    from pandas import DataFrame, Series  # type: ignore[import-untyped, unused-ignore]  # no stubs

LEVEL = 0.05
Way = Literal["clips", "seeds", "intervals"]


@dataclass(frozen=True, eq=False)
class Sample:
    """One metric of one row: its value in each run, the 95 % interval over clips, each clip's mean score over runs.

    `clips` is indexed by clip id; None where the metric, or one of the runs, has no scores per clip.
    """

    runs: tuple[float, ...]
    interval: tuple[float, float] | None = None
    clips: Series | None = None


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
        return is_significant(self.p_value, self.low, self.high)


def is_significant(p_value: float | None, low: float | None, high: float | None) -> bool:
    """By the p value where there is one, otherwise by whether the interval of the difference leaves out 0."""
    if p_value is not None:
        return p_value <= LEVEL
    return low is not None and high is not None and (low > 0 or high < 0)


def scores_path(stored: StoredRecord) -> Path:
    """Where a record's per-clip scores lie: ``scores.parquet`` in a run's folder, ``<name>.parquet`` among results."""
    path = stored.path
    return path.with_name("scores.parquet") if path.name == "record.json" else path.with_suffix(".parquet")


def clip_scores(stored: StoredRecord) -> DataFrame | None:
    """A record's scores by clip id, (clips x metrics) in the order of ids; None if there are none.

    Raises UserError for a file that cannot be read, or whose means are not the record's values: scores of another run
    must decide nothing.
    """
    path = scores_path(stored)
    if not path.is_file():
        return None
    table = read_scores(path)
    scores = table.drop(columns=[name for name in table.columns if name not in stored.record.metrics])
    scores.index = table[SCORE_COLUMNS[0]].astype(str)
    scores = scores.astype("float64")
    scores = scores.sort_index() if scores.index.is_unique else scores.groupby(level=0).mean()
    for name in scores.columns:
        value, mean = stored.record.metrics[name].value, scores[name].mean()
        if value is not None and not math.isclose(mean, value, rel_tol=1e-6, abs_tol=1e-6):
            raise UserError(
                f"{path}: its mean of {name} is {mean:.6g}, the record says {value:.6g}: score the run again"
            )
    return scores


def mean_over_runs(runs: Sequence[DataFrame | None], metric: str) -> Series | None:
    """Each clip's mean score over runs, NaN for a clip that one could not score; None if a run has no scores."""
    columns = [run[metric] for run in runs if run is not None and metric in run.columns]
    return reduce(add, columns) / len(columns) if columns and len(columns) == len(runs) else None


def compare(a: Sample, b: Sample) -> Contrast | None:
    """The difference a - b, judged in the first way that applies; None where none does."""
    from metrics import statistics

    if a.clips is not None and b.clips is not None:
        ours, theirs = a.clips.align(b.clips, join="inner")
        if (ours - theirs).notna().any():
            return Contrast(**asdict(statistics.paired_permutation_test(ours, theirs)), way="clips")
    if welch := statistics.welch_test(a.runs, b.runs):
        return Contrast(**asdict(welch), way="seeds")
    if a.interval is None or b.interval is None:
        return None
    return Contrast(
        difference=statistics.mean(a.runs) - statistics.mean(b.runs),
        low=a.interval[0] - b.interval[1],
        high=a.interval[1] - b.interval[0],
        p_value=None,
        n=min(len(a.runs), len(b.runs)),
        way="intervals",
    )


def compare_all(pairs: Sequence[tuple[Sample, Sample]]) -> list[tuple[Way, float | None, bool] | None]:
    """In what way each pair was judged, its p value, and whether it differs; as `compare`, all at once and quicker."""
    judged: list[tuple[Way, float | None, bool] | None] = []
    differences: dict[int, Series] = {}
    for place, (a, b) in enumerate(pairs):
        if a.clips is not None and b.clips is not None and (difference := a.clips - b.clips).notna().any():
            differences[place] = difference
            judged.append(None)
        else:
            contrast = compare(a, b)
            judged.append((contrast.way, contrast.p_value, contrast.significant) if contrast else None)
    if differences:
        import pandas as pd

        from metrics.statistics import sign_flip_p_values

        table = pd.concat(list(differences.values()), axis=1).to_numpy()
        for place, p_value in zip(differences, sign_flip_p_values(table), strict=True):
            judged[place] = "clips", float(p_value), is_significant(float(p_value), None, None)
    return judged
