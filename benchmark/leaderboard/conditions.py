"""One method under several conditions: values, and by how much each differs from the first on the same clips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from benchmark.leaderboard.board import Cell, Column
from benchmark.leaderboard.build import build_board
from benchmark.leaderboard.curves import Point
from benchmark.leaderboard.significance import LEVEL, Contrast, compare_all
from benchmark.leaderboard.tables import DASH, Sheet
from metrics.statistics import holm

if TYPE_CHECKING:
    from benchmark.leaderboard.board import Row
    from benchmark.records.store import StoredRecord

DIFFERS = "*"


@dataclass(frozen=True, eq=False)
class Condition:
    """One condition and the run under it."""

    name: str
    """What tells it from the others."""
    series: str
    """Conditions of one kind, whose values a figure joins."""
    stored: StoredRecord | None
    """The record, with the clips' scores beside it; None where the run failed."""


@dataclass(frozen=True)
class Effect:
    """One metric under one condition."""

    cell: Cell
    contrast: Contrast | None
    """This condition minus the first, over the clips that both score; None for the first, and without any scores."""
    adjusted: float | None
    """The p value of it, adjusted after Holm for all that is compared; None where intervals are compared."""

    @property
    def differs(self) -> bool:
        """Whether it is more than chance, two-sided at 5 %."""
        if self.contrast is None:
            return False
        return self.contrast.significant if self.adjusted is None else self.adjusted <= LEVEL


@dataclass(frozen=True, eq=False)
class Conditions:
    """A table of one method: a row a condition, the first of which the others are compared with."""

    title: str
    columns: tuple[Column, ...]
    """The metrics that have a value under some condition."""
    rows: tuple[tuple[Condition, Mapping[str, Effect]], ...]
    """Each condition with its effects by metric; none for a run that failed."""

    def sheet(self) -> Sheet:
        """Return the table as texts."""
        lines = []
        for condition, effects in self.rows:
            cells = [self._shown(effects[column.id], column) if effects else DASH for column in self.columns]
            lines.append((condition.name, *cells))
        if any(column.chance is not None for column in self.columns):
            lines.append(("chance", *("" if one.chance is None else one.show(one.chance) for one in self.columns)))
        rules = {len(self.rows)} if len(lines) > len(self.rows) else set()
        first = self.rows[0][0].name
        return Sheet(
            title=self.title,
            header=("Heard", *(column.header for column in self.columns)),
            rows=tuple(lines),
            dim=frozenset(rules),
            rules=frozenset(rules),
            notes=(
                "[low, high] is the 95 % interval over clips.",
                f"{DIFFERS} differs from {first!r}, two-sided 5 %, adjusted after Holm for the whole table.",
            ),
            name="conditions",
        )

    def _shown(self, effect: Effect, column: Column) -> str:
        cell = effect.cell
        if cell.value is None:
            return DASH
        interval = (
            "" if cell.low is None or cell.high is None else f" [{column.show(cell.low)}, {column.show(cell.high)}]"
        )
        return f"{column.show(cell.value)}{DIFFERS if effect.differs else ''}{interval}"

    def panels(self) -> dict[Column, list[Point]]:
        """Return the values as `benchmark.leaderboard.curves.draw_curves` takes them."""
        return {
            column: [
                Point(one.name, one.series, cell.value, cell.low, cell.high)
                for one, effects in self.rows
                for cell in [effects[column.id].cell if effects else Cell(None)]
            ]
            for column in self.columns
        }

    def to_dicts(self) -> list[dict[str, dict[str, Any]]]:
        """Return plain values, one object a condition, by metric; empty for a run that failed."""
        return [{metric: _plain(effect) for metric, effect in effects.items()} for _, effects in self.rows]


def _plain(effect: Effect) -> dict[str, Any]:
    cell, contrast = effect.cell, effect.contrast
    return {
        "value": cell.value,
        "low": cell.low,
        "high": cell.high,
        "n": cell.n,
        "reason": cell.reason,
        "change": contrast.difference if contrast else None,
        "change_low": contrast.low if contrast else None,
        "change_high": contrast.high if contrast else None,
        "p": contrast.p_value if contrast else None,
        "p_adjusted": effect.adjusted,
        "differs": effect.differs,
    }


def compare_conditions(conditions: Sequence[Condition], metrics: Sequence[str], title: str) -> Conditions:
    """Return the table of a method under several conditions.

    Args:
        conditions: The first one has a record.
        metrics: Ids of the columns.
        title: What is shown, in one line.
    """
    rows: list[Row | None] = []
    columns: dict[str, Column] = {}
    for condition in conditions:
        if condition.stored is None:
            rows.append(None)
            continue
        suite = condition.stored.record.suite
        board = build_board([condition.stored], metrics, suite=suite.name, fingerprint=suite.fingerprint)
        rows.append(board.rows[0])
        columns |= {column.id: column for column in board.filled if column.id not in columns}
    places, pairs = [], []
    for number, row in enumerate(rows[1:], start=1):
        for metric in columns:
            ours = None if row is None else row.sample(metric)
            theirs = None if rows[0] is None else rows[0].sample(metric)
            if ours is not None and theirs is not None:
                places.append((number, metric))
                pairs.append((ours, theirs))
    contrasts = dict(zip(places, compare_all(pairs), strict=True))
    tested = [place for place, one in contrasts.items() if one is not None and one.p_value is not None]
    p_values = [one.p_value for place in tested if (one := contrasts[place]) and one.p_value is not None]
    adjusted = dict(zip(tested, map(float, holm(p_values)), strict=True))
    effects = [
        {
            metric: Effect(row.cells[metric], contrasts.get((number, metric)), adjusted.get((number, metric)))
            for metric in columns
        }
        if row is not None
        else {}
        for number, row in enumerate(rows)
    ]
    ordered = tuple(columns[metric] for metric in metrics if metric in columns)
    return Conditions(title, ordered, tuple(zip(conditions, effects, strict=True)))
