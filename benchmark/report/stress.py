"""Stress curves: each method under the variations of the test clips that there are records of."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

from benchmark.leaderboard.build import build_board
from benchmark.report.data import cell_facts
from benchmark.report.varied import variation_of
from benchmark.runs.variations import KINDS, Variation
from benchmark.utils.files import canonical_json

if TYPE_CHECKING:
    from benchmark.leaderboard.board import Board, Row
    from benchmark.records.store import StoredRecord
    from benchmark.report.sources import Sources

AS_IT_IS: dict[str, Any] = {
    "name": "as it is",
    "kind": "",
    "value": None,
    "about": "the clips as they are",
    "curve": False,
}
"""The condition that the others are seen against."""


def stress(sources: Sources) -> dict[str, Any] | None:
    """Return the metrics of each method under each condition; None where no method has a record of a variation.

    Returns:
        `conditions`: the unchanged clips, then the variations; those of one kind that have values follow each other
        from mild to hard, and `curve` says that they make a line. `rows`: by method, settings and limit, `cells` by
        metric, one a condition, None where there is no record. A cell is the mean over `seeds`, whose numbers stand
        beside, one list a condition.
    """
    boards = _boards(sources)
    if not boards:
        return None
    names = {_key(one.row): one.key for one in sources.rows}
    found: dict[str, dict[str, tuple[Row, Board]]] = defaultdict(dict)
    for variation, board in boards.items():
        for row in board.rows:
            if row.status == "complete":
                found[_key(row)][variation.name] = row, board
    plain = {_key(one.row): one.row for one in sources.rows if one.row.status == "complete"}
    for key, under in found.items():
        if key in plain:
            under[AS_IT_IS["name"]] = plain[key], sources.board
    conditions = [AS_IT_IS, *map(_facts, boards)]
    order = [key for key in (*plain, *found) if key in found]
    return {
        "conditions": conditions,
        "rows": [_row(found[key], names.get(key), conditions, sources) for key in dict.fromkeys(order)],
    }


def _boards(sources: Sources) -> dict[Variation, Board]:
    """The board of each variation, as far as it changes nothing of the report's protocol but the test clips' sounds."""
    if sources.protocol is None:
        return {}
    records: dict[Variation, list[StoredRecord]] = defaultdict(list)
    for stored in sources.varied:
        variation = variation_of(stored, sources.board.suite)
        if variation is None or variation.other_clips:
            continue
        suite = variation.of(sources.protocol)
        if stored.record.suite.fingerprint == suite.fingerprint():
            records[variation].append(stored)
    metrics = [column.id for column in sources.board.filled]
    kinds = list(KINDS)
    return {
        one: build_board(records[one], metrics, suite=records[one][0].record.suite.name)
        for one in sorted(records, key=lambda one: (_is_curve(one) < 1, kinds.index(one.kind), -(one.value or 0.0)))
    }


def _is_curve(variation: Variation) -> bool:
    """Whether its value is a dose, and not the name of something, as a seed is."""
    return variation.value is not None and not KINDS[variation.kind].whole


def _facts(variation: Variation) -> dict[str, Any]:
    about, curve = variation.about, _is_curve(variation)
    return {"name": variation.name, "kind": variation.kind, "value": variation.value, "about": about, "curve": curve}


def _key(row: Row) -> str:
    return canonical_json([row.method, dict(row.settings), row.limit, row.source])


def _row(
    under: dict[str, tuple[Row, Board]], page: str | None, conditions: list[dict[str, Any]], sources: Sources
) -> dict[str, Any]:
    cells: dict[str, list[Any]] = {}
    for column in sources.board.filled:
        own = []
        for condition in conditions:
            row, board = under.get(condition["name"], (None, None))
            same = board is not None and any(
                (one.id, one.version, one.unit) == (column.id, column.version, column.unit) for one in board.columns
            )
            own.append(cell_facts(row, column) if row is not None and same else None)
        if any(cell is not None and cell["value"] is not None for cell in own):
            cells[column.id] = own
    row, _ = under.get(AS_IT_IS["name"]) or next(iter(under.values()))
    return {
        "page": page,
        "label": row.label,
        "cells": cells,
        "seeds": [list(under[one["name"]][0].seeds) if one["name"] in under else [] for one in conditions],
    }
