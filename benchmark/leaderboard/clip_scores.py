"""Scores per clip: read from the files beside the records, averaged over runs, aligned by clip.

A file as `write_scores` leaves it is read with arrow and numpy alone: pandas takes longer to import than a board takes
to make. It is left to files of any other kind, damaged ones included.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, reduce
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmark.leaderboard.possible import definition
from benchmark.records.record import MOST_SCORES, SCORE_COLUMNS, UNITS, MetricValue, read_scores
from benchmark.records.store import RunFolder, StoredRecord
from benchmark.utils.errors import UserError

Array = NDArray[np.float64]
Ids = tuple[str, ...]

# Both are float64 and the sum is taken in another order; an edit that nobody can see in a table is none.
TOLERANCE = 1e-9


@dataclass(frozen=True, eq=False)
class ClipScores:
    """One score per clip: `ids` in ascending order and their `values` (clips,), NaN for a clip without a score.

    Sums and differences are about the clips of either side, NaN where one has no score.
    """

    ids: Ids
    values: Array

    def at(self, ids: Ids) -> Array:
        """Return the scores of the clips `ids`, NaN where there is none."""
        if ids == self.ids:
            return self.values
        known = dict(zip(self.ids, self.values, strict=True))
        return np.array([known.get(name, math.nan) for name in ids], dtype=np.float64)

    def __add__(self, other: ClipScores) -> ClipScores:
        ids = self._with(other)
        return ClipScores(ids, self.at(ids) + other.at(ids))

    def __sub__(self, other: ClipScores) -> ClipScores:
        ids = self._with(other)
        return ClipScores(ids, self.at(ids) - other.at(ids))

    def _with(self, other: ClipScores) -> Ids:
        return self.ids if self.ids == other.ids else tuple(sorted({*self.ids, *other.ids}))

    @property
    def empty(self) -> bool:
        """Whether no clip has a score."""
        return bool(np.isnan(self.values).all())


def paired(a: ClipScores, b: ClipScores) -> tuple[Array, Array]:
    """Return the scores of both for the clips that both have."""
    ids = a.ids if a.ids == b.ids else tuple(sorted({*a.ids} & {*b.ids}))
    return a.at(ids), b.at(ids)


def side_by_side(columns: Sequence[ClipScores]) -> Array:
    """Return (clips, columns) of all clips that any column has, in the order in which they first occur."""
    different = dict.fromkeys(column.ids for column in columns)
    ids = tuple(dict.fromkeys(name for some in different for name in some))
    return np.array([column.at(ids) for column in columns]).T


def mean_over_runs(runs: Sequence[Mapping[str, ClipScores] | None], metric: str) -> ClipScores | None:
    """Return each clip's mean score over runs, NaN for a clip that one could not score; None if a run has no scores."""
    scores = [run[metric] for run in runs if run is not None and metric in run]
    if not scores or len(scores) < len(runs):
        return None
    total = reduce(ClipScores.__add__, scores)
    return ClipScores(total.ids, total.values / len(scores))


def scores_path(stored: StoredRecord) -> Path:
    """Return where a record's per-clip scores are: ``scores.parquet`` in a run, ``<name>.parquet`` among results."""
    path = stored.path
    return path.with_name("scores.parquet") if path.name == "record.json" else path.with_suffix(".parquet")


class Contradiction(UserError):
    """A record and the scores beside it that cannot both be true."""


def clip_scores(stored: StoredRecord, metrics: Collection[str]) -> dict[str, ClipScores] | None:
    """Read a record's per-clip scores of `metrics`, as far as its file has them; None if there is no file.

    Distances between sets have no score per clip; a column of one is left alone.

    Raises:
        Contradiction: The mean of one of its columns, wanted or not, is not the record's value, or a score lies outside
            what its unit allows: one of the two files is of another run, or was edited.
        UserError: The file is damaged, or cannot be read.
    """
    path = scores_path(stored)
    if not os.path.lexists(path):
        return None
    if not os.path.isfile(path):
        raise UserError(f"{path}: not a regular file")
    if why := RunFolder(path.parent).damage("score", path):
        raise UserError(f"{path}: {why}: score the run again")
    values = {name: value for name, value in stored.record.metrics.items() if not _is_distance(name)}
    ids, names, scores = _as_written(path, values) or _of_any_kind(path, values)
    _compare(path, [(name, values[name]) for name in names], scores)
    ids = _one_object(ids)
    return {name: ClipScores(ids, own.copy()) for name, own in zip(names, scores.T, strict=True) if name in metrics}


def _is_distance(metric: str) -> bool:
    known = definition(metric)
    return known is not None and known.is_distance


def _compare(path: Path, metrics: Sequence[tuple[str, MetricValue]], scores: Array) -> None:
    """Raise Contradiction unless each of the record's values is the mean of its column (clips, metrics)."""
    if not metrics:
        return
    low, high = np.array([UNITS[value.unit] for _, value in metrics]).T
    outside = np.argwhere((scores < low - TOLERANCE) | (scores > high + TOLERANCE))
    if len(outside):
        clip, place = outside[0]
        name, value = metrics[place]
        raise Contradiction(f"{path}: a score of {name} is {scores[clip, place]:g}, impossible in {value.unit!r}")
    for (name, value), mean in zip(metrics, _means(scores), strict=True):
        if value.value is None and not math.isnan(mean):
            raise Contradiction(
                f"{path}: its mean of {name} is {mean:.10g}, the record has no value: score the run again"
            )
        if value.value is not None and not math.isclose(mean, value.value, rel_tol=TOLERANCE, abs_tol=TOLERANCE):
            raise Contradiction(
                f"{path}: its mean of {name} is {mean:.10g}, the record says {value.value:.10g}: score the run again"
            )


@lru_cache(maxsize=16)
def _one_object(ids: Ids) -> Ids:
    """Return the same tuple for equal ones: runs of a suite share their clips, and one object compares at once."""
    return ids


def _means(scores: Array) -> list[float]:
    """Return the mean of each column, NaN for one without a score."""
    scored = ~np.isnan(scores)
    with np.errstate(invalid="ignore"):
        means: list[float] = (np.where(scored, scores, 0.0).sum(axis=0) / scored.sum(axis=0)).tolist()
    return means


_Table = tuple[Ids, Sequence[str], Array]  # clip ids in ascending order, metrics, and scores (clips, metrics)


def _as_written(path: Path, metrics: Collection[str]) -> _Table | None:
    """Read the scores of `metrics` from a file as `write_scores` leaves it, one row per clip; None for other files."""
    from pyarrow import float64, large_string, string
    from pyarrow.parquet import ParquetFile

    try:
        file = ParquetFile(path)
        if file.metadata.num_rows * file.metadata.num_columns > MOST_SCORES:
            return None
        (batch,) = file.read(use_threads=False).to_batches()
        ids = batch.column(SCORE_COLUMNS[0]).to_pylist()
    except Exception:
        return None  # pandas will say what is wrong with it
    kinds = dict(zip(batch.schema.names, batch.schema.types, strict=True))
    names = [name for name in kinds if name in metrics]
    if (
        len(kinds) < batch.num_columns
        or not kinds.keys() - {*names} >= {*SCORE_COLUMNS}
        or _has_named_index((batch.schema.metadata or {}).get(b"pandas", b"{}"))
        or kinds[SCORE_COLUMNS[0]] not in (string(), large_string())
        or any(kinds[name] != float64() for name in names)
    ):
        return None
    ordered = _in_order(tuple(ids))
    if ordered is None:
        return None
    ids, order = ordered
    # Of arrow's ways to numpy the one that does not import pandas.
    scores = batch.select(names).to_tensor(null_to_nan=True).to_numpy() if names else np.empty((len(ids), 0))
    return ids, names, scores[order]


@lru_cache(maxsize=16)
def _has_named_index(metadata: bytes) -> bool:
    """Whether pandas stored an index as a column, or what it stored is damaged."""
    try:
        return any(isinstance(name, str) for name in json.loads(metadata).get("index_columns", ()))
    except (ValueError, AttributeError, TypeError, RecursionError):
        return True  # pandas will say what is wrong with it


@lru_cache(maxsize=16)
def _in_order(ids: tuple[str | None, ...]) -> tuple[Ids, list[int]] | None:
    """Return the ids in ascending order, and where they were; None if one is missing or occurs twice."""
    if None in ids or len({*ids}) < len(ids):
        return None
    order = sorted(range(len(ids)), key=ids.__getitem__)  # type: ignore[arg-type]
    return tuple(ids[place] for place in order), order  # type: ignore[misc]


def _of_any_kind(path: Path, metrics: Collection[str]) -> _Table:
    """Read any file that pandas can read; several rows of one clip are averaged."""
    from pandas.api.types import is_numeric_dtype  # type: ignore[import-untyped, unused-ignore]  # no stubs

    table = read_scores(path)
    scores = table.drop(columns=[name for name in table.columns if name not in metrics])
    for name, kind in scores.dtypes.items():
        if not is_numeric_dtype(kind):
            raise UserError(f"{path}: column {name!r} holds no numbers but {kind}: score the run again")
    try:
        scores.index = table[SCORE_COLUMNS[0]].astype(str)
        scores = scores.astype("float64")
        scores = scores.sort_index() if scores.index.is_unique else scores.groupby(level=0).mean()
    except Exception as error:
        raise UserError(f"{path}: not a file of per-clip scores: {' '.join(str(error).split())}") from error
    return tuple(map(str, scores.index)), list(scores.columns), scores.to_numpy()
