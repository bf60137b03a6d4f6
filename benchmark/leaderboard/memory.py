"""Public clips against fresh ones: whether a method knows the test clips better than clips that nobody has seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from benchmark.leaderboard.build import build_board
from benchmark.leaderboard.compare import Comparison, compare_rows
from benchmark.leaderboard.dots import Dot

if TYPE_CHECKING:
    from benchmark.leaderboard.tables import Sheet
    from benchmark.records.store import StoredRecord

PUBLIC, FRESH = "public", "fresh"


@dataclass(frozen=True)
class Memory:
    """What a method scores on the public test clips and on fresh ones, metric by metric."""

    comparison: Comparison
    """Public minus fresh, with intervals, and p values adjusted for the number of metrics."""
    method: str
    suite: str
    """Name of the suite of the public clips."""
    seed: int
    """Seed of the fresh clips."""

    @property
    def remembered(self) -> tuple[str, ...]:
        """The metrics in which public clips score better, and not by chance."""
        return tuple(one.column.id for one in self.comparison.differences if one.better == "a")

    @property
    def verdict(self) -> str:
        """What the differences say, in one line."""
        if self.remembered:
            return (
                f"{self.method} scores better on the public clips than on fresh ones in {', '.join(self.remembered)}: "
                "it has seen them, or was chosen by them."
            )
        if not any(one.contrast for one in self.comparison.differences):
            return "No metric has a value on both sides, so nothing can be said."
        return f"No metric finds {self.method} better on the public clips than on fresh ones."

    def sheet(self) -> Sheet:
        """Return the comparison as a table of texts."""
        sheet = self.comparison.sheet()
        title = f"{self.method} on {self.suite}: public clips against fresh ones (seed {self.seed})"
        return replace(sheet, title=title, notes=(*sheet.notes, self.verdict))

    def dots(self) -> dict[str, list[Dot]]:
        """Return both values of each metric, with their intervals, as the dots of a figure."""
        sides = self.comparison.a, self.comparison.b
        cells = {one.column: [row.cells[one.column.id] for row in sides] for one in self.comparison.differences}
        return {
            column.header: [
                Dot(row.label, cell.value, cell.low, cell.high) for row, cell in zip(sides, some, strict=True)
            ]
            for column, some in cells.items()
        }

    def to_dict(self) -> dict[str, Any]:
        """Return it as plain values; "a" is the public side, "b" the fresh one."""
        names = {"a": PUBLIC, "b": FRESH, "better": "better"}
        sides = {self.comparison.a.label: PUBLIC, self.comparison.b.label: FRESH, None: None}
        rows = [{names.get(key, key): value for key, value in row.items()} for row in self.comparison.to_dicts()]
        return {
            "method": self.method,
            "suite": self.suite,
            "seed": self.seed,
            "remembered": list(self.remembered),
            "verdict": self.verdict,
            "metrics": [{**row, "better": sides[row["better"]]} for row in rows],
        }


def memory(public: StoredRecord, fresh: StoredRecord, seed: int, metrics: Sequence[str]) -> Memory:
    """Compare two runs of one fit; the scores of the clips lie beside the records.

    Args:
        public: The run on the suite's own test clips.
        fresh: The run on fresh clips.
        seed: Their seed.
        metrics: What is compared.
    """
    boards = []
    for stored, name in ((public, PUBLIC), (fresh, FRESH)):
        suite, method = stored.record.suite, stored.record.method.name
        board = build_board(
            [stored], metrics, suite=suite.name, fingerprint=suite.fingerprint, names={method: f"{name} clips"}
        )
        boards.append(board)
    (ours,), (theirs,) = (board.rows for board in boards)
    return Memory(compare_rows(boards[0], ours, theirs), public.record.method.name, public.record.suite.name, seed)
