"""The leaderboard as data: columns, cells, rows."""

from __future__ import annotations

import html
import re
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from benchmark.leaderboard.clip_scores import ClipScores
from benchmark.leaderboard.significance import Judgement, Sample
from benchmark.leaderboard.standing import Standing, standings
from benchmark.leaderboard.tables import DASH, Sheet, html_table
from benchmark.records.record import Cost
from benchmark.utils.text import visible
from metrics import definitions

if TYPE_CHECKING:
    from pandas import DataFrame  # type: ignore[import-untyped, unused-ignore]  # no stubs


TIED = "†"
ARROWS = {"up": "↑", "down": "↓", None: ""}
Direction = Literal["up", "down"]
DIGITS = {"%": 1, "score": 2, "points": 2, "ratio": 2, "distance": 2, "z": 2, "cosine": 3, "images": 2}
"""Digits after the point by unit: a column's do not depend on the values that happen to stand in it."""
EXTRAS = ("rank", "ranks", "best", "fit", "seeds", "clips", "where")
"""The columns of a board that are no metrics, as a layout names them."""
USUAL = frozenset(EXTRAS) - {"ranks", "best"}
"""Those of them that stand in a table unless others are asked for."""


@dataclass(frozen=True)
class Column:
    """One metric of the board; direction, unit and version are None while no record has the metric."""

    id: str
    title: str
    direction: Direction | None = None
    unit: str | None = None
    version: int | None = None
    chance: float | None = None

    @property
    def digits(self) -> int:
        """Digits after the point, which the unit decides."""
        return DIGITS.get(self.unit or "", 3)

    @property
    def header(self) -> str:
        """The heading, with an arrow that says which way is better."""
        return f"{self.title} {ARROWS[self.direction]}".rstrip()

    @property
    def warns(self) -> bool:
        """Whether low values only warn, so that no row is the best, and of two none the better."""
        try:
            return definitions.get(self.id).warns
        except ValueError:
            return False

    def show(self, value: float | None) -> str:
        """Return a value with the column's digits; a dash for none."""
        return DASH if value is None else f"{value:.{self.digits}f}"


@dataclass(frozen=True)
class Layout:
    """What of a board stands in a table that people read.

    `extras` are those of `EXTRAS` that are shown beside the metrics; `intervals` and `deviations` say whether
    `[low, high]` and `± std` stand behind a value. `caption` takes the place of the title, `label` is LaTeX's.
    """

    extras: frozenset[str] = USUAL
    intervals: bool = True
    deviations: bool = True
    caption: str | None = None
    label: str | None = None


@dataclass(frozen=True)
class Cell:
    """One metric of one row: the mean over seeds, or the reason why there is none.

    `std` is the sample standard deviation over two or more seeds; `low` and `high` are the 95 % interval over clips:
    of each clip's mean over seeds, or the mean of the runs' intervals (which is never too narrow) where there are no
    scores per clip. `n` and `failed` are those of one run (the fewest and the most, if runs differ).
    `against_best` says whether the cell differs from the best of the column.
    """

    value: float | None
    reason: str | None = None
    low: float | None = None
    high: float | None = None
    std: float | None = None
    n: int = 0
    failed: int = 0
    by_seed: Mapping[str, float | None] = field(default_factory=dict)
    best: bool = False
    against_best: Judgement | None = None

    @property
    def p_best(self) -> float | None:
        """P value of the difference from the best of the column."""
        return self.against_best.p_value if self.against_best else None

    @property
    def tied(self) -> bool:
        """Whether that difference is not significant."""
        return self.against_best is not None and not self.against_best.significant

    @property
    def mark(self) -> str:
        """A dagger where the difference from the best is not significant."""
        return TIED if self.tied else ""

    def spread(self, column: Column, layout: Layout = Layout()) -> str:
        """Return `± std` over seeds and `[low, high]` over clips, each where it is known and shown."""
        parts = [f"± {column.show(self.std)}"] if self.std is not None and layout.deviations else []
        if self.low is not None and self.high is not None and layout.intervals:
            parts.append(f"[{column.show(self.low)}, {column.show(self.high)}]")
        return " ".join(parts)

    def show(self, column: Column, layout: Layout = Layout()) -> str:
        """Return value, mark and spread as the table shows them."""
        return f"{column.show(self.value)}{self.mark} {self.spread(column, layout)}".rstrip()


@dataclass(frozen=True)
class Fit:
    """What fitting a row cost: steps, seconds (mean over runs), trained parameters; None where not recorded."""

    steps: int | None = None
    seconds: float | None = None
    parameters: int | None = None

    @classmethod
    def of(cls, costs: Sequence[Cost]) -> Fit:
        """Return what fitting cost over the runs of a row."""
        steps = [cost.fit_steps for cost in costs if cost.fit_steps is not None]
        seconds = [cost.fit_seconds for cost in costs if cost.fit_seconds is not None]
        parameters = [cost.trainable_parameters for cost in costs if cost.trainable_parameters is not None]
        # One row has one setting: its runs differ in time alone.
        return cls(
            max(steps, default=None), statistics.fmean(seconds) if seconds else None, max(parameters, default=None)
        )

    def show(self) -> str:
        """Return the cost in words.

        >>> Fit(600, 439.66, 169_891).show()
        '600 steps, 7.3 min, 0.17 M'
        """
        parts = [] if self.steps is None else [f"{self.steps} steps"]
        if self.seconds is not None:
            size, unit = next(
                ((size, unit) for size, unit in ((3600, "h"), (60, "min")) if self.seconds >= size), (1, "s")
            )
            parts.append(f"{self.seconds / size:.1f} {unit}")
        if self.parameters is not None:
            parts.append(f"{self.parameters / 1e6:.3g} M" if self.parameters >= 1e4 else str(self.parameters))
        return ", ".join(parts) or DASH


@dataclass(frozen=True)
class Row:
    """A method with its settings.

    `name` is what a reader asked to call it. `unranked` says why it may have no rank, `variant` names what tells its
    settings and code from those of its sibling rows, and `differs` says that another copy of one of its runs holds
    other numbers (the notes say which). `source` is the hash of the code of a method from a file. `competes` is false
    for what brackets the others: a method that is told the answer, or is not given the clip's sound, and for an
    `attack`, which was made to win a metric without hearing more; it has no rank. `copies` says that its images are
    copies of training frames, or nearly. `scores` holds, by metric, each clip's mean score over the runs.
    """

    method: str
    variant: str
    settings: Mapping[str, Any]
    where: str
    seeds: tuple[int, ...]
    limit: int | None
    status: str
    clips: int
    cells: Mapping[str, Cell]
    fit: Fit = Fit()
    source: str | None = None
    competes: bool = True
    attack: bool = False
    copies: bool = False
    rank: int | None = None
    unranked: str | None = None
    differs: bool = False
    name: str | None = None
    scores: Mapping[str, ClipScores] = field(default_factory=dict, compare=False, repr=False)
    runs: tuple[ClipScores, ...] = field(default=(), compare=False, repr=False)
    """Each run's scores per clip in the metric that ranks; empty where one has none."""

    @property
    def shown_name(self) -> str:
        """The method's name, or what it is to be called instead."""
        return self.name or self.method

    @property
    def label(self) -> str:
        """The name with what tells its settings apart, and why it has no rank."""
        kind = "attack" if self.attack else ""
        extra = ", ".join(part for part in (self.variant, kind, self.unranked) if part)
        return f"{self.shown_name} ({extra})" if extra else self.shown_name

    @property
    def shown_seeds(self) -> str:
        """The number of seeds; "fixed" for a method without randomness."""
        return str(len(self.seeds)) if self.seeds else "fixed"

    @property
    def shown_where(self) -> str:
        """Where the records lie, with a star where copies differ."""
        return f"{self.where} *" if self.differs else self.where

    def extra(self, column: str) -> str:
        """Return the text of one of the columns fit, seeds, clips and where."""
        texts = {"fit": self.fit.show(), "seeds": self.shown_seeds, "clips": str(self.clips), "where": self.shown_where}
        return texts[column]

    def sample(self, metric: str) -> Sample | None:
        """Return the metric as it enters a comparison; None where the row has no value."""
        cell = self.cells[metric]
        if cell.value is None:
            return None
        runs = tuple(value for value in cell.by_seed.values() if value is not None) or (cell.value,)
        interval = None if cell.low is None or cell.high is None else (cell.low, cell.high)
        return Sample(runs, interval, self.scores.get(metric))


@dataclass(frozen=True)
class Board:
    """Rows in order (ranked first), columns in the order asked for, and what a reader has to know beside them.

    `remarks` are about the records that it was made from, `legend` about how to read it. `layout` is what a table
    shows of it.
    """

    suite: str
    version: int | str | None
    fingerprint: str | None
    columns: tuple[Column, ...]
    rows: tuple[Row, ...]
    remarks: tuple[str, ...]
    legend: tuple[str, ...]
    layout: Layout = Layout()

    @property
    def notes(self) -> tuple[str, ...]:
        """All that stands below the table."""
        return self.remarks + self.reading

    @property
    def reading(self) -> tuple[str, ...]:
        """How to read the table: its legend, and what its signs mean."""
        return self.legend + self._signs

    @property
    def empty(self) -> str | None:
        """The line to show in place of a table without rows; None if there are rows."""
        if self.rows:
            return None
        base, *parts = self.suite.split("+")
        varied = [f" --variation {part}" for part in parts[-1:] if "=" in part]
        clips = [part for part in parts[: len(parts) - len(varied)] if not re.fullmatch(r"\d+of\d+", part)]
        data = " --data FILE.csv" if clips else ""
        how = f"bench run --suite {base}{data}{''.join(varied)} --method NAME"
        return visible(f"Nothing to show yet for suite {self.suite!r}: `{how}` makes a row.")

    @property
    def filled(self) -> tuple[Column, ...]:
        """The columns in which at least one row has a value; the others do not stand in the table."""
        return tuple(c for c in self.columns if any(row.cells[c.id].value is not None for row in self.rows))

    @property
    def has_chance(self) -> bool:
        """Whether the chance level of a column is known."""
        return any(column.chance is not None for column in self.filled)

    @property
    def extras(self) -> list[str]:
        """The columns that are no metrics, in order: those of the layout, "fit" only if a row was fitted."""
        fitted = any(row.fit != Fit() for row in self.rows)
        return [name for name in EXTRAS if name in self.layout.extras and (name != "fit" or fitted)]

    @cached_property
    def standings(self) -> tuple[Standing | None, ...]:
        """The interval of each row's rank and its probability of being best; None where it has no rank.

        All are None where a ranked row lacks scores per clip of the metric that ranks, as distances between sets do.
        They are computed when they are first asked for.
        """
        ranked = [row for row in self.rows if row.rank is not None]
        upwards = bool(self.columns) and self.columns[0].direction == "up"
        found = iter(standings([row.runs for row in ranked], upwards=upwards) or ())
        return tuple(None if row.rank is None else next(found, None) for row in self.rows)

    def extra(self, place: int, column: str) -> str:
        """Return the text that row number `place` has in one of the extra columns but rank."""
        if column not in ("ranks", "best"):
            return self.rows[place].extra(column)
        if (standing := self.standings[place]) is None:
            return DASH
        return standing.shown_ranks if column == "ranks" else standing.shown_best

    @property
    def _signs(self) -> tuple[str, ...]:
        """What the signs mean that the table shows."""
        notes = []
        if self.layout.deviations and any(cell.std is not None for row in self.rows for cell in row.cells.values()):
            notes.append("± is the standard deviation over seeds.")
        if self.layout.intervals and any(cell.low is not None for row in self.rows for cell in row.cells.values()):
            several = {c.title: c.id for c in self.columns if any(row.cells[c.id].std is not None for row in self.rows)}
            scored = [title for title, metric in several.items() if any(metric in row.scores for row in self.rows)]
            others = ", ".join(title for title in several if title not in scored)
            text = "[low, high] is the 95 % interval over clips"
            text += ", each clip averaged over seeds" if scored else ""
            notes.append(visible(text + (f"; of {others}, the mean of the runs' intervals." if others else ".")))
        if {"ranks", "best"} & {*self.extras}:
            notes += self._about_standings()
        if "fit" in self.extras:
            notes.append(
                "Fit: optimiser steps, wall-clock time (mean over seeds, on the record's machine), trained parameters."
            )
        return tuple(notes)

    def _about_standings(self) -> list[str]:
        ranked = [row for row in self.rows if row.rank is not None]
        if not ranked:
            return []
        if not any(self.standings):
            missing = [row.label for row in ranked if not row.runs]
            title = self.columns[0].title
            why = f"no clip has a score of {title} in every run"
            why = f"no scores per clip of {title} for {', '.join(missing)}" if missing else why
            return [visible(f"No intervals of ranks: {why}.")]
        single = [row.label for row in ranked if len(row.seeds) == 1]
        over = "clips and seeds" if any(len(row.seeds) > 1 for row in ranked) else "clips"
        which = "every row" if len(single) == len(ranked) else ", ".join(single)
        text = f"Ranks is the 95 % interval of the rank, Best the probability of the first one, over {over}"
        return [visible(text + (f"; the one seed of {which} is taken as given." if single else "."))]

    @property
    def title(self) -> str:
        """Suite, version and the beginning of the fingerprint."""
        version = "" if self.version is None else f" {self.version}"
        return f"{self.suite}{version}" + (f" ({self.fingerprint[:8]})" if self.fingerprint else "")

    def sheet(self, title: str | None = None) -> Sheet:
        """Return the board as a table of texts: rows, then the chance levels if there are any."""
        columns, layout = self.filled, self.layout
        tail = [name for name in self.extras if name != "rank"]
        lead = ["#"] if "rank" in self.extras else []
        header = (*lead, "Method", *(column.header for column in columns), *(name.capitalize() for name in tail))
        names = len(lead) + 1
        lines = []
        for place, row in enumerate(self.rows):
            rank = [DASH if row.rank is None else str(row.rank)] if lead else []
            cells = [row.cells[column.id].show(column, layout) for column in columns]
            lines.append((*rank, row.label, *cells, *(self.extra(place, name) for name in tail)))
        if self.has_chance:
            chances = ["" if c.chance is None else c.show(c.chance) for c in columns]
            lines.append((*[""] * len(lead), "chance", *chances, *[""] * len(tail)))
        foot = {len(self.rows)} if self.has_chance else set()
        return Sheet(
            title=layout.caption or title or self.title,
            header=header,
            rows=tuple(lines),
            left=frozenset({names - 1, *(len(header) - 1 for last in tail[-1:] if last == "where")}),
            bold=frozenset(
                (i, names + j)
                for i, row in enumerate(self.rows)
                for j, column in enumerate(columns)
                if row.cells[column.id].best
            ),
            dim=frozenset({i for i, row in enumerate(self.rows) if row.unranked} | foot),
            rules=frozenset(foot),
            notes=self.notes,
            names=names,
            name=self.suite,
            label=layout.label,
        )

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return the rows as plain values; `method` is a string and `metrics` an object by metric id."""
        return [
            {
                "rank": row.rank,
                "method": row.method,
                "settings": dict(row.settings),
                **({} if row.name is None else {"name": row.name}),
                **({} if row.source is None else {"source": row.source}),
                "suite": self.suite,
                "suite_version": self.version,
                "fingerprint": self.fingerprint,
                "where": row.where,
                "seeds": list(row.seeds),
                "limit": row.limit,
                "status": row.status,
                "unranked": row.unranked,
                "clips": row.clips,
                "fit_steps": row.fit.steps,
                "fit_seconds": row.fit.seconds,
                "trainable_parameters": row.fit.parameters,
                "differs": row.differs,
                "rank_low": standing.low if standing else None,
                "rank_high": standing.high if standing else None,
                "probability_best": standing.best if standing else None,
                "metrics": {column.id: _cell_values(row.cells[column.id], column) for column in self.columns},
            }
            for row, standing in zip(self.rows, self.standings, strict=True)
        ]

    def to_pandas(self) -> DataFrame:
        """Return the board as a data frame: a row a method, a column a metric, `_low`, `_high` and `_std` beside it.

        Rates are percents; where there is no number there is NaN.
        """
        import pandas

        rows = []
        for row, standing in zip(self.rows, self.standings, strict=True):
            known: dict[str, Any] = {
                "rank": row.rank,
                "method": row.method,
                "variant": row.variant,
                "unranked": row.unranked,
                "rank_low": standing.low if standing else None,
                "rank_high": standing.high if standing else None,
                "probability_best": standing.best if standing else None,
            }
            known |= {"seeds": len(row.seeds), "limit": row.limit, "clips": row.clips, "where": row.where}
            for column in self.columns:
                cell = row.cells[column.id]
                known |= {column.id: cell.value, f"{column.id}_low": cell.low, f"{column.id}_high": cell.high}
                known[f"{column.id}_std"] = cell.std
            rows.append(known)
        return pandas.DataFrame(rows)

    def _repr_html_(self) -> str:
        """Show the board in a notebook."""
        return html_table(self.sheet()) if self.rows else f"<p>{html.escape(self.empty or '')}</p>"


def _cell_values(cell: Cell, column: Column) -> dict[str, Any]:
    return {
        "value": cell.value,
        "reason": cell.reason,
        "low": cell.low,
        "high": cell.high,
        "std": cell.std,
        "seeds": dict(cell.by_seed),
        "n": cell.n,
        "failed": cell.failed,
        "unit": column.unit,
        "direction": column.direction,
        "chance": column.chance,
        "version": column.version,
        "best": cell.best,
        "p_best": cell.p_best,
        "tied": cell.tied,
    }
