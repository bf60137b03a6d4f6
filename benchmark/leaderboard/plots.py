"""A board as a figure for a paper: a panel a metric, a line a method, the 95 % interval as a bar."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

from benchmark.leaderboard.board import Board, Column, Row
from benchmark.utils.errors import UserError
from benchmark.utils.text import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Kind = Literal["png", "svg", "pdf"]

# Of Okabe and Ito's palette, told apart by everyone; the shape of the mark says the same without any colour.
COMPETES, BRACKETS, CHANCE = "#0072B2", "#7A7A7A", "#D55E00"
_UNITS = {"%": "%", "points": "points, 1 to 5"}
_WORDS = {"up": "higher is better →", "down": "← lower is better", None: ""}
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",  # ships with matplotlib, so every machine draws the same
    "font.size": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "axes.linewidth": 0.6,
    "text.parse_math": False,  # a method may be called $x$
    "svg.fonttype": "none",  # text stays text, which a person can search and edit
    "svg.hashsalt": "bench",
    "pdf.fonttype": 42,
}
_PANEL, _NAME, _LINE, _AROUND = 2.1, 0.065, 0.2, 0.95  # inches: a panel's width, a letter, a row, what is around
_ACROSS = 3  # panels side by side: what a page holds at this size of type


def draw(board: Board, kind: Kind) -> bytes:
    """Draw the columns of a board that have values, a panel each, over its rows from the best to the last.

    Rows that compete are filled dots, those that bracket them (told the answer, or given the wrong sound) and those
    without a rank are hollow diamonds. A value without an interval is a mark without a bar.

    Args:
        board: At least one of its columns has a value.
        kind: "png" (300 dots an inch), "svg" or "pdf".

    Returns:
        The file's bytes, the same for the same board and version of matplotlib.
    """
    return saved(lambda: _figure(board), kind)


def kind_of(path: Path, option: str) -> Kind:
    """Return the kind of figure that a file's name asks for.

    Args:
        path: The file.
        option: Option that named it.

    Raises:
        UserError: The name has another ending.
    """
    kinds: dict[str, Kind] = {f".{kind}": kind for kind in get_args(Kind)}
    kind = kinds.get(path.suffix.lower())
    if kind is None:
        raise UserError(f"{path}: a figure is a .png, .svg or .pdf file: give {option} one of these endings")
    return kind


def saved(figure: Callable[[], Figure], kind: Kind) -> bytes:
    """Return the bytes of the figure that `figure` makes, in the style of all figures; the same for the same one."""
    import matplotlib

    metadata: dict[Kind, dict[str, Any]] = {
        "png": {"Software": None},
        "svg": {"Date": None, "Creator": None},
        "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    }
    out = io.BytesIO()
    with matplotlib.rc_context(dict[Any, Any](matplotlib.rcParamsDefault) | _STYLE):
        figure().savefig(out, format=kind, dpi=300, metadata=metadata[kind])
    return out.getvalue()


def _figure(board: Board) -> Figure:
    from matplotlib.figure import Figure

    rows, columns = list(reversed(board.rows)), board.filled
    names = [visible(row.label) for row in rows]
    left = 0.2 + _NAME * max(map(len, names))
    across = min(len(columns), _ACROSS)
    down = -(-len(columns) // across)
    legend = ["Bars: 95 % interval over clips."] if any(_interval(row, c) for row in rows for c in columns) else []
    if not all(map(_ranked, rows)):
        legend.append("Hollow: not ranked (anchors, attacks, unfinished runs).")
    panel, foot = _AROUND + _LINE * len(rows), 0.08 + 0.13 * len(legend)
    width, height = left + _PANEL * across, panel * down + foot
    figure = Figure(figsize=(width, height))
    panels = figure.subplots(down, across, sharey=True, squeeze=False)
    figure.subplots_adjust(
        left=left / width,
        right=1 - 0.12 / width,
        bottom=(foot + 0.55) / height,
        top=1 - 0.25 / height,
        wspace=0.12,
        hspace=0.85 / (panel - 0.85),
    )
    for axes, column in zip(panels.flat, columns, strict=False):
        _panel(axes, column, rows)
    for axes in panels.flat[len(columns) :]:
        axes.set_visible(False)
    for axes in panels[:, 0]:
        axes.set_yticks(range(len(rows)), names)
    panels[0, 0].set_ylim(-0.6, len(rows) - 0.4)
    figure.text(0.08 / width, 0.06 / height, "\n".join(legend), fontsize=6.5, color="#555555")
    return figure


def _ranked(row: Row) -> bool:
    return row.competes and not row.unranked


def _interval(row: Row, column: Column) -> tuple[float, float] | None:
    cell = row.cells[column.id]
    return None if cell.value is None or cell.low is None or cell.high is None else (cell.low, cell.high)


def _panel(axes: Axes, column: Column, rows: Sequence[Row]) -> None:
    for place, row in enumerate(rows):
        cell = row.cells[column.id]
        if cell.value is None:
            continue
        ranked = _ranked(row)
        colour = COMPETES if ranked else BRACKETS
        if interval := _interval(row, column):
            axes.plot(interval, [place, place], color=colour, linewidth=1.6, solid_capstyle="butt")
        axes.plot(
            [cell.value],
            [place],
            marker="o" if ranked else "D",
            markersize=4.5 if ranked else 4,
            markerfacecolor=colour if ranked else "white",
            markeredgecolor=colour,
            linestyle="none",
        )
    if column.chance is not None:
        axes.axvline(column.chance, color=CHANCE, linewidth=1, linestyle=(0, (4, 2)), zorder=0)
        axes.annotate(
            "chance", (column.chance, 1), xycoords=("data", "axes fraction"), xytext=(2, 1), textcoords="offset points",
            color=CHANCE, fontsize=7, ha=_side(axes, column.chance), va="bottom",
        )  # fmt: skip
    axes.set_xlabel(axis_label(column))
    axes.grid(axis="x", color="#E4E4E4", linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(axis="y", length=0)
    axes.locator_params(axis="x", nbins=5)


def axis_label(column: Column) -> str:
    """Return what stands at the axis of a metric: its title, its unit, and which way is better."""
    unit = _UNITS.get(column.unit or "")
    title = visible(column.title) + (f" ({unit})" if unit else "")
    return f"{title}\n{_WORDS[column.direction]}".rstrip()


def _side(axes: Axes, value: float) -> Literal["left", "right"]:
    """Where a text at `value` stays within the panel."""
    low, high = axes.get_xlim()
    return "right" if math.isfinite(high - low) and value > low + 0.7 * (high - low) else "left"
