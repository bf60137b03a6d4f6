"""How much of what could be said of a sound in words has each method heard?

    python -m benchmark.studies.ceilings --kind words     # once: the row `ceiling-words`
    python -m benchmark.studies.heard --suite mini
    python -m benchmark.studies.heard RUN... --metric hears.count

Within a class the name of the class says nothing, and words say all that the world holds. The heard share is
(score - label only) / (all in words - label only): 0 for `sd-text`, 100 for `ceiling-words`, of records alone.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.leaderboard.dots import Dot
from benchmark.leaderboard.heard import COLUMNS, LABEL, WORDS, missing, share_of
from benchmark.studies import figures
from benchmark.studies.boards import board_of
from benchmark.utils.errors import BenchError, UserError
from benchmark.utils.progress import UI, Console
from benchmark.utils.terminal import print_table
from metrics.definitions import get

if TYPE_CHECKING:
    from benchmark.leaderboard.board import Board
    from metrics.heard import HeardShare

METRICS = tuple(COLUMNS.values())


@dataclass(frozen=True)
class Share:
    """The heard share of one row by one metric, or why it has none."""

    method: str
    metric: str
    share: HeardShare | None
    reason: str | None = None


def shares(board: Board, metrics: Sequence[str]) -> list[Share]:
    """Return the share of each row of a board by each metric; rows are compared with those of their own clips.

    Raises:
        UserError: The board has no row of the label or of words.
    """
    if why := missing(board.rows):
        raise UserError(why)
    found = []
    for row in board.rows:
        for metric in metrics if row.method not in (LABEL, WORDS) else ():
            share = share_of(row, board.rows, metric)
            found.append(Share(row.label, metric, *((None, share) if isinstance(share, str) else (share,))))
    return found


def panels(found: Sequence[Share]) -> dict[str, list[Dot]]:
    """Return the dots of a figure: a panel a metric."""
    drawn: dict[str, list[Dot]] = {}
    for one in found:
        if (share := one.share) is not None:
            drawn.setdefault(one.metric, []).append(Dot(one.method, share.value, share.low, share.high))
    return drawn


def main(arguments: Sequence[str] | None = None, ui: UI | None = None) -> int:
    """Run the command line, and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmark.studies.heard", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("run", nargs="*", type=Path, help=f"folder of a finished run, {LABEL} and {WORDS} among them")
    parser.add_argument("--suite", default="mini", help="suite whose records are taken (default: %(default)s)")
    parser.add_argument("--metric", action="append", help=f"a metric; repeatable (default: {', '.join(METRICS)})")
    figures.add_option(parser)
    parser.add_argument("--json", action="store_true", help="print JSON")
    given = parser.parse_args(arguments)
    metrics = given.metric or list(METRICS)
    try:
        for metric in metrics:
            try:
                get(metric)
            except ValueError as error:
                raise UserError(str(error)) from error
        found = shares(board_of(given.run, given.suite, metrics, ui or Console()), metrics)
        figures.write(given.plot, panels(found), line=0)
    except BenchError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    if given.json:
        print(json.dumps([asdict(one) for one in found], indent=2))
        return 0
    by_method: dict[str, list[str]] = {}
    for one in found:
        share = one.share
        text = f"{share.value:.0f} [{share.low:.0f}, {share.high:.0f}]" if share else f"– ({one.reason})"
        by_method.setdefault(one.method, []).append(text)
    title = f"heard share, %: 0 is {LABEL}, 100 {WORDS}; in brackets the 95 % interval over clips"
    print_table(["method", *metrics], [[name, *cells] for name, cells in by_method.items()], title=title)
    return 0


if __name__ == "__main__":
    sys.exit(main())
