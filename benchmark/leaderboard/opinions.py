"""Would other judges give the same order? Ranks of a board's rows by the suite's scorer and by other networks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from benchmark.leaderboard.clip_scores import side_by_side
from benchmark.utils.text import visible
from metrics.ranks import Rank, kendall, ranks, reversals

if TYPE_CHECKING:
    from benchmark.leaderboard.board import Board, Row
    from benchmark.records.store import StoredRecord

OWN = "suite"
"""Name of the judge that is the suite's own scorer."""


@dataclass(frozen=True)
class Opinion:
    """What the judges make of one column."""

    column: str
    values: Mapping[str, Mapping[str, float]]
    """By judge and method, of the methods that all judges score."""
    ranks: Mapping[str, Mapping[str, Rank]]
    """The same; none for a distance between sets, which has no score a clip."""
    tau: Mapping[str, float | None]
    """Kendall's tau by pair of judges, "suite, effnetlite0"."""
    reversed: tuple[str, ...]
    """What two judges order differently beyond chance: a line for each method, with all that it changes places with."""

    @property
    def agrees(self) -> bool:
        """Whether no two judges contradict each other beyond chance."""
        return not self.reversed


def judged(records: Iterable[StoredRecord], columns: Sequence[str]) -> dict[str, dict[str, str]]:
    """Return the metric of each judge by column, for the columns that records hold a judge's value of.

    Args:
        records: The records.
        columns: Metrics of the suite's own scorers.
    """
    held = {name for one in records for name, value in one.record.metrics.items() if value.value is not None}
    found = {column: sorted(name for name in held if name.startswith(f"{column}@")) for column in columns}
    return {
        column: {OWN: column} | {name.rpartition("@")[2]: name for name in names}
        for column, names in found.items()
        if names
    }


def opinions(board: Board, columns: Mapping[str, Mapping[str, str]]) -> list[Opinion]:
    """Return what the judges make of each column, over the rows that all of them have scored."""
    found = []
    for column, by in columns.items():
        rows = [row for row in board.rows if all(row.cells[metric].value is not None for metric in by.values())]
        if len(rows) > 1:
            found.append(_opinion(column, by, rows))
    return found


def notes(board: Board, columns: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return what a board says of its judges: Kendall's tau by column, and the columns on which they disagree."""
    if not columns:
        return ["No judge has scored these rows: `bench score RUN --metric iis@JUDGE` for each run."]
    found = opinions(board, columns)
    lines = [f"No agreement of judges on {name}: fewer than two rows have a value by all." for name in columns]
    lines = [line for name, line in zip(columns, lines, strict=True) if name not in {one.column for one in found}]
    for one in found:
        taus = ", ".join(f"{pair}: {'none' if tau is None else f'{tau:.2f}'}" for pair, tau in one.tau.items())
        lines.append(f"{one.column}: Kendall's tau between judges over {len(one.values[OWN])} rows ({taus}).")
        for judge, places in one.ranks.items():
            shown = ", ".join(
                f"{name} {place.rank:g} [{place.low:g}, {place.high:g}]" for name, place in places.items()
            )
            lines.append(f"{one.column}: ranks by {judge} with their 95 % intervals: {shown}.")
    if found:
        apart = [one for one in found if not one.agrees]
        named = "; ".join(f"{one.column} ({'; '.join(one.reversed)})" for one in apart)
        lines.append(f"Judges disagree beyond chance on: {named or 'no column'}.")
    return [visible(line) for line in lines]


def _opinion(column: str, by: Mapping[str, str], rows: Sequence[Row]) -> Opinion:
    names = [row.label for row in rows]
    values = {judge: [float(row.cells[metric].value or 0.0) for row in rows] for judge, metric in by.items()}
    scores = {}
    for judge, metric in by.items():
        clips = [row.scores[metric] for row in rows if metric in row.scores]
        if len(clips) == len(rows):
            scores[judge] = side_by_side(clips)
    pairs = list(combinations(by, 2))
    lines = [
        line
        for one, other in pairs
        if one in scores and other in scores
        for line in _moved(one, other, [(names[i], names[j]) for i, j in reversals(scores[one], scores[other])])
    ]
    return Opinion(
        column=column,
        values={judge: dict(zip(names, some, strict=True)) for judge, some in values.items()},
        ranks={judge: dict(zip(names, ranks(table), strict=True)) for judge, table in scores.items()},
        tau={f"{one}, {other}": kendall(values[one], values[other]) for one, other in pairs},
        reversed=tuple(lines),
    )


def _moved(one: str, other: str, swapped: Sequence[tuple[str, str]]) -> Iterator[str]:
    """Put pairs of methods that two judges have the other way round in as few words as there are methods that move.

    Args:
        one: A judge.
        other: Another one.
        swapped: The pairs, as `one` orders them.
    """
    judges = [judge if judge == OWN else f"judge {judge}" for judge in (one, other)]
    left = list(swapped)
    while left:
        mover = Counter(name for pair in left for name in pair).most_common(1)[0][0]
        behind = [b for a, b in left if a == mover]
        before = [a for a, b in left if b == mover]
        for side, names in (("before", behind), ("behind", before)):
            if names:
                yield f"{judges[0]} has {mover} {side} {', '.join(names)}, {judges[1]} the reverse"
        left = [pair for pair in left if mover not in pair]
