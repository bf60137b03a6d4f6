"""How many pairs of methods does each column tell apart?

    python -m benchmark.studies.separation
    python -m benchmark.studies.separation --metric ais --metric aic --json

A benchmark is as good as the differences that it shows. All pairs of ranked rows of a suite's board are compared in
each column as `bench compare` does: by a paired permutation test over the clips, each clip averaged over seeds, or for
distances between sets by Welch's t test over seeds and clips. A pair is told apart where p is at most 5 %: for itself,
as the daggers of the board say it, and after Holm's adjustment for the number of pairs.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.leaderboard.dots import Dot
from benchmark.leaderboard.significance import LEVEL, compare_all
from benchmark.studies import figures
from benchmark.studies.boards import board_of
from benchmark.suite import load_suite
from benchmark.utils.errors import BenchError, UserError
from benchmark.utils.progress import UI, Console
from benchmark.utils.terminal import print_line, print_table
from metrics.statistics import holm

if TYPE_CHECKING:
    from benchmark.leaderboard.board import Board


@dataclass(frozen=True)
class Separation:
    """What one column tells apart."""

    metric: str
    pairs: int
    """Pairs of ranked rows that have a value."""
    each: int
    """Those that differ, each tested for itself."""
    apart: int
    """Those that differ after Holm's adjustment."""
    unclear: tuple[str, ...]
    """The pairs that do not differ after it, as "a, b"."""


def separation(board: Board, metric: str) -> Separation | None:
    """Return how many pairs of a board's ranked rows differ in a metric; None where fewer than two have a value."""
    rows = [row for row in board.rows if row.rank is not None and row.sample(metric) is not None]
    pairs = list(combinations(rows, 2))
    samples = [(one.sample(metric), other.sample(metric)) for one, other in pairs]
    found = compare_all([(a, b) for a, b in samples if a is not None and b is not None])
    tested = [one.p_value for one in found if one is not None and one.p_value is not None]
    adjusted = iter(holm(tested))
    differ = [
        one is not None and (one.significant if one.p_value is None else float(next(adjusted)) <= LEVEL)
        for one in found
    ]
    each = sum(one is not None and one.significant for one in found)
    unclear = [f"{a.label}, {b.label}" for (a, b), apart in zip(pairs, differ, strict=True) if not apart]
    return Separation(metric, len(pairs), each, sum(differ), tuple(unclear)) if pairs else None


def _counted(pairs: int, one: Separation) -> str:
    return f"{pairs} ({100 * pairs / one.pairs:.0f} %)"


def panels(found: Sequence[Separation]) -> dict[str, list[Dot]]:
    """Return the dots of a figure: each test for itself, and after Holm's adjustment."""
    return {
        title: [Dot(one.metric, 100 * getattr(one, name) / one.pairs) for one in found]
        for title, name in (("pairs told apart, %: each at 5 %", "each"), ("after Holm", "apart"))
    }


def main(arguments: Sequence[str] | None = None, ui: UI | None = None) -> int:
    """Run the command line, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.studies.separation", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("run", nargs="*", type=Path, help="folder of a finished run; seeds of one method are averaged")
    parser.add_argument("--suite", default="mini", help="suite whose records are taken (default: %(default)s)")
    parser.add_argument("--metric", action="append", help="a metric; repeatable (default: the suite's headline)")
    figures.add_option(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args(arguments)
    try:
        metrics = given.metric or load_suite(given.suite.partition("+")[0]).headline
        board = board_of(given.run, given.suite, metrics, ui or Console())
        found = [one for metric in metrics if (one := separation(board, metric)) is not None]
        if not found:
            raise UserError(f"fewer than two ranked rows of {given.suite} have a value of {', '.join(metrics)}")
        figures.write(given.plot, panels(found))
    except BenchError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    if given.json:
        print(json.dumps([asdict(one) for one in found], indent=2))
        return 0
    rows = [[one.metric, str(one.pairs), _counted(one.each, one), _counted(one.apart, one)] for one in found]
    header = ["metric", "pairs", "each at 5 %", "after Holm"]
    print_table(header, rows, title="Pairs of ranked methods that differ", right=(1,))
    for one in found:
        print_line(f"{one.metric} does not tell apart: {'; '.join(one.unclear) or 'none'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
