"""Curves for a paper: a panel a metric, its value under each condition, the 95 % interval as a bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

from benchmark.leaderboard.board import Column
from benchmark.leaderboard.plots import BRACKETS, CHANCE, COMPETES, Kind, axis_label, saved
from benchmark.utils.text import visible

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_ACROSS = 2
_WIDTH, _HEIGHT, _POINT = 1.2, 2.6, 0.22  # inches: around a panel, a panel, a condition


@dataclass(frozen=True)
class Point:
    """A value under one condition."""

    name: str
    """The condition, as the axis names it."""
    series: str
    """Neighbours of one series are joined by a line."""
    value: float | None
    low: float | None
    high: float | None


def draw_curves(panels: Mapping[Column, Sequence[Point]], kind: Kind, title: str) -> bytes:
    """Draw a panel a metric over the same conditions; the first is the one that the others are seen against.

    Args:
        panels: The points of each metric, of the same conditions in each.
        kind: "png" (300 dots an inch), "svg" or "pdf".
        title: What is shown, in one line.

    Returns:
        The file's bytes, the same for the same values and version of matplotlib.
    """
    return saved(lambda: _figure(panels, title), kind)


def _figure(panels: Mapping[Column, Sequence[Point]], title: str) -> Figure:
    from matplotlib.figure import Figure

    most = max(map(len, panels.values()))
    across = min(len(panels), _ACROSS)
    down = -(-len(panels) // across)
    figure = Figure(figsize=((_WIDTH + _POINT * most) * across, _HEIGHT * down + 0.4), layout="constrained")
    figure.suptitle(visible(title), fontsize=8)
    grid = figure.subplots(down, across, squeeze=False)
    for axes, (column, points) in zip(grid.flat, panels.items(), strict=False):
        _panel(axes, column, points)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    return figure


def _panel(axes: Axes, column: Column, points: Sequence[Point]) -> None:
    for place, (one, following) in enumerate(pairwise(points)):
        if one.series == following.series and one.value is not None and following.value is not None:
            axes.plot([place, place + 1], [one.value, following.value], color=COMPETES, linewidth=1)
    for place, point in enumerate(points):
        if point.value is None:
            continue
        if point.low is not None and point.high is not None:
            axes.plot([place, place], [point.low, point.high], color=COMPETES, linewidth=1.6, solid_capstyle="butt")
        axes.plot(
            [place],
            [point.value],
            marker="o" if place else "D",
            markersize=4,
            markerfacecolor=COMPETES if place else "white",
            markeredgecolor=COMPETES,
            linestyle="none",
        )
    if points[0].value is not None:
        axes.axhline(points[0].value, color=BRACKETS, linewidth=0.8, linestyle=(0, (1, 2)), zorder=1)
    if column.chance is not None:
        axes.axhline(column.chance, color=CHANCE, linewidth=1, linestyle=(0, (4, 2)), zorder=1)
        axes.annotate(
            "chance", (1, column.chance), xycoords=("axes fraction", "data"), color=CHANCE, fontsize=7, va="center"
        )
    axes.set_ylabel(axis_label(column))
    axes.set_xticks(range(len(points)), [visible(point.name) for point in points], rotation=60, ha="right")
    axes.set_xlim(-0.6, len(points) - 0.4)
    axes.grid(axis="y", color="#E4E4E4", linewidth=0.6)
    axes.set_axisbelow(True)
