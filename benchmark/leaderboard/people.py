"""What people thought of a run's images, on the board: the metric `human`, from the file beside the record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from benchmark.leaderboard.clip_scores import ClipScores
from benchmark.records.human import METRIC, HumanRatings, ratings_of
from benchmark.records.record import RunRecord
from benchmark.records.store import StoredRecord
from benchmark.utils.errors import UserError

__all__ = ["METRIC", "asked_about", "join"]


def join(
    records: Sequence[StoredRecord], metrics: Sequence[str], scores: dict[Path, dict[str, ClipScores]]
) -> tuple[list[StoredRecord], Sequence[str], list[str]]:
    """Give records the metric `human` where ratings lie beside them, and the board its column where one has it.

    Args:
        records: The records of the board.
        metrics: Ids of its columns.
        scores: Scores by clip, by the record's path and the metric; the clips' mean ratings are added.

    Returns:
        The records, the columns, and a remark on each that was rated, or whose ratings cannot be used.
    """
    joined, remarks, seen = [], [], False
    for stored in records:
        try:
            found = ratings_of(stored.record, stored.path)
        except UserError as error:
            remarks.append(f"Ratings left out: {error.problems[0]}.")
            found = None
        if found is None:
            joined.append(stored)
            continue
        seen = True
        metric = found.metric()
        joined.append(
            replace(
                stored,
                record=stored.record.model_copy(update={"metrics": {**stored.record.metrics, METRIC: metric}}),
            )
        )
        ids = tuple(sorted(found.clips))
        own = ClipScores(ids, np.array([found.clips[name] for name in ids], dtype=np.float64))
        scores[stored.path] = {**scores.get(stored.path, {}), METRIC: own}
        remarks.append(_remark(stored.record, found))
    columns = [*metrics, METRIC] if seen and METRIC not in metrics else metrics
    return joined, columns, remarks


def asked_about(group: Sequence[StoredRecord], metric: str) -> Sequence[StoredRecord]:
    """Return the runs of a row that make its value: all; of `human` those that were rated, as people rate few seeds."""
    rated = [one for one in group if metric == METRIC and _has(one.record)]
    return rated or group


def _has(record: RunRecord) -> bool:
    return METRIC in record.metrics and record.metrics[METRIC].value is not None


def _remark(record: RunRecord, found: HumanRatings) -> str:
    who = record.method.name + ("" if record.seed is None else f" seed {record.seed}")
    text = f"{METRIC} of {who}: {found.ratings} ratings of {len(found.clips)} clips by {found.raters} people"
    text += "" if found.deviation is None else f", deviation {found.deviation:.2f}"
    text += "" if found.low is None else ", interval over raters and clips"
    text += "" if found.alpha is None else f", Krippendorff's alpha {found.alpha:.2f}"
    if (own := found.with_scores) is not None:
        text += f"; with {own.metric} of {own.others} more clips {own.value:.2f} [{own.low:.2f}, {own.high:.2f}]"
        if own.narrowed is not None:
            text += f", {abs(own.narrowed):.0%} {'narrower' if own.narrowed >= 0 else 'wider'}"
    return f"{text}; study {found.study[:8]}."
