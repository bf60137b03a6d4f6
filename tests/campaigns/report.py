"""What a campaign counts, and what it says at the end."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass, field

FAULTS = ("traceback", "hang", "crash", "changed", "stuck", "silent")
"""Outcomes that must not be: an exception that is no plain line, a time limit that passed, a process that died, a value
that is another one, damage that the same command did not mend, damage that was mended or met without a word."""


@dataclass
class Report:
    """Counts of outcomes by kind of case, and every fault with what makes it again."""

    name: str
    seed: int
    asked: int
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    def add(self, kind: str, outcome: str, detail: str = "") -> None:
        """Count one case; `detail` says of a fault which case it was."""
        self.counts[kind, outcome] += 1
        if outcome in FAULTS:
            self.faults.append(f"{kind}: {outcome}: {detail}")

    @property
    def total(self) -> int:
        return sum(self.counts.values())

    @property
    def good(self) -> bool:
        """Whether the goal is met: every case that was asked for, and no fault."""
        return not self.faults and self.total >= self.asked

    def to_json(self) -> str:
        kinds = sorted({kind for kind, _ in self.counts})
        data = {
            "campaign": self.name,
            "seed": self.seed,
            "asked": self.asked,
            "cases": self.total,
            "seconds": round(time.monotonic() - self.began, 1),
            "outcomes": {kind: {o: n for (k, o), n in sorted(self.counts.items()) if k == kind} for kind in kinds},
            "faults": self.faults,
        }
        return json.dumps(data, indent=2)

    def table(self) -> str:
        outcomes = [*sorted({o for _, o in self.counts} - {*FAULTS}), *FAULTS]
        kinds = sorted({kind for kind, _ in self.counts})
        rows = [["", *outcomes], *([kind, *(str(self.counts[kind, o]) for o in outcomes)] for kind in kinds)]
        rows.append(["all", *(str(sum(self.counts[kind, o] for kind in kinds)) for o in outcomes)])
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        lines = ["  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True)) for row in rows]
        verdict = f"{len(self.faults)} faults" if self.faults else "the goal is met" if self.good else "too few cases"
        seconds = time.monotonic() - self.began
        lines += ["", f"{self.name}: {self.total} of {self.asked} cases, seed {self.seed}, {seconds:.0f} s: {verdict}"]
        return "\n".join([*lines, *self.faults])
