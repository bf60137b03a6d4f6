"""The site's data as plain values: the board, the scores of every clip a metric, comparisons of pairs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from itertools import combinations
from typing import Any

from benchmark.leaderboard.board import Board, Column, Row
from benchmark.leaderboard.build import build_board
from benchmark.leaderboard.clip_scores import ClipScores, scores_path
from benchmark.leaderboard.compare import Comparison, compare_pairs
from benchmark.records.record import RunRecord
from benchmark.report.folder import slug
from benchmark.report.sources import ShownRow, ShownRun, Sources
from metrics import definitions

MOST_RUN_PAIRS = 60
"""Pairs of single runs that are compared beside all pairs of rows; `bench compare` compares any other."""


def number(value: float | None) -> float | None:
    """Return a value with the digits that a page can show; None for what is no number.

    >>> number(97.07482993197279), number(0.0000123456), number(math.nan)
    (97.0748, 1.23456e-05, None)
    """
    return None if value is None or not math.isfinite(value) else float(f"{value:.6g}")


def metric_facts(column: Column) -> dict[str, Any]:
    """Return what the pages say of a metric: the board's column and its definition, where this program knows it."""
    try:
        known = definitions.get(column.id)
    except ValueError:
        known = None
    return {
        "id": column.id,
        "page": slug(column.id),
        "title": known.title if known else column.id,
        "family": known.family if known else "",
        "variant": known.variant if known else "",
        "definition": known.definition if known else "This program does not know it.",
        "source": known.source if known else "",
        "bounds": list(known.bounds) if known else [None, None],
        "direction": (direction := column.direction or (known.direction if known else None)),
        "better": _better(direction, column.warns),
        "unit": column.unit or (known.unit if known else ""),
        "version": column.version,
        "chance": number(column.chance),
        "digits": column.digits,
    }


def _better(direction: str | None, warns: bool) -> str:
    if warns:
        return "Low values warn; higher is no better."
    return f"{'Lower' if direction == 'down' else 'Higher'} is better."


def board_facts(sources: Sources, labels: Sequence[str]) -> dict[str, Any]:
    """Return the board for plots, gallery and comparisons; `labels` are the classes in order."""
    board = sources.board
    return {
        "suite": board.suite,
        "title": board.title,
        "headline": [c.id for c in board.filled if c.id in sources.suite.headline],
        "metrics": [metric_facts(column) for column in board.filled],
        "ceilings": {column.id: number(ceiling(sources, column.id)) for column in board.filled},
        "labels": list(labels),
        "rows": [_row_facts(one, board, labels) for one in sources.rows],
    }


def ceiling(sources: Sources, metric: str) -> float | None:
    """Return what the true frames reach in a metric that a probe answers, as a record says; None for others."""
    records = [run.stored.record for one in sources.rows for run in one.runs]
    values = [value for record in records if (value := record.metrics.get(metric)) is not None]
    return next((value.details["ceiling"] for value in values if "ceiling" in value.details), None)


def _row_facts(one: ShownRow, board: Board, labels: Sequence[str]) -> dict[str, Any]:
    row, records = one.row, [run.stored.record for run in one.runs]
    return {
        "key": one.key,
        "label": row.label,
        "method": row.method,
        "rank": row.rank,
        "ranked": row.rank is not None,
        "sees": sees(records),
        "cells": {column.id: cell_facts(row, column) for column in board.filled},
        "cost": cost(row, records),
        "classes": {column.id: class_means(records, column.id, labels) for column in board.filled},
        "shown": one.shown.key if one.shown else None,
        "runs": [{"key": run.key, "name": run.name, "images": run.images is not None} for run in one.runs],
        "how": how_to_get(one),
    }


def cell_facts(row: Row, column: Column) -> dict[str, Any]:
    """Return one metric of a row: value, interval, and both as the table shows them."""
    cell = row.cells[column.id]
    return {
        "value": number(cell.value),
        "low": number(cell.low),
        "high": number(cell.high),
        "text": cell.show(column),
        "best": cell.best,
        "reason": cell.reason,
    }


def sees(records: Iterable[RunRecord]) -> list[str]:
    """Return what the method is given of a clip, by its card: "audio", "label", ..."""
    card = next((record.method.card for record in records), {})
    return [str(one) for one in card.get("sees", ())]


def how_to_get(one: ShownRow) -> str:
    """Return the command that makes the images of a row."""
    row = one.row
    seed = f" --seed {row.seeds[0]}" if row.seeds else ""
    limit = f" --limit {row.limit}" if row.limit else ""
    settings = "".join(
        f" --set {part.strip()}" for part in row.variant.split(", ") if "=" in part and "sha256" not in part
    )
    return f"bench run --method {row.method}{seed}{limit}{settings}"


def cost(row: Row, records: Sequence[RunRecord]) -> dict[str, float | None]:
    """Return what a row cost, the mean over its runs; None where it was not measured."""

    def over_runs(values: Iterable[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return number(statistics.fmean(known)) if known else None

    return {
        "fit_seconds": number(row.fit.seconds),
        "trainable_parameters": row.fit.parameters,
        "generate_seconds_per_image": over_runs(
            1 / rate if (rate := record.cost.images_per_second) else None for record in records
        ),
        "peak_memory_bytes": over_runs(record.cost.peak_memory_bytes for record in records),
    }


def class_means(records: Sequence[RunRecord], metric: str, labels: Sequence[str]) -> list[float | None] | None:
    """Return the mean of a metric by class over the runs of a row, in the order of `labels`; None where none has it."""
    tables = [record.per_class[metric] for record in records if metric in record.per_class]
    if not tables:
        return None
    found = []
    for label in labels:
        values = [value for table in tables if (value := table.get(label)) is not None]
        found.append(number(statistics.fmean(values)) if values else None)
    return found


def clip_labels(sources: Sources) -> dict[str, str]:
    """Return the label of every clip by its id: those that are here in the suite's order, then others with a score."""
    here = {clip.id: clip.label for clip in sources.clips or ()}
    found: dict[str, str] = {}
    for one in sources.rows:
        for run in one.runs:
            if run.scores and not here.keys() >= {*next(iter(run.scores.values())).ids}:
                import pyarrow.parquet

                table = pyarrow.parquet.read_table(scores_path(run.stored), columns=["clip", "label"])
                ids, labels = (list(map(str, table[name].to_pylist())) for name in ("clip", "label"))
                found |= dict(zip(ids, labels, strict=True))
    return here | {clip: label for clip, label in sorted(found.items()) if clip not in here}


def labels_of(sources: Sources, of_clips: Mapping[str, str]) -> list[str]:
    """Return the classes in order: the suite's where its clips are here, else those of the records."""
    records = [run.stored.record for one in sources.rows for run in one.runs]
    named = [label for record in records for table in record.per_class.values() for label in table]
    return list(dict.fromkeys([*(sources.clips.labels if sources.clips else named), *of_clips.values()]))


def score_table(rows: Sequence[ShownRow], metric: str, clips: Sequence[str]) -> dict[str, list[float | None]]:
    """Return each clip's mean score over the runs of a row, by the row's key; rows without scores are left out."""
    ids = tuple(clips)
    return {
        one.key: [number(value) for value in scores.at(ids).tolist()]
        for one in rows
        if (scores := one.row.scores.get(metric)) is not None
    }


def run_table(rows: Sequence[ShownRow], metric: str, clips: Sequence[str]) -> dict[str, list[float | None]]:
    """Return each clip's score in each single run, by the run's key; runs without scores are left out."""
    ids = tuple(clips)
    return {
        run.key: [number(value) for value in run.scores[metric].at(ids).tolist()]
        for one in rows
        for run in one.runs
        if metric in run.scores
    }


def scores_by_clip(scores: Mapping[str, ClipScores], clips: Sequence[str]) -> list[dict[str, float]]:
    """Return the scores of each clip by metric, without those that it does not have."""
    found: list[dict[str, float]] = [{} for _ in clips]
    for metric, column in scores.items():
        for own, value in zip(found, column.at(tuple(clips)).tolist(), strict=True):
            if (shown := number(value)) is not None:
                own[metric] = shown
    return found


@dataclass(frozen=True, eq=False)
class Side:
    """A row, or a single run of one, that is compared with another."""

    key: str
    row: Callable[[], Row | None]
    """Gives it as a row of the board; None where the board refused the run."""
    of: tuple[object, ...]
    """What its scores are read from: files with size and time."""


def sides(sources: Sources) -> list[tuple[Side, Side]]:
    """Return the pairs that are compared: all of rows, and of runs as far as `MOST_RUN_PAIRS` reaches.

    Runs of one row come first (seed against seed), then those of one seed; the ones that were made here before
    published ones.
    """
    rows = [Side(one.key, partial(_itself, one.row), (one.row.label, *map(_stamp, one.runs))) for one in sources.rows]
    runs = [(one, run) for one in sources.rows for run in one.runs]

    def order(pair: tuple[tuple[ShownRow, ShownRun], tuple[ShownRow, ShownRun]]) -> tuple[bool, bool, bool]:
        (a, first), (b, second) = pair
        here = first.stored.where == "runs" and second.stored.where == "runs"
        return a is not b, not here, first.stored.record.seed != second.stored.record.seed

    alone = {run.key: Side(run.key, cache(partial(_alone, run, sources.board)), _stamp(run)) for _, run in runs}
    chosen = sorted(combinations(runs, 2), key=order)[:MOST_RUN_PAIRS]
    return [*combinations(rows, 2), *((alone[first.key], alone[second.key]) for (_, first), (_, second) in chosen)]


def _itself(row: Row) -> Row:
    return row


def _stamp(run: ShownRun) -> tuple[object, ...]:
    facts = [path.stat() for path in (run.stored.path, scores_path(run.stored)) if path.exists()]
    return run.key, *((one.st_size, one.st_mtime_ns) for one in facts)


def comparisons(board: Board, pairs: Sequence[tuple[Side, Side]]) -> list[dict[str, Any] | None]:
    """Return the comparison of each pair; None where the board refused one of the two."""
    rows = [(a.row(), b.row()) for a, b in pairs]
    found = iter(compare_pairs(board, [(a, b) for a, b in rows if a is not None and b is not None]))
    return [None if a is None or b is None else comparison_facts(next(found)) for a, b in rows]


def _alone(run: ShownRun, board: Board) -> Row | None:
    """The row of a single run; None where the board refused the run."""
    metrics = [column.id for column in board.columns]
    rows = build_board([run.stored], metrics, suite=board.suite, fingerprint=board.fingerprint).rows
    return rows[0] if rows else None


def comparison_facts(found: Comparison) -> dict[str, Any]:
    """Return a comparison as the page shows it, metric by metric, in the words of `bench compare`."""
    sheet = found.sheet()
    return {
        "notes": list(sheet.notes),
        "metrics": [
            {
                "id": one.column.id,
                "better": one.better,
                "difference": number(one.difference),
                "low": number(one.contrast.low) if one.contrast else None,
                "high": number(one.contrast.high) if one.contrast else None,
                "texts": list(texts[1:]),
            }
            for one, texts in zip(found.differences, sheet.rows, strict=True)
        ],
    }
