"""Heard share on the board: how far each row is from the class name (0) to all that words can say (100)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from benchmark.leaderboard.board import Cell, Column
from benchmark.leaderboard.clip_scores import side_by_side
from benchmark.utils.files import canonical_json
from metrics.definitions import get
from metrics.heard import HeardShare, heard_share

if TYPE_CHECKING:
    from benchmark.leaderboard.board import Board, Row
    from benchmark.leaderboard.clip_scores import ClipScores

LABEL, WORDS = "sd-text", "ceiling-words"
"""The methods whose rows are the ends of the scale."""

COLUMNS: Mapping[str, str] = {"heard.ais": "ais.winrate.sameclass", "heard.iis": "iis.winrate.sameclass"}
"""The metric that each column is the share of: within a class the class name says nothing."""

_HOW = {LABEL: f"bench run --method {LABEL}", WORDS: "python -m benchmark.studies.ceilings --kind words"}


def missing(rows: Sequence[Row]) -> str | None:
    """Return which end of the scale no row is of, and the command that makes it; None where both are there."""
    absent = (name for name in (LABEL, WORDS) if not any(row.method == name for row in rows))
    return next((f"there is no record of {name}: `{_HOW[name]}` makes it" for name in absent), None)


def share_of(row: Row, rows: Sequence[Row], metric: str) -> HeardShare | str:
    """Return the share of a row by a metric, with the ends among `rows` that have its clips; or why it has none."""
    ends = [_end(name, row.limit, rows, metric) for name in (LABEL, WORDS)]
    own = row.scores.get(metric)
    if own is None or None in ends:
        absent = row.label if own is None else (LABEL, WORDS)[ends.index(None)]
        clips = "all clips" if row.limit is None else f"{row.limit} clips"
        return f"{absent} on {clips} has no score a clip of {metric}"
    sign = 1.0 if get(metric).direction == "up" else -1.0
    scores, label, words = sign * side_by_side([own, *(end for end in ends if end is not None)]).T
    try:
        return heard_share(scores, label, words)
    except ValueError as error:
        return str(error)


def with_shares(board: Board, whole: Board, columns: Sequence[str]) -> Board:
    """Return a board with columns of heard shares after its metrics; they neither rank nor have a best row.

    Args:
        board: What is shown.
        whole: The board of all records, with the metrics in `COLUMNS`; the ends need not be among the rows shown.
        columns: Some of `COLUMNS`.
    """
    if not columns:
        return board
    known = {_key(row): row for row in whole.rows}
    absent = missing(whole.rows)
    shares = {name: [_cell(known[_key(row)], whole.rows, name, absent) for row in board.rows] for name in columns}
    rows = [
        replace(row, cells={**row.cells, **{name: cells[place] for name, cells in shares.items()}})
        for place, row in enumerate(board.rows)
    ]
    legend = []
    for name, cells in shares.items():
        reasons: dict[str, list[str]] = {}
        for row, cell in zip(board.rows, cells, strict=True):
            if cell.reason:
                reasons.setdefault(cell.reason, []).append(row.label)
        if absent and rows:
            legend.append(f"No column {name}: {absent}.")
            continue
        legend += [f"No {name} for {', '.join(labels)}: {reason}." for reason, labels in reasons.items()]
        if len(reasons) < len(rows):
            legend.append(
                f"{name} is the share of what words add to the class name in {COLUMNS[name]}, in percent: {LABEL} has "
                f"0, {WORDS} 100."
            )
    added = tuple(Column(name, name, direction="up", unit="%") for name in columns)
    return replace(board, columns=board.columns + added, rows=tuple(rows), legend=board.legend + tuple(legend))


def _key(row: Row) -> tuple[Any, ...]:
    return row.method, canonical_json(dict(row.settings)), row.source, row.limit, row.status, row.seeds


def _cell(row: Row, rows: Sequence[Row], column: str, absent: str | None) -> Cell:
    share = absent or share_of(row, rows, COLUMNS[column])
    if isinstance(share, str):
        return Cell(None, share)
    if row.method in (LABEL, WORDS):  # an end of the scale lies where it does by definition
        return Cell(share.value, n=share.n)
    return Cell(share.value, low=share.low, high=share.high, n=share.n)


def _end(method: str, limit: int | None, rows: Sequence[Row], metric: str) -> ClipScores | None:
    """The scores of the row of a method with a limit that has most seeds."""
    found = [row for row in rows if row.method == method and row.limit == limit and metric in row.scores]
    return max(found, key=lambda row: len(row.seeds)).scores[metric] if found else None
