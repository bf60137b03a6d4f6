"""Answers as a figure: a panel a question, a line for each that is asked, the 95 % interval as a bar."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from benchmark.leaderboard.plots import CHANCE, COMPETES, Kind, saved
from benchmark.utils.text import visible

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_PANEL, _NAME, _LINE, _AROUND = 2.0, 0.065, 0.18, 0.62  # inches: a panel's width, a letter, a line, what is around
_ACROSS = 4


@dataclass(frozen=True)
class Dot:
    """One answer."""

    name: str
    """Of whom; lines of equal names stand at equal height in all panels."""
    value: float | None
    low: float | None = None
    high: float | None = None


def draw_dots(panels: Mapping[str, Sequence[Dot]], kind: Kind, line: float | None = None) -> bytes:
    """Draw the answers.

    Args:
        panels: The answers by the title of their panel.
        kind: "png" (300 dots an inch), "svg" or "pdf".
        line: Value at which each panel has a dashed line.

    Returns:
        The file's bytes, the same for the same answers and version of matplotlib.
    """
    return saved(lambda: _figure(panels, line), kind)


def _figure(panels: Mapping[str, Sequence[Dot]], line: float | None) -> Figure:
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(dot.name for dots in panels.values() for dot in dots))[::-1]
    across = min(len(panels), _ACROSS)
    down = -(-len(panels) // across)
    left, panel = 0.2 + _NAME * max(map(len, names)), _AROUND + _LINE * len(names)
    width, height = left + _PANEL * across, panel * down + 0.1
    figure = Figure(figsize=(width, height))
    grid = figure.subplots(down, across, sharey=True, squeeze=False)
    figure.subplots_adjust(
        left=left / width,
        right=1 - 0.15 / width,
        bottom=0.35 / height,
        top=1 - 0.27 / height,
        wspace=0.12,
        hspace=_AROUND / (panel - _AROUND),
    )
    for axes, (title, dots) in zip(grid.flat, panels.items(), strict=False):
        for dot in dots:
            if dot.value is None:
                continue
            place = names.index(dot.name)
            if dot.low is not None and dot.high is not None:
                axes.plot([dot.low, dot.high], [place, place], color=COMPETES, linewidth=1.6, solid_capstyle="butt")
            axes.plot([dot.value], [place], marker="o", markersize=4, color=COMPETES, linestyle="none")
        if line is not None:
            axes.axvline(line, color=CHANCE, linewidth=1, linestyle=(0, (4, 2)), zorder=0)
        axes.set_title(visible(title), fontsize=8)
        axes.grid(axis="x", color="#E4E4E4", linewidth=0.6)
        axes.set_axisbelow(True)
        axes.tick_params(axis="y", length=0)
        axes.locator_params(axis="x", nbins=5)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_yticks(range(len(names)), [visible(name) for name in names])
    grid[0, 0].set_ylim(-0.6, len(names) - 0.4)
    return figure
