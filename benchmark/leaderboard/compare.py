"""Two rows of a board: for every metric the difference, its interval, and whether it is more than chance."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.leaderboard import tables
from benchmark.leaderboard.board import Board, Column, Row
from benchmark.leaderboard.selection import rows_called
from benchmark.leaderboard.significance import LEVEL, Contrast, compare_all
from benchmark.leaderboard.tables import DASH, Sheet
from benchmark.utils.errors import UserError
from benchmark.utils.text import csv_cell, json_text

_HOW = {
    "clips": "paired permutation test over {n} clips",
    "seeds and clips": "Welch's t test over seeds and clips",
    "unpaired": "permutation test over {n} clips a side",
    "seeds": "Welch's t test over seeds",
    "intervals": "95 % intervals compared",
}


@dataclass(frozen=True)
class Difference:
    """One metric of two rows."""

    column: Column
    """The metric."""
    a: float | None
    """Value of the first row; None where it has none."""
    b: float | None
    """Value of the second row."""
    contrast: Contrast | None
    """The difference a - b with its interval and p value; None where nothing tells it from chance."""
    adjusted: float | None
    """The p value adjusted after Holm for the number of metrics that are compared; None where there is none."""

    @property
    def difference(self) -> float | None:
        """The difference a - b of the values, in the metric's unit."""
        return None if self.a is None or self.b is None else self.a - self.b

    @property
    def significant(self) -> bool:
        """Whether chance is ruled out, two-sided, at 5 % after adjustment."""
        if self.contrast is None:
            return False
        return self.contrast.significant if self.adjusted is None else self.adjusted <= LEVEL

    @property
    def better(self) -> str:
        """Which row is better: "a", "b", or nothing where the difference may be chance, or the metric only warns."""
        if not self.significant or self.difference is None or self.column.warns:
            return ""
        return "a" if (self.difference > 0) == (self.column.direction == "up") else "b"


@dataclass(frozen=True)
class Comparison:
    """Two rows of a board, metric by metric."""

    board: Board
    a: Row
    b: Row
    differences: tuple[Difference, ...]

    def sheet(self) -> Sheet:
        """Return the comparison as a table of texts."""
        lines = []
        for one in self.differences:
            show = one.column.show
            contrast = one.contrast
            interval = (
                f"[{show(contrast.low)}, {show(contrast.high)}]"
                if contrast and contrast.low is not None and contrast.high is not None
                else ""
            )
            p_value = DASH if one.adjusted is None else f"{one.adjusted:.4f}"
            better = {"a": self.a.label, "b": self.b.label, "": DASH}[one.better]
            how = _HOW[contrast.way].format(n=contrast.n) if contrast else "nothing to test with"
            values = [show(one.a), show(one.b), f"{show(one.difference)} {interval}".rstrip(), p_value, better, how]
            lines.append((one.column.header, *values))
        return Sheet(
            title=f"{self.a.label} against {self.b.label} on {self.board.title}",
            header=("Metric", self.a.label, self.b.label, "Difference", "p", "Better", "How"),
            rows=tuple(lines),
            left=frozenset({0, 5, 6}),
            bold=frozenset(
                (place, 1 if one.better == "a" else 2) for place, one in enumerate(self.differences) if one.better
            ),
            notes=(
                f"Difference is {self.a.label} minus {self.b.label}, with its 95 % interval.",
                "p is two-sided, adjusted after Holm for the number of metrics in this table; bold where it is at most "
                "5 %.",
            ),
            name=f"{self.a.method}-{self.b.method}",
        )

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return plain values, one object a metric."""
        return [
            {
                "metric": one.column.id,
                "unit": one.column.unit,
                "direction": one.column.direction,
                "a": one.a,
                "b": one.b,
                "difference": one.difference,
                "low": one.contrast.low if one.contrast else None,
                "high": one.contrast.high if one.contrast else None,
                "p": one.contrast.p_value if one.contrast else None,
                "p_adjusted": one.adjusted,
                "n": one.contrast.n if one.contrast else None,
                "way": one.contrast.way if one.contrast else None,
                "better": {"a": self.a.label, "b": self.b.label, "": None}[one.better],
            }
            for one in self.differences
        ]


def compare_rows(board: Board, a: Row, b: Row) -> Comparison:
    """Compare two rows of a board in all of its columns in which both have a value."""
    return compare_pairs(board, [(a, b)])[0]


def compare_pairs(board: Board, pairs: Sequence[tuple[Row, Row]]) -> list[Comparison]:
    """`compare_rows` of each pair; many at once take little longer than one."""
    from metrics.statistics import holm

    asked = []
    for place, (a, b) in enumerate(pairs):
        for column in board.columns:
            ours, theirs = a.sample(column.id), b.sample(column.id)
            if ours is not None and theirs is not None:
                asked.append((place, column, (ours, theirs)))
    contrasts = compare_all([samples for _, _, samples in asked])
    found: list[list[tuple[Column, Contrast | None]]] = [[] for _ in pairs]
    for (place, column, _), contrast in zip(asked, contrasts, strict=True):
        found[place].append((column, contrast))
    comparisons = []
    for (a, b), own in zip(pairs, found, strict=True):
        tested = [contrast.p_value for _, contrast in own if contrast and contrast.p_value is not None]
        adjusted = iter(holm(tested))
        differences = tuple(
            Difference(
                column,
                a.cells[column.id].value,
                b.cells[column.id].value,
                contrast,
                float(next(adjusted)) if contrast and contrast.p_value is not None else None,
            )
            for column, contrast in own
        )
        comparisons.append(Comparison(board, a, b, differences))
    return comparisons


def row_called(rows: Sequence[Row], name: str) -> Row:
    """Return the row with a label, or the only row of a method.

    Raises:
        UserError: There is none (the message has the nearest names), or the method has several rows.
    """
    found = rows_called(rows, name)
    if len(found) > 1:
        raise UserError(f"{name!r} has several rows: give one of {', '.join(repr(row.label) for row in found)}")
    return found[0]


def _csv(found: Comparison) -> str:
    rows = found.to_dicts()
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]) if rows else ["metric"], lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: csv_cell(value) for key, value in row.items()} for row in rows)
    return text.getvalue()


RENDERERS: dict[str, Callable[[Comparison], str]] = {
    "md": lambda found: tables.markdown(found.sheet()),
    "csv": _csv,
    "latex": lambda found: tables.latex(found.sheet()),
    "html": lambda found: tables.html_table(found.sheet()) + "\n",
    "json": lambda found: json_text(found.to_dicts()),
}
"""Format -> text of a comparison."""
