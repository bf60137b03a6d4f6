"""How many clips and seeds a difference of two rows needs to be found, from the runs that there are."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.leaderboard import tables
from benchmark.leaderboard.board import Board, Column, Row
from benchmark.leaderboard.clip_scores import side_by_side
from benchmark.leaderboard.compare import row_called
from benchmark.leaderboard.tables import DASH, Sheet
from benchmark.utils.errors import UserError
from benchmark.utils.text import csv_cell, json_text

if TYPE_CHECKING:
    from metrics.power import Design

SEEDS = (1, 2, 3, 5, 10, 20)
"""The numbers of seeds that a plan has a line for."""


@dataclass(frozen=True)
class Line:
    """What a number of seeds of each method asks for, and what it finds.

    `given` is for a test over clips that takes the runs as they are, `both` for one that asks about other seeds too.
    None stands for what cannot be had.
    """

    seeds: int
    clips_given: int | None
    """Clips that the difference needs."""
    clips_both: int | None
    detects_given: float | None
    """Smallest difference that the clips at hand find."""
    detects_both: float | None


@dataclass(frozen=True)
class Plan:
    """What it takes to tell two rows apart."""

    board: Board
    column: Column
    a: Row
    b: Row
    difference: float
    """The difference that is to be found, in the metric's unit."""
    clips: int
    """Clips that the variances were estimated from."""
    design: Design
    lines: tuple[Line, ...]
    seeds_needed: int | None
    """Seeds that the difference needs with these clips, for other seeds too; None where no number is enough."""

    def sheet(self) -> Sheet:
        """Return the plan as a table of texts."""
        show = self.column.show
        return Sheet(
            title=f"To find a difference of {self.difference:g} in {self.column.title} between {self.a.label} and "
            f"{self.b.label} on {self.board.title}",
            header=(
                "Seeds",
                "Clips, runs as they are",
                "Clips, other seeds too",
                f"{self.clips} clips find, as they are",
                f"{self.clips} clips find, other seeds too",
            ),
            rows=tuple(
                (
                    str(line.seeds),
                    _count(line.clips_given),
                    _count(line.clips_both),
                    show(line.detects_given),
                    show(line.detects_both),
                )
                for line in self.lines
            ),
            left=frozenset(),
            notes=tuple(self._notes()),
            name=f"plan-{self.column.id}",
        )

    def _notes(self) -> list[str]:
        unit, seeds = self.column.unit or "units", self.design.seeds
        notes = [
            "Found: with a probability of 80 %, at two-sided 5 %. Runs as they are: by a test over clips, as `bench "
            "compare` makes it. Other seeds too: clips and seeds are both samples.",
            f"Standard deviation over clips of the difference: {self.design.clips**0.5:.3g} ({unit}).",
        ]
        if seeds is None:
            single = " and ".join(row.label for row in (self.a, self.b) if len(row.seeds) == 1)
            notes.append(
                f"Nothing about other seeds: there is a single run of {single}. `bench run --seeds 3` makes more."
            )
            return notes
        if seeds:
            runs = f"{len(self.a.seeds)} runs of each with the same seeds"
            runs = runs if _same_seeds(self.a, self.b) else f"{len(self.a.runs)} and {len(self.b.runs)} runs"
            notes.append(
                f"Over seeds, beyond what these clips explain: {sum(seeds) ** 0.5:.3g}, from {runs}; of few runs that "
                "is a rough guess."
            )
        needed = (
            "no number of seeds is enough" if self.seeds_needed is None else f"{self.seeds_needed} seeds are enough"
        )
        notes.append(f"With the {self.clips} clips, {needed} for other seeds too.")
        return notes

    def to_dict(self) -> dict[str, Any]:
        """Return plain values; `lines` has an object for each number of seeds."""
        seeds = self.design.seeds
        return {
            "metric": self.column.id,
            "unit": self.column.unit,
            "difference": self.difference,
            "level": 0.05,
            "power": 0.8,
            "a": self.a.label,
            "b": self.b.label,
            "suite": self.board.suite,
            "fingerprint": self.board.fingerprint,
            "clips": self.clips,
            "variance_clips": self.design.clips,
            "variance_seeds": None if seeds is None else sum(seeds),
            "variance_rest": self.design.rest,
            "seeds_needed": self.seeds_needed,
            "lines": [dict(vars(line)) for line in self.lines],
        }


def make_plan(board: Board, difference: float, methods: Sequence[str] = ()) -> Plan:
    """Plan for two rows of a board, in its first column.

    Args:
        board: Its first column is the metric.
        difference: The difference that is to be found, in the metric's unit.
        methods: Two rows by label or method; the two best for none.

    Raises:
        UserError: There are not two such rows, or one has no scores per clip.
    """
    column = board.columns[0]
    if board.empty:
        raise UserError(board.empty)
    if not methods:
        ranked = [row for row in board.rows if row.rank is not None]
        if len(ranked) < 2:
            raise UserError(f"fewer than two ranked rows with {column.id} on {board.title}: name two by --method")
        a, b = ranked[:2]
    elif len(methods) == 2 and methods[0] != methods[1]:
        a, b = (row_called(board.rows, name) for name in methods)
    else:
        raise UserError(f"--method {', '.join(methods)}: name two different rows, or none for the two best")
    if missing := [row.label for row in (a, b) if not row.runs]:
        without = f"no scores per clip of {column.id} for {' and '.join(missing)}"
        raise UserError(f"{without}: give --metric one that has them, such as ais")
    from metrics.power import design

    table = side_by_side([*a.runs, *b.runs])
    kept = int((~np.isnan(table).any(axis=1)).sum())
    if kept < 2:
        raise UserError(f"{a.label} and {b.label} have no two clips with a score of {column.id} in every run")
    runs = len(a.runs)
    found = design(
        table[:, :runs],
        table[:, runs:],
        same_seeds=_same_seeds(a, b),
        fixed=(not a.seeds, not b.seeds),
    )
    lines = tuple(
        Line(
            seeds,
            found.clips_for(difference, seeds, other_seeds=False),
            found.clips_for(difference, seeds),
            found.detectable(kept, seeds, other_seeds=False),
            found.detectable(kept, seeds),
        )
        for seeds in SEEDS
    )
    return Plan(board, column, a, b, difference, kept, found, lines, found.seeds_for(difference, kept))


def _same_seeds(a: Row, b: Row) -> bool:
    return a.seeds == b.seeds and len(a.seeds) > 1


def _count(value: int | None) -> str:
    return DASH if value is None else f"{value:,}"


def _csv(plan: Plan) -> str:
    rows = plan.to_dict()["lines"]
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows({key: csv_cell(value) for key, value in row.items()} for row in rows)
    return text.getvalue()


RENDERERS: dict[str, Callable[[Plan], str]] = {
    "md": lambda plan: tables.markdown(plan.sheet()),
    "csv": _csv,
    "latex": lambda plan: tables.latex(plan.sheet()),
    "html": lambda plan: tables.html_table(plan.sheet()) + "\n",
    "json": lambda plan: json_text(plan.to_dict()),
}
"""Format -> text of a plan."""
