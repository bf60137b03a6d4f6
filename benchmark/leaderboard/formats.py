"""The leaderboard as Markdown, CSV, LaTeX, HTML, JSON or a terminal's table."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from benchmark.leaderboard import tables as sheets
from benchmark.leaderboard.board import Board
from benchmark.leaderboard.tables import Sheet
from benchmark.utils.files import canonical_json
from benchmark.utils.text import csv_cell, json_text

if TYPE_CHECKING:
    from rich.console import RenderableType


def to_markdown(board: Board) -> str:
    """A GitHub table with aligned pipes, then the notes as a list."""
    if board.empty:
        notes = sheets.markdown_notes(board.notes)
        return f"{board.empty}\n" + (f"\n{notes}" if notes else "")
    return sheets.markdown(board.sheet(), titled=board.layout.caption is not None)


def to_csv(board: Board) -> str:
    """Raw numbers, one row a line; empty where there is no number. Renamed rows have a column `name`."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    renamed = any(row.name is not None for row in board.rows)
    head = [
        "rank",
        "method",
        *(["name"] if renamed else []),
        "settings",
        "suite",
        "suite_version",
        "fingerprint",
        "where",
        "seeds",
        "limit",
    ]
    head += ["status", "unranked", "clips", "fit_steps", "fit_seconds", "trainable_parameters"]
    head += ["rank_low", "rank_high", "probability_best"]
    parts = ("", "_low", "_high", "_std", "_n", "_p_best")
    writer.writerow([*head, *(column.id + part for column in board.columns for part in parts)])
    for row, standing in zip(board.rows, board.standings, strict=True):
        seeds = " ".join(map(str, row.seeds))
        line: list[Any] = [
            row.rank,
            row.method,
            *([row.shown_name] if renamed else []),
            canonical_json(dict(row.settings)),
            board.suite,
            board.version,
            board.fingerprint,
            row.where,
            seeds,
            row.limit,
            row.status,
            row.unranked,
            row.clips,
            row.fit.steps,
            row.fit.seconds,
            row.fit.parameters,
            *((standing.low, standing.high, standing.best) if standing else (None,) * 3),
        ]
        for column in board.columns:
            cell = row.cells[column.id]
            line += [cell.value, cell.low, cell.high, cell.std, cell.n, cell.p_best]
        writer.writerow(map(csv_cell, line))
    return out.getvalue()


def to_latex(board: Board) -> str:
    """A `table` float for the booktabs package; the notes stand below it in small type."""
    if board.empty:
        return f"% {board.empty}\n"
    return sheets.latex(board.sheet(title=f"Suite {board.title}."))


def to_html(board: Board, beside: Sequence[Sheet] = ()) -> str:
    """One self-contained page (no network): sortable columns, intervals drawn, light and dark; other tables below."""
    return sheets.page("board.html", board=board, scales=_scales(board), sheets=beside)


def _scales(board: Board) -> dict[str, Callable[[float], float]]:
    """By metric: the function that places a value between 0 and 100 within its column."""
    scales: dict[str, Callable[[float], float]] = {}
    for column in board.columns:
        cells = [row.cells[column.id] for row in board.rows]
        points = [v for cell in cells for v in (cell.value, cell.low, cell.high) if v is not None]
        points += [] if column.chance is None else [column.chance]
        if column.unit in ("%", "percent"):
            points += [0.0, 100.0]
        low, high = min(points, default=0.0), max(points, default=1.0)
        width = (high - low) or 1.0
        scales[column.id] = partial(_place, low, width)
    return scales


def _place(low: float, width: float, value: float) -> float:
    return 100 * (value - low) / width


def to_json(board: Board) -> str:
    """A list of objects, one a row; `method` is a string and `metrics` an object by metric id."""
    return json_text(board.to_dicts())


def to_rich(board: Board, width: int | None = None) -> RenderableType:
    """The board for a terminal of `width` columns (default: the one it runs in)."""
    from rich.console import Group
    from rich.text import Text

    if board.empty:
        return Group(Text(board.empty), *(Text(note, style="dim") for note in board.notes))
    return sheets.rich_table(board.sheet(), width)


RENDERERS: dict[str, Callable[[Board], str]] = {
    "md": to_markdown,
    "csv": to_csv,
    "latex": to_latex,
    "html": to_html,
    "json": to_json,
}
